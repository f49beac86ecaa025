"""What tests of attestations share: something that was tested, and the document that states it.

document = signed(stated(), key)
"""

from __future__ import annotations

from datetime import UTC, datetime

from trueline.attack.packs import Pack
from trueline.core.stats import wilson
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
    Statement,
    TargetOf,
    Tested,
    statement,
)

NOW = datetime(2026, 11, 28, 6, tzinfo=UTC)


def pack(name: str, date: str, version: int = 1) -> Pack:
    """A pack that nobody asks."""
    return Pack(name=name, version=version, date=date, entries=(), hash=f"{name}{version}")


def small(packs: tuple[PackOf, ...] = (), name: str = "shop.yaml") -> Tested:
    """What a small campaign would have tested."""
    rate = Share.of(wilson(3, 20))
    return Tested(
        run="attack-1",
        began="2026-11-28T05:00:00+00:00",
        commit="abc",
        target=TargetOf(name=name, kind="deployment", content="f" * 64, template="model", pinned=True),
        packs=packs,
        goals=GoalsOf(source="goals.jsonl", content="0" * 64, n=20, clusters=20, benign=5),
        judge=JudgeOf(name="enablement", hash="1" * 16),
        budget=BudgetOf(questions_each=4, questions=80, benign_questions=10, attacks=2),
        results=Results(
            attack_success=rate, attack_success_corrected=None, at_most=rate, over_refusal=Share.of(wilson(0, 5)),
            refused_but_gave=None, undecided=None, trained_families=None, held_out=rate,
            held_out_families=(FamilyOf(family="past", broke=rate),), verdict="measured",
            findings=(FindingsOf(status="open", severity="high", n=3),),
        ),
        not_tested=NotTested(cells=9, dim=1, dark=(("past", "kites"),), skipped=(), failed=(), unmeasured=()),
        evidence="e" * 64,
    )  # fmt: skip


class Told:
    """A source that says what it is told to."""

    def __init__(self, what: Tested) -> None:
        self.what = what

    def tested(self) -> Tested:
        return self.what


def stated(what: Tested | None = None, days: int = 30, shipped: tuple[Pack, ...] = (pack("old", "2024-01"),)) -> Statement:
    """A statement of that, made at NOW."""
    return statement(Told(what or small()), now=NOW, shipped=shipped, days=days)
