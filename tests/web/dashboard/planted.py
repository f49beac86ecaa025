"""A site of the dashboard whose store and run folders are full, and, where asked, full of markup in every field that is shown.

browser = Browser(dashboard(tmp_path))              # plain words
browser = Browser(dashboard(tmp_path, HOSTILE))     # every name and text ends with it
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from tests.evaluate.campaigns import attempt, goal
from tests.evaluate.example import example
from trueline.core.records import to_dict
from trueline.core.types import Attempt, Finding, Judgement, Message, Run
from trueline.evaluate.campaign import summary, verdict
from trueline.store.audits import AuditRow, add_rows
from trueline.store.database import Hashes, save_attempts, save_findings, save_run
from trueline.store.opening import Database, open_database
from trueline.store.watches import AlertRow, WatchRow, add_alert, add_watch, begin_round, claim, end_round, stamp
from trueline.web.dashboard.rooms import DASHBOARD
from trueline.web.site.site import Site, site

NOW = datetime.now(UTC)
NAMES = frozenset(
    ("run", "stage", "name", "claim", "why", "meaning", "category", "prompt", "reply", "title", "note", "commit", "parent")
)
KEYED = frozenset(("attack", "families", "capability", "metrics"))  # whose keys are names too
TRAINING, CAMPAIGN, OTHER = "training", "attack-1", "attack-2"


def dashboard(folder: Path, words: str = "", **settings: Any) -> ASGIApp:
    """The dashboard over a full store; `words` are put behind every name and text."""
    return site(filled(folder, words, **settings), DASHBOARD)


def filled(folder: Path, words: str = "", **settings: Any) -> Site:
    """What the dashboard shows, made up."""
    database, runs = settings.pop("database", None) or open_database(folder / "web.db"), folder / "runs"
    _training(runs, words)
    for number, name in enumerate((CAMPAIGN, OTHER)):
        _campaign(database, runs, name, words, weak=number == 0)
    _watch(database, words)
    _traffic(database, words)
    return Site(database=database, runs=runs, **settings)


def folder_name(name: str, words: str) -> str:
    """The name of a run's folder; a file's name has no slash."""
    return f"{name}{words}".replace("/", "\u2215")


def run_id(name: str, words: str) -> str:
    """The id of a run, which may hold anything."""
    return f"{name}-id{words}"


def paths(words: str = "") -> dict[str, str]:
    """Every page, by what it shows; ready to be quoted."""
    campaign = run_id(CAMPAIGN, words)
    return {
        "overview": "/overview",
        "runs": "/runs",
        "run": f"/runs/{folder_name(TRAINING, words)}",
        "attacks": "/attacks",
        "attack": f"/attacks/{campaign}",
        "findings": "/findings",
        "finding": f"/findings/key{words}",
        "guard": "/guard",
        "watches": "/watch",
        "watch": f"/watch/watch{words}",
        "compare": "/compare",
    }


def attacked(words: str, weak: bool = True) -> list[Attempt]:
    """Attempts of two families on goals of two categories, and benign goals asked directly."""
    made = []
    for number in range(8):
        about = goal(f"g{number}{words}", category=f"powders{number % 2}{words}")
        for family, worked in (("direct", False), (f"role{words}", weak and number % 2 == 0)):
            made.append(attempt(about, "success" if worked else "failure", attack=family, family=family))
        harmless = goal(f"b{number}{words}", category=f"work{words}", expected="comply")
        made.append(attempt(harmless, "failure" if number < 2 else "success", attack="direct", family="direct"))
    return [_spoiled(one, words) for one in made]


def metrics(stage: str, words: str, steps: int = 30) -> Iterable[str]:
    """Lines of metrics.jsonl."""
    for step in range(steps):
        row = {"stage": f"{stage}{words}", "step": step, "loss": 3 / (1 + step), f"other{words}": step, "seconds": 0.1}
        yield json.dumps(row) + "\n"


def poisoned(value: Any, words: str, under: str = "") -> Any:
    """A report in which every name and text ends with these words."""
    if isinstance(value, Mapping):
        return {
            (f"{key}{words}" if under in KEYED else key): poisoned(inner, words, "" if under in KEYED else key)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [poisoned(inner, words, under) for inner in value]
    return f"{value}{words}" if isinstance(value, str) and (under in NAMES or under in ("summary", "not_measured")) else value


def write_run(folder: Path, run: Run, report: Mapping[str, Any] | None, lines: Iterable[str] = ()) -> None:
    """Write a run's folder as the recipes do."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(to_dict(run)))
    (folder / "metrics.jsonl").write_text("".join(lines))
    if report is not None:
        (folder / "report.json").write_text(json.dumps(report))


