"""What E19 comes to: attack success and its price by steps of each defence, and the value of everything that is registered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from trueline.core.stats import paired
from trueline.core.types import Rate
from trueline.evaluate import hardness
from trueline.evaluate.hardness import PREFILL, Answers, gathered, rate, still_holds
from trueline.evaluate.shown import curves
from trueline.lab.registration import registered
from trueline.recipes.harden import ANSWERS
from trueline.recipes.studio import Room, Studio

START, ONLINE, LATENT, CIRCUIT, CONTROL = "start", "online", "latent", "circuit", "control"
OPEN, OVER, BENIGN = "held-out families", "over-refusal", "benign answered"
DRAWN = (OPEN, PREFILL, OVER, BENIGN)
BY_STEPS = "By steps: "  # and the way, as the title of its curves


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The last stage: every model against the start, and late against early."""

    measured: Mapping[str, str]  # name of a model: the stage that measured it
    lengths: tuple[int, ...]
    others: tuple[int, ...]

    def reads(self) -> tuple[str, ...]:
        return tuple(self.measured.values())

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        models = {
            name: json.loads(Path(studio.file(stage, ANSWERS)).read_text(encoding="utf-8"))
            for name, stage in self.measured.items()
        }
        values = self.values(models)
        why = {name: "nothing broke the start" for name, value in values.items() if value is None}
        return {
            "tables": [hardness.table_of(models), hardness.by_family(models)],
            "curves": [self._by_steps(models, way) for way in (ONLINE, LATENT, CIRCUIT, CONTROL)],
            "expectations": registered("E19").expectations(values, why),
        }

    def values(self, models: Mapping[str, Answers]) -> dict[str, Rate | None]:
        """The value of every registered expectation; early and late are the fewest and the most steps of a way."""
        start, early, late = models[START], models[f"{ONLINE}/{self.lengths[0]}"], models[f"{ONLINE}/{self.lengths[-1]}"]
        first, last = self.others[0], self.others[-1]
        return {
            "dip": held(start, early),
            "peak": moved(start, early, OVER),
            "price": moved(early, late, OVER),
            "decay": moved(early, late, OPEN),
            "useful": moved(early, late, BENIGN),
            "latent": held(start, models[f"{LATENT}/{first}"]),
            "latent-price": moved(models[f"{LATENT}/{first}"], models[f"{LATENT}/{last}"], OVER),
            "circuit": held(start, models[f"{CIRCUIT}/{first}"]),
            "circuit-price": moved(models[f"{CIRCUIT}/{first}"], models[f"{CIRCUIT}/{last}"], OVER),
            "control": held(start, models[f"{CONTROL}/{last}"]),
        }

    def _by_steps(self, models: Mapping[str, Answers], way: str) -> dict[str, Any]:
        steps = self.lengths if way == ONLINE else self.others
        its = {0: models[START], **{n: models[f"{way}/{n}"] for n in steps}}
        lines = {group: [(float(n), rate(gathered(each, group))) for n, each in its.items()] for group in DRAWN}
        return curves(BY_STEPS + way, "steps", lines)


def held(before: Answers, after: Answers) -> Rate | None:
    """Of the attacks in held-out families and by prefill that succeeded before, the share that no longer do."""
    return still_holds(*([value for group in (OPEN, PREFILL) for value in gathered(its, group)] for its in (before, after)))


def moved(before: Answers, after: Answers, group: str) -> Rate:
    """The share of a group after less before, on the same prompts."""
    series: list[Sequence[float]] = [[float(value) for value in gathered(its, group)] for its in (after, before)]
    return paired(*series, rng=Random(f"E19/{group}")).difference


def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """A panel a way: what attacks reach and what it costs, by steps; None where nothing was measured."""
    import altair as alt

    found = [c for part in report.get("shown", []) for c in part["curves"] if c["title"].startswith(BY_STEPS)]
    if not found:
        return None
    panels = []
    for one in found:
        rows = [{"share of": series["name"], **point} for series in one["series"] for point in series["points"]]
        base = alt.Chart(alt.InlineData(values=rows), title=one["title"].removeprefix(BY_STEPS)).encode(
            x=alt.X("x:O", title="steps", axis=alt.Axis(labelAngle=0)),
            color=alt.Color("share of:N", sort=list(DRAWN), title=None, legend=alt.Legend(orient="bottom")),
        )
        y = alt.Y("value:Q", scale=alt.Scale(domain=[0, 1]), title="")
        said = ["share of:N", "x:O", *(alt.Tooltip(f"{f}:Q", format=".2f") for f in ("value", "low", "high")), "n:Q"]
        spans = base.mark_rule(opacity=0.4, strokeWidth=2).encode(y=alt.Y("low:Q", title=""), y2="high:Q")
        layers = (spans, base.mark_line().encode(y=y), base.mark_circle(size=60, opacity=1).encode(y=y, tooltip=said))
        panels.append(alt.layer(*layers).properties(width=30 * len(one["series"][0]["points"]), height=220))
    return dict(alt.hconcat(*panels, spacing=12).resolve_scale(y="shared").to_dict())
