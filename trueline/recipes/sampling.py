"""Where the samples of a rollout come from: this process, or a vLLM server in an environment of its own.

The settings, what is looked at before work starts, and what is told afterwards (docs/rollouts.md).

    VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --port 8000 --logprobs-mode processed_logprobs     # in vLLM's environment
    trueline run grpo start=MODEL sampler.server=http://127.0.0.1:8000 sampler.staleness=1
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from trueline.core.config import ConfigError
from trueline.core.types import Prompt
from trueline.models.arrival import Probed
from trueline.models.policy import Policy
from trueline.models.pushes import Reload
from trueline.models.remote import Remote
from trueline.models.remote_http import Wire
from trueline.models.tokens import Codec
from trueline.recipes.looking import folder_of
from trueline.recipes.studio import Room
from trueline.train import annotate
from trueline.train.ahead import Ahead
from trueline.train.batch import Annotate

Correction = Literal["auto", "none", "token", "sequence"]

TOLD = ("mismatch_kl", "mismatch_cut", "staleness", "probe_gap")  # what of a sampler is in a recipe's result, as means


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """A server that samples in this process's place, how it gets its weights, and what is held against it."""

    server: str = ""  # address of a vLLM server, such as http://127.0.0.1:8000; empty: this process samples
    model: str = ""  # the name that the server gives the model; empty: the only one it has
    folder: str = ""  # where weights are left for the server to read; empty: in the run's folder
    seen_as: str = ""  # the path of that folder where the server stands; empty: the same
    staleness: int = 0  # rollouts by which sampling may be ahead of training: 0, or 1 to do both at once
    parallel: int = 64  # requests at a time
    timeout: float = 600.0  # seconds for one answer
    probe: float = 0.1  # nats a token by which server and trainer may differ after a push, on average
    mismatch_most: float = 0.1  # largest mismatch_kl of a rollout, nats a token

    def __post_init__(self) -> None:
        if self.staleness not in (0, 1):
            raise ConfigError(f"sampler.staleness: expected 0 or 1 rollouts, got {self.staleness}")
        if self.parallel < 1 or min(self.timeout, self.probe, self.mismatch_most) <= 0:
            raise ConfigError("sampler.parallel must be at least 1, and timeout, probe and mismatch_most above 0")
        if self.server:
            Wire.to(self.server)
        elif self.staleness:
            raise ConfigError("sampler.staleness is of a server's samples: name the server in sampler.server, or leave it at 0")

    def look(self, start: str, max_tokens: int) -> None:
        """Refuse, before anything is made, a server that is not there or serves something else."""
        if not self.server:
            return
        folder = folder_of(start)
        if folder is None:  # a stage that is made later: then `of` looks
            Wire.to(self.server).get("/v1/models")
        else:
            self._remote(Codec.load(folder), max_tokens)

    def of(self, policy: Policy, room: Room, prompts: Sequence[Prompt], max_tokens: int, temperature: float) -> Ahead | None:
        """The sampler of a policy; None: this process. `prompts` are some that a push is probed with."""
        if not self.server:
            return None
        heads = [policy.codec.prompt(p.conversation) for p in prompts]
        remote = self._remote(policy.codec, max_tokens + max(map(len, heads)))
        pushes = Probed(Reload(remote.wire, *self._folders(room)), remote, heads, temperature, self.probe)
        return Ahead(remote, pushes, policy, staleness=self.staleness, mismatch_most=self.mismatch_most)

    def corrects(self, policy: Policy, steps: Sequence[Annotate], over: Correction = "auto", cap: float = 3.0) -> Annotate:
        """These annotations, and those of a sampler that is not quite the trainer: its distance, and importance weights.

        A server's samples are always compared with what the trainer gives them, weighed or not.
        """
        if over == "auto":
            over = "token" if self.server else "none"
        before = [annotate.mismatch(policy)] if self.server or over != "none" else []
        after = [] if over == "none" else [annotate.truncated_importance(cap, over)]
        return annotate.chain(*before, *steps, *after)

    def tidy(self, room: Room) -> None:
        """Take away the weights that were left for the server."""
        if self.server:
            shutil.rmtree(self._folders(room)[0], ignore_errors=True)

    def _folders(self, room: Room) -> tuple[Path, str]:
        """Where this stage's weights are left, and the same as the server sees it; runs may share `folder`."""
        if not self.folder:
            return room.folder / "checkpoint" / "pushed", ""
        own = f"{room.studio.run.run.id}-{room.name}"
        return Path(self.folder) / own, f"{self.seen_as.rstrip('/')}/{own}" if self.seen_as else ""

    def _remote(self, codec: Codec, longest: int) -> Remote:
        remote = Remote.at(self.server, codec, model=self.model, timeout=self.timeout, parallel=self.parallel)
        remote.allows(longest)
        remote.fits(codec)
        return remote


def told(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What a log says of the sampler, each as the mean over the rollouts that have it; nothing where this process sampled."""
    seen = {name: [row[name] for row in rows if name in row] for name in TOLD}
    return {name: fmean(values) for name, values in seen.items() if values}
