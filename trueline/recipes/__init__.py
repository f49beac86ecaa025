"""Recipes: the only glue. Each reads like a method section and is its own config."""
