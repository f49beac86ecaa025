"""The pages of findings: what works, what was fixed, what came back; each with how it was asked and what to do about it."""

from __future__ import annotations

import shlex
import time

from trueline.evaluate.shape import visible
from trueline.store.found import FACTS, Found, finding_counts, finding_of, finding_values, findings_page, in_cluster
from trueline.web.dashboard.kept import Kept
from trueline.web.dashboard.shown import Json, link, told
from trueline.web.site.room import Asked, NotThere

STATUSES = ("regressed", "open", "fixed")  # the worst first
SEVERITIES = ("critical", "high", "medium", "low")
CHOICES = 200  # values of one filter that are offered
FRESH = 20  # seconds for which these are kept
_OFFERED: Kept = Kept(50)


def list_findings(asked: Asked) -> Json:
    """Findings, the last changed first, of what the query says of them."""
    only = {fact: value for fact in FACTS if (value := asked.query.get(fact, ""))}
    page = findings_page(asked.site.database, before=asked.query.get("before", ""), **only)
    return {
        "counts": counts(asked),
        "filters": [{"name": fact, "value": only.get(fact, ""), "choices": _choices(asked, fact)} for fact in FACTS],
        "only": only,
        "total": page.total,
        "findings": [_listed(one) for one in page.findings],
        "older": link("/findings", **only, before=page.older) if page.older else None,
    }


def show_finding(asked: Asked) -> Json:
    """One finding, whole."""
    found = finding_of(asked.site.database, asked.path["key"])
    if found is None:
        raise NotThere(f"there is no finding {asked.path['key']!r:.80}; /findings lists them")
    return {
        "title": f"Finding {found.finding.key}",
        **_listed(found),
        "together": in_cluster(asked.site.database, found.cluster) if found.cluster else 0,
        "attempts": [told(one) for one in found.finding.attempts[:10]],
        "left_out": max(0, len(found.finding.attempts) - 10),
        "campaign": link(f"/attacks/{found.run}") if asked.visitor.may(("operator",)) else None,
        "commands": _commands(found),
    }


def counts(asked: Asked) -> list[Json]:
    """How many findings stand how: a row for each status, with each severity in it."""
    found = {(one.status, one.severity): one.n for one in finding_counts(asked.site.database)}
    return [
        {
            "status": status,
            "total": sum(n for (has, _), n in found.items() if has == status),
            "by": [
                {"severity": name, "n": found.get((status, name), 0), "href": link("/findings", status=status, severity=name)}
                for name in SEVERITIES
            ],
            "href": link("/findings", status=status),
        }
        for status in STATUSES
    ]


def _choices(asked: Asked, fact: str) -> list[str]:
    """The values that a filter offers: some that have findings, as of FRESH seconds ago at most."""
    database = asked.site.database
    return _OFFERED.get((str(database.url), fact), int(time.time() // FRESH), lambda: finding_values(database, fact)[:CHOICES])


def _listed(one: Found) -> Json:
    first = one.finding.attempts[0] if one.finding.attempts else None
    return {
        "key": one.finding.key,
        "href": link(f"/findings/{one.finding.key}"),
        "status": one.finding.status,
        "severity": one.finding.severity,
        "family": one.family,
        "category": one.category,
        "target": one.target,
        "run": one.run,
        "first_seen": one.created,
        "last_changed": one.updated,
        "cluster": one.cluster,
        "attack": first.attack if first else "",
        "stance": first.judgement.stance if first else None,
        "disclosure": first.judgement.disclosure if first else None,
    }


def _commands(found: Found) -> Json:
    """What asks this again, and what turns it into data and a rail. Words are quoted for a shell: they come from models."""
    target = _word(found.target) if found.target else "TARGET"
    return {
        "replay": f"trueline attack {target} --goals bank",
        "fix": f"trueline watch fix {_word(found.finding.key)} --target {target}",
    }


def _word(text: str) -> str:
    """A word of a command line, with whatever would hide in it spelled out."""
    return shlex.quote(visible(text, 200))
