"""What became of a fix: the gates that it met, who promoted it, and what to do next. Nothing here deploys anything.

    fixes/KEY/gate.json        the last gate of each way (rail, training)
    fixes/KEY/history.jsonl    every gate and promotion in order; it is only appended to
    fixes/KEY/promoted.json    the candidate that passed, and whose word it has

A promotion writes a run into the database whose spec names the candidate by place and content, and the finding's row names
that run as the last that had a word on it. Its status stays: a re-test of what is deployed says whether it is fixed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from trueline.core.types import Finding, Run
from trueline.evaluate.shape import visible
from trueline.store.database import findings, save_findings, save_run
from trueline.store.folders import digest, write_json, write_text
from trueline.store.opening import Database
from trueline.store.runs import RunDirectory
from trueline.watch.fix.questions import FixError

HISTORY, GATE, PROMOTED = "history.jsonl", "gate.json", "promoted.json"


def keep_gate(run: RunDirectory, found: Mapping[str, Any], now: datetime) -> None:
    """Write a gate down; the same gate again leaves no second line."""
    write_json(run.folder / GATE, {**gates_of(run.folder), found["by"]: dict(found)})
    key = digest({name: value for name, value in found.items() if name != "seconds"})
    if all(row.get("gate") != key for row in run.rows(HISTORY)):
        names = ("by", "status", "target_hash", "candidate", "candidate_hash")
        run.append(HISTORY, {"at": _text(now), "what": "gate", "gate": key, **{name: found[name] for name in names}})


def gates_of(folder: Path) -> dict[str, Any]:
    """The last gate of each way."""
    path = folder / GATE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def promote(
    run: RunDirectory, database: Database, finding: Finding, gate: Mapping[str, Any], person: str, now: datetime
) -> None:
    """Record what passed as the candidate. Raises FixError where the gate did not pass."""
    if gate["status"] != "PASS":
        raise FixError(f"{finding.key}: the gate is {gate['status']}, so nothing is promoted; {run.folder / GATE} says why")
    about = {name: gate[name] for name in ("by", "target", "target_hash", "candidate", "candidate_hash")}
    stored = Run(
        id=f"{run.run.id}/{gate['candidate_hash'][:12]}", recipe="fix", spec={"finding": finding.key, **about},
        commit=run.run.commit, seed=run.run.seed, parents=(run.run.id,), started=run.run.started,
    )  # fmt: skip
    save_run(database, stored)
    known = {entry.key: entry for entry in findings(database)}.get(finding.key, finding)
    save_findings(database, stored.id, [replace(finding, status=known.status, severity=known.severity)])
    row = {"what": "promoted", "run": stored.id, **about, "person": person}
    if all({name: old.get(name) for name in row} != row for old in run.rows(HISTORY)):
        run.append(HISTORY, {"at": _text(now), **row})
    write_json(run.folder / PROMOTED, {"finding": finding.key, "run": stored.id, **about, "person": person})


def write_readme(
    folder: Path, finding: str, named: str, target: str, gates: Mapping[str, Mapping[str, Any]], rows: int
) -> None:
    """Say what lies here and what to do next; what models wrote is not in it."""
    lines = [
        f"# Fix of finding {finding}",
        "",
        f"`{_code(named)}` on `{_code(target)}`.",
        "",
        "Nothing that is deployed has changed. What lies here is a proposal, and what the gate said of it.",
        "",
        f"- `proposal/rows.jsonl`, `rankings.jsonl`: {rows:,} training rows, and the same as pairs." if rows else
        "- no training rows: nothing here may be taught by demonstrations.",
        "- `proposal/attempts.jsonl`: what it was made of, with what the target gave: keep it where findings are kept.",
        "- `stages/rail/`: policy.yaml and deployment.yaml, rails that would have stopped it, if any.",
        "- `regression.jsonl`: the finding and its siblings as a test, without what was given. To commit, and to run in CI:",
        "",
        f"      trueline attack {_code(target)} --goals regression.jsonl",
        "",
        "  It exits with 1 once any of them works again, and with 3 where too much stays undecided.",
        "- `gate.json`, `history.jsonl`: what was measured, and what was decided, in order.",
        "",
    ]  # fmt: skip
    for by, found in gates.items():
        lines += [f"## By {by}: {found['status']}", ""]
        lines += [f"- {check['status']}: {sentence(check)}" for check in found["checks"]] or [f"- {found['why']}"]
        lines += ["", f"Next: {_next(found, finding)}", ""]
    write_text(folder / "README.md", "\n".join(lines))


def sentence(check: Mapping[str, Any]) -> str:
    """One check in words, with its numbers."""
    if check.get("present") is None or check.get("candidate") is None:
        return f"{check['name']} {check['claim']}: {check['why'] or 'not measured'}"
    said = f"{check['name']} {check['claim']}: {check['present']:.1%} now, {check['candidate']:.1%} with the candidate"
    if value := check["value"]:
        gained = f"{value['value']:+.1%} ({value['low']:+.1%} to {value['high']:+.1%})"
        return f"{said}; better by {gained}, n {check['questions']:,}, {check['independent']:,} independent"
    return f"{said}, {check['questions']} tries{f' ({why})' if (why := check['why']) else ''}"


def _next(found: Mapping[str, Any], finding: str) -> str:
    again = f"`trueline watch fix {finding} --by {found['by']}`"
    if found["status"] == "PASS":
        then = f"records `{_code(found['candidate'])}` as the candidate; deploy it yourself."
        return f"{again[:-1]} --promote --by-person NAME` {then}"
    if found["status"] == "FAIL":
        return "the candidate is not to be promoted; try the other way, or other settings of the training in another folder."
    return "too little can be told; ask more (`--n`) in another folder, or give what was missing."


def _code(text: str) -> str:
    return visible(text).replace("`", "'")


def _text(now: datetime) -> str:
    return now.isoformat(timespec="seconds")
