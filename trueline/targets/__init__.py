"""Things that answer: a Target takes a conversation and returns a Completion."""
