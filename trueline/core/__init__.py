"""Words, ports, configuration, records and statistics. Standard library only (pydantic in `records`)."""
