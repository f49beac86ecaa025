"""Weights on their way to a server of samples, and the proof that they arrived.

A push carries a version (how many rollouts have been trained on) and a checksum, together the *label* that every sample must
bear. That a server takes a label proves nothing: adapters have been left behind, and caches kept what older weights had said.
`models/arrival.py` therefore looks what the server says with them.

    pushes = Probed(Reload(remote.wire, folder), remote, prompts)
    pushed = pushes.push(policy, version=3)
    remote.sample(prompts, label=pushed.label)
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from safetensors.torch import load_file
from torch import Tensor

from trueline.core.files import sync
from trueline.models import adapters
from trueline.models.checkpoint import digest_of
from trueline.models.policy import Policy
from trueline.models.remote import StaleError, said_of_weights
from trueline.models.remote_http import ABSENT, RemoteError, StatusError, Wire, begun

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from trueline.models.decoder import Decoder

KEEP = 2  # folders of weights that stay: a server may still read the one before
RESETS = 20  # times that a cache in use is asked to be emptied


@dataclass(frozen=True, slots=True)
class Pushed:
    """Weights that a server has been given."""

    version: int  # rollouts that they were trained on
    checksum: str  # of names and contents (`checkpoint.digest_of`)
    gap: float = 0.0  # mean difference between server and trainer on the probe, nats a token (`arrival.Probed`)

    @property
    def label(self) -> str:
        """What the server calls them."""
        return f"{self.version}-{self.checksum[:16]}"


class Pushes(Protocol):
    """A way for weights to a server."""

    def push(self, policy: Policy, version: int) -> Pushed:
        """Give the server the weights of `policy`, an adapter merged into them; return once it samples with them."""
        ...


@dataclass(frozen=True)
class Reload:
    """Weights as a model folder that the server reads: nothing is needed but a folder that both see.

    The folder is written under another name and renamed, so that none is ever half there. vLLM reads it in place
    (`reload_weights` by /collective_rpc, which VLLM_SERVER_DEV_MODE=1 opens), and forgets its prefix cache.
    """

    wire: Wire
    folder: Path
    seen_as: str = ""  # the same folder where the server stands; empty: the same path

    def push(self, policy: Policy, version: int) -> Pushed:
        """As `Pushes.push` says. Raises RemoteError where the server cannot read the folder."""
        name = f"weights-{version:08d}"
        checksum = _written(policy, self.folder / name)
        pushed = Pushed(version, checksum)
        there = f"{self.seen_as.rstrip('/')}/{name}" if self.seen_as else str((self.folder / name).absolute())
        with paused(self.wire):
            hint = f"could it not read {there}? sampler.folder must be a folder that both see, sampler.seen_as its path there"
            _door(self.wire, "/collective_rpc", {"method": "reload_weights", "kwargs": {"weights_path": there}}, hint)
            _forget(self.wire)
            _label(self.wire, pushed.label)
        said = said_of_weights(self.wire).get("checksum")
        if isinstance(said, str) and said != checksum:
            raise StaleError(
                f"{self.wire.url} holds weights of checksum {said[:16]}, expected version {version} with {checksum[:16]}; "
                f"what it read is not what was written: look at the folder that sampler.seen_as names"
            )
        for old in sorted(self.folder.glob("weights-*"), key=lambda p: p.stat().st_mtime)[:-KEEP]:  # a run may go back a few
            shutil.rmtree(old, ignore_errors=True)
        return pushed


class Carry(Protocol):
    """What takes tensors from this process to the server's, beside HTTP: a broadcast of NCCL, handles of CUDA IPC."""

    def begin(self) -> Mapping[str, Any]:
        """What vLLM's backend wants to know before the first update (`init_info`)."""
        ...

    def about(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Any]:
        """What it wants to know of an update, beside names, dtypes and shapes (`update_info`)."""
        ...

    def send(self, tensors: Mapping[str, Tensor]) -> None:
        """Send them, in order, while the server receives."""
        ...


