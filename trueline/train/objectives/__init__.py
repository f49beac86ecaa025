"""Objectives: frozen dataclasses whose fields are their settings. Each yields terms that name their own denominator."""
