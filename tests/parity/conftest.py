"""Without TRL the tests here are skipped, and say so; what imports it must then not be looked into for doctests either."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("trl") else ["peer.py", "cases*.py"]
