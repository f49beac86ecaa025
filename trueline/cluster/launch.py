"""Which process of a launch this is: what torchrun, `accelerate launch` or Slurm's srun left in the environment.

    torchrun --nproc-per-node 4 -m trueline run sft ...          RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT
    srun python -m trueline run sft ...                          SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID

A process that nobody launched with others has no place, and trains alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
SLURM = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")  # of a step: a batch script itself has no other tasks
MEETING = ("MASTER_ADDR", "MASTER_PORT")


class LaunchError(ValueError):
    """An environment that names a launch, but not enough of it."""


@dataclass(frozen=True, slots=True)
class Place:
    """One process among those of a launch."""

    rank: int  # of all; rank 0 carries the recipe out
    size: int
    local: int  # on its machine: which accelerator is its own


def place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """This process's place; None where it was launched alone. Raises LaunchError for half a launch.

    >>> place({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"})
    Place(rank=1, size=2, local=1)
    """
    names = TORCHRUN if "RANK" in environment else SLURM if environment.get("SLURM_STEP_NUM_TASKS", "1") != "1" else ()
    if not names:
        return None
    if missing := [name for name in (*names, *MEETING) if not environment.get(name)]:
        raise LaunchError(
            f"{names[0]} says that this process was launched with others, but {', '.join(missing)} is not set; start it with "
            "torchrun, accelerate launch, or srun with MASTER_ADDR and MASTER_PORT (trueline cluster slurm writes that file)"
        )
    try:
        rank, size, local = (int(environment[name]) for name in names)
        int(environment["MASTER_PORT"])
    except ValueError as error:
        raise LaunchError(f"{', '.join((*names, 'MASTER_PORT'))} must be whole numbers: {error}") from None
    if not 0 <= rank < size or local < 0:
        raise LaunchError(f"expected a {names[0]} from 0 to below {names[1]}, got {rank} of {size}")
    return Place(rank, size, local)
