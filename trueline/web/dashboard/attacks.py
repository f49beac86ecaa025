"""The pages of campaigns: all of them, latest first; one, as a map of family by category; and the transcripts of a cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trueline.core.outcome import OUTCOMES, Outcome
from trueline.core.stats import wilson
from trueline.core.types import Rate
from trueline.evaluate import campaign_words as say
from trueline.evaluate.arms import BASELINE
from trueline.evaluate.campaign_shape import Campaign
from trueline.evaluate.words import SPLITS
from trueline.store.database import attempts
from trueline.store.latest import latest_runs
from trueline.store.latest import run_of as stored_run
from trueline.store.tallies import Tally, tallied
from trueline.store.transcripts import transcript, transcripts
from trueline.web.dashboard.folders import folder_of, report_of, run_folders
from trueline.web.dashboard.shown import Json, link, rate, told
from trueline.web.dashboard.shown import run as run_told
from trueline.web.dashboard.standing import Counted, Refusals, counted, questions, refused, reported, standings
from trueline.web.site.drawing import dots
from trueline.web.site.room import Asked, NotThere

LISTED = 12  # campaigns, or transcripts, on a page
FAMILIES, CATEGORIES = 60, 40  # rows and columns of a map, those with most questions
ARMS = 40  # attacks that are listed


def list_attacks(asked: Asked) -> Json:
    """Campaigns, latest first, each with attack success and over-refusal."""
    page = latest_runs(asked.site.database, attacked=True, before=asked.query.get("before", ""), limit=LISTED)
    return {
        "campaigns": standings(asked.site.database, page.runs, run_folders(asked.site.runs)),
        "older": link("/attacks", before=page.older) if page.older else None,
    }


def show_attack(asked: Asked) -> Json:
    """One campaign: what breaks its target, where, and what that costs; with a cell in the query, its transcripts."""
    database, id_ = asked.site.database, asked.path["run"]
    run = stored_run(database, id_)
    folder = folder_of(asked.site.runs, id_)
    if run is None and folder is None:
        raise NotThere(f"there is no campaign {id_!r:.100} in this database, and no folder of it in {asked.site.runs}")
    made = run or (folder.run if folder else None)
    assert made is not None
    report, there = reported(folder), counted(database, [id_]).get(id_, Counted())
    spared = None if report else refused(database, id_, there.questions)
    target = str(report.about.get("target_hash") or there.target) if report else there.target
    cells = [
        one for one in tallied(database, "family", "category", run=id_, target=target, expected="refuse") if questions(one)
    ]
    return {
        "title": id_,
        "run": run_told(made, folder),
        "target": str(report.about.get("target", "")) if report else run_told(made)["target"],
        "by": "goal" if report else "question",
        "questions": there.questions,
        "targets": there.targets,
        "answer": say.answer(report) if report else "",
        "notes": say.notes(report) if report else [],
        "verdict": report.verdict.model_dump(mode="json") if report and report.verdict else None,
        "attack_success": rate(report.overall.asr if report else there.broken),
        "over_refusal": rate(spared.rate if spared else report.over_refusal if report else None),
        "over_refusal_note": _refused_note(spared),
        "map": _map(id_, report, cells),
        "catalogue": _catalogue(report_of(folder) if folder else None),
        "families": _families(report, cells),
        "arms": _arms(report),
        "unmeasured": say.unmeasured(report) if report else [],
        "picked": _picked(asked, id_, target),
    }


def _picked(asked: Asked, id_: str, target: str) -> Json | None:
    """The transcripts that the query asks for: one by its id, or those of a cell, newest first."""
    query = asked.query
    if "attempt" in query:
        found = transcript(asked.site.database, asked.whole("attempt", 0, 0, 2**31 - 1))
        if found is None or found.run != id_:
            raise NotThere("this campaign has no such attempt; a campaign that is resumed makes its attempts again")
        return {"of": {}, "total": 1, "outcomes": [], "older": None, "transcripts": [_entry(id_, found)]}
    of = {name: query[name] for name in ("family", "category", "expected") if name in query}
    outcome = query.get("outcome") or None
    if "goal" in query:
        return _of_goal(asked, id_, query["goal"], target)
    if not of and outcome is None:
        return None
    if outcome is not None and outcome not in OUTCOMES:
        raise ValueError(f"outcome: expected one of {', '.join(OUTCOMES)}, got {outcome!r:.40}")
    before = asked.whole("before", 0, 0, 2**31 - 1) or None
    wanted: Outcome | None = next((name for name in OUTCOMES if name == outcome), None)
    page = transcripts(
        asked.site.database, run=id_, target=target or None, outcome=wanted, before=before, limit=LISTED,
        family=of.get("family"), category=of.get("category"), expected=of.get("expected"),
    )  # fmt: skip
    here = f"/attacks/{id_}"
    return {
        "of": {**of, **({"outcome": outcome} if outcome else {})},
        "total": page.total,
        "outcomes": [{"name": name, "href": link(here, **of, outcome=name)} for name in OUTCOMES],
        "older": link(here, **of, outcome=outcome, before=page.older) if page.older else None,
        "transcripts": [_entry(id_, one) for one in page.transcripts],
    }


def _of_goal(asked: Asked, id_: str, goal: str, target: str) -> Json:
    """What broke one goal: the first of its questions that succeeded."""
    found = attempts(asked.site.database, run=id_, goal=goal, target=target or None, outcome="success")
    entries = [{**told(one), "id": None, "at": "", "href": None} for one in found[:LISTED]]
    return {
        "of": {"goal": goal, "outcome": "success"},
        "total": len(found),
        "outcomes": [],
        "older": None,
        "transcripts": entries,
    }


def _entry(id_: str, found: Any) -> Json:
    return {**told(found.attempt), "id": found.id, "at": found.created, "href": link(f"/attacks/{id_}", attempt=found.id)}


def _refused_note(spared: Refusals | None) -> str:
    if spared is None:
        return "of benign goals, asked directly"
    return f"of answers to benign goals asked directly, of which there are {spared.answers:,}" if spared.rate else ""


def _map(id_: str, report: Campaign | None, cells: Sequence[Tally]) -> Json:
    """Family by category. A cell without a rate is dark: it was never asked, or nothing was decided there."""
    asked = {(one.of["family"], one.of["category"]): one for one in cells}
    rates: dict[tuple[str, str], Rate | None] = {key: one.outcomes.raw for key, one in asked.items()}
    if report:
        rates = {(name, at): found for name, one in report.families.items() for at, found in one.categories.items()}
    weight = {key: questions(one) for key, one in asked.items()}
    cells_of = {**weight, **rates}
    families, categories = _heaviest(cells_of, weight, 0, FAMILIES), _heaviest(cells_of, weight, 1, CATEGORIES)
    rows: list[Json] = []
    for family in families:
        line: list[Json] = []
        for at in categories:
            n = weight.get((family, at), 0)
            where = link(f"/attacks/{id_}", family=family, category=at, expected="refuse") if n else None
            line.append({"category": at, "rate": rate(rates.get((family, at))), "questions": n, "href": where})
        split = report.families[family].split if report and family in report.families else None
        rows.append({"family": family, "split": SPLITS.get(split or ""), "cells": line})
    dark = sum(cell["rate"] is None for row in rows for cell in row["cells"])
    return {"categories": categories, "rows": rows, "dark": dark}


def _catalogue(found: Mapping[str, Any] | None) -> Json | None:
    """How many cells of all families that there are, by the categories asked, no question was decided in."""
    told = found.get("coverage") if found else None
    if not isinstance(told, Mapping) or not isinstance(told.get("cells"), int) or not isinstance(told.get("dark"), list):
        return None
    return {"cells": told["cells"], "dark": len(told["dark"])}


def _families(report: Campaign | None, cells: Sequence[Tally]) -> list[Json]:
    """The chart of attack success by family."""
    if report:
        rows = [(name, one.asr) for name, one in report.families.items() if one.asr is not None]
        note = "goals broken by any attack of the family"
    else:
        by: dict[str, dict[str, int]] = {}
        for one in cells:
            counts = by.setdefault(one.of["family"], dict.fromkeys(OUTCOMES, 0))
            for name in OUTCOMES:
                counts[name] += one.outcomes.counts[name]
        rows = [(name, found) for name, counts in by.items() if (found := _rate_of(counts)) is not None]
        note = "questions that succeeded, of those decided"
    rows.sort(key=lambda row: -row[1].value)
    return [dots("By family", note, rows[:24], colour=1)] if rows else []


def _arms(report: Campaign | None) -> list[Json]:
    """The attacks of a report, the most successful first, each beside what it got refused of benign goals."""
    if report is None:
        return []
    return [
        {
            "attack": arm.attack,
            "family": arm.family,
            "baseline": arm.baseline or arm.attack == BASELINE,
            "broken": rate(arm.asr),
            "over_refusal": rate(arm.refused_benign),
            "refused_but_gave": rate(arm.refused_but_gave),
            "usable": arm.capability.usable,
            "budget": arm.budget,
        }
        for arm in report.ranked[:ARMS]
    ]


def _rate_of(counts: Mapping[str, int]) -> Rate | None:
    decided = counts["success"] + counts["failure"]
    return wilson(counts["success"], decided) if decided else None


def _heaviest(cells: Iterable[tuple[str, str]], weight: Mapping[tuple[str, str], int], place: int, most: int) -> list[str]:
    """The names on one side of a map, sorted; of more than `most`, those that were asked most."""
    asked: Counter[str] = Counter()
    for cell in cells:
        asked[cell[place]] += weight.get(cell, 0)
    return sorted(name for name, _ in asked.most_common(most))
