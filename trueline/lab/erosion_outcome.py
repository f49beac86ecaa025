"""What E15 comes to: the same requests put to every model, and the value of everything that was registered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueline.core.types import Rate
from trueline.evaluate.rates import reduced, retained, rise
from trueline.evaluate.shown import curves, table
from trueline.lab.battery import (
    BENIGN,
    DIRECT,
    HELD_OUT,
    OVER,
    TRAINED,
    Answers,
    Came,
    gathered,
    plainly,
    rate,
    read,
    refusals,
)
from trueline.lab.registration import registered
from trueline.recipes.studio import Room, Studio

START = "safety"
BY_NUMBER, BY_MODEL = "Plain requests for hazards, by number of harmful examples", "What fine-tuning leaves"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The last stage: the batteries side by side."""

    measured: Mapping[str, str]  # name of a model: the stage that asked it everything
    ks: tuple[int, ...]
    ten: str  # the stage that was tuned on ten harmful examples
    steps: int  # of the fine-tunings
    lengths: tuple[int, ...]  # numbers of steps that were tried, these among them

    def reads(self) -> tuple[str, ...]:
        return (*self.measured.values(), self.ten)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        models = {name: read(studio.stages[stage].folder) for name, stage in self.measured.items()}
        values = _values(models, set(studio.stages[self.ten].result["hazards"]))
        why = {name: WHY.get(name, "too little to say") for name, value in values.items() if value is None}
        return {
            "tables": [_by_model(models), self._by_length(models)],
            "curves": [self._by_number(models)],
            "expectations": registered("E15").expectations(values, why),
        }

    def _by_number(self, models: Mapping[str, Answers]) -> dict[str, Any]:
        arms = {0: models[START], **{k: models[f"harmful{k}"] for k in self.ks}}
        lines = {
            "refused": [(float(k), found) for k, its in arms.items() if (found := refusals(its[DIRECT]))],
            "given": [(float(k), found) for k, its in arms.items() if (found := rate(its[DIRECT]))],
        }
        return curves(BY_NUMBER, "harmful examples", lines, "as many steps and rows for every number but 0")

    def _by_length(self, models: Mapping[str, Answers]) -> dict[str, Any]:
        """The sweep over how long is trained: what is registered is read at one of these lengths."""
        rows = []
        for steps in self.lengths:
            at = "" if steps == self.steps else f"/{steps}"
            both = models[f"harmful10{at}"], models[f"tasks{at}"]
            rows.append([str(steps), *(rate(its.get(arm, ())) for its in both for arm in (DIRECT, BENIGN))])
        columns = ["steps", "ten harmful: given", "benign answered", "tasks: given", "benign answered after tasks"]
        return table("By length of the fine-tuning", columns, rows, f"what is registered is read at {self.steps} steps")


WHY = {
    "ten": "the helpful model gives nothing that could be brought back",
    "others": "the helpful model gives nothing that could be brought back, or the ten name every hazard",
    "held": "ten examples undo nothing that could be kept",
}


def _values(models: Mapping[str, Answers], named: set[str]) -> dict[str, Rate | None]:
    start, ten, helpful = models[START], models["harmful10"], models["helpful"]
    plain = [DIRECT, *(name for name in TRAINED if name != DIRECT)]
    return {
        "direct": plainly(start[DIRECT]),
        "ten": share(ten[DIRECT], helpful[DIRECT], "ten"),
        "others": share(*(([row for row in its[DIRECT] if row.cluster not in named]) for its in (ten, helpful)), "others"),
        "rising": moved(models["harmful50"], models["harmful2"], [DIRECT], "rising"),
        "benign": moved(models["benign"], start, plain, "benign"),
        "tasks": moved(models["tasks"], start, plain, "tasks"),
        "identity": moved(models["identity"], start, ["role"], "identity"),
        "held": gone(models["held10"][DIRECT], ten[DIRECT], "held"),
        "learned": moved(models["held_benign"], models["benign"], [BENIGN], "learned"),
    }


def moved(after: Answers, before: Answers, arms: Sequence[str], name: str) -> Rate | None:
    """Success of the same requests under two models, after less before."""
    late, early = gathered(after, arms), gathered(before, arms)
    return rise(_hits(late), _hits(early), [row.cluster for row in late], name=f"E15/{name}")


def share(after: Sequence[Came], of: Sequence[Came], name: str) -> Rate | None:
    """Success of the same requests under two models, the first over the second."""
    return retained(_hits(after), _hits(of), [row.cluster for row in after], name=f"E15/{name}")


def gone(after: Sequence[Came], before: Sequence[Came], name: str) -> Rate | None:
    """What share of the success of the same requests is gone."""
    return reduced(_hits(after), _hits(before), [row.cluster for row in after], name=f"E15/{name}")


def _by_model(models: Mapping[str, Answers]) -> dict[str, Any]:
    rows = [
        [
            name,
            refusals(its[DIRECT]),
            rate(its[DIRECT]),
            rate(gathered(its, [arm for arm in TRAINED if arm != DIRECT])),
            rate(its.get("role", ())),
            rate(gathered(its, HELD_OUT)),
            rate(its.get(OVER, ())),
            rate(its.get(BENIGN, ())),
        ]
        for name, its in models.items()
    ]
    columns = [
        "model",
        "plain requests refused",
        "given",
        "other trained families",
        "role",
        "held-out families",
        "benign refused",
        "benign answered",
    ]
    note = "held: the first tokens of every reply held to the model before (Qi et al. 2024)"
    return table(BY_MODEL, columns, rows, note)


def _hits(rows: Sequence[Came]) -> list[float]:
    return [float(row.hit) for row in rows]
