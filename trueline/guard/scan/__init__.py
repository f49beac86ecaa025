"""Normalise once, scan everywhere: views of a text that know where they came from, and one scanner for all rails."""
