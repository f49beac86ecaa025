"""The guard as a process: an ASGI app before an upstream."""
