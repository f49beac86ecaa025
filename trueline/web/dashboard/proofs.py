"""The guard's three proofs as jobs of the site: the audit's chains, a policy's coverage, and two policies compared.

Each is what its command computes: `trueline guard audit verify`, `trueline guard coverage POLICY`, `trueline guard compare`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from trueline.web.dashboard.jobs import jobs_of
from trueline.web.dashboard.shown import Json
from trueline.web.site.room import Asked, Go
from trueline.web.site.site import Site

VERIFY, COVERAGE, COMPARE = "verify", "coverage", "compare"
GUARD = "guard"  # the audit's folder, below that of runs
POLICY = "policy"  # what the process hands the rooms: the path of a guard's policy
DAYS = 7  # that two policies are compared over
CELLS = 400  # of a coverage's matrix that are shown one by one


def begin(name: str) -> Callable[[Asked], Go]:
    """The action that begins a proof."""

    def do(asked: Asked) -> Go:
        begun = jobs_of(asked.site).start(name, lambda: WORK[name](asked.site))
        return Go("/guard", said="begun; the page shows when it is done" if begun else "it is under way already")

    return do


def policy_of(site: Site) -> Path | None:
    """The policy that coverage is proved of, where trueline web was given one."""
    found = site.rooms.get(POLICY)
    return found if isinstance(found, Path) else None


def verify(site: Site) -> Json:
    """Go through every chain of the audit."""
    from trueline.guard.audit.chain import verify as go_through
    from trueline.guard.audit.digests import Secret

    folder = site.runs / GUARD
    chains = go_through(site.database, folder, Secret.open(folder, make=False))
    states = [chain.state for chain in chains]
    worst = next((state for state in ("broken", "unsigned", "whole") if state in states), "nothing is recorded")
    told = [
        {
            "writer": chain.writer,
            "rows": chain.rows,
            "state": chain.state,
            "fault": asdict(chain.fault) if chain.fault else None,
        }
        for chain in chains
    ]
    return {"state": worst, "rows": sum(chain.rows for chain in chains), "chains": told}


def coverage(site: Site) -> Json:
    """Prove that each rail of the policy reads every position; the positions that one misses, or that none reads, by name."""
    from trueline.guard.coverage.proving import prove
    from trueline.guard.policy import read_policy

    path = policy_of(site)
    if path is None:
        raise ValueError("expected a policy to prove the coverage of; start trueline web --policy FILE")
    proof = asyncio.run(prove(read_policy(path)))
    places: dict[tuple[str, str, str], dict[str, set[str]]] = {}
    for cell in proof.cells:
        at = places.setdefault((cell.position.side, cell.position.endpoint, cell.position.place), {})
        for rail, state in cell.rails.items():
            at.setdefault(rail, set()).add(state)
    rows = [
        {"side": side, "endpoint": endpoint, "place": place, "rails": [_worst(at.get(rail, set())) for rail in proof.rails]}
        for (side, endpoint, place), at in places.items()
    ]
    missed = [{"position": f"{c.position.endpoint}: {c.position.label}", "rail": rail} for c, rail in proof.missed]
    unread = [f"{cell.position.endpoint}: {cell.position.label}" for cell in proof.unread]
    return {
        "policy": proof.policy, "holds": proof.holds, "cells": len(proof.cells), "rails": list(proof.rails),
        "rows": rows[:CELLS], "missed": missed[:CELLS], "unread": sorted(set(unread))[:CELLS],
    }  # fmt: skip


def compare(site: Site) -> Json:
    """Compare the two policies that judged the same traffic last."""
    from trueline.guard.audit.comparison import compare as of_policies

    return asdict(of_policies(site.database, (datetime.now(UTC) - timedelta(days=DAYS)).isoformat()))


def _worst(states: set[str]) -> str:
    """What is told of a place: missed where any position in it is."""
    return next((state for state in ("missed", "read", "none") if state in states), "none")


WORK: dict[str, Callable[[Site], Json]] = {VERIFY: verify, COVERAGE: coverage, COMPARE: compare}
