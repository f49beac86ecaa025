"""Continuous testing of what is deployed: rounds on a schedule, changes noticed, findings followed until they are fixed."""
