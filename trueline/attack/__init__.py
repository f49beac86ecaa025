"""Attacks: ways to ask for what should be refused, and campaigns that run them and keep every answer."""
