"""A tally spaces turns evenly, counts what is spent, and knows what is spent up, for each name by itself."""

from __future__ import annotations

import threading

import pytest

from trueline.core.limits import Tally


def test_turns_are_evenly_apart_and_none_is_saved_up():
    """Who comes at once waits for the turns before; after a pause there is one turn, and not all that were missed."""
    now = [0.0]
    tally = Tally(now=lambda: now[0])
    assert [tally.take("a", apart=2.0).wait for _ in range(3)] == [0.0, 2.0, 4.0]
    assert tally.take("b", apart=2.0).wait == 0.0
    now[0] = 100.0
    assert [tally.take("a", apart=2.0).wait for _ in range(2)] == [0.0, 2.0]


@pytest.mark.parametrize(
    ("limits", "over"), [({"requests": 2}, "requests"), ({"cost": 5.0}, "cost"), ({"seconds": 10}, "seconds")]
)
def test_what_is_spent_up_takes_no_turn_and_counts_no_more(limits, over):
    """Any limit that is reached is named, with what was spent; nothing is counted then."""
    now = [0.0]
    tally = Tally(now=lambda: now[0])
    for _ in range(2):
        assert not tally.take("a", spends={"requests": 1, "cost": 2.5}, limits=limits).over
    now[0] = 10.0
    again = [tally.take("a", apart=1.0, spends={"requests": 1, "cost": 2.5}, limits=limits) for _ in range(2)]
    assert [(taken.over, taken.wait) for taken in again] == [(over, 0.0)] * 2
    assert again[1].spent == {"seconds": 10.0, "requests": 2, "cost": 5.0}
    assert tally.take("b", limits=limits).over == ""


def test_threads_count_together():
    """No turn is given twice, and nothing that is spent is lost."""
    tally, waits = Tally(now=lambda: 0.0), []

    def ask() -> None:
        waits.extend(tally.take("a", apart=1.0, spends={"requests": 1}).wait for _ in range(200))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == [float(n) for n in range(800)]
    assert tally.take("a").spent["requests"] == 800
