"""The report of a campaign: one HTML file that opens anywhere, offline, and the same arms for the terminal.

    page(json.loads(Path("report.json").read_text()))  -> str, the whole page

First the answer, then the evidence, then what was not measured. Nothing on it runs and nothing is fetched; what attacks and
models wrote is escaped, and blurred until a reader asks for it (a checkbox, or the focus of mouse or keyboard: CSS alone).

`campaign_shape.py` reads the report, `campaign_words.py` writes the sentences, `charts.py` draws, and the layout is
`templates/campaign.html`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from trueline.core.types import Rate
from trueline.evaluate import campaign_words as say
from trueline.evaluate import charts, words
from trueline.evaluate.campaign_shape import Arm, At, Campaign, Law, read_campaign
from trueline.evaluate.pages import Panel, fill, panel

if TYPE_CHECKING:
    from rich.table import Table

DRAWN = 5  # attacks that are drawn over the budget, and that have a 2x2 of their own: those with most to show
GOALS = 500  # goals that are listed, the broken ones first


def page(report: Mapping[str, object]) -> str:
    """Return a campaign's report as one self-contained HTML page."""
    found = read_campaign(report)
    laws = [(arm, arm.law) for arm in found.arms if arm.law is not None]
    listed = sorted(found.goals, key=lambda goal: (goal.outcome != "success", goal.first.query if goal.first else 0, goal.id))
    gave = sorted(found.arms, key=lambda arm: -arm.two_by_two.get("refuse_gave", 0))
    return fill(
        "campaign.html",
        found=found,
        title=str(found.about.get("target") or "Attack campaign"),
        answer=say.answer(found),
        notes=say.notes(found),
        verdicts=say.VERDICTS,
        splits=words.SPLITS,
        points=say.points,
        chance=say.chance,
        success=list(_success(found)),
        levels=list(_levels(found)),
        course=list(_course(found)),
        laws=[say.law(arm, law) for arm, law in laws],
        forecasts=[drawn for arm, law in laws for drawn in _law(arm, law)],
        categories=sorted(found.categories),
        two_by_two=[("all attacks", found.two_by_two), *((arm.attack, arm.two_by_two) for arm in gave[:DRAWN])],
        refusals=list(_refusals(found)),
        goals=listed[:GOALS],
        unmeasured=say.unmeasured(found),
        about=[(name, fact if isinstance(fact, str) else json.dumps(fact, default=str)) for name, fact in found.about.items()],
    )


def table(report: Mapping[str, object]) -> Table:
    """Return the arms of a campaign for the terminal, the most successful first."""
    from rich.table import Table
    from rich.text import Text

    found = read_campaign(report)
    heads = ["broken", "corrected", "over direct", "within", "first at", "over capability", "undecided"]
    shown = Table(title=Text(say.answer(found)), caption="share of goals (95 % interval) n", title_justify="left")
    shown.add_column("attack", style="bold")
    shown.add_column("split")
    for head in heads:
        shown.add_column(head, justify="right")
    for arm in [*found.ranked, *(arm for arm in found.arms if arm.asr is None)]:
        usable = "not usable at this scale" if arm.capability.usable is False else _share(arm.capability.normalised)
        cells = [
            words.SPLITS.get(arm.split or "", ""),
            _share(arm.asr),
            _share(arm.corrected),
            say.points(arm.lift.difference) if arm.lift else "",
            f"{arm.budget:,}",
            "" if arm.first_success is None else f"{arm.first_success:g}",
            usable,
            _share(arm.undecided),
        ]
        # Text, not str: names must not be read as the console's own markup.
        shown.add_row(Text(arm.attack), *map(Text, cells))
    return shown


def _share(rate: Rate | None) -> str:
    return words.share(rate) if rate else ""


def _success(found: Campaign) -> Iterator[Panel]:
    """Attack success by family, beside the direct request."""
    rows = [(name, one.asr) for name, one in found.families.items() if one.asr is not None]
    rows.sort(key=lambda row: -row[1].value)
    direct = found.baseline.asr if found.baseline else None
    if rows:
        note = "goals broken by any attack of the family" + ("; dashed: asked directly" if direct else "")
        yield panel("By family", note, charts.dots(rows, colour=1, rule=direct.value if direct else None, zero=True))


def _levels(found: Campaign) -> Iterator[Panel]:
    rows = [(level, rate) for level, rate in found.levels.items() if rate is not None]
    if rows:
        yield panel("By level", "pairs of attack and goal that broke", charts.dots(list(rows), colour=1, zero=True))
    splits = [(words.SPLITS[split], rate) for split, rate in found.splits.items() if rate is not None]
    if splits:
        yield panel("By split", "who may train on the family", charts.dots(splits, colour=3, zero=True))


def _course(found: Campaign) -> Iterator[Panel]:
    """Success over the budget, over all attacks and for those that asked more than once."""
    if len(found.overall.curve) > 1:
        whole = _series("any attack", found.overall.curve, 1)
        yield panel("Any attack", "goals broken within so many questions of each attack", _over([whole]))
    deep = [arm for arm in found.ranked if len(arm.curve) > 1][:DRAWN]
    if deep:
        series = [_series(arm.attack, arm.curve, index) for index, arm in enumerate(deep)]
        yield panel("By attack", "goals broken within so many questions", _over(series))


def _law(arm: Arm, law: Law) -> Iterator[Panel]:
    if law.curve:
        series = [
            charts.Series(name="power law", points=tuple((p.budget, p.power) for p in law.curve), colour=0),
            charts.Series(name="beta-binomial", points=tuple((p.budget, p.beta) for p in law.curve), colour=2),
            _series("measured", arm.curve, 1),
        ]
        yield panel(arm.attack, f"measured to {law.asked:,} questions a goal, and both laws beyond", _over(series))


def _refusals(found: Campaign) -> Iterator[Panel]:
    rows = [(arm.attack, arm.refused_benign) for arm in found.arms if arm.refused_benign is not None]
    if rows:
        yield panel(
            "Over-refusal",
            "answers to harmless requests that refuse, under each attack",
            charts.dots(rows, colour=0, zero=True),
        )


def _series(name: str, curve: list[At], colour: int) -> charts.Series:
    return charts.Series(
        name=name,
        points=tuple((at.budget, at.value) for at in curve),
        band=tuple((at.budget, at.low, at.high) for at in curve),
        colour=colour,
    )


def _over(series: list[charts.Series]) -> str:
    return charts.lines(series, x="questions a goal", zero=True, log=True)
