"""Tests of store/latest.py: runs come once each, the latest first, and refusals are those that a reading of all would count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.store.test_database import attempt, of
from trueline.core.types import Judgement, Run
from trueline.store.database import save_attempts, save_run
from trueline.store.latest import latest_runs, refusals, run_of
from trueline.store.opening import open_database


def benign(number: int, stance: str, category: str, family: str = "direct"):
    """An answer to a goal that should be answered."""
    one = attempt(goal=f"b{number}")
    goal = replace(one.goal, expected="comply", category=category)
    return replace(one, goal=goal, family=family, judgement=Judgement(judge="rules", score=0.5, stance=stance, disclosure=0.0))


def test_runs_come_once_each_the_latest_first(url):
    """Walking from page to page gives every run once; campaigns are those in which something was asked."""
    engine = open_database(url)
    made = [Run(id=f"r{n}/part", recipe="attack", started=f"2026-01-0{n % 3 + 1}") for n in range(7)]
    for run in made:
        save_run(engine, run)
    save_attempts(engine, "r3/part", of("t", [attempt()]))
    seen, before = [], ""
    while not seen or before:
        page = latest_runs(engine, before=before, limit=2)
        seen, before = [*seen, *page.runs], page.older
    assert seen == sorted(made, key=lambda run: (run.started, run.id), reverse=True)
    assert [run.id for run in latest_runs(engine, attacked=True).runs] == ["r3/part"]
    assert run_of(engine, "r3/part") == made[3]
    assert run_of(engine, "none") is None
    with pytest.raises(ValueError, match="place of a page"):
        latest_runs(engine, before="x")


def test_refusals_are_what_a_reading_of_all_counts(url):
    """Stances of the family asked for alone, of answers to benign goals alone, those without a stance aside."""
    engine = open_database(url)
    save_run(engine, Run(id="r1", recipe="attack"))
    stances = ["refuse"] * 3 + ["comply"] * 5 + ["none"] * 2
    made = [benign(n, stance, f"c{n % 2}") for n, stance in enumerate(stances)]
    made += [benign(20, "refuse", "c0", family="role"), attempt()]
    save_attempts(engine, "r1", of("t", made))
    found = refusals(engine, "r1", "direct")
    assert (found.refused, found.taken, found.answers) == (3, 8, 10)
    assert refusals(engine, "r1", "none").taken == refusals(engine, "r2", "direct").taken == 0


def test_refusals_of_many_are_read_in_proportion(url):
    """With more answers than are read, each category gives its share."""
    engine = open_database(url)
    save_run(engine, Run(id="r1", recipe="attack"))
    made = [benign(n, "refuse", "a") for n in range(30)] + [benign(100 + n, "comply", "b") for n in range(10)]
    save_attempts(engine, "r1", of("t", made))
    found = refusals(engine, "r1", "direct", most=20)
    assert (found.refused, found.taken, found.answers) == (15, 20, 40)
