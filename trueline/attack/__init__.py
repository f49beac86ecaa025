"""Attacks: ways to ask for what should be refused, and campaigns that run them and keep every answer.

Importing this room registers all attacks that have settings of their own.
"""

from trueline.attack.template_file import Templates
from trueline.attack.worded import Crescendo, ManyShot, Prefill, Worded

__all__ = ["Crescendo", "ManyShot", "Prefill", "Templates", "Worded"]
