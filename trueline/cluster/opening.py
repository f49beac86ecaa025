"""From the options of a command to an Executor: --workers N, --cluster ADDRESS.

with executor_for(workers=4, cluster="") as executor:       # processes of this machine
with executor_for(workers=0, cluster="auto") as executor:   # Ray, with as many workers as it has processors
with executor_for(workers=0, cluster="") as executor:       # None: whoever asks works in its own process
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from trueline.cluster.executor import Executor, Local


def executor_for(*, workers: int, cluster: str, gpus: float = 0.0) -> AbstractContextManager[Executor | None]:
    """The executor that options name; none where they name none. On Ray each worker holds `gpus` of a machine's own."""
    if cluster:
        from trueline.cluster.ray_executor import RayExecutor

        return RayExecutor(cluster, workers, gpus=gpus)
    return Local(workers) if workers else nullcontext()
