"""Attestations: what was tested of a target, dated and signed, and whether it still holds."""
