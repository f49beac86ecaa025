"""The human red team: people attack targets by hand, a judge reads along, and what works becomes a finding like any other."""
