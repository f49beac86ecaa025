"""Attacks: ways to ask for what should be refused, and campaigns that run them and keep every answer.

Importing this room registers all attacks that have settings of their own.
"""

from trueline.attack.dialogue import AdaptiveCrescendo, Pair, Tap
from trueline.attack.extraction import Extraction, ExtractionHeldOut
from trueline.attack.injection import InjectionDocument, InjectionDocumentHeldOut, InjectionTool, InjectionToolHeldOut
from trueline.attack.search import Bandit, BestOfN, Genetic
from trueline.attack.suffix import ExactSuffix, Gcg, RandomSuffix
from trueline.attack.template_file import Templates
from trueline.attack.tools import Deed, ToolAbuse, ToolAbuseHeldOut
from trueline.attack.trained import Trained
from trueline.attack.worded import Crescendo, ManyShot, Prefill, Worded

__all__ = [
    "AdaptiveCrescendo",
    "Bandit",
    "BestOfN",
    "Crescendo",
    "Deed",
    "ExactSuffix",
    "Extraction",
    "ExtractionHeldOut",
    "Gcg",
    "Genetic",
    "InjectionDocument",
    "InjectionDocumentHeldOut",
    "InjectionTool",
    "InjectionToolHeldOut",
    "ManyShot",
    "Pair",
    "Prefill",
    "RandomSuffix",
    "Tap",
    "Templates",
    "ToolAbuse",
    "ToolAbuseHeldOut",
    "Trained",
    "Worded",
]
