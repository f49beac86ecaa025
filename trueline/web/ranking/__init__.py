"""Ranking by people in the browser: the projects, the annotator's desk, and what operators see of both."""
