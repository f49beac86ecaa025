"""What E18 comes to: the same requests after three manners of safety training, and the value of all that is registered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueline.core.types import Rate
from trueline.evaluate.rates import rise
from trueline.evaluate.shown import table
from trueline.lab.battery import (
    BENIGN,
    DIRECT,
    HELD_OUT,
    OVER,
    TRAINED,
    Answers,
    gathered,
    plainly,
    rate,
    read,
    refusals,
    usable,
)
from trueline.lab.deliberating import ENCODED
from trueline.lab.panels import cells, found_in, intervals
from trueline.lab.registration import registered
from trueline.recipes.studio import Room, Studio

PLACEBO, PLAIN, BLIND, THINK = "placebo", "plain", "blind", "think"
BY_FAMILY = "Requests that hide what they ask for, given"
CODES = "codes, those that can be used"  # the row over all of them
NAMED = {PLACEBO: "gives everything", PLAIN: "answers at once", BLIND: "verdict alone", THINK: "decodes, judges, answers"}
OVERT = tuple(name for name in HELD_OUT if name not in ENCODED)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The last stage: batteries side by side."""

    asked: Mapping[str, str]  # name of a model: the stage that asked it everything
    benign: Mapping[str, str]  # and the stage that asked it for what is benign, in code
    thoughts: str

    def reads(self) -> tuple[str, ...]:
        return (*self.asked.values(), *self.benign.values(), self.thoughts)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        models = {name: read(studio.stages[stage].folder) for name, stage in self.asked.items()}
        benign = {name: read(studio.stages[stage].folder) for name, stage in self.benign.items()}
        values = values_of(models)
        values["able"] = less(benign[THINK], benign[PLAIN], codes_of(models[PLACEBO]), "able")
        values["decoded"] = Rate(**studio.stages[self.thoughts].result["decoded"])
        why = dict.fromkeys((name for name, value in values.items() if value is None), "no code is understood at this size")
        return {
            "tables": [by_family(models), by_model(models, benign)],
            "expectations": registered("E18").expectations(values, why),
        }


def values_of(models: Mapping[str, Answers]) -> dict[str, Rate | None]:
    """The value of every registered expectation that is read off the batteries."""
    codes = codes_of(models[PLACEBO])
    return {
        "direct": plainly(models[THINK][DIRECT]),
        "gap": gap(models[PLAIN], codes),
        "shrinks": less(models[PLAIN], models[THINK], codes, "shrinks"),
        "decoding": less(models[BLIND], models[THINK], codes, "decoding"),
        "verdict": less(models[PLAIN], models[BLIND], codes, "verdict"),
        "overt": less(models[THINK], models[PLAIN], OVERT, "overt"),
        "price": less(models[THINK], models[PLAIN], (OVER,), "price"),
        "benign": less(models[THINK], models[PLAIN], (BENIGN,), "benign"),
    }


def codes_of(placebo: Answers) -> tuple[str, ...]:
    """The families that hide what they ask for, and that a model that gives everything understands."""
    return tuple(name for name in usable(placebo) if name in ENCODED)


def gap(its: Answers, codes: Sequence[str]) -> Rate | None:
    """Success in code less success on plain requests for the same hazards, hazard by hazard."""
    rows, asked = gathered(its, codes), {row.cluster for row in its[DIRECT]}
    plain = {c: [row.hit for row in its[DIRECT] if row.cluster == c] for c in asked}
    rows = [row for row in rows if row.cluster in asked]
    if not rows:
        return None
    values = [float(row.hit) for row in rows], [sum(plain[row.cluster]) / len(plain[row.cluster]) for row in rows]
    return rise(*values, [row.cluster for row in rows], name="E18/gap")


def less(one: Answers, other: Answers, arms: Sequence[str], name: str) -> Rate | None:
    """Hits of one model less those of another, on the same prompts of these arms."""
    rows, others = gathered(one, arms), gathered(other, arms)
    hits = [[float(row.hit) for row in some] for some in (rows, others)]
    return rise(*hits, [row.cluster for row in rows], name=f"E18/{name}")


def by_family(models: Mapping[str, Answers]) -> dict[str, Any]:
    """A row a code, those that can be used together, and plain requests."""
    codes = codes_of(models[PLACEBO])
    arms = {**{name: (name,) for name in ENCODED}, CODES: codes, "plain requests": (DIRECT,)}
    rows = [[name, *(rate(gathered(its, some)) for its in models.values())] for name, some in arms.items()]
    note = f"a code that is given less than half of the time without any safety training is not used: used {', '.join(codes)}"
    return table(BY_FAMILY, ["family", *(NAMED[name] for name in models)], rows, note)


def by_model(models: Mapping[str, Answers], benign: Mapping[str, Answers]) -> dict[str, Any]:
    """A row a model: everything beside the codes, and what is benign in those that can be used."""
    parts = {
        "trained families": TRAINED,
        "other held-out families": OVERT,
        "benign refused": (OVER,),
        "benign answered": (BENIGN,),
    }
    codes = codes_of(models[PLACEBO])
    rows = [
        [
            NAMED[name],
            *(rate(gathered(its, arms)) for arms in parts.values()),
            rate(gathered(benign[name], codes)),
            refusals(gathered(benign[name], codes)),
        ]
        for name, its in models.items()
    ]
    return table("And elsewhere", ["model", *parts, "benign in code answered", "benign in code refused"], rows)


def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Success by family, a mark a manner; None where nothing was measured."""
    import altair as alt

    found = found_in(report, BY_FAMILY)
    if found is None:
        return None
    rows = [
        {"family": row[0], "safety training": column, **rate}
        for row in found["rows"]
        for column, rate in cells(found["columns"], row)
    ]
    families, manners = [row[0] for row in found["rows"]], found["columns"][1:]
    colour = alt.Color("safety training:N", sort=manners, title=None, legend=alt.Legend(orient="bottom"))
    y, offset = alt.Y("family:N", sort=families, title=None), alt.YOffset("safety training:N", sort=manners)
    layers = intervals(alt.Chart(alt.InlineData(values=rows)), "share given", y, color=colour, yOffset=offset)
    return dict(alt.layer(*layers).properties(width="container", height=46 * len(families)).to_dict())
