"""Alerts as a SARIF file that code scanning reads: each alert is one result, and a file that is there is added to.

    trueline/watch/change, /regressed, /found, /failed, /expired      the rules

An alert stays in the file until somebody deletes it (a scan that lacks a result closes it), or MOST newer ones have come.
The form, its levels and its escapes are those of campaigns (evaluate/exports/sarif_form.py). The file is read and written under
a lock beside it, whole or not at all. What is there and is no SARIF file of a watch is left alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

from trueline import __version__
from trueline.evaluate.exports.sarif_form import LEVELS, SCHEMA, SCORES, escaped
from trueline.evaluate.shape import visible
from trueline.store.folders import BusyError, lock, write_json
from trueline.watch.alerts import Alert, Kind, payload
from trueline.watch.channels import UndeliveredError

CATEGORY = "trueline/watch/"
FINGERPRINT = "trueline/alert/v1"
MOST = 5000  # results that GitHub shows of one file
MEANINGS: Mapping[Kind, str] = {
    "change": "What answers has most likely been changed",
    "regressed": "A weakness that was fixed works again",
    "found": "A new weakness was found",
    "failed": "A round of a watch failed, so that nothing was tested",
    "expired": "An attestation ends or has ended",
}
RULES: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, kw_only=True)
class SarifFile:
    """Adds alerts to a file."""

    path: Path

    @property
    def name(self) -> str:
        """The file's name, without the folders of this machine."""
        return f"sarif:{visible(self.path.name, 80)}"

    async def send(self, alert: Alert) -> None:
        """Add an alert, once: one that is there already is replaced."""
        await asyncio.to_thread(self._add, alert)

    def _add(self, alert: Alert) -> None:
        try:
            with lock(self.path.with_name(f".{self.path.name}.lock")):
                found = [r for r in _results(self.path, self.name) if r["partialFingerprints"][FINGERPRINT] != alert.id]
                write_json(self.path, log([*found, result(alert)][-MOST:]))
        except BusyError:
            raise UndeliveredError(f"{self.name}: another process writes to it", again=True) from None
        except OSError as error:
            raise UndeliveredError(f"{self.name}: it cannot be written ({error.strerror})", again=True) from None


def log(results: list[dict[str, Any]]) -> dict[str, Any]:
    """A whole file with these results."""
    driver = {"name": "trueline", "version": __version__, "rules": [_rule(kind) for kind in RULES]}
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": CATEGORY},
        "results": results,
        "columnKind": "unicodeCodePoints",
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def result(alert: Alert) -> dict[str, Any]:
    """An alert as a result, at a path that stands for the watch: it has no file, and GitHub shows no result without one."""
    place = {"artifactLocation": {"uri": f"watch/{quote(alert.name, safe='')}"}, "region": {"startLine": 1}}
    return {
        "ruleId": f"{CATEGORY}{alert.kind}",
        "ruleIndex": RULES.index(alert.kind),
        "kind": "fail",
        "level": "note" if alert.severity == "low" else LEVELS[alert.severity],
        "message": {"text": escaped(alert.text)},
        "locations": [
            {
                "physicalLocation": place,
                "logicalLocations": [{"fullyQualifiedName": visible(f"{alert.name}: round {alert.number}", 120)}],
            }
        ],
        "partialFingerprints": {FINGERPRINT: alert.id, "primaryLocationLineHash": f"{alert.id[:16]}:1"},
        "properties": {"severity": alert.severity, "record": payload(alert)["record"]},
    }


def _rule(kind: Kind) -> dict[str, Any]:
    return {
        "id": f"{CATEGORY}{kind}",
        "shortDescription": {"text": MEANINGS[kind]},
        "fullDescription": {"text": f"{MEANINGS[kind]}."},
        "help": {"text": "Read the round's page and docs/watch_alerts.md."},
        "properties": {"tags": ["security", "llm"], "security-severity": str(SCORES["medium" if kind == "failed" else "high"])},
    }


def _results(path: Path, name: str) -> list[dict[str, Any]]:
    """The results of a file of ours; nothing where there is none."""
    if not path.exists():
        return []
    try:
        (run,) = json.loads(path.read_text(encoding="utf-8"))["runs"]
        if run["automationDetails"]["id"] != CATEGORY:
            raise ValueError("another scan's")
        results: list[dict[str, Any]] = run["results"]
        for one in results:
            one["partialFingerprints"][FINGERPRINT]
    except (ValueError, KeyError, TypeError):
        raise UndeliveredError(f"{name}: expected no file, or one of a watch's alerts, found another; name a new one") from None
    return results
