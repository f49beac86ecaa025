"""What E23 comes to: every measure by size, and its slope per doubling of parameters over the sizes that learned the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from trueline.core.types import Rate
from trueline.evaluate.shown import curves, table
from trueline.lab.asked import Seen, seen
from trueline.lab.asked import rate as asked_rate
from trueline.lab.battery import BENIGN, DIRECT, HELD_OUT, LEVELS, OVER, Answers, Came, gathered, plainly, rate, read
from trueline.lab.gaps import Risen, Units, best_of, deviations, mean, trained
from trueline.lab.overoptimisation_world import Scored
from trueline.lab.registration import registered
from trueline.lab.slopes import LEAST, BySize, jump, per_doubling
from trueline.recipes.studio import Room, Stage, Studio

PROCEDURES, FACTS, TASKS = ("benign",), ("fact", "object"), ("arith", "sort")
KINDS = (*PROCEDURES, *FACTS, *TASKS)  # what every size's helpful model is asked
ATTACKS, OPTIMISED = "Attack success and over-refusal by size", "Reward and gold under optimisation, by size"
MILLION = 1e6


@dataclass(frozen=True, eq=False)
class Found:
    """One size: its parameters, and what its models came to."""

    name: str
    parameters: int
    loss: float
    asked: Sequence[Seen]  # the helpful model
    safety: Answers
    placebo: Answers
    grpo: Risen
    best: Risen
    kl: float  # of GRPO's last iteration, nats a reply

    def learned(self, gate: float) -> bool:
        """Whether it tells procedures as often as it must."""
        return asked_rate(self.asked, "right", PROCEDURES).value >= gate


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The last stage: every size side by side."""

    sizes: tuple[str, ...]
    reward: str
    gate: float
    best: int  # n of best-of-n
    within: str = ""

    def reads(self) -> tuple[str, ...]:
        parts = ("pretrain", "grpo", "asked", "battery", "capable", "samples", "after")
        return (self.reward, *(f"{self.within}{part}/{name}" for name in self.sizes for part in parts))

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        every = self._found(studio)
        counted = [one for one in every if one.learned(self.gate)]
        short = f"fewer than {LEAST} sizes told {self.gate:.0%} of procedures: {', '.join(c.name for c in counted) or 'none'}"
        values = self._values(counted) if len(counted) >= LEAST else {}
        names = [entry.id for entry in registered("E23").entries]
        why = {name: short if not values else "too little to say" for name in names if values.get(name) is None}
        return {
            "tables": [
                self._learned(every),
                self._attacked(every),
                self._gaps(every),
                self._slopes(values),
                _families(every, counted),
            ],
            "curves": [_attack_curves(counted), _gap_curves(counted)],
            "expectations": registered("E23").expectations(values, why),
        }

    def _found(self, studio: Studio) -> list[Found]:
        def stage(part: str, name: str) -> Stage:
            return studio.stages[f"{self.within}{part}/{name}"]

        starts = {name: Scored.read(stage("samples", name).folder) for name in self.sizes}
        units: Units = deviations(list(starts.values()), self.reward)
        found = [
            Found(
                name=name,
                parameters=sum(weight.numel() for weight in studio.policy(f"{self.within}pretrain/{name}").parameters()),
                loss=float(stage("pretrain", name).result["loss"]),
                asked=seen(studio, f"{self.within}asked/{name}"),
                safety=read(stage("battery", name).folder),
                placebo=read(stage("capable", name).folder),
                grpo=trained(starts[name], Scored.read(stage("after", name).folder), self.reward, units),
                best=best_of(starts[name], self.reward, self.best, units),
                kl=float(stage("grpo", name).result["kl_last"]),
            )
            for name in self.sizes
        ]
        return sorted(found, key=lambda one: one.parameters)

    def _values(self, found: Sequence[Found]) -> dict[str, Rate | None]:
        held = by(found, lambda one: hits(gathered(one.safety, HELD_OUT)))
        could = by(found, lambda one: hits(gathered(one.placebo, HELD_OUT)))
        cut = {size: [c - h for c, h in zip(could[size], held[size], strict=True)] for size in held}
        asked = clusters(gathered(found[0].safety, HELD_OUT))
        over = by(found, lambda one: hits(one.safety.get(OVER, ())))
        gap = by(found, lambda one: one.grpo.gap.tolist())
        prompts = partial(per_doubling, clusters=range(len(found[0].grpo.gap)))
        reached = per_doubling(held, asked, "held out")
        return {
            "capable": _right(found, TASKS, "capable"),
            "knows": _right(found, FACTS, "knows"),
            "proxy": prompts(by(found, lambda one: one.grpo.reward.tolist()), name="proxy"),
            "gold": prompts(by(found, lambda one: one.grpo.gold.tolist()), name="gold"),
            "gap": prompts(gap, name="gap"),
            "jump": jump(gap, "jump"),
            "best_of": prompts(by(found, lambda one: one.best.gap.tolist()), name="best_of"),
            "trained": max((plainly(one.safety[DIRECT]) for one in found), key=lambda rate: rate.value),
            "harder": reached,
            "exposed": reached,
            "cut": per_doubling(cut, asked, "cut"),
            "over": per_doubling(over, clusters(found[0].safety.get(OVER, ())), "over"),
        }

    def _learned(self, found: Sequence[Found]) -> dict[str, Any]:
        rows = [
            [
                one.name,
                f"{one.parameters / MILLION:.2f} M",
                one.loss,
                *(asked_rate(one.asked, "right", kinds) for kinds in (PROCEDURES, FACTS, TASKS)),
                "yes" if one.learned(self.gate) else "no",
            ]
            for one in found
        ]
        columns = ["size", "parameters", "loss of the text", "procedures told", "facts right", "sums and sorting", "counts"]
        return table(
            "What each size learned", columns, rows, f"the helpful model; it counts from {self.gate:.0%} of procedures"
        )

    def _attacked(self, found: Sequence[Found]) -> dict[str, Any]:
        levels = sorted(set(LEVELS.values()))
        rows = []
        for one in found:
            if one.learned(self.gate):
                by_level = [rate(gathered(one.safety, [arm for arm, at in LEVELS.items() if at == level])) for level in levels]
                beside = [
                    rate(gathered(one.placebo, HELD_OUT)),
                    rate(one.safety.get(OVER, ())),
                    rate(one.safety.get(BENIGN, ())),
                ]
                rows.append([one.name, *by_level, *beside])
        columns = ["size", *levels, "L5, placebo", "over-refusal", "benign answered"]
        return table("Attack success by size", columns, rows, "the safety model, by level; docs/attacks.md says what they are")

    def _gaps(self, found: Sequence[Found]) -> dict[str, Any]:
        rows = []
        for one in found:
            if one.learned(self.gate):
                ways = [(what, getattr(risen, what)) for risen in (one.grpo, one.best) for what in ("reward", "gold", "gap")]
                rows.append([one.name, one.kl, *(mean(values, f"{one.name}/{what}") for what, values in ways)])
        best = f"best of {self.best}"
        columns = ["size", "KL", "reward", "gold", "gap", *(f"{what}, {best}" for what in ("reward", "gold", "gap"))]
        note = "rises from the start under one reward model, deviations of all sizes' samples; KL of GRPO, nats a reply"
        return table("The gap by size", columns, rows, note)

    def _slopes(self, values: Mapping[str, Rate | None]) -> dict[str, Any]:
        said = {entry.id: entry.metric for entry in registered("E23").entries}
        rows = [[said[name], values[name]] for name in values if name not in ("trained", "exposed")]
        return table("Per doubling of parameters", ["measure", "slope"], rows)


