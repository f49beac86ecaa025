"""Models in the ecosystem's own format: policies, tokens, sampling, checkpoints."""
