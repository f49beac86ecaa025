"""The page that compares: two campaigns or two evaluations by the same items, or two rungs of ladders side by side.

Paired, it is what `trueline compare` computes (recipes/comparing.py): differences with intervals, a verdict on each metric,
and the goals that only one of the two breaks. Reports of training runs keep no items: their rungs are compared as separate
samples, which tells less, and the page says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trueline.core.types import Rate
from trueline.evaluate import words
from trueline.evaluate.compare import MARGIN, Series
from trueline.evaluate.rates import apart, negated
from trueline.evaluate.report import Line, ladder
from trueline.evaluate.shape import read
from trueline.recipes.comparing import READERS, Both, read_both, told
from trueline.web.dashboard.folders import Folder, folder_named, report_of, run_folders
from trueline.web.dashboard.kept import Kept, stamp_of
from trueline.web.dashboard.shown import Json, link, rate
from trueline.web.dashboard.shown import run as run_told
from trueline.web.site.room import Asked, NotThere

CHOICES = 200  # runs that are offered
ITEMS = 40  # goals of one side alone that are listed, of each metric
ANY = "broken by any attack"
_COMPARED: Kept = Kept(32)


def show_compare(asked: Asked) -> Json:
    """Two runs compared, or what there is to choose from."""
    first, second = asked.query.get("a", ""), asked.query.get("b", "")
    told_of: Json = {
        "a": first, "b": second, "choices": list(_choices(asked)), "kind": None, "why": "", "verdict": None, "metrics": [],
        "runs": [], "differs": [], "apart": [], "margin": MARGIN, "only": [],
    }  # fmt: skip
    if not first or not second:
        return told_of
    (one, rung), (other, other_rung) = _named(asked, first), _named(asked, second)
    found = told_of | {"runs": [run_told(one.run, one), run_told(other.run, other)]}
    if one.run.recipe == other.run.recipe and one.run.recipe in READERS and not rung and not other_rung:
        stamps = tuple(stamp_of(folder.path / "report.json") for folder in (one, other))
        return found | _COMPARED.get((one.path, other.path), stamps, lambda: _paired(asked, one, other))
    lines = [_rung(one, rung), _rung(other, other_rung)]
    if lines[0] is None or lines[1] is None:
        which = first if lines[0] is None else second
        why = f"{which} has no ladder, and the two are not of one kind ({', '.join(READERS)}): there is nothing to compare"
        return found | {"why": why}
    return found | {"kind": "apart", "metrics": list(_beside(lines[0], lines[1]))}


def _choices(asked: Asked) -> Iterator[Json]:
    """What can be compared here: the runs that are done; a rung of a ladder is named behind a slash."""
    for folder in run_folders(asked.site.runs)[:CHOICES]:
        if folder.status == "done":
            yield {"name": folder.name, "recipe": folder.run.recipe}


def _named(asked: Asked, name: str) -> tuple[Folder, str]:
    """A run's folder, and the rung behind a slash, if one is named: demo/safety."""
    folder, _, rung = name.partition("/")
    return folder_named(asked.site.runs, folder), rung


def _paired(asked: Asked, one: Folder, other: Folder) -> Json:
    try:
        both = read_both(one.path, other.path, database=asked.site.database)
    except ValueError as error:
        return {"why": str(error).replace(f"{asked.site.runs}/", "")}
    found = told(both, MARGIN)
    metrics = [
        {"metric": name, **metric, "difference": rate(metric["difference"])} for name, metric in found["metrics"].items()
    ]
    return {
        "kind": "paired",
        "verdict": found["verdict"],
        "metrics": metrics,
        "differs": found["differs"][:60],
        "apart": [*found["only_first"], *found["only_second"]][:60],
        "only": list(_only(both)),
    }


def _only(both: Both) -> Iterator[Json]:
    """The items on which the two differ, of the metrics that are yes or no: what only one of them breaks, or gets right."""
    campaign = both.runs[0].run.recipe == "attack"
    others = {series.metric: series for series in both.series[1]}
    for series in both.series[0]:
        theirs = others.get(series.metric)
        if theirs is None or (campaign and series.metric != ANY):
            continue
        here, there = _values(series), _values(theirs)
        for place, (mine, yours) in enumerate(((here, there), (there, here))):
            items = [item for item, value in mine.items() if value == 1.0 and yours.get(item) == 0.0]
            if items:
                id_ = both.runs[place].run.id
                yield {
                    "metric": series.metric,
                    "side": "ab"[place],
                    "n": len(items),
                    "items": [
                        {"item": item, "href": link(f"/attacks/{id_}", goal=item, outcome="success") if campaign else None}
                        for item in items[:ITEMS]
                    ],
                }


def _values(series: Series) -> Mapping[str, float | None]:
    return dict(zip(series.items, series.values, strict=True))


def _rung(folder: Folder, name: str) -> Line | None:
    """A rung of a run's ladder: the one that is named, else the last."""
    found = report_of(folder)
    if found is None or not found.get("ladder"):
        return None
    lines: list[Line] = _COMPARED.get(
        (folder.path, "ladder"), stamp_of(folder.path / "report.json"), lambda: ladder(read(found))
    )
    if not name:
        return lines[-1] if lines else None
    line = next((line for line in lines if line.rung.stage == name), None)
    if line is None:
        raise NotThere(f"{folder.name} has no rung {name!r:.80}; its ladder has {', '.join(one.rung.stage for one in lines)}")
    return line


def _beside(first: Line, second: Line) -> Iterator[Json]:
    """Every rate that both rungs have, as separate samples; a difference is signed so that more is better."""
    rates: list[tuple[str, str, Rate | None, Rate | None]] = [
        (f"attack success, {words.SPLITS[split]}", "lower", first.attack.get(split), second.attack.get(split))
        for split in dict.fromkeys([*first.attack, *second.attack])
    ]
    rates.append(("over-refusal", "lower", first.rung.over_refusal, second.rung.over_refusal))
    rates.append(("refused but gave", "lower", first.gap, second.gap))
    rates.append(("gold utility", "higher", first.gold, second.gold))
    rates += [
        (f"{family}, attack", "lower", first.rung.attack.get(family), second.rung.attack.get(family))
        for family in dict.fromkeys([*first.rung.attack, *second.rung.attack])
    ]
    for name, better, a, b in rates:
        found = apart(b, a) if better == "higher" else negated(apart(b, a))
        yield {
            "metric": name, "better": better, "first": rate(a), "second": rate(b), "difference": rate(found),
            "verdict": _word(found),
        }  # fmt: skip


def _word(found: Rate | None) -> str:
    if found is None:
        return "not_measured"
    return "better" if found.low > 0 else "worse" if found.high < 0 else "cannot_tell"