@dataclass
class Transfer:
    """vLLM's weight-transfer API: four requests around a transport of its own (`Carry`), and no file.

    /init_weight_transfer_engine once; then, for each push, /start_weight_update, /update_weights, which answers when all
    tensors are there, and /finish_weight_update, which sets the label.
    """

    wire: Wire
    carry: Carry
    _begun: bool = field(default=False, init=False)

    def push(self, policy: Policy, version: int) -> Pushed:
        """As `Pushes.push` says."""
        tensors = weights_of(policy)
        pushed = Pushed(version, digest_of(tensors))
        info = {
            "names": list(tensors),
            "dtype_names": [str(t.dtype).removeprefix("torch.") for t in tensors.values()],
            "shapes": [list(t.shape) for t in tensors.values()],
            **self.carry.about(tensors),
        }
        if not self._begun:
            hint = "start it with --weight-transfer-config too"
            _door(self.wire, "/init_weight_transfer_engine", {"init_info": dict(self.carry.begin())}, hint)
            self._begun = True
        with paused(self.wire):
            _door(self.wire, "/start_weight_update", {})
            answer = begun(partial(_door, self.wire, "/update_weights", {"update_info": info}))  # answered when all is there
            self.carry.send(tensors)
            answer.result()
            _door(self.wire, "/finish_weight_update", {"weight_version": pushed.label})
            _forget(self.wire)
        return pushed


def weights_of(policy: Policy) -> dict[str, Tensor]:
    """The weights by the names that a model folder has, an adapter merged into them; a tied matrix once."""
    return {name: p.detach() for name, p in _whole(policy).named_parameters()}


@contextmanager
def paused(wire: Wire) -> Iterator[None]:
    """The server finishes what it is at, and takes nothing on in here."""
    _door(wire, "/pause?mode=wait")
    try:
        yield
    finally:
        _door(wire, "/resume")


def _written(policy: Policy, folder: Path) -> str:
    """Write a whole model folder, then give it its name; the checksum of what can be read there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    _whole(policy).save_pretrained(temporary)
    policy.codec.tokenizer.save_pretrained(temporary)
    tensors: dict[str, Tensor] = {}
    for file in sorted(temporary.glob("*.safetensors")):
        tensors |= load_file(file)
    checksum = digest_of(tensors)
    shutil.rmtree(folder, ignore_errors=True)  # of a sitting that ended before
    temporary.rename(folder)
    sync(folder.parent)
    return checksum


def _whole(policy: Policy) -> PreTrainedModel | Decoder:
    """The model, with an adapter added to its weights."""
    return policy.model if policy.adapted is None else adapters.view(policy.model, merged=True)


def _forget(wire: Wire) -> None:
    """Empty the prefix cache, which holds what the weights before made of prompts."""
    for _ in range(RESETS):
        if _door(wire, "/reset_prefix_cache").get("success", True):
            return
        time.sleep(0.1)
    raise RemoteError(
        f"{wire.url} keeps its prefix cache, which is of older weights: something else asks it; give the run its own"
    )


def _label(wire: Wire, label: str) -> None:
    """Name the weights; a server that knows no labels is left to the probe."""
    try:
        wire.post("/update_weight_version", {"new_version": label})
    except StatusError as error:
        if error.status not in ABSENT:
            raise
        return
    found = said_of_weights(wire).get("weight_version")
    if found != label:
        raise StaleError(
            f"{wire.url} says that its weights are {str(found)[:80]!r}, expected {label!r}: does another run use it?"
        )


def _door(wire: Wire, path: str, body: Mapping[str, Any] | None = None, hint: str = "") -> dict[str, Any]:
    """Ask for what vLLM does in its development mode alone."""
    try:
        return wire.post(path, body)
    except StatusError as error:
        if error.status in ABSENT:
            hint = "start the server with VLLM_SERVER_DEV_MODE=1, which opens updates of weights"
        raise RemoteError(f"{error}{'; ' if hint else ''}{hint}") from error
