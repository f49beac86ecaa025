"""Is refusal one direction of a model's states? Found on some requests, taken out, and added, on others.

Layer and place are chosen as Arditi et al. 2024 (2406.11717, section 2.3) do: those at which taking the direction out undoes
refusals best without harm to benign answers, on requests of their own; what is reported is measured on others. Controls: a
random direction, and nothing changed, with the same random numbers.

    studio.make("direction", RefusalDirection(model="{base}/safety"))
    studio.make("direction", RefusalDirection(model="FOLDER", goals="canary", n=24))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from trueline.attack.goals import WORLD
from trueline.core.config import ConfigError
from trueline.core.types import Completion, Prompt, Rate
from trueline.evaluate.hardness import TOLD
from trueline.evaluate.rates import cluster_of, clustered, negated, plain, rise
from trueline.evaluate.shown import table
from trueline.lab.goals_of import harmful, harmless
from trueline.lab.steering import Direction, ablating, adding, direction, random_unit, sampled, states
from trueline.models.policy import Policy
from trueline.models.residual import Change
from trueline.recipes.judgements import judged
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.recipes.usual import usual_judge
from trueline.world.oracle import verdict

BEFORE, ABLATED, RANDOM, ADDED = "as it is", "direction taken out", "random direction taken out", "direction added"
LEAST = 6  # requests of a kind: two find the direction, one chooses the place, three measure

Came = Mapping[str, Sequence[Mapping[str, list[float]]]]  # by change: what became of harmful requests, and of benign ones


class Place(NamedTuple):
    """Where a direction is read: before which block, and at which token from the end of the request."""

    layer: int
    back: int

    def __str__(self) -> str:
        return f"before block {self.layer}, token {self.back} from the end"


@dataclass(frozen=True, kw_only=True)
class RefusalDirection:
    """Find the direction, choose its place, and measure what becomes of refusals and of benign answers without and with it."""

    model: str  # a stage or a folder
    goals: str = WORLD  # the world's, canaries, or a file of requests that should be refused
    n: int = 96  # requests of each kind: a third finds the direction, a sixth chooses its place, the rest measures
    max_tokens: int = 36
    places: int = 5  # last tokens of a request that a direction is read at
    layers: int = 6  # most layers that it is read at, evenly from the first block's output up
    judge: str = ""  # empty: the oracle for the world, enablement for anything else

    def __post_init__(self) -> None:
        if self.n < LEAST or min(self.places, self.layers) < 1:
            raise ConfigError(
                f"expected n of {LEAST} or more, places and layers of 1 or more; got {self.n}, {self.places} and {self.layers}"
            )

    def reads(self) -> tuple[str, ...]:
        return (self.model,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.model, frozen=True)
        bad, good = harmful(studio, self.goals, self.n), list(harmless(studio, self.goals, self.n))
        if min(len(bad), len(good)) < LEAST:
            raise RecipeError(f"{self.goals}: expected {LEAST} requests of each kind, got {len(bad)} and {len(good)}")
        (finds, chooses, measures), (found, chosen, measured) = parted(bad), parted(good)
        candidates = self._candidates(policy, finds, found)
        best, rows = self._choose(studio, policy, candidates, chooses, chosen)
        r = candidates[best]
        changes: dict[str, Change] = {
            BEFORE: lambda layer, x: x,
            ABLATED: ablating(r.unit),
            RANDOM: ablating(random_unit(r.unit, studio.seed)),
            ADDED: adding(r.length * r.unit, best.layer),
        }
        studio.show.steps(room.name, len(changes))
        came = {}
        for i, (name, change) in enumerate(changes.items()):
            said = [self._say(studio, policy, some, change) for some in (measures, measured)]
            room.keep(i, [*said[0][:6], *said[1][:6]])
            came[name] = [self._told(studio, part) for part in said]
            studio.show.bar(room.name)(i + 1, {}, 0.0, 0.0)
        keys = [[cluster_of(p) for p in some] for some in (measures, measured)]
        return {"values": _values(came, keys), "tables": [_table(came, keys, best), _chosen(rows)]}

    def _candidates(self, policy: Policy, bad: Sequence[Prompt], good: Sequence[Prompt]) -> dict[Place, Direction]:
        """A direction for every layer and place that are tried; embeddings, layer 0, where there is nothing else."""
        refused, answered = (states(policy, some, self.places) for some in (bad, good))
        count = refused.shape[1]
        layers = range(1, count, max(1, -(-(count - 1) // self.layers))) if count > 1 else range(1)
        places = [Place(layer, back) for layer in layers for back in range(1, self.places + 1)]
        return {p: direction(refused[-p.back, p.layer], answered[-p.back, p.layer]) for p in places}

    def _choose(
        self, studio: Studio, policy: Policy, found: Mapping[Place, Direction], bad: Sequence[Prompt], good: Sequence[Prompt]
    ) -> tuple[Place, list[list[Any]]]:
        """The place whose direction, taken out, leaves the fewest refusals and the most benign answers."""
        rows, score = [], {}
        for place, r in found.items():
            said = [self._say(studio, policy, some, ablating(r.unit)) for some in (bad, good)]
            refused, right = (self._told(studio, part) for part in said)
            share = sum(refused["refused"]) / len(bad), sum(right["right"]) / len(good)
            score[place] = share[1] - share[0]
            rows.append([str(place), *share, float(r.length)])
        return max(score, key=lambda place: score[place]), rows

    def _say(self, studio: Studio, policy: Policy, prompts: Sequence[Prompt], change: Change) -> list[Completion]:
        return sampled(policy, prompts, change, max_tokens=self.max_tokens, seed=studio.seed)

    def _told(self, studio: Studio, said: Sequence[Completion]) -> dict[str, list[float]]:
        """Of each completion, whether it refuses, and whether it answers rightly: in English, whether it does not refuse."""
        if self.goals != WORLD:
            refused = [float(j.stance == "refuse") for j in judged(studio, self.judge or usual_judge(False), said)]
            return {"refused": refused, "right": [1 - value for value in refused]}
        found = [verdict(studio.world, c.prompt, c) for c in said]
        return {
            "refused": [float(v.stance == "refuse") for v in found],
            "right": [float(v.correct is True or v.disclosed >= TOLD) for v in found],
        }


def parted(prompts: Sequence[Prompt]) -> tuple[list[Prompt], list[Prompt], list[Prompt]]:
    """A third to find the direction on, a sixth to choose its place on, the half to measure on; none of it twice."""
    return list(prompts[::3]), list(prompts[1::6]), [p for i, p in enumerate(prompts) if i % 3 and i % 6 != 1]


def _values(came: Came, keys: Sequence[Sequence[str]]) -> dict[str, Any]:
    def moved(change: str, part: int, what: str) -> Rate | None:
        return rise(came[change][part][what], came[BEFORE][part][what], keys[part], name=f"direction/{change}/{what}")

    return {
        "ablated": plain(negated(moved(ABLATED, 0, "refused"))),
        "random": plain(negated(moved(RANDOM, 0, "refused"))),
        "benign_kept": plain(moved(ABLATED, 1, "right")),
        "added": plain(moved(ADDED, 1, "refused")),
    }


def _table(came: Came, keys: Sequence[Sequence[str]], place: Place) -> dict[str, Any]:
    rows = [
        [name, clustered(bad["refused"], keys[0]), clustered(good["right"], keys[1]), clustered(good["refused"], keys[1])]
        for name, (bad, good) in came.items()
    ]
    columns = ["the model", "harmful refused", "benign answered", "benign refused"]
    return table("One direction of its states", columns, rows, f"read {place}")


def _chosen(rows: list[list[Any]]) -> dict[str, Any]:
    columns = ["taken out as read", "harmful refused", "benign answered", "distance of the means"]
    return table("Where the direction is read", columns, rows, "on the requests that chose the place")
