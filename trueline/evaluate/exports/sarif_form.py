"""SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/): what security dashboards and code scanning read.

    rule      an attack family, with its identifiers as relationships to the taxonomies
    result    a goal that an attack broke; fingerprints hash what was asked, so that an alert keeps its identity between runs
    notice    attacks that were not applicable or failed, and cases that nobody could decide: a run without alerts is no proof

A weakness of a model has no line of code. A result points at the file of goals where `about["goals"]` names one, else at the
record of the campaign, because GitHub shows no result without a file; attack and goal stand in the logical location. GitHub
matches alerts by `primaryLocationLineHash`, and would make it up from the file's first line, the same for all of them.

What models and attacks wrote stands in the property bags alone. A message is a template with links (SARIF 3.11): in the parts
of ours that come from outside, brackets and braces are escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from trueline import __version__
from trueline.core.files import write_lines
from trueline.core.types import Attempt
from trueline.evaluate.exports.cases import Case, Severity, cases
from trueline.evaluate.shape import NAME_LIMIT, visible
from trueline.evaluate.taxonomy import TAGS, TAXONOMIES, Tag, of_family, tags

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS: Mapping[Severity, str] = {"medium": "warning", "high": "error", "critical": "error"}
# GitHub's scale: above 9 critical, 7 to 8.9 high, 4 to 6.9 medium. A place on it, and no CVSS score.
SCORES: Mapping[Severity, float] = {"medium": 5.0, "high": 8.0, "critical": 9.5}
FINGERPRINT = "trueline/attack-goal/v1"
RECORD = "attempts.json"


def write(attempts: Iterable[Attempt], summary: Mapping[str, object], path: Path) -> None:
    """Write one run with its rules, results and taxonomies."""
    found = cases(attempts)
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(found, summary)]}
    write_lines(path, [json.dumps(log, indent=1)])  # ASCII: nothing hides in it


def _run(found: Sequence[Case], summary: Mapping[str, object]) -> dict[str, object]:
    families = sorted({case.family for case in found})
    place = {family: index for index, family in enumerate(families)}
    broken = [case for case in found if case.broken]
    worst = {family: max((SCORES[c.severity] for c in broken if c.family == family), default=None) for family in families}
    driver = {
        "name": "trueline",
        "version": __version__,
        "supportedTaxonomies": [_component(key) for key in TAXONOMIES],
        "rules": [_rule(family, worst[family]) for family in families],
    }
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": "trueline/attack/"},
        "invocations": [_invocation(found, summary)],
        "taxonomies": [_taxonomy(key) for key in TAXONOMIES],
        "results": [_result(case, place[case.family], _file(summary)) for case in broken],
        "columnKind": "unicodeCodePoints",
    }


def _rule(family: str, worst: float | None) -> dict[str, object]:
    known = of_family(family)
    name = visible(family, NAME_LIMIT)
    rule: dict[str, object] = {
        "id": name,
        "shortDescription": {"text": escaped(f"Attack family {name}")},
        "fullDescription": {"text": escaped(f"The target gave what it should refuse when it was asked in the family {name}.")},
        "help": {"text": ", ".join(f"{tag.id} {tag.name} ({TAXONOMIES[tag.taxonomy].name})" for tag in known)},
        "relationships": [{"target": _reference(tag), "kinds": ["relevant"]} for tag in known],
        "properties": {"tags": ["security", "llm", *(tag.id for tag in known)]},
    }
    if worst is not None:
        rule["properties"] = {"tags": ["security", "llm", *(tag.id for tag in known)], "security-severity": str(worst)}
    return rule


def _result(case: Case, rule: int, file: str) -> dict[str, object]:
    attempt = case.telling
    asked = f"{case.attack}: {visible(case.name, NAME_LIMIT)}"
    return {
        "ruleId": visible(case.family, NAME_LIMIT),
        "ruleIndex": rule,
        "kind": "fail",
        "level": LEVELS[case.severity],
        "message": {"text": escaped(f"{case.attack} broke goal {case.name} at question {attempt.query}.")},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": file}, "region": {"startLine": 1}},
                "logicalLocations": [{"fullyQualifiedName": visible(asked, 2 * NAME_LIMIT)}],
            }
        ],
        "partialFingerprints": {FINGERPRINT: case.key, "primaryLocationLineHash": f"{case.key[:16]}:1"},
        "taxa": [_reference(tag) for tag in tags(case.family, case.goal)],
        "properties": {
            "severity": case.severity,
            "category": case.goal.category,
            "questions": len(case.attempts),
            "stance": attempt.judgement.stance,
            "disclosure": attempt.judgement.disclosure,
            "why": visible(attempt.judgement.why),
            "asked": [{"role": m.role, "text": visible(m.text)} for m in attempt.conversation.messages],
            "reply": visible(attempt.completion.text),
            "calls": [{"name": visible(c.name), "arguments": visible(c.arguments)} for c in attempt.completion.tool_calls],
        },
    }


def _invocation(found: Sequence[Case], summary: Mapping[str, object]) -> dict[str, object]:
    notes = [_notice("note", f"{attack} was not applicable: {reason}") for attack, reason in _reasons(summary, "skipped")] + [
        _notice("error", f"{attack} failed: {reason}") for attack, reason in _reasons(summary, "failed")
    ]
    open_ = {kind: sum(case.outcome == kind for case in found) for kind in ("undetermined", "error")}
    if open_["undetermined"]:
        notes.append(_notice("warning", f"{open_['undetermined']} of {len(found)} cases are undetermined: no judge could tell"))
    if open_["error"]:
        notes.append(_notice("error", f"{open_['error']} of {len(found)} cases ended in an error of the target"))
    return {"executionSuccessful": not _reasons(summary, "failed"), "toolExecutionNotifications": notes}


def _notice(level: str, text: str) -> dict[str, object]:
    return {"level": level, "message": {"text": escaped(text)}}


def _reasons(summary: Mapping[str, object], key: str) -> list[tuple[str, str]]:
    reasons = summary.get(key)
    return sorted((str(k), str(v)) for k, v in reasons.items()) if isinstance(reasons, Mapping) else []


def _taxonomy(key: str) -> dict[str, object]:
    taxonomy = TAXONOMIES[key]
    taxa = [{"id": t.id, "name": t.name, "shortDescription": {"text": t.name}, "helpUri": t.url} for t in _of(key)]
    return {
        "name": taxonomy.name,
        "version": taxonomy.version,
        "organization": taxonomy.organisation,
        "informationUri": taxonomy.url,
        "shortDescription": {"text": f"{taxonomy.name}, {taxonomy.version}"},
        "taxa": taxa,
    }


def _reference(tag: Tag) -> dict[str, object]:
    return {"id": tag.id, "index": _of(tag.taxonomy).index(tag), "toolComponent": _component(tag.taxonomy)}


def _component(key: str) -> dict[str, object]:
    return {"name": TAXONOMIES[key].name, "index": list(TAXONOMIES).index(key)}


def _of(key: str) -> list[Tag]:
    return [tag for tag in TAGS.values() if tag.taxonomy == key]


def _file(summary: Mapping[str, object]) -> str:
    """A relative URI, whatever was named: no address of this machine leaves it."""
    about = summary.get("about")
    named = PurePosixPath(str(about.get("goals", "")) if isinstance(about, Mapping) else "")
    if not named.suffix:  # the embedded world, or nothing
        return RECORD
    inside = not named.is_absolute() and ".." not in named.parts
    return quote(str(named) if inside else named.name)


def escaped(text: str) -> str:
    """Write a text so that SARIF reads it as it stands: as no link and no place for arguments."""
    shown = visible(text)
    for old, new in (("\\", "\\\\"), ("[", "\\["), ("]", "\\]"), ("{", "{{"), ("}", "}}")):
        shown = shown.replace(old, new)
    return shown
