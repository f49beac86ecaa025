"""A command that many processes were launched for: rank 0 carries it out, the others follow what it says.

torchrun --nproc-per-node 4 -m trueline run sft ...      each of the four starts this command
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trueline.cli.rim import fail
from trueline.core.stopping import Preempted

if TYPE_CHECKING:
    from trueline.cluster.mesh import Mesh

with_replicas = click.option(
    "--replicas", type=click.IntRange(min=1), default=1, show_default=True,
    help="With torchrun: whole copies of the model, each sharded over a part of the processes (HSDP); one a machine is usual.",
)  # fmt: skip
with_recompute = click.option(
    "--recompute", is_flag=True, help="With torchrun: keep of each block its input alone (activation checkpointing)."
)
with_patience = click.option(
    "--patience", type=click.FloatRange(min=1), default=600.0, show_default=True,
    help="With torchrun: seconds that a process waits for others within one operation, before all say where they are and end.",
)  # fmt: skip


def among_ranks(
    work: Callable[[Mesh | None], None], folder: Path, device: str, replicas: int, recompute: bool, patience: float
) -> None:
    """Do `work` alone, or as rank 0 of the processes that were launched together; as another rank, follow it.

    `folder` is the run's: should ranks wait for one that does not come, their stacks are written there.
    """
    from trueline.cluster.launch import place

    here = place()
    check_together(0 if here is None else here.size, replicas, recompute)
    if here is None:
        work(None)
        return
    from trueline.cluster.mesh import Layout, LostError, Mesh
    from trueline.models.allocation import few_kernels, keep_memory
    from trueline.train.team import dismiss, follow

    mesh = Mesh.join(here, device, Layout(replicas=replicas, again=recompute, timeout=patience), folder / "stacks")
    if mesh.first:
        try:
            work(mesh)
        except Preempted:
            if not mesh.under_way:  # else the others are in the middle of something, and see that this rank is gone
                dismiss(mesh)
            raise
        with suppress(LostError):  # all is done
            dismiss(mesh)
    else:
        keep_memory()
        few_kernels()
        try:
            follow(mesh)
        except LostError:
            fail(f"rank {here.rank}: rank 0 has ended before its time; what it says is the reason", 1)
    mesh.leave()


def check_together(size: int, replicas: int, recompute: bool) -> None:
    """Refuse what `size` processes that were launched together cannot do; 0: one that was launched alone."""
    if not size and (replicas > 1 or recompute):
        raise click.UsageError(
            f"--{'recompute' if recompute else 'replicas'} is for processes that are launched together: start it with torchrun "
            "(docs/ranks.md), which may launch a single one, or leave it out"
        )
    if size and size % replicas:
        raise click.UsageError(f"--replicas: expected a divisor of the {size} processes, got {replicas}")
