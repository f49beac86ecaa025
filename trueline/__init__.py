"""trueline: align, attack, measure, guard, repeat. Importing it is cheap: torch is loaded only by what trains."""

__version__ = "0.1.0"
