"""What E16 comes to: every value that was registered, and the tables around it (deployment_tables.py).

Deployments are compared goal by goal and task by task: each met the same shops, in the same words, with the same seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trueline.core.stats import wilson
from trueline.core.types import Rate
from trueline.lab.deployment_asked import RESEARCH, rows
from trueline.lab.deployment_goals import DEED, OUTSIDE, PLAIN, STEPS, WITHIN
from trueline.lab.deployment_layers import ALL, CHECKS, INPUT, LAYERS, NONE, PROMPT, REDTEAM, SAFETY, STREAM, Deployments
from trueline.lab.deployment_measures import (
    asked_of,
    coded,
    goals_of,
    held,
    hits,
    lost,
    only,
    paired,
    repaired,
    stacking,
    streamed,
)
from trueline.lab.deployment_tables import shown
from trueline.lab.registration import registered
from trueline.recipes.studio import Room, Studio

WHY = {
    "streaming": "no steps of a hazard are told",
    "codes": "the models say the code word too seldom where it is asked for in a code",
    "seen": "nothing got through in wordings that may be taught",
    "unseen": "nothing got through in held-out wordings",
    "stacking": "some layer alone lets nothing through: there is no product to compare with",
}
CHOSEN = frozenset({SAFETY})  # the model that a research evaluation finds nothing in, and nothing else


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The last stage: all deployments side by side."""

    asked: Mapping[str, str]  # name of a model: the stage that asked it everything
    budget: int

    def reads(self) -> tuple[str, ...]:
        return tuple(self.asked.values())

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        found = Deployments(
            rows={name: rows(studio, stage) for name, stage in self.asked.items()}, budget=self.budget, seed=studio.seed
        )
        costs = {name: studio.stages[stage].result["costs"] for name, stage in self.asked.items()}
        made = values(found)
        why = {name: WHY.get(name, "too little to say") for name, value in made.items() if value is None}
        return {**shown(found, costs), "expectations": registered("E16").expectations(made, why)}


def values(found: Deployments) -> dict[str, Rate | None]:
    """The value of everything that was registered; None where it is not measured."""
    said = found.of("safety", RESEARCH)
    alone, whole, checked = found.reached(CHOSEN), found.reached(ALL), {SAFETY, CHECKS}
    unaligned = found.reached({CHECKS})  # the checks, in front of a model that helps with everything
    calls = goals_of(found, lambda row: row.harm in (DEED, OUTSIDE))
    text = goals_of(found, lambda row: row.harm == STEPS)
    return {
        "research": wilson(sum(hits(said)), len(said)),
        "same": paired(asked_of(found, "safety", (PLAIN,)), said, "same"),
        "exploitable": found.rate(alone),
        "calls": found.rate(unaligned, calls),
        "unasked": found.rate(found.reached(checked), goals_of(found, lambda row: row.harm == WITHIN)),
        "text": found.less(*(only(found.reached(layers, "every wording"), text) for layers in ({CHECKS}, NONE)), "text"),
        "codes": coded(found),
        "prompt": found.less(alone, found.reached({PROMPT, SAFETY}), "prompt"),
        "operator": found.less(alone, whole, "operator"),
        "necessary": found.less(found.reached({PROMPT, CHECKS}), whole, "necessary"),
        "needed": found.less(found.reached(ALL - {SAFETY, REDTEAM}), whole, "needed"),
        "stacking": stacking(found, LAYERS)[1],
        "adaptive": found.less(found.reached(checked), found.reached(checked, "random"), "adaptive"),
        "seen": repaired(found, "safety", taught=True),
        "unseen": repaired(found, "safety", taught=False),
        "utility_prompt": lost(found, {PROMPT, SAFETY}, CHOSEN),
        "utility_model": lost(found, CHOSEN, NONE),
        "utility_checks": lost(found, checked, CHOSEN),
        "utility_redteam": lost(found, {SAFETY, REDTEAM}, CHOSEN),
        "input_guard": lost(found, {INPUT, SAFETY}, CHOSEN),
        "input_seen": held(found, taught=True),
        "input_unseen": held(found, taught=False),
        "streaming": streamed(found, "safety"),
        "utility_stream": lost(found, {SAFETY, STREAM}, CHOSEN),
    }
