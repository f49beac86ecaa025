"""One file a revision, in the order of their numbers; written once, never changed after a release."""
