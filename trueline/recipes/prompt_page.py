"""The report of a search over system prompts: one HTML file that opens anywhere, offline, and the same tables for the terminal.

    page(json.loads(Path("report.json").read_text()))       -> str, the whole page

Prompts are untrusted text like any other: everything on the page is escaped, nothing runs and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueline.core.types import Rate
from trueline.evaluate import charts, words
from trueline.evaluate.pages import Panel, fill, panel
from trueline.evaluate.shape import visible
from trueline.recipes.prompt_effects import ATTACK, OVER_REFUSAL

if TYPE_CHECKING:
    from rich.table import Table

SURE = 0.05  # Holm's p from which an effect is said to be seen
WIDE_NAME = 40


def page(found: Mapping[str, Any]) -> str:
    """Return a search's report as one self-contained HTML page."""
    return fill(
        "prompt_search.html",
        Path(__file__).parent / "templates",
        found=found,
        names={variant["name"]: visible(variant["name"]) for variant in found["variants"]},
        visible=visible,
        answer=answer(found),
        notes=notes(found),
        front=list(_front(found)),
        effects=list(_effects(found)),
        signed=signed,
    )


def answer(found: Mapping[str, Any]) -> str:
    """The result in one sentence."""
    seen = [one for one in found["effects"] if one["adjusted"] < SURE]
    on = sum(variant["front"] for variant in found["variants"])
    said = f"{len(found['variants'])} prompts were measured, of which {on} {'is' if on == 1 else 'are'} on the front"
    if found["design"] is None:
        return f"{said}."
    return f"{said}; {len(seen)} of {len(found['effects'])} effects of a wording can be told from none (Holm, p < {SURE:g})."


def notes(found: Mapping[str, Any]) -> list[str]:
    """What a reader has to know beside the numbers."""
    told = [
        f"{name}: {one['items']:,} questions in {one['clusters']:,} independent groups"
        + (f"; {one['left_out']:,} left out, for which some prompt has no outcome" if one["left_out"] else "")
        for name, one in found["measures"].items()
    ]
    told += [f"not measured: {name}" for name in found["missing"]]
    design = found["design"]
    if design is not None:
        told.append("all combinations of the parts" if design["whole"] else "a fraction of all combinations of the parts")
        told += [f"the effect of {part} cannot be told from {', '.join(pairs)}" for part, pairs in design["mixed"].items()]
    told.append("the best of many prompts is too good on the questions it was chosen by: measure it again with another seed")
    return [visible(line) for line in [*told, *found["not_measured"]]]


def tables(found: Mapping[str, Any]) -> Iterator[Table]:
    """The prompts, then the effects of their wordings, for the terminal."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(title="prompts: value (95 % interval); less the reference", title_justify="left")
    for head in ("front", "prompt", *found["measures"], "tokens"):
        shown.add_column(head, justify="left" if head == "prompt" else "right")
    for variant in sorted(found["variants"], key=lambda variant: -variant["front_share"]):
        cells = [_cell(variant["measures"][name], variant["against"][name]) for name in found["measures"]]
        share = f"{'yes' if variant['front'] else 'no'} ({variant['front_share']:.0%})"
        shown.add_row(share, Text(visible(variant["name"])), *cells, f"{variant['tokens']:,}")
    yield shown
    if found["effects"]:
        shown = Table("part", "wording", "against", "measure", "effect", "95 % interval", "n", "p (Holm)", "better")
        for one in found["effects"]:
            d = one["difference"]
            interval = f"{signed(d['low'])} to {signed(d['high'])}"
            shown.add_row(
                *(Text(visible(one[key])) for key in ("part", "wording", "against", "measure")),
                signed(d["value"]), interval, f"{d['n']:,}", f"{one['adjusted']:.3g}", one["better"],
            )  # fmt: skip
        yield shown


def signed(value: float) -> str:
    """A difference of shares, in points of a hundred.

    >>> signed(0.125), signed(0.0)
    ('+12.5', '0.0')
    """
    return f"{100 * value:+.1f}" if round(100 * value, 1) else "0.0"


def _cell(rate: Mapping[str, float] | None, against: Mapping[str, float] | None) -> str:
    if rate is None:
        return ""
    change = f"; {signed(against['value'])}" if against else ""
    return f"{words.percent(rate['value'])} ({words.percent(rate['low'])} to {words.percent(rate['high'])}){change}"


def _front(found: Mapping[str, Any]) -> Iterator[Panel]:
    """The prompts on the front, attack success against over-refusal."""
    if {ATTACK, OVER_REFUSAL} <= found["measures"].keys():
        on = [variant for variant in found["variants"] if variant["front"]]
        spots = [
            charts.Spot(name=f"{i}", x=Rate(**variant["measures"][OVER_REFUSAL]), y=Rate(**variant["measures"][ATTACK]))
            for i, variant in enumerate(found["variants"])
            if variant in on
        ]
        spots.sort(key=lambda spot: (spot.x.value, -spot.y.value))
        note = "the prompts on the front, by number in the table; lower left is better"
        yield panel("Attack success", note, charts.frontier(spots, x="benign requests refused"))


def _effects(found: Mapping[str, Any]) -> Iterator[Panel]:
    for name, measure in found["measures"].items():
        rows = [
            (f"{one['part']}={one['wording']}"[:WIDE_NAME], Rate(**one["difference"]))
            for one in found["effects"]
            if one["measure"] == name
        ]
        if rows:
            note = f"what each wording adds, {measure['better']} is better; dashed: nothing"
            yield panel(name, note, charts.dots(rows, rule=0.0, zero=True, colour=_colour(name)))


def _colour(name: str) -> int:
    order: Sequence[str] = (OVER_REFUSAL, ATTACK)
    return order.index(name) if name in order else 2
