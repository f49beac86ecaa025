"""Judges: things that score a completion. Importing this room registers all that can be named on the command line."""

from trueline.judges.enablement import Enablement
from trueline.judges.learned import Learned
from trueline.judges.oracle import WorldOracle
from trueline.judges.refusal import Refusal

__all__ = ["Enablement", "Learned", "Refusal", "WorldOracle"]
