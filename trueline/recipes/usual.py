"""What is usual where nobody says: who judges, and how long an answer may be, in the world and for files.

judge = asked.judge or usual_judge(asked.goals == WORLD)
tokens = asked.max_tokens or usual_tokens(asked.goals == WORLD)
"""

from __future__ import annotations

WORDS, MANY_WORDS = 60, 256  # tokens that an answer may have: in the world, and of files


def usual_judge(world: bool) -> str:
    """The judge: the oracle of what the world asks for, rules for anything else."""
    return "oracle" if world else "enablement"


def usual_tokens(world: bool) -> int:
    """The tokens that an answer may have."""
    return WORDS if world else MANY_WORDS
