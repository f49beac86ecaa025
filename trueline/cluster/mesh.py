"""The processes that train one model together, and what they tell each other. Rank 0 decides; the others follow its messages.

Rank 0 alone carries a recipe out: it reads data, samples, judges and writes. The others wait for messages, each a line of JSON
and tensors behind it (safetensors; nothing is ever unpickled here), and meet rank 0 in the collectives that a message asks for.
So a recipe is written for one process, whatever it reads from the world is read once, and no rank can go its own way.

    mesh = Mesh.join(place(), device="cuda", layout=Layout(replicas=2))
    mesh.tell(1, b"...")              rank 0            mesh.told()          rank 1
    mesh.devices                      the DeviceMesh that weights are sharded over (cluster/sharding.py)

Messages travel over a group of their own (gloo, on the processor), whose waiting has no limit: between two stages rank 0 may be
alone with an evaluation for hours. A rank that has died is noticed at once, by its closed connection; a machine that has, by
the watchdog, which hears of rank 0 all the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule

from trueline.cluster.launch import LaunchError, Place
from trueline.cluster.watchdog import Watchdog

NO_LIMIT = timedelta(days=365)  # the transport wants one
AXES = ("replicas", "shards")


class LostError(RuntimeError):
    """A process of the run is gone; what was saved is safe, and the same command goes on from there."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How processes share a model, and what is computed again to save memory."""

    replicas: int = 1  # whole copies of the model, each sharded over size / replicas ranks (HSDP); 1: one, over all
    again: bool = False  # activation checkpointing: of a block only its input is kept
    timeout: float = 600.0  # seconds that a rank waits for others in one operation before all say where they are, and end


@dataclass(frozen=True)
class Mesh:
    """One process's view of the run; make it with `join`."""

    place: Place
    layout: Layout
    device: torch.device
    devices: DeviceMesh
    messages: dist.ProcessGroup = field(repr=False)
    dog: Watchdog = field(repr=False)
    under_way: list[str] = field(default_factory=list, repr=False)  # operations that all ranks meet in, outermost first

    @classmethod
    def join(cls, place: Place, device: str = "cpu", layout: Layout = Layout(), stacks: Path | None = None) -> Mesh:
        """Meet the other processes; `stacks` is where the watchdog writes them (none: to standard error).

        Raises LaunchError where the layout does not fit their number, or torch is too old.
        """
        if not hasattr(FSDPModule, "set_force_sum_reduction_for_comms"):
            raise LaunchError(f"training by many processes asks more of FSDP2 than torch {torch.__version__} has; 2.13 has it")
        if layout.replicas < 1 or place.size % layout.replicas:
            raise LaunchError(f"replicas: expected a divisor of the {place.size} processes, got {layout.replicas}")
        accelerated = device.startswith("cuda")
        where = torch.device(f"cuda:{place.local}" if accelerated else "cpu")
        if accelerated:
            torch.cuda.set_device(where)
        limit = timedelta(seconds=2 * layout.timeout + 60)  # so that the watchdog has the word
        backend = "cpu:gloo,cuda:nccl" if accelerated else "gloo"
        dist.init_process_group(backend, rank=place.rank, world_size=place.size, timeout=limit)
        shape = (place.size,) if layout.replicas == 1 else (layout.replicas, place.size // layout.replicas)
        devices = init_device_mesh(where.type, shape, mesh_dim_names=AXES[-len(shape) :])
        messages = dist.new_group(backend="gloo", timeout=NO_LIMIT)
        store = dist.distributed_c10d._get_default_store()
        dog = Watchdog(store, place.rank, place.size, layout.timeout, stacks)
        return cls(place, layout, where, devices, messages, dog)

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """In here this rank waits for others, which the watchdog watches; `under_way` says where an error came from."""
        self.under_way.append(name)
        with self.dog.at(name), _lost("one"):
            yield
        self.under_way.pop()

    @property
    def first(self) -> bool:
        """Whether this is the rank that decides."""
        return self.place.rank == 0

    @property
    def others(self) -> range:
        """The ranks that follow."""
        return range(1, self.place.size)

    def tell(self, rank: int, message: bytes) -> None:
        """Send a message to one rank, which waits for it."""
        data = torch.frombuffer(bytearray(message), dtype=torch.uint8)
        with self.dog.at(f"a message to rank {rank}"), _lost(f"rank {rank}"):
            dist.send(torch.tensor([len(message)]), rank, self.messages)
            dist.send(data, rank, self.messages)

    def told(self, rank: int = 0) -> bytes:
        """The next message of a rank; rank 0's may come after hours."""
        size = torch.zeros(1, dtype=torch.int64)
        with self.dog.idle() if rank == 0 else self.dog.at(f"the answer of rank {rank}"), _lost(f"rank {rank}"):
            dist.recv(size, rank, self.messages)
            data = torch.empty(int(size), dtype=torch.uint8)
            dist.recv(data, rank, self.messages)
        return data.numpy().tobytes()

    def summed(self, values: Sequence[float]) -> list[float]:
        """Each value summed over the ranks that share one copy of the model, in float64."""
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total, group=self.devices.get_group(AXES[-1]))
        return total.tolist()

    def shared(self, tensor: torch.Tensor) -> torch.Tensor:
        """Rank 0's tensor, in place, on every rank."""
        dist.broadcast(tensor, 0)
        return tensor

    def leave(self) -> None:
        """Part from the others, once all is said."""
        self.dog.close()
        dist.destroy_process_group()


@contextmanager
def _lost(who: str) -> Iterator[None]:
    """Say in our words that a rank is gone: torch says it in those of the transport."""
    try:
        yield
    except LostError:
        raise
    except RuntimeError as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        if not isinstance(error, dist.DistError) and "gloo" not in text:
            raise
        raise LostError(
            f"{who} of the processes that train together is gone ({text}); what was saved is safe: run the same command "
            "again, with as many processes as there are now, and it goes on from there"
        ) from error
