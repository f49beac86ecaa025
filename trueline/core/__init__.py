"""Words, ports, configuration, records and statistics: standard library only."""