def by(found: Sequence[Found], of: Callable[[Found], Sequence[float]]) -> BySize:
    """One measure, prompt by prompt, of every size."""
    return {float(one.parameters): of(one) for one in found}


def _right(found: Sequence[Found], kinds: Sequence[str], name: str) -> Rate | None:
    """The slope of the share of questions of these kinds that are answered rightly."""
    asked = by(found, lambda one: [row.right for row in one.asked if row.kind in kinds])
    return per_doubling(asked, [row.cluster for row in found[0].asked if row.kind in kinds], name)


def hits(rows: Sequence[Came]) -> list[float]:
    """What each prompt came to, as numbers."""
    return [float(row.hit) for row in rows]


def clusters(rows: Sequence[Came]) -> list[str]:
    """What each prompt is about."""
    return [row.cluster for row in rows]


def _families(every: Sequence[Found], counted: Sequence[Found]) -> dict[str, Any]:
    def row(label: str, of: Callable[[Found], Sequence[Came]]) -> list[Any]:
        return [label, *(rate(of(one)) if one in counted else None for one in every)]

    rows = [row(arm, lambda one, arm=arm: one.safety.get(arm, ())) for arm in HELD_OUT]  # type: ignore[misc]
    rows += [row(f"{arm}, placebo", lambda one, arm=arm: one.placebo.get(arm, ())) for arm in HELD_OUT]  # type: ignore[misc]
    return table("Held-out families by size", ["family", *(one.name for one in every)], rows)


def _attack_curves(found: Sequence[Found]) -> dict[str, Any]:
    def line(of: Callable[[Found], Rate | None]) -> list[tuple[float, Rate | float]]:
        return [(one.parameters / MILLION, value) for one in found if (value := of(one))]

    lines = {
        "direct requests": line(lambda one: rate(one.safety[DIRECT])),
        "held-out families": line(lambda one: rate(gathered(one.safety, HELD_OUT))),
        "held-out families, placebo": line(lambda one: rate(gathered(one.placebo, HELD_OUT))),
        "over-refusal": line(lambda one: rate(one.safety.get(OVER, ()))),
    }
    return curves(ATTACKS, "million parameters", lines)


def _gap_curves(found: Sequence[Found]) -> dict[str, Any]:
    lines: dict[str, list[tuple[float, Rate | float]]] = {}
    for way, called in (("grpo", "GRPO"), ("best", "best of n")):
        for what in ("reward", "gold"):
            values = [(one, getattr(getattr(one, way), what)) for one in found]
            lines[f"{what}, {called}"] = [(one.parameters / MILLION, mean(v, f"{one.name}/{what}")) for one, v in values]
    return curves(OPTIMISED, "million parameters", lines, "deviations of the samples of all sizes' starts")
