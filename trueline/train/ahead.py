"""Samples of a server for a rollout source, drawn while the trainer works on the rollout before.

With `staleness` 0 the server gets the weights of a rollout and samples it: the same as in this process, up to arithmetic.
With 1, the sampling of rollout k + 1 is asked for as soon as rollout k is there, with the weights that rollout k is trained
*from*; the trainer computes while the server samples, and what it then trains on is one update old (one-step-off policy;
Noukhovitch et al. 2024, 2410.18252). Importance weights correct for it (`annotate.truncated_importance`), every row carries the
version that it was sampled with, and older rows than the bound are refused.

A checkpoint waits for what is being sampled and takes it along (`Keeper`), so that a run that was killed goes on with the very
rollout that it would have had.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from trueline.models.forked import up_to_date
from trueline.models.generate import Sample
from trueline.models.policy import Policy
from trueline.models.pushes import Pushed, Pushes
from trueline.models.remote import Remote, StaleError
from trueline.models.remote_http import begun
from trueline.train.batch import Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Samples that are wanted: `index` is the rollout's, or None for what belongs to none ahead (refills, greedy answers)."""

    heads: Sequence[Sequence[int]]
    count: int
    max_tokens: int
    temperature: float
    seed: int
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """Samples of each prompt, and the version of the weights that they are of."""

    groups: list[list[Sample]]
    version: int


class Ahead:
    """A server's samples of the policy in training, at most `staleness` (0 or 1) rollouts old; one rollout after another."""

    def __init__(
        self, remote: Remote, pushes: Pushes, policy: Policy, *, staleness: int = 0, mismatch_most: float = 0.1
    ) -> None:
        self.remote, self.pushes, self.policy, self.staleness = remote, pushes, policy, staleness
        self.limits = (
            Limit(
                name="mismatch_kl",
                most=mismatch_most,
                meaning="trainer and server differ more on this rollout than rounding and staleness explain, nats a token; "
                "look at the server's precision, lower the learning rate or staleness, or raise sampler.mismatch_most",
            ),
        )
        self.now: Pushed | None = None
        self._coming: tuple[int, Future[Drawn]] | None = None  # the rollout that is being sampled
        self._there: dict[int, Drawn] = {}  # rollouts that were sampled and not yet trained on

    def wait(self) -> None:
        """Take in what is being sampled, once it is there; what went wrong with it is raised."""
        if self._coming is not None:
            index, coming = self._coming
            self._coming = None
            self._there[index] = coming.result()

    def at(self, iteration: int, after: Callable[[], Asked] | None) -> dict[str, float]:
        """Rollout `iteration` begins: give the server its weights, and ask for the one `after`. Gives metrics."""
        self.wait()
        self._there = {k: v for k, v in self._there.items() if k == iteration}
        up_to_date(self.policy)
        self.now = self.pushes.push(self.policy, iteration)
        if self.staleness and after is not None:
            self._coming = (iteration + 1, begun(partial(self._draw, after(), self.now)))
        return {"probe_gap": self.now.gap}

    def draw(self, asked: Asked) -> Drawn:
        """The samples: those that were drawn ahead, or drawn now with the newest weights."""
        if asked.index is not None and asked.index in self._there:
            return self._there.pop(asked.index)
        assert self.now is not None, "weights are pushed before anything is drawn"
        return self._draw(asked, self.now)

    def age(self, iteration: int, versions: Sequence[int]) -> float:
        """How many rollouts old the rows are on average. Raises StaleError where one is older than the bound."""
        ages = [iteration - v for v in versions]
        if max(ages) > self.staleness or min(ages) < 0:
            wrong = min(versions) if max(ages) > self.staleness else max(versions)
            raise StaleError(
                f"rollout {iteration} has samples of version {wrong}, not {max(0, iteration - self.staleness)} to {iteration}, "
                f"as sampler.staleness={self.staleness} asks; run it into a new folder"
            )
        return sum(ages) / len(ages)

    def state(self) -> dict[str, Tensor]:
        """What was sampled ahead, once it is there."""
        self.wait()
        return {f"{i}.{k}": t for i, drawn in self._there.items() for k, t in _packed(drawn).items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        parts: dict[int, dict[str, Tensor]] = {}
        for name, tensor in state.items():
            index, _, key = name.partition(".")
            parts.setdefault(int(index), {})[key] = tensor
        self._there = {index: _unpacked(part) for index, part in parts.items()}

    def _draw(self, asked: Asked, by: Pushed) -> Drawn:
        groups = self.remote.sample(
            asked.heads,
            count=asked.count,
            max_tokens=asked.max_tokens,
            temperature=asked.temperature,
            seed=asked.seed,
            label=by.label,
        )
        return Drawn(groups, by.version)


def _packed(drawn: Drawn) -> dict[str, Tensor]:
    """Samples as tensors: all rows after each other."""
    rows = [s for group in drawn.groups for s in group]
    return {
        "version": torch.tensor(drawn.version),
        "counts": torch.tensor([len(g) for g in drawn.groups]),
        "lengths": torch.tensor([len(s.ids) for s in rows]),
        "stopped": torch.tensor([s.finish == "stop" for s in rows]),
        "ids": torch.tensor([i for s in rows for i in s.ids]),
        "logprobs": torch.tensor([x for s in rows for x in s.logprobs], dtype=torch.float64),
    }


def _unpacked(part: Mapping[str, Tensor]) -> Drawn:
    lengths = part["lengths"].tolist()
    ids, logps = (part[name].split(lengths) for name in ("ids", "logprobs"))
    rows = [
        Sample(tuple(i.tolist()), tuple(x.tolist()), "stop" if stopped else "length")
        for i, x, stopped in zip(ids, logps, part["stopped"].tolist(), strict=True)
    ]
    groups, at = [], 0
    for count in part["counts"].tolist():
        groups.append(rows[at : at + count])
        at += count
    return Drawn(groups, int(part["version"]))
