"""The lab: each claim of what alignment is as an experiment, with its expectation written down before the run."""
