"""Best of n: one request in many augmented wordings, how often each goal gives in, and which law success follows.

Wordings are those of the attack `best_of_n` (attack/search.py): fillers, synonyms, a changed order of words. All of them are
asked, where the attack stops at the first success, so that a goal's chance a try is seen and not just its luck.

    studio.make("tries", ManyTries(model="{base}/safety"))
    studio.make("tries", ManyTries(model="http://localhost:8000/v1#MODEL", goals="canary", n=10, tries=32))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np

from trueline.attack.goals import WORLD
from trueline.attack.search import BestOfN
from trueline.core.config import ConfigError
from trueline.core.outcome import outcome
from trueline.evaluate.rates import cluster_of, clustered, plain
from trueline.evaluate.shown import curves, table
from trueline.lab import law
from trueline.lab.goals_of import harmful
from trueline.lab.paired import fitting, kept, put
from trueline.recipes.answering import loaded
from trueline.recipes.judgements import judged, models_behind, refuse_undecided
from trueline.recipes.studio import Room, Studio
from trueline.recipes.usual import usual_judge, usual_tokens

TITLE = "Success by number of tries"


@dataclass(frozen=True, kw_only=True)
class ManyTries:
    """Ask for every goal in many augmented wordings."""

    model: str  # a stage, a folder, or any TARGET
    goals: str = WORLD  # the world's, canaries, or a file of requests that should be refused
    n: int = 48  # goals
    tries: int = 128  # wordings of each
    strength: float = 0.4  # of the augmentations, as the attack has it
    judge: str = ""  # empty: the oracle for the world, enablement for anything else

    def __post_init__(self) -> None:
        if self.n < 2 or self.tries < 4:
            raise ConfigError(f"expected n of at least 2 and tries of at least 4; got {self.n} and {self.tries}")

    def reads(self) -> tuple[str, ...]:
        return (self.model, *models_behind(self.judge))

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        world = self.goals == WORLD
        asked = harmful(studio, self.goals, self.n)
        attack = BestOfN(n=self.tries, strength=self.strength)
        wordings = []
        for goal in asked:
            key = Random(f"tries/{studio.seed}/{goal.id}").getrandbits(64)
            wordings.append([replace(goal, conversation=attack.wording(goal, key, i)) for i in range(self.tries)])
        policy, tokens = loaded(studio, self.model), usual_tokens(world)
        fits = fitting(studio, room, policy, wordings, tokens)
        asked, prompts = [asked[i] for i in fits], [prompt for i in fits for prompt in wordings[i]]
        said = put(studio, room, self.model, prompts, max_tokens=tokens, seed=studio.seed + 3, policy=policy)
        kept(room, said, 40)
        judgements = judged(studio, self.judge or usual_judge(world), said)
        refuse_undecided(self.judge or usual_judge(world), judgements)
        came = [outcome(j, c) == "success" for j, c in zip(judgements, said, strict=True)]
        return told(np.array(came).reshape(len(asked), self.tries), [cluster_of(goal) for goal in asked])


def told(hits: law.Hits, clusters: list[str]) -> dict[str, Any]:
    """What the tries come to: chances a try, both laws, the exponent foretold and measured."""
    goals, tries = hits.shape
    found = law.laws(law.tries_of(hits, clusters), resamples=1)
    both, spread = law.foretold(hits), law.Spread.of(hits)
    once = clustered(hits.mean(1).tolist(), clusters)
    rows = [
        ["one try gets through", once],
        [f"goals broken in {tries} tries", clustered(hits.any(1).astype(float).tolist(), clusters)],
        ["Beta over goals: alpha", spread.alpha],
        ["Beta over goals: beta", spread.beta],
        ["exponent foretold by half of the tries", both and both[0]],
        ["exponent measured on the others", both and both[1]],
        ["law that first successes prefer", str(found["cannot_tell"] or found["better"])],
    ]
    counts = [n for n in law.COUNTS if n <= tries] + ([tries] if tries > law.COUNTS[-1] else [])
    lines = {"measured": [(float(n), law.success(hits, n)) for n in counts]}
    lines["Beta of half of the tries"] = [(float(n), law.Spread.of(hits[:, ::2]).success(n)) for n in counts]
    note = f"{goals} goals, each asked in {tries} augmented wordings"
    return {
        "values": {"law": plain(law.apart(hits, clusters)), "exponent": plain(law.foretold_error(hits, clusters))},
        "tables": [table("Best of n", ["what", "value"], rows, note)],
        "curves": [curves(TITLE, "tries of a goal", lines, note)],
    }
