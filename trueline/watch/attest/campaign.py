"""What a finished campaign says for an attestation: read from its folder and its database, and nothing is asked.

    CampaignSource(Path("runs/attack-1a2b")).tested()

`facts_of` is the pure part. It takes a report in the shape of `evaluate/campaign.py` with `about`, `coverage` and `packs`
beside it, as `recipes/attacking.py` writes it, and the findings that belong to it: what gives those is a source.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from trueline.attack.bank import found as found_in
from trueline.core.config import to_spec
from trueline.core.files import file_hash
from trueline.core.types import Finding, Rate, Run
from trueline.recipes.attacking import CAMPAIGN
from trueline.recipes.opened import target_hash
from trueline.store.database import attempts, findings
from trueline.store.folders import content_hash, digest
from trueline.store.opening import open_beside
from trueline.store.runs import open_run
from trueline.targets.deployment import read_deployment
from trueline.targets.naming import kind_of
from trueline.watch.attest.form import AttestationError
from trueline.watch.attest.statement import (
    BudgetOf,
    FamilyOf,
    FindingsOf,
    GoalsOf,
    JudgeOf,
    NotTested,
    PackOf,
    Results,
    Share,
    TargetOf,
    Tested,
)

SEVERITIES = ("critical", "high", "medium", "low")


@dataclass(frozen=True)
class CampaignSource:
    """A folder that `trueline attack` has finished."""

    folder: Path

    def tested(self) -> Tested:
        """Read the report, and how the campaign's findings stand now."""
        run = open_run(self.folder).run
        report = self.folder / "report.json"
        if run.recipe != CAMPAIGN:
            raise AttestationError(
                f"{self.folder}: expected a campaign, got a run of {run.recipe!r}; trueline attack makes one"
            )
        if not report.is_file():
            raise AttestationError(f"{self.folder}: the campaign has no report yet; run the same trueline attack again")
        found = json.loads(report.read_text(encoding="utf-8"))
        database = open_beside(self.folder)
        try:
            made = attempts(database, run=run.id, target=found["about"]["target_hash"])
            if not made and found["counts"]["attempts"]:  # without them no finding could be counted
                raise AttestationError(
                    f"{self.folder}: the database beside it holds none of the campaign's attempts; bring back trueline.db, or "
                    "set TRUELINE_DATABASE to where they are"
                )
            keys = {entry.key for entry in found_in(made)}
            every = [entry for entry in findings(database) if entry.key in keys]
            every += [entry for entry in findings(database, run=run.id) if entry.key not in keys]
        finally:
            database.dispose()
        return facts_of(run, found, every, evidence=content_hash(report))


def facts_of(run: Run, found: Mapping[str, Any], entries: Iterable[Finding], *, evidence: str) -> Tested:
    """Say what a report says. Raises AttestationError for one of a campaign that was stopped before its end."""
    if found.get("stopped"):
        raise AttestationError(
            f"{run.id}: stopped before its end ({found['stopped']}); the same trueline attack goes on, and is then attested"
        )
    about, spec, counts, overall = found["about"], run.spec, found["counts"], found["overall"]
    return Tested(
        run=run.id,
        began=run.started,
        commit=str(found.get("commit") or run.commit),
        target=_target(str(spec.get("target", about["target"])), about["target_hash"], str(spec.get("template", "model"))),
        packs=tuple(_packs(found.get("packs", ()), spec.get("packs") or ())),
        goals=GoalsOf(
            source=",".join(PurePosixPath(name).name for name in str(about["goals"]).split(",")),
            content=str(spec.get("goals_content", "")),
            n=counts["goals"], clusters=counts["clusters"], benign=counts["benign_goals"],
        ),
        judge=_judge(about, found.get("judge")),
        budget=BudgetOf(
            questions_each=about["budget"], questions=counts["attempts"], benign_questions=counts["benign_attempts"],
            attacks=counts["attacks"],
        ),
        results=Results(
            attack_success=_share(overall["asr"]),
            attack_success_corrected=_share(overall["corrected"]),
            at_most=_share(overall["at_most"]),
            over_refusal=_share(found["over_refusal"]),
            refused_but_gave=_share(found["refused_but_gave"]),
            undecided=_share(found["undecided"]),
            trained_families=_share(found["splits"]["train"]),
            held_out=_share(found["splits"]["held_out"]),
            held_out_families=tuple(
                FamilyOf(family=name, broke=_share(one["asr"]))
                for name, one in found["families"].items()
                if one["split"] == "held_out"
            ),
            verdict=found["verdict"]["verdict"],
            findings=tuple(_counted(entries)),
        ),
        not_tested=_not_tested(found),
        evidence=evidence,
    )  # fmt: skip


