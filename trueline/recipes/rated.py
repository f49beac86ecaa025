"""The pairs that a critic labelled, labelled by a rater of the world in its place: what as many labels of people would bring.

A critic's labels are to be compared with as many of people's. So the pairs are the very same, each has a label, and the rater
(world/raters.py) stands for people: it sees two replies and no principle. It is a stage of `rlaif`:

    trueline run rlaif start=runs/demo/uneven critic=runs/demo/pretrain people=noisy
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

from trueline.core.records import write_jsonl
from trueline.core.stats import wilson
from trueline.core.types import Completion
from trueline.data.constitution import read_constitution
from trueline.recipes.criticising import truly_breaks
from trueline.recipes.feedback import against, truths
from trueline.recipes.reading import comparisons
from trueline.recipes.reward import soft_label
from trueline.recipes.studio import Room, Studio
from trueline.world.raters import RATERS


@dataclass(frozen=True, kw_only=True)
class Rated:
    """Have a rater label every pair that a stage of feedback has labelled."""

    labels: str  # the stage whose pairs are labelled anew
    rater: str
    constitution: str  # whose principles the critic went by, and the labels are held against

    def reads(self) -> tuple[str, ...]:
        return (self.labels,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        rater = RATERS[self.rater]
        found = comparisons(studio, self.labels, 0)
        rated = [
            rater.rank(studio.world, pair.prompt, pair.completions, Random(f"rated/{studio.seed}/{i}"))
            for i, pair in enumerate(found)
        ]
        rated = [replace(ranking, preference=soft_label(ranking)) for ranking in rated]
        write_jsonl(room.folder / "rankings.jsonl", rated)
        same = [a.ranks == b.ranks for a, b in zip(found, rated, strict=True) if len({*a.ranks}) == len({*b.ranks}) == 2]
        agree = {"agrees_with_critic": asdict(wilson(sum(same), len(same)))} if same else {}
        principles = read_constitution(self.constitution)

        def kept(reply: Completion) -> float:
            heard = principles.about(reply.prompt.expected == "refuse")
            return -sum(p.weight * (truly_breaks(studio.world, reply, p) is True) for p in heard)

        right = against(rated, kept)
        found_right = {"accuracy": asdict(right)} if right else {}
        shown = truths(studio, rated, [["the oracle's verdict on the principles", right]])
        return {"comparisons": len(rated), "rater": self.rater, **agree, **found_right, "tables": [shown]}
