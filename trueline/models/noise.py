"""NEFTune: uniform noise on the embeddings while a model is fine-tuned (Jain et al. 2023, 2310.05914, algorithm 1).

    noisy = Noisy(policy, alpha=5.0, seed=0)
    train(noisy, objective, noisy.following(source), optim)        # then save `policy`: it never changed its shape

Two departures from the reference code. L is the length up to a row's last trained token, not that of the padded batch; and the
noise of a row is drawn from (seed, step, the row's tokens). So neither padding nor a split into micro-batches changes it, and a
run that was taken up again sees the noise that it would have seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from trueline.models.policy import Policy


class Source(Protocol):
    """Batches in an order that is a function of the step, as `train.batch.Source`, which is a layer above."""

    def __len__(self) -> int: ...

    def batches(self, start: int) -> Iterator[Any]: ...

    def resumable(self, step: int) -> bool: ...


class Noisy(nn.Module):
    """A policy whose embeddings carry noise in training mode, and which is that policy otherwise.

    The noise is uniform in [-1, 1] times alpha / sqrt(L d), d the width of an embedding.
    """

    def __init__(self, policy: Policy, alpha: float = 5.0, seed: int = 0) -> None:
        super().__init__()
        if alpha <= 0:
            raise ValueError(f"alpha must be above 0, got {alpha}; without noise, train the policy itself")
        self.policy = policy
        self.alpha = alpha
        self.seed = seed
        self.register_buffer("step", torch.zeros((), dtype=torch.int64), persistent=False)  # processes that help must see it

    def forward(self, tokens: Tensor, mask: Tensor, needs: frozenset[str], temperature: float = 1.0) -> Any:
        """As the policy's own forward pass, with noise in training mode."""
        if not self.training:
            return self.policy(tokens, mask, needs, temperature)

        def add(module: nn.Module, inputs: tuple[Tensor, ...], embedded: Tensor) -> Tensor:
            wide = embedded.view(*tokens.shape, -1)  # the lean forward pass embeds a batch as one row of tokens
            return embedded + self._noise(tokens, mask, wide).view_as(embedded)

        self.policy.packs = False  # a prompt that rows share would have the noise of one of them
        hook = self.policy.model.get_input_embeddings().register_forward_hook(add)
        try:
            return self.policy(tokens, mask, needs, temperature)
        finally:
            hook.remove()
            self.policy.packs = True

    def following(self, source: Source) -> Following:
        """The same source, telling this wrapper which step each batch is of."""
        return Following(self, source)

    def _noise(self, tokens: Tensor, mask: Tensor, embedded: Tensor) -> Tensor:  # (N, T, D)
        noise = torch.zeros_like(embedded)
        positions = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
        lengths = (mask.bool() * positions).amax(-1).tolist()  # what comes after the last trained token changes no loss
        width = embedded.shape[-1]
        for row, length in enumerate(lengths):
            generator = torch.Generator(embedded.device).manual_seed(self._key(tokens[row, :length].tolist()))
            drawn = torch.rand(length, width, generator=generator, device=embedded.device, dtype=torch.float32)
            noise[row, :length] = ((2 * drawn - 1) * (self.alpha / max(1, length * width) ** 0.5)).to(embedded.dtype)
        return noise

    def _key(self, row: list[int]) -> int:
        digest = hashlib.blake2b(repr((self.seed, int(self.step), row)).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") >> 1


@dataclass(frozen=True)
class Following:
    """A source that sets the step of a Noisy policy before it hands out that step's batch."""

    noisy: Noisy
    source: Source

    def __len__(self) -> int:
        return len(self.source)

    def resumable(self, step: int) -> bool:
        return self.source.resumable(step)

    def batches(self, start: int) -> Iterator[Any]:
        for step, batch in enumerate(self.source.batches(start), start):
            self.noisy.step.fill_(step)
            yield batch
