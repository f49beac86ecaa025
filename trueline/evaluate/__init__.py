"""Measure: what a target does, with its n and its interval, and the report that shows it."""
