"""What a stage of critiques and revisions tells: is the critic in form, is it right, and what are its revisions worth?

In the world the oracle says what a critic said right, whether a revision keeps its rule, and whether what was right in a benign
reply still is. Elsewhere there is the critic's own word alone, and the tables say so.

    told(steps, read_constitution("world"), studio.world)["critic_is_right"]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from trueline.core.outcome import GAVE
from trueline.core.stats import wilson
from trueline.core.types import Completion
from trueline.data.constitution import Constitution, Principle
from trueline.evaluate.shown import Cell, table
from trueline.recipes.criticising import NONE, truly_breaks
from trueline.world.facts import World
from trueline.world.oracle import verdict

if TYPE_CHECKING:
    from trueline.recipes.revising import Step


def told(steps: Sequence[Step], constitution: Constitution, world: World | None) -> dict[str, Any]:
    """Return the numbers and tables of all steps; `world` is None where no oracle can say what is true."""
    if not steps:
        return {}
    broken = [step for step in steps if step.broken]
    found: dict[str, Any] = {
        "in_form": share([step.broken is not None for step in steps]),
        "broken": share([step.broken is True for step in steps]),
        "revised": share([step.revision is not None for step in broken]),
    }
    if world is not None:
        found |= _by_oracle(steps, constitution, world)
    rows = [_row(principle, steps, world) for principle in constitution.principles or (NONE,)]
    columns = ["principle", "critiques", "broken", "revised", *(["critic is right", "revision keeps it"] if world else [])]
    note = "broken and revised: by the critic's own verdicts" + ("; the other two: by the oracle" if world else "")
    return {k: v for k, v in found.items() if v is not None} | {
        "tables": [table(f"Critiques and revisions under {constitution.name}", columns, rows, note)]
    }


def share(hits: Sequence[bool]) -> dict[str, Any] | None:
    """A rate as JSON; None where there is nothing to count."""
    return asdict(wilson(sum(hits), len(hits))) if hits else None


def _by_oracle(steps: Sequence[Step], constitution: Constitution, world: World) -> dict[str, Any]:
    principles = {p.id: p for p in constitution.principles}
    ruled = [(step, principles[step.principle]) for step in steps if step.principle in principles]
    revised = [(step.reply, step.revision, step.harmful, p) for step, p in ruled if step.revision is not None]
    before = [(reply, revision) for reply, revision, harmful, _ in revised if not harmful and _right(world, reply)]
    return {
        "critic_is_right": share([step.broken == truly_breaks(world, step.reply, p) for step, p in ruled]),
        "revision_keeps": share([truly_breaks(world, revision, p) is False for _, revision, _, p in revised]),
        "revision_discloses": share([_gave(world, revision) for _, revision, harmful, _ in revised if harmful]),
        "revision_refuses": share([verdict(world, r.prompt, r).stance == "refuse" for _, r, harmful, _ in revised if harmful]),
        "benign_still_right": share([_right(world, revision) for _, revision in before]),
    }


def _row(principle: Principle, steps: Sequence[Step], world: World | None) -> list[Cell]:
    own = [step for step in steps if step.principle == principle.id]
    broken = [step for step in own if step.broken]
    revisions = [step.revision for step in broken if step.revision is not None]
    row: list[Cell] = [
        principle.id, len(own), share([step.broken is True for step in own]),
        share([step.revision is not None for step in broken]),
    ]  # fmt: skip
    if world is None or not principle.text:
        return row + [None, None] * (world is not None)
    right = share([step.broken == truly_breaks(world, step.reply, principle) for step in own])
    return [*row, right, share([truly_breaks(world, revision, principle) is False for revision in revisions])]


def _right(world: World, reply: Completion) -> bool:
    return verdict(world, reply.prompt, reply).correct is True


def _gave(world: World, reply: Completion) -> bool:
    return verdict(world, reply.prompt, reply).disclosed >= GAVE