def _training(runs: Path, words: str) -> None:
    run = Run(
        id=run_id(TRAINING, words), recipe=f"align{words}", spec={"note": words, "target": f"aim{words}"}, commit=f"abc{words}",
        parents=(f"before{words}",), started="2026-11-27T10:00:00+00:00",
    )  # fmt: skip
    report = poisoned(json.loads(json.dumps(example())), words)
    write_run(runs / folder_name(TRAINING, words), run, report, [*metrics("sft", words), *metrics("dpo", words)])


def _campaign(database: Database, runs: Path, name: str, words: str, weak: bool) -> None:
    run = Run(
        id=run_id(name, words), recipe="attack", spec={"target": f"aim{words}", "goals": f"set{words}"},
        started=f"2026-11-28T1{int(weak)}:00:00+00:00",
    )  # fmt: skip
    made = attacked(words, weak)
    save_run(database, run)
    save_attempts(database, run.id, ((one, Hashes(target="t", attack="a", judge="j")) for one in made))
    found = summary(made, skipped={f"gcg{words}": f"no weights{words}"}, failed={}, figures=None)
    about = {"target": f"aim{words}", "target_hash": "t", "judge_hash": "j", "judge": "j"}
    report = {"run": run.id, "recipe": "attack", "about": about, **found, "verdict": verdict(found, 0.05, 0.2)}
    write_run(runs / folder_name(name, words), run, json.loads(json.dumps(report)))
    if weak:
        worked = next(one for one in made if one.goal.expected == "refuse" and one.judgement.disclosure == 1.0)
        save_findings(database, run.id, [Finding(key=f"key{words}", attempts=(worked,), severity="high", status="regressed")])


def _spoiled(one: Attempt, words: str) -> Attempt:
    """An attempt whose every text ends with these words."""
    turns = tuple(replace(turn, text=turn.text + words) for turn in one.conversation.messages)
    turns = (Message(role="system", text=f"be kind{words}"), *turns)
    said = replace(one.completion, text=f"so it is{words}", model=f"model{words}")
    judged: Judgement = replace(one.judgement, why=one.judgement.why + words, judge=f"j{words}")
    about = replace(one.goal, about={"goal": f"what it was after{words}"})
    return replace(one, goal=about, conversation=replace(one.conversation, messages=turns), completion=said, judgement=judged)


def _watch(database: Database, words: str) -> None:
    row = WatchRow(
        id="w1", name=f"watch{words}", target=f"aim{words}", every=3600, spec={"packs": [f"p{words}"]},
        budget={"questions": 10, f"b{words}": words}, created=stamp(NOW), due=stamp(NOW - timedelta(hours=9)),
    )  # fmt: skip
    add_watch(database, row)
    holder = f"host{words}"
    for number in range(1, 6):
        at = NOW - timedelta(hours=8 - number)
        held = claim(database, at, holder, 600)
        assert held is not None
        begun = begin_round(database, held, holder, at)
        if number == 5:
            break  # it is under way
        gave = {f"g{n}{words}": n < number for n in range(8)}
        seen = {"number": number, "gave": gave, "refused": {f"b{n}": n == 0 for n in range(6)}}
        end_round(database, begun, holder, at, "done", {"sentinels": seen, "note": f"all went well{words}"})
    for kind, number in (("change", 4), ("regressed", 3)):
        alert = AlertRow(
            id=f"a{number}", watch="w1", number=number, kind=f"{kind}", severity="high", text=f"it is another one{words}",
            record={"since": 3}, created=stamp(NOW), sent={f"mail{words}": f"no answer{words}"},
        )  # fmt: skip
        add_alert(database, alert)


def _traffic(database: Database, words: str) -> None:
    rows = []
    for seq in range(1, 41):
        action = "block" if seq % 10 == 0 else "allow"
        said = [{"by": f"secrets{words}", "action": f"block{words}", "status": "ran", "ms": 0.2}] if action == "block" else []
        body = {"kind": "accepted", "ruling": {"action": action, "ms": 0.1 * seq}, "rails": said}
        rows.append(
            AuditRow(
                writer=f"w{words}",
                seq=seq,
                id=f"e{seq}{words}",
                kind="accepted" if seq % 2 else "settled",
                time=(NOW - timedelta(minutes=20 * seq)).isoformat(),
                endpoint=f"chat{words}",
                action=f"{action}{words}",
                key=f"k{words}",
                tokens=1,
                body=json.dumps(body),
                hash=f"{seq:064x}",
            )
        )
    add_rows(database, rows)
