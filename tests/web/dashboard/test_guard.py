"""Tests of the guard's page: what is counted is what is recorded, and a proof runs once, by a button."""

from __future__ import annotations

import time
from threading import Event

import pytest

from tests.web.dashboard.planted import dashboard, filled
from tests.web.site.visiting import HOSTILE, Browser
from trueline.guard.audit.chain import GENESIS, row_of
from trueline.guard.audit.digests import Secret
from trueline.guard.audit.record import line
from trueline.store.audits import add_rows
from trueline.store.opening import open_database
from trueline.web.dashboard.jobs import Jobs
from trueline.web.dashboard.proofs import POLICY, coverage, verify
from trueline.web.dashboard.rooms import DASHBOARD
from trueline.web.site.site import Site, site


def settled(jobs: Jobs, name: str) -> dict:
    """How a job stands once it has ended."""
    for _ in range(2000):
        if jobs.told(name)["state"] != "under way":
            return jobs.told(name)
        time.sleep(0.005)  # another thread is at it
    raise AssertionError("the job does not end")


def test_traffic_latency_and_rails_are_those_of_the_rows(tmp_path):
    """Forty decisions, four blocked by one rail: so the page says, by hour, by quantile and by rail."""
    told = Browser(dashboard(tmp_path)).get("/guard.json").json()
    assert told["decisions"] == 40
    assert told["actions"] == [{"action": "allow", "n": 36}, {"action": "block", "n": 4}]
    assert sum(n for hour in told["hours"] for n in hour["actions"].values()) == 40
    assert told["rails"] == [{"rail": "secrets", "said": {"block": 4}, "n": 4}]
    of = {one["side"]: one for one in told["latency"]}
    assert of["requests"]["n"] == of["replies"]["n"] == 20
    assert of["requests"]["p50"] == pytest.approx(2.1)
    assert of["requests"]["p99"] == pytest.approx(3.9)


def test_a_job_runs_once_at_a_time_and_keeps_its_result():
    """While it goes on a second start is refused and the last result stays; a fault is told, or hidden where it is ours."""
    jobs, go = Jobs(), Event()
    assert jobs.told("a")["state"] == "not yet"
    assert jobs.start("a", lambda: go.wait(30) and {"n": 1})
    assert not jobs.start("a", dict)
    go.set()
    first = settled(jobs, "a")
    assert (first["state"], first["result"]) == ("done", {"n": 1})
    again = Event()
    jobs.start("a", lambda: again.wait(30) and {"n": 2})
    assert jobs.told("a")["result"] == {"n": 1}
    again.set()
    settled(jobs, "a")

    def fails(error):
        raise error

    jobs.start("b", lambda: fails(ValueError("no key in it")))
    assert (settled(jobs, "b")["state"], settled(jobs, "b")["why"]) == ("failed", "no key in it")
    jobs.start("c", lambda: fails(ZeroDivisionError("of the inside")))
    assert "inside" not in settled(jobs, "c")["why"]


def test_the_chain_is_verified_by_a_button(tmp_path):
    """Rows that are no chain are broken; without a key, the page says what it needs."""
    settings = filled(tmp_path / "a", HOSTILE)
    (settings.runs / "guard").mkdir()
    browser = Browser(site(settings, DASHBOARD))

    def verified() -> dict:
        went = browser.form("/guard/verify", {"csrf": browser.token("/guard")})
        assert went.headers["location"].startswith("/guard?said=begun")
        for _ in range(2000):
            told = browser.get("/guard.json").json()
            if not told["busy"]:
                return next(job for job in told["jobs"] if job["name"] == "verify")
        raise AssertionError("the job does not end")

    assert "expected an audit's folder" in verified()["why"]
    Secret.open(settings.runs / "guard")
    assert verified()["result"]["state"] == "broken"  # the planted rows have no chain
    text = browser.get("/guard").text
    assert "&lt;script&gt;alert(1)" in text.partition("The audit")[2]  # the writer's name
    assert "<script>alert" not in text


def test_whole_rows_are_not_called_broken(tmp_path):
    """A chain that fits is unsigned where its head is not here, as the command says."""
    settings = Site(database=open_database(tmp_path / "web.db"), runs=tmp_path / "runs")
    fields = {"kind": "opened", "seq": 1, "time": "2026-01-01T00:00:00+00:00", "writer": "w"}
    add_rows(settings.database, [row_of(fields, line(fields).decode(), GENESIS)])
    Secret.open(settings.runs / "guard")
    assert verify(settings) == {
        "state": "unsigned", "rows": 1, "chains": [{"writer": "w", "rows": 1, "state": "unsigned", "fault": None}],
    }  # fmt: skip


def test_a_proof_needs_the_pages_token(tmp_path):
    """A POST from elsewhere, or without the token, starts nothing."""
    browser = Browser(dashboard(tmp_path))
    assert browser.form("/guard/verify", {}).status_code == 403
    assert all(job["state"] == "not yet" for job in browser.get("/guard.json").json()["jobs"])


def test_coverage_is_proved_of_the_policy_that_was_named(tmp_path):
    """The page says which rail reads which place, as the command does; without a policy it says how to name one."""
    (tmp_path / "policy.yaml").write_text("name: one\nrails:\n  - type: secrets\n")
    settings = Site(
        database=open_database(tmp_path / "web.db"), runs=tmp_path, rooms={POLICY: tmp_path / "policy.yaml"}
    )  # fmt: skip
    found = coverage(settings)
    assert found["rails"] == ["secrets"]
    assert {row["rails"][0] for row in found["rows"]} <= {"read", "none"}
    assert found["missed"] == []
    assert found["holds"] == (not found["unread"])
    with pytest.raises(ValueError, match="--policy FILE"):
        coverage(Site(database=settings.database, runs=tmp_path))
