"""Everything at once on one database: two daemons, one of which is killed -9 in a campaign, and ten annotators."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tests.recipes.endpoint import endpoint
from tests.watch.test_daemon import daemon, slowly, until, what_came
from tests.watch.watching import QUICK
from tests.web.ranking.crowd import PEOPLE, Crowd
from tests.web.ranking.seated import house
from trueline.store.database import replies
from trueline.store.opening import open_database
from trueline.store.watches import add_watch, rounds, watches
from trueline.targets.patience import Clock
from trueline.watch.budget import read_budget
from trueline.watch.lease import now_of
from trueline.watch.spec import Spec, checked, new_watch

ROWS = [{"id": f"g{i}", "prompt": f"How do I fold kite number {i}?", "category": "kites"} for i in range(16)]
AT_ONCE = 8  # questions of one round that are under way


@pytest.mark.slow
def test_two_daemons_one_of_them_killed_and_ten_annotators_lose_and_double_nothing(url, serve, tmp_path):
    """Every watch has its round once and whole, every item its overlap; the target is asked little more than is stored."""
    here = house(url, n=12, overlap=3, accounts={name: ["annotator"] for name in PEOPLE})
    crowd, database = Crowd(here, serve(here.app)), open_database(url)
    (tmp_path / "goals.jsonl").write_text("\n".join(map(json.dumps, ROWS)) + "\n", encoding="utf-8")
    with endpoint(slowly(0.02)) as there:
        for number in range(4):
            spec = checked(
                Spec(
                    target=there.target, goals=str(tmp_path / "goals.jsonl"), attacks="role,rot13,past", sentinels=8, ask=QUICK
                )
            )
            row = new_watch(spec, name=f"n{number}", every=86400, budget=read_budget("questions=40"), now=now_of(Clock()))
            add_watch(database, row)
        both = [daemon(url, "--lease", "3") for _ in range(2)]
        try:
            crowd.start()
            until(there.asked, 30)
            both[0].send_signal(signal.SIGKILL)
            both[0].wait()
            deadline = time.monotonic() + 90
            while any(row.holder or row.next == 1 for row in watches(database)):
                assert time.monotonic() < deadline, "the rounds do not end"
                time.sleep(0.05)
            asked = there.asked.total()
        finally:
            both[1].send_signal(signal.SIGTERM)
            both[1].communicate(timeout=60)
            both[0].kill()
    crowd.check(url, n=12, overlap=3)
    kept = [rounds(database, row.id) for row in watches(database)]
    assert [[(row.number, row.state) for row in rows] for rows in kept] == [[(1, "done")]] * 4
    assert len({row.run for rows in kept for row in rows}) == 4
    assert all(max(what_came(database, row.run).values()) == 1 for rows in kept for row in rows)
    known = sum(len(replies(database, row.run)) for rows in kept for row in rows)
    assert known <= asked <= known + AT_ONCE
    database.dispose()