def deployment_hash(reference: str) -> str:
    """Hash what a deployment file puts around its model; empty for a target that is none."""
    if kind_of(reference) != "deployment" or not Path(reference).is_file():
        return ""
    file = read_deployment(Path(reference))
    guards = [file_hash(file.guards)] if file.guards else []
    return digest([to_spec(file.settings), [str(tool) for tool in file.tools], list(file.documents), guards])


def _target(name: str, content: str, template: str) -> TargetOf:
    kind = kind_of(name)
    try:  # what is deployed may have changed since, and then nobody can say what was around the model
        around = deployment_hash(name) if target_hash(name, template) == content else ""
    except (ValueError, OSError):
        around = ""
    return TargetOf(name=_short(name), kind=kind, content=content, template=template, pinned=_pinned(name), deployment=around)


def _pinned(name: str) -> bool:
    """Whether the hash is of what answers: of a model somewhere else only its name is."""
    if kind_of(name) == "deployment" and Path(name).is_file():
        return _pinned(read_deployment(Path(name)).settings.model)
    return kind_of(name) == "local" and not name.startswith("hf:")


def _packs(told: Iterable[Mapping[str, Any]], hashes: Any) -> Iterable[PackOf]:
    whole = {hashed[:16]: hashed for hashed in map(str, hashes)}
    for pack in told:
        yield PackOf(
            name=pack["name"], version=pack["version"], date=pack["date"], hash=whole.get(pack["hash"], pack["hash"]),
            broke=_share(pack["asr"]),
        )  # fmt: skip


def _judge(about: Mapping[str, Any], figures: Mapping[str, Any] | None) -> JudgeOf:
    if figures is None:
        return JudgeOf(name=about["judge"], hash=about["judge_hash"])
    return JudgeOf(
        name=about["judge"], hash=about["judge_hash"], measured_on=_short(figures["source"]),
        sensitivity=_share(figures["sensitivity"]), specificity=_share(figures["specificity"]),
    )  # fmt: skip


def _counted(entries: Iterable[Finding]) -> Iterable[FindingsOf]:
    counts = Counter((entry.status, entry.severity) for entry in entries)
    for (status, severity), n in sorted(counts.items(), key=lambda item: (item[0][0], SEVERITIES.index(item[0][1]))):
        yield FindingsOf(status=status, severity=severity, n=n)


def _not_tested(found: Mapping[str, Any]) -> NotTested:
    lit = found["coverage"]
    rates = {"attack success": found["overall"]["asr"], "over-refusal": found["over_refusal"]}
    rates |= {"held-out families": found["splits"]["held_out"]}
    return NotTested(
        cells=lit["cells"],
        dim=len(lit["dim"]),
        dark=tuple(tuple(map(str, cell)) for cell in lit["dark"]),
        skipped=tuple(f"{name}: {why}" for name, why in found["skipped"].items()),
        failed=tuple(f"{name}: {why}" for name, why in found["failed"].items()),
        unmeasured=tuple(name for name, rate in rates.items() if rate is None),
    )


def _share(rate: Mapping[str, Any] | None) -> Share | None:
    return None if rate is None else Share.of(Rate(**rate))


def _short(name: str) -> str:
    """A name without the folders of the machine that it lay on: of an absolute path, the last two parts."""
    path = PurePosixPath(name.replace("\\", "/"))
    return "/".join(path.parts[-2:]) if path.is_absolute() else name
