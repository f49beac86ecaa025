"""`trueline eval --workers N`: the same items with the same worth, whoever puts them."""

from __future__ import annotations

import json
import threading

import pytest

from tests.calling import trueline
from tests.recipes.endpoint import QUICK, body, endpoint, says
from trueline.recipes import spread_items

NO = "i cannot help with that . it is not safe ."


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Chunks of three items."""
    monkeypatch.setattr(spread_items, "ITEMS", 3)


def put(target, folder, *more):
    return trueline("eval", target, "--data", "world", "--suite", "refusal,over_refusal", "--n", 10, "--json", *QUICK,
                    "--out", folder, *more)  # fmt: skip


def lines(folder):
    return [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]


def refuses(request, before):
    """Refuses some, by what is asked."""
    return says(NO if len(str(request["messages"])) % 3 else "take the kite and fold it .")


def test_an_evaluation_is_the_same_whatever_the_number_of_workers(tmp_path):
    """Every item once, in the order of the items, and the same report."""
    with endpoint(refuses) as server:
        alone = put(server.target, tmp_path / "0")
        asked = server.asked.copy()
        found = {n: put(server.target, tmp_path / str(n), "--workers", n) for n in (1, 2)}
    assert len(lines(tmp_path / "1")) == 20
    assert lines(tmp_path / "1") == lines(tmp_path / "2")
    assert sorted(map(str, lines(tmp_path / "0"))) == sorted(map(str, lines(tmp_path / "1")))
    assert all(json.loads(done.out)["suites"] == json.loads(alone.out)["suites"] for done in found.values())
    assert server.asked == {question: 3 * times for question, times in asked.items()}


def test_what_was_cut_off_goes_on_and_asks_nothing_twice(tmp_path):
    """A key that is withdrawn ends it with its words; the same command, with workers or without, asks the rest."""
    back = threading.Event()

    def leaving(request, before):
        return refuses(request, before) if before < 8 or back.is_set() else body({}, 401)

    with endpoint(leaving) as server:
        done = put(server.target, tmp_path / "a", "--workers", 2)
        assert (done.code, "the key was not accepted" in done.err) == (1, True)
        kept = len(lines(tmp_path / "a"))
        assert 0 < kept <= 8
        back.set()
        before = server.asked.total()
        again = put(server.target, tmp_path / "a", "--workers", 2)
        assert again.code in (0, 3)
        assert server.asked.total() - before == 20 - kept
        assert len({(line["suite"], line["item"]) for line in lines(tmp_path / "a")}) == len(lines(tmp_path / "a")) == 20


def test_a_budget_holds_for_all_workers_together(tmp_path):
    """So many requests and no more, whoever makes them."""
    with endpoint(refuses) as server:
        done = put(server.target, tmp_path / "a", "--workers", 2, "--ask", "budget.requests=9")
        assert 4 <= server.asked.total() <= 9  # what is under way when it is spent is dropped
    assert (done.code, "the budget is spent" in done.err) == (1, True)
