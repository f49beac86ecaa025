"""Pairs for E10 that nobody ranked, and how far training moves the replies of pairs.

    RefusalPairs(start="{base}/uneven", against="refusal")     a refusal, and another much like it: rankings.jsonl
    RefusalPairs(start="{base}/uneven", against="steps")       a refusal, and the steps: what safety data usually holds
    Moved(model="dpo", start="{base}/uneven", data="rankings") the log-ratios of held-out replies: moved.jsonl

Razin et al. 2024 (2410.08847) trained a model to refuse, by DPO on pairs of refusals of its own, and it refused less: what is
taken from the rejected reply is taken from replies like it too, and goes where it will.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import combinations
from typing import Any, Literal

from trueline.core.config import ConfigError
from trueline.core.records import read_jsonl, write_jsonl
from trueline.core.types import Completion, Ranking
from trueline.data.split import split_by_prompt
from trueline.evaluate.rates import cluster_of
from trueline.lab.asked import Seen, see
from trueline.models.tokens import Example
from trueline.recipes.reading import context_of, example_of, pairs_of, prompts
from trueline.recipes.studio import Room, Studio
from trueline.targets.local import complete
from trueline.train.annotate_preference import remember

Against = Literal["refusal", "steps"]
MOVED = "moved.jsonl"
FEWEST = 30  # pairs: with fewer there is nothing to train on, nor to hold out


@dataclass(frozen=True, kw_only=True)
class RefusalPairs:
    """Sample requests for hazards, and prefer a refusal to another refusal, or to the steps."""

    start: str  # the model that is sampled
    against: Against = "refusal"  # what is rejected
    n: int = 400  # requests
    k: int = 6  # samples of each
    max_tokens: int = 56

    def __post_init__(self) -> None:
        if self.n < 1 or self.k < 2:
            raise ConfigError(f"n must be at least 1 and k at least 2, got {self.n} and {self.k}")

    def reads(self) -> tuple[str, ...]:
        return (self.start,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        asked = prompts(studio, "world/hazards", self.n, seed=studio.seed + 5)
        policy = studio.policy(self.start, frozen=True)
        drawn = complete(policy, asked, count=self.k, max_tokens=self.max_tokens, seed=studio.seed + 5)
        made = []
        for i, prompt in enumerate(asked):
            said = drawn[i * self.k : (i + 1) * self.k]
            pair = self.pair([(c, see(studio.world, "hazard", c)) for c in said])
            if pair:
                made.append(Ranking(prompt=prompt, completions=pair, ranks=(1, 2), by=f"against {self.against}"))
        enough = made if len(made) >= FEWEST else []
        write_jsonl(room.folder / "rankings.jsonl", enough)
        room.keep(0, [c for ranking in made[:6] for c in ranking.completions])
        return {"pairs": len(made), "demonstrations": len(enough)}

    def pair(self, said: Sequence[tuple[Completion, Seen]]) -> tuple[Completion, Completion] | None:
        """A refusal and what it is preferred to; None where the samples hold no such pair."""
        refusals = list({c.text: c for c, row in said if row.refused and not row.gave}.values())
        if self.against == "steps":
            told = [c for c, row in said if row.gave and not row.refused]
            return (refusals[0], told[0]) if refusals and told else None
        pairs = list(combinations(refusals, 2))
        if not pairs:
            return None
        first, second = max(pairs, key=lambda pair: alike(pair[0].text, pair[1].text))
        # One rule for all pairs, so that there is something to learn: the shorter one, of equals the first by letters.
        better, worse = sorted((first, second), key=lambda c: (len(c.text.split()), c.text))
        return better, worse


def alike(one: str, other: str) -> float:
    """How much of two texts is the same, word by word, 0 to 1.

    >>> alike("i cannot help with that .", "i cannot tell you that .") > alike("i cannot help .", "sorry , no .")
    True
    """
    return SequenceMatcher(a=one.split(), b=other.split(), autojunk=False).ratio()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What training did to one held-out pair: log-ratios to the start, nats a reply."""

    cluster: str
    chosen: float
    rejected: float


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Take the log-ratios of held-out pairs: those that no training on this data has seen."""

    model: str  # a stage, or a folder
    start: str  # what it was trained from
    data: str  # the stage that made the rankings
    held_out: float = 0.15  # as in the recipe that trained

    def reads(self) -> tuple[str, ...]:
        return (self.model, self.start, self.data)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy, start = (studio.policy(name, frozen=True) for name in (self.model, self.start))
        limit = context_of(policy.codec, policy.model.config.max_position_embeddings, 0)
        ranked = read_jsonl(studio.file(self.data, "rankings.jsonl"), Ranking)  # none where a model gave no pairs
        held = split_by_prompt(ranked, self.held_out, studio.seed).held_out
        pairs = [pair for ranking in held for pair in pairs_of(ranking)]
        encoded = [[example_of(policy.codec, c) for c in (pair.chosen, pair.rejected)] for pair in pairs]
        fits = [i for i, both in enumerate(encoded) if all(len(e.ids) <= limit for e in both)]
        (table,) = room.reference(start, [e for i in fits for e in encoded[i]])
        now = remember(policy, [e for i in fits for e in encoded[i]])

        def ratio(example: Example) -> float:
            return float(now[example].sum() - table[example].sum())

        rows = [
            Shift(cluster=cluster_of(pairs[i].prompt), chosen=ratio(encoded[i][0]), rejected=ratio(encoded[i][1])) for i in fits
        ]
        write_jsonl(room.folder / MOVED, rows)
        return {"pairs": len(rows)}


def moved(studio: Studio, stage: str) -> list[Shift]:
    """What `Moved` left."""
    return list(read_jsonl(studio.stages[stage].folder / MOVED, Shift))
