"""Tests of store/watches.py: leases are held by one, rounds follow each other, and what a loser knows is not written."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from trueline.store.opening import open_database
from trueline.store.watches import (
    AlertRow,
    LeaseLostError,
    WatchError,
    WatchRow,
    add_alert,
    add_watch,
    alerts,
    begin_round,
    bring_forward,
    claim,
    end_round,
    give_back,
    latest_rounds,
    mark_sent,
    renew,
    rounds,
    save_progress,
    set_state,
    stamp,
    watch_named,
    watches,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def later(seconds: float) -> datetime:
    """So many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def watch(name: str = "shop", **more: object) -> WatchRow:
    """A watch that is due, every hour."""
    row = WatchRow(
        id=f"w-{name}", name=name, target="openai:m", every=3600, spec={"a": 1}, budget={}, created=stamp(NOW), due=stamp(NOW)
    )
    return replace(row, **more)


@pytest.fixture
def database(url):
    """An empty database that is open."""
    engine = open_database(url)
    yield engine
    engine.dispose()


def test_a_watch_comes_back_equal_and_its_name_is_its_own(database):
    """What was stored is read again; a second of the name is refused, until the first is removed."""
    add_watch(database, watch())
    assert watches(database) == [watch()]
    with pytest.raises(WatchError, match="there is a watch called 'shop' already"):
        add_watch(database, watch(id="other"))
    with pytest.raises(WatchError, match="'shp'; did you mean 'shop'"):
        watch_named(database, "shp")
    assert set_state(database, "shop", "removed").state == "removed"
    add_watch(database, watch(id="other"))
    assert [row.id for row in watches(database)] == ["other"]
    assert {row.id for row in watches(database, removed=True)} == {"w-shop", "other"}


def test_only_what_is_due_active_and_free_is_claimed(database):
    """Claims go by how long a watch has been due; a paused, a later and a held one are passed over."""
    add_watch(database, watch("late", due=stamp(later(60))))
    add_watch(database, watch("first", due=stamp(later(-60))))
    add_watch(database, watch("rest"))
    set_state(database, "rest", "paused")
    assert claim(database, NOW, "a", 100).name == "first"
    assert claim(database, NOW, "b", 100) is None
    set_state(database, "rest", "active")
    assert claim(database, NOW, "b", 100, name="late") is None
    assert claim(database, NOW, "b", 100).name == "rest"
    bring_forward(database, "late", NOW)
    assert claim(database, NOW, "c", 100, name="late").holder == "c"


def test_a_lease_runs_out_and_can_be_renewed_until_another_takes_it(database):
    """Nobody takes a held watch before its time; after it another does, and the first is told so at the next renewal."""
    add_watch(database, watch())
    assert claim(database, NOW, "a", 100)
    assert claim(database, later(99), "b", 100) is None
    assert renew(database, "w-shop", "a", later(99), 100)
    assert claim(database, later(150), "b", 100) is None
    assert renew(database, "w-shop", "a", later(500), 100)  # ran out, and nobody was there to take it
    assert claim(database, later(600), "b", 100).holder == "b"
    assert not renew(database, "w-shop", "a", later(601), 100)
    assert not give_back(database, "w-shop", "a")
    assert give_back(database, "w-shop", "b")
    assert claim(database, later(602), "c", 100).holder == "c"


def test_a_round_is_taken_over_whole_and_the_loser_writes_nothing(database):
    """Another daemon gets the same round with its plan and run; whoever lost it can neither save nor end it."""
    add_watch(database, watch())
    mine = claim(database, NOW, "a", 100)
    begun = begin_round(database, mine, "a", NOW)
    begun = save_progress(database, begun, "a", run="r1", plan={"cells": [1]})
    theirs = claim(database, later(101), "b", 100)
    taken = begin_round(database, theirs, "b", later(101))
    assert taken == replace(begun, holder="b")
    for write in (
        lambda: save_progress(database, begun, "a", result={"no": 1}),
        lambda: end_round(database, begun, "a", later(102), "done", {"no": 1}),
        lambda: begin_round(database, mine, "a", later(102)),
    ):
        with pytest.raises(LeaseLostError, match="held by b by now, and not by a"):
            write()
    ended = end_round(database, taken, "b", later(103), "done", {"yes": 1})
    assert (ended.state, ended.result, ended.plan) == ("done", {"yes": 1}, {"cells": [1]})
    assert rounds(database, "w-shop") == [ended]
    row = watch_named(database, "shop")
    assert (row.next, row.due, row.holder, row.lease) == (2, stamp(later(3600)), None, None)
    with pytest.raises(LeaseLostError):
        end_round(database, taken, "b", later(104), "failed", {})
    assert claim(database, later(3599), "c", 9) is None
    assert begin_round(database, claim(database, later(3600), "c", 9), "c", later(3600)).number == 2
    assert [row.number for row in latest_rounds(database)] == [2, 1]
    assert [row.number for row in rounds(database, "w-shop", last=1)] == [2]


def test_a_removed_watch_breaks_its_round_off_and_a_paused_one_does_not(database):
    """Pausing lets a round end; removing takes the lease away."""
    add_watch(database, watch())
    begun = begin_round(database, claim(database, NOW, "a", 100), "a", NOW)
    set_state(database, "shop", "paused")
    save_progress(database, begun, "a", result={"n": 1})
    set_state(database, "shop", "removed")
    with pytest.raises(LeaseLostError, match="held by nobody"):
        save_progress(database, begun, "a", result={"n": 2})
    assert claim(database, later(999), "b", 100) is None


def test_many_claim_at_once_and_each_watch_goes_to_one(url):
    """Eight holders with connections of their own share forty watches among them, and none is given twice."""
    engine = open_database(url)
    for number in range(40):
        add_watch(engine, watch(f"n{number:02}"))
    taken: list[str] = []

    def work(holder: str) -> None:
        own = open_database(url)
        while row := claim(own, NOW, holder, 100):
            taken.append(row.name)
        own.dispose()

    threads = [threading.Thread(target=work, args=(f"h{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(taken) == Counter(f"n{number:02}" for number in range(40))
    assert all(row.holder for row in watches(engine))
    engine.dispose()


def test_an_alert_is_raised_once_and_each_channel_keeps_its_word(database):
    """The same id again changes nothing; outcomes of channels stand beside each other."""
    add_watch(database, watch())
    row = AlertRow(
        id="h1", watch="w-shop", number=1, kind="failed", severity="high", text="down", record={}, created=stamp(NOW), sent={}
    )
    assert add_alert(database, row)
    mark_sent(database, "h1", "slack", {"ok": True})
    mark_sent(database, "h1", "mail", {"ok": False})
    assert not add_alert(database, replace(row, text="again"))
    assert add_alert(database, replace(row, id="h2", created=stamp(later(1))))
    assert alerts(database, watch="none") == []
    assert [found.id for found in alerts(database, watch="w-shop")] == ["h2", "h1"]
    assert alerts(database)[1] == replace(row, sent={"slack": {"ok": True}, "mail": {"ok": False}})
