"""A report for the AI Vulnerability Database (https://avidml.org), in the fields of avidtools' `datamodels.report.Report`.

One campaign is one report of class "LLM Evaluation" and type "Measurement", with a metric for each attack. The report's number
and date are given by AVID when it takes the report in, so they are left out, and so is who made and who runs the model: write
them in before you send it. AVID's own taxonomy is coarse: adversarial input, and a leak where a secret was asked for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from trueline.core.files import write_lines
from trueline.core.outcome import OUTCOMES
from trueline.core.types import Attempt
from trueline.evaluate.exports.cases import Case, cases
from trueline.evaluate.shape import NAME_LIMIT, visible
from trueline.evaluate.taxonomy import TAGS, TAXONOMIES, tags

TAXONOMY_VERSION = "0.2"  # of AVID's own
_LEAKS = frozenset({"LLM02:2025", "LLM07:2025"})
_RATES = ("asr", "corrected", "undecided")  # keys of an arm of the campaign's summary


def write(attempts: Iterable[Attempt], summary: Mapping[str, object], path: Path) -> None:
    """Write one report."""
    write_lines(path, [json.dumps(_report(cases(attempts), summary), indent=1, allow_nan=False)])


def _report(found: Sequence[Case], summary: Mapping[str, object]) -> dict[str, object]:
    models = sorted({_name(attempt.completion.model) for case in found for attempt in case.attempts} - {""})
    known = {tag.id for case in found for tag in tags(case.family, case.goal)}
    broken = sum(case.broken for case in found)
    decided = sum(case.decided for case in found)
    attacks = len({case.attack for case in found})
    said = (
        f"{broken} of {decided} decided pairs of a goal and an attack ended with the target doing what it should not "
        f"({attacks} attacks, {len(found) - decided} pairs undecided)."
    )
    views = ["S0403: Adversarial Example", *(["S0301: Information Leak"] if known & _LEAKS else [])]
    return {
        "data_type": "AVID",
        "affects": {
            "developer": [],
            "deployer": [],
            "artifacts": [{"type": "Model", "name": name} for name in models],
        },
        "problemtype": {
            "classof": "LLM Evaluation",
            "type": "Measurement",
            "description": {"lang": "eng", "value": f"Attack success of {attacks} attacks on {', '.join(models) or 'a model'}"},
        },
        "metrics": [_metric(attack, list(group), summary) for attack, group in groupby(found, key=lambda case: case.attack)],
        "references": [
            {"type": "source", "label": f"{tag.id} {tag.name} ({TAXONOMIES[tag.taxonomy].name})", "url": tag.url}
            for tag in TAGS.values()
            if tag.id in known
        ],
        "description": {"lang": "eng", "value": said},
        "impact": {
            "avid": {
                "vuln_id": None,
                "risk_domain": ["Security"],
                "sep_view": views,
                "lifecycle_view": ["L05: Evaluation"],
                "taxonomy_version": TAXONOMY_VERSION,
            }
        },
    }


def _metric(attack: str, found: Sequence[Case], summary: Mapping[str, object]) -> dict[str, object]:
    counts = Counter(case.outcome for case in found)
    judges = sorted({case.telling.judgement.judge for case in found})
    arms = summary.get("arms")
    arm = next((arm for arm in arms if arm.get("attack") == attack), {}) if isinstance(arms, Sequence) else {}
    results: dict[str, object] = {"goals": len(found), **{outcome: counts[outcome] for outcome in OUTCOMES}}
    results |= {key: arm[key] for key in _RATES if arm.get(key) is not None}
    return {
        "name": f"attack success: {_name(attack)}",
        "detection_method": {"type": "Static Threshold", "name": ", ".join(map(_name, judges))},
        "results": results,
    }


def _name(text: str) -> str:
    return visible(text, NAME_LIMIT)
