"""Tests of web/dashboard/folders.py: no name from an address leads out of the folder of runs, and a run's state is told."""

from __future__ import annotations

import json
import os
import time
from urllib.parse import quote

import pytest

from tests.web.dashboard.planted import metrics, write_run
from tests.web.site.visiting import Browser
from trueline.core.types import Run
from trueline.store.database import save_run, save_stage
from trueline.store.opening import open_database
from trueline.web.dashboard.folders import UNDER_WAY, folder_named, folder_of, report_of, run_folders
from trueline.web.dashboard.rooms import DASHBOARD
from trueline.web.site.room import NotThere
from trueline.web.site.site import Site, site

OUTSIDE = (
    "..", "../secret", "../../etc", "/etc", ".", "", "one/..", "one/../../secret", "..\\secret", "%2e%2e/secret", "one\0",
    "link", "half", "no run",
)  # fmt: skip


def runs_in(tmp_path):
    """A folder of runs with one run, a run outside of it, and links that lead there."""
    runs = tmp_path / "runs"
    write_run(runs / "one", Run(id="one-id", recipe="dpo", started="2026-01-01"), None, metrics("sft", ""))
    write_run(tmp_path / "secret", Run(id="secret-id", recipe="dpo"), {"run": "a secret"})
    (runs / "link").symlink_to(tmp_path / "secret")
    (runs / "half").mkdir()
    (runs / "half" / "run.json").symlink_to(tmp_path / "secret" / "run.json")
    (runs / "no run").mkdir()
    return runs


def test_no_name_leads_out_of_the_folder_of_runs(tmp_path):
    """Names with dots and slashes, encoded or not, and links are not there: not by the function, and not by an address."""
    runs = runs_in(tmp_path)
    browser = Browser(site(Site(database=open_database(tmp_path / "web.db"), runs=runs), DASHBOARD))
    for name in OUTSIDE:
        with pytest.raises(NotThere):
            folder_named(runs, name)
        for path in (f"/runs/{quote(name, safe='')}", f"/runs/{quote(name)}.json", f"/compare?a={quote(name)}&b=one"):
            answer = browser.get(path)
            assert answer.status_code in (200, 303, 307, 404), path
            assert "secret-id" not in answer.text
            assert "a secret" not in answer.text
    assert browser.get("/runs/one").status_code == 200
    assert [folder.name for folder in run_folders(runs)] == ["one"]
    assert folder_of(runs, "secret-id") is None


def test_how_a_run_stands(tmp_path):
    """It is done with its report, under way while it writes, and stopped once it is silent; resumed, it is under way again."""
    runs = tmp_path / "runs"
    write_run(runs / "one", Run(id="one-id", recipe="dpo"), None, metrics("sft", ""))

    def stands(seconds_ago: float) -> str:
        at = time.time() - seconds_ago
        for path in (runs / "one").iterdir():
            if path.name != "report.json":
                os.utime(path, (at, at))
        return folder_named(runs, "one").status

    assert (stands(1), stands(UNDER_WAY + 60)) == ("under way", "stopped")
    (runs / "one" / "report.json").write_text("{}")
    assert stands(10) == "done"
    os.utime(runs / "one" / "report.json", (time.time() - 1000,) * 2)
    assert (stands(1), stands(UNDER_WAY + 60)) == ("under way", "done")


def test_broken_records_are_passed_over_and_said(tmp_path):
    """A run.json or a report.json that is torn, of another shape or no JSON breaks no page."""
    runs = tmp_path / "runs"
    write_run(runs / "one", Run(id="one-id", recipe="dpo"), None)
    write_run(runs / "two", Run(id="two-id", recipe="dpo"), None)
    browser = Browser(site(Site(database=open_database(tmp_path / "web.db"), runs=runs), DASHBOARD))
    for text in ("{", "[]", '"text"', "\x00", '{"run": 3}', "[" * 5000):
        (runs / "one" / "report.json").write_text(text)
        (runs / "two" / "run.json").write_text(text)
        assert [folder.name for folder in run_folders(runs)] == ["one"]
        assert "error" not in (report_of(folder_named(runs, "one")) or {})
        for path in ("/overview", "/runs", "/compare", "/compare?a=one&b=one"):
            assert browser.get(path).status_code == 200
        told = browser.get("/runs/one.json").json()
        assert told["trouble"]
        assert browser.get("/runs/two").status_code == 404
    (runs / "one" / "report.json").write_text(json.dumps({"run": "one", "recipe": "attack"}))  # of a campaign, and none
    assert browser.get("/attacks/one-id").status_code == 200


def test_runs_are_listed_page_by_page_each_once(tmp_path):
    """Folders come latest first, fifty on a page; a run that the database alone knows stands apart, and has its page."""
    runs, database = tmp_path / "runs", open_database(tmp_path / "web.db")
    for number in range(53):
        write_run(
            runs / f"run{number:02}", Run(id=f"id{number:02}", recipe="dpo", started=f"2026-01-01T00:{number:02}:00"), None
        )
    save_run(database, Run(id="id00", recipe="dpo", started="2026-01-01"))
    save_run(database, Run(id="alone/part", recipe="campaign", started="2026-01-02"))
    save_stage(database, "alone/part", "first", "key", metrics={"loss": 1.5})
    browser = Browser(site(Site(database=database, runs=runs), DASHBOARD))
    first = browser.get("/runs.json").json()
    second = browser.get(first["older"].replace("?", ".json?")).json()
    assert [one["folder"] for one in first["runs"] + second["runs"]] == [f"run{number:02}" for number in reversed(range(53))]
    assert second["older"] is None
    assert [one["id"] for one in first["stored"]] == ["alone/part"]
    alone = browser.get("/runs/alone/part.json").json()
    assert (alone["run"]["folder"], alone["stages"][0]["metrics"]) == (None, {"loss": "1.5"})
    assert browser.get("/runs/alone/part").status_code == 200
