"""The learned rail's models: hashed n-grams, a linear model in whole numbers, and how one is trained."""
