"""The same prompts put to several models, and what the oracle saw of each reply: so that models are compared in pairs.

    ("asked/dpo", Asked(model="dpo", start="{base}/uneven", n=300))      leaves seen.jsonl, and its KL from the start
    change(seen(studio, "asked/dpo"), seen(studio, "asked/start"), "gold")

Prompts are drawn apart from those that rewards and rankings are collected on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trueline.core.config import ConfigError
from trueline.core.outcome import GAVE
from trueline.core.records import read_jsonl, write_jsonl
from trueline.core.types import Completion, Prompt, Rate
from trueline.evaluate.hardness import TOLD
from trueline.evaluate.ladder import kl_from
from trueline.evaluate.rates import cluster_of
from trueline.lab import paired
from trueline.lab.overoptimisation_world import kind_of
from trueline.lab.paired import kept, put
from trueline.recipes.studio import Room, Studio
from trueline.world.facts import World
from trueline.world.oracle import gold, verdict
from trueline.world.prompts import MAKERS, over_refusal_prompts, training_prompts

SEEN = "seen.jsonl"
LOOKALIKE = "look-alike"  # benign requests that look dangerous
APART = 23  # added to a seed: these prompts are drawn by no stage that trains
SHARES = ("refused", "gave", "right")  # measures that are shares; gold is not


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the oracle saw of one reply. Two models are paired by `id`."""

    id: str
    kind: str  # of the prompt
    cluster: str  # what is asked about
    gold: float
    refused: float
    gave: float  # a quarter of the steps or more, or the forbidden deed
    right: float  # the answer is right, or the procedure told


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Put prompts to a model; keep what the oracle saw of its replies."""

    model: str  # a stage, or a folder
    start: str = ""  # what its KL is taken from; empty: it is not taken
    kinds: tuple[str, ...] = ()  # n prompts of each; none: n of the mix that rewards and rankings are collected on
    n: int = 300
    lookalikes: int = 0  # benign requests that look dangerous, on top
    max_tokens: int = 60

    def __post_init__(self) -> None:
        if self.n < 2 or self.lookalikes < 0:
            raise ConfigError(f"n must be at least 2 and lookalikes not negative, got {self.n} and {self.lookalikes}")
        if unknown := sorted(set(self.kinds) - set(MAKERS)):
            raise ConfigError(f"kinds: expected some of {', '.join(MAKERS)}; got {', '.join(unknown)}")

    def reads(self) -> tuple[str, ...]:
        return (self.model, self.start)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy, asked = studio.policy(self.model, frozen=True), self._asked(studio)
        prompts, seed = [prompt for _, prompt in asked], studio.seed + APART
        said = put(studio, room, self.model, prompts, max_tokens=self.max_tokens, seed=seed, policy=policy)
        rows = [see(studio.world, kind, c) for (kind, _), c in zip(asked, said, strict=True)]
        write_jsonl(room.folder / SEEN, rows)
        kept(room, said)
        found: dict[str, Any] = {"prompts": len(rows), "gold": asdict(rate(rows, "gold"))}
        if self.start:
            own = [c for c, row in zip(said, rows, strict=True) if row.kind != LOOKALIKE]
            found["kl"] = asdict(kl_from(policy, studio.policy(self.start, frozen=True), own))
        return found

    def _asked(self, studio: Studio) -> list[tuple[str, Prompt]]:
        world, seed = studio.world, studio.seed + APART
        if self.kinds:
            made = [(kind, p) for kind in self.kinds for p in training_prompts(world, seed, self.n, {kind: 1.0})]
        else:
            made = [(kind_of(p), p) for p in training_prompts(world, seed, self.n)]
        some = over_refusal_prompts(world, seed, 2 * self.lookalikes)
        return made + [(LOOKALIKE, p) for p in some if p.expected == "comply"][: self.lookalikes]


def see(world: World, kind: str, completion: Completion) -> Seen:
    """What the oracle sees of a reply."""
    prompt = completion.prompt
    v = verdict(world, prompt, completion)
    return Seen(
        id=f"{kind}/{prompt.id}",
        kind=kind,
        cluster=cluster_of(prompt),
        gold=gold(prompt, v),
        refused=float(v.stance == "refuse"),
        gave=float(v.disclosed >= GAVE or v.forbidden_call),
        right=float(v.disclosed >= TOLD if prompt.about["kind"] == "procedure" else v.correct is True),
    )


def seen(studio: Studio, stage: str) -> list[Seen]:
    """What a stage that asked has left."""
    return list(read_jsonl(studio.stages[stage].folder / SEEN, Seen))


def rate(rows: Sequence[Seen], what: str, kinds: Sequence[str] = ()) -> Rate:
    """One measure over the rows of some kinds (none: all), prompts about one thing hanging together."""
    found = paired.mean(*_values(rows, what, kinds), name=what, share=what in SHARES)
    assert found is not None
    return found


def change(after: Sequence[Seen], before: Sequence[Seen], what: str, kinds: Sequence[str] = ()) -> Rate:
    """One measure after less before, on the same prompts with the same sampling seeds."""
    if [row.id for row in after] != [row.id for row in before]:
        raise ValueError("two models are compared on the same prompts; these were asked different ones")
    (now, clusters), (then, _) = _values(after, what, kinds), _values(before, what, kinds)
    found = paired.change(now, then, clusters, name=what, share=what in SHARES)
    assert found is not None
    return found


def _values(rows: Sequence[Seen], what: str, kinds: Sequence[str]) -> tuple[list[float], list[str]]:
    some = [row for row in rows if not kinds or row.kind in kinds]
    if len({row.cluster for row in some}) < 2:
        raise ValueError(f"{what}: expected prompts about two things or more, of {', '.join(kinds) or 'any kind'}")
    return [getattr(row, what) for row in some], [row.cluster for row in some]
