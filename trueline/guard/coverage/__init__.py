"""The proof that nothing passes unread: a marker in every position of every endpoint, through the real app."""
