"""The embedded world: a closed little language in which every truth, every danger and every leak can be checked exactly."""
