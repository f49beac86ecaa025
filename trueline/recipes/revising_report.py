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
    tables = [table(f"Critiques and revisions under {constitution.name}", columns, rows, note)]
    if constitution.principles:
        tables.append(_rounds(steps, constitution, world))
    return {k: v for k, v in found.items() if v is not None} | {"tables": tables}


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


def _rounds(steps: Sequence[Step], constitution: Constitution, world: World | None) -> dict[str, Any]:
    """What is still broken, by principle, of the replies as they were sampled, and as each round left them.

    The oracle judges every reply by every principle that speaks of its prompt, after the last round too. Elsewhere the critic's
    verdicts of the next round tell, each on the replies that drew its principle.
    """
    rows: list[list[Cell]] = []
    for done in range(max(step.round for step in steps) + (world is not None)):
        if world is None:
            drawn = [step for step in steps if step.round == done + 1]
            cells = [share([s.broken is True for s in drawn if s.principle == p.id]) for p in constitution.principles]
        else:
            drawn = [s for s in steps if s.round == max(1, done) and not (done and s.broken and s.revision is None)]
            left = [((s.revision if done else None) or s.reply, [*constitution.about(s.harmful)]) for s in drawn]
            cells = [
                share([truly_breaks(world, c, p) is True for c, heard in left if p in heard]) for p in constitution.principles
            ]
        rows.append([f"after round {done}" if done else "as sampled", len(drawn), *cells])
    by = "the critic, on the replies that draw the principle next" if world is None else "the oracle, on all that it speaks of"
    columns = ["replies", "in play", *(p.id for p in constitution.principles)]
    return table("What is still broken, round by round", columns, rows, f"by {by}; what no revision saved is out of play")


def _right(world: World, reply: Completion) -> bool:
    return verdict(world, reply.prompt, reply).correct is True


def _gave(world: World, reply: Completion) -> bool:
    return verdict(world, reply.prompt, reply).disclosed >= GAVE
