"""AdamW, and Muon for hidden matrices, with warm-up, a schedule and clipping: one object that steps and can be saved.

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) replaces a matrix's momentum by its nearest orthogonal matrix,
found by five Newton-Schulz steps. Here matrices of one shape are orthogonalised together, in bfloat16 where that is fast.
Embeddings, norms and heads stay with AdamW (Loshchilov & Hutter 2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from trueline.models.forked import balanced
from trueline.models.products import half_is_fast

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
HEADS = ("embed", "lm_head", "score", "value_head", "wte", "wpe")


@dataclass(frozen=True, kw_only=True)
class Optim:
    """How weights move."""

    lr: float = 2e-3  # AdamW's step size: embeddings, norms, heads, and all else where muon is 0
    muon: float = 0.005  # Muon's step size for hidden matrices; 0 leaves them to AdamW
    weight_decay: float = 0.01  # on matrices only
    clip: float = 1.0  # largest global gradient norm; 0 means no clipping
    warmup: float = 0.03  # share of the steps over which the step size rises to its full value
    schedule: Literal["wsd", "cosine", "constant"] = "wsd"  # wsd: constant, then a straight line down
    decay: float = 0.6  # share of the steps that wsd spends coming down
    floor: float = 0.02  # where the schedule ends, as a share of the full step size

    def __post_init__(self) -> None:
        for name in ("warmup", "decay", "floor"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"optim.{name} is a share between 0 and 1, got {getattr(self, name)}")
        if self.lr <= 0 or self.muon < 0 or self.clip < 0 or self.weight_decay < 0:
            raise ValueError("optim.lr must be above 0; optim.muon, optim.clip and optim.weight_decay must not be negative")

    def scale(self, step: int, steps: int) -> float:
        """Share of the full step size at `step` (counted from 0) of `steps`.

        >>> [round(Optim(warmup=0.1, decay=0.5).scale(s, 10), 2) for s in (0, 5, 9)]
        [1.0, 1.0, 0.2]
        """
        done = (step + 1) / max(1, steps)
        if done <= self.warmup:
            return (step + 1) / max(1.0, steps * self.warmup)
        if self.schedule == "constant":
            return 1.0
        if self.schedule == "cosine":
            along = (step / max(1, steps) - self.warmup) / max(1e-9, 1 - self.warmup)
            return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, along))))
        left = 1 - step / max(1, steps)
        return 1.0 if left >= self.decay else max(self.floor, left / self.decay)


class Optimizer:
    """The state behind an Optim: momenta by parameter name, so that a checkpoint is a plain dictionary of tensors.

    A step is a norm of the whole gradient and then a move of every weight; both take names, so that processes that share the
    weights can share them out (train/crew.py). Of a weight that is sharded each process moves its own part (train/part.py);
    what needs matrices whole is done by `orthogonalise`: given parts (M, rows here, columns) of M matrices, and their rows.
    """

    def __init__(
        self,
        model: nn.Module,
        optim: Optim,
        orthogonalise: Callable[[Tensor, int], Tensor] = lambda parts, rows: orthogonal(parts),
    ) -> None:
        self.optim = optim
        self.orthogonalise = orthogonalise
        self.parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        hidden = [n for n, p in self.parameters.items() if optim.muon and p.ndim == 2 and not any(h in n for h in HEADS)]
        self.momentum = {n: torch.zeros_like(self.parameters[n]) for n in hidden}  # of what Muon moves
        self.adam_names = [n for n in self.parameters if n not in self.momentum]
        matrices = [p for p in map(self.parameters.__getitem__, self.adam_names) if p.ndim >= 2]
        others = [p for p in map(self.parameters.__getitem__, self.adam_names) if p.ndim < 2]
        decay = 0.0 if optim.muon else optim.weight_decay  # with Muon only embeddings and heads are left here
        self.adam = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}],
            lr=optim.lr, betas=(0.9, 0.95), eps=1e-8, fused=True,
        )  # fmt: skip
        for name in self.adam_names:  # now and not at the first step: where it stands can then be moved to shared memory
            weight = self.parameters[name]
            self.adam.state[weight] = {
                "step": torch.zeros((), device=weight.device),
                "exp_avg": torch.zeros_like(weight),
                "exp_avg_sq": torch.zeros_like(weight),
            }

    @torch.no_grad()
    def step(self, scale: float) -> float:
        """Move every weight once, at `scale` times the full step size; clear the gradients; return the gradient's norm."""
        norm = math.sqrt(self.squared_norm(self.parameters))
        self.move(self.parameters, scale, self.shrink(norm))
        return norm

    @torch.no_grad()
    def squared_norm(self, names: Iterable[str]) -> float:
        """The square of the norm of these parameters' gradients, as one vector."""
        found = [own(g) for g in (self.parameters[n].grad for n in names) if g is not None]
        return float(torch.stack(torch._foreach_norm(found)).double().square().sum()) if found else 0.0

    def shrink(self, norm: float) -> float:
        """What a gradient of this norm is to be multiplied by. Raises FloatingPointError if it is not a number."""
        if not math.isfinite(norm):
            raise FloatingPointError(f"the gradient's norm is {norm}; no weight was changed; lower optim.lr and optim.muon")
        return min(1.0, self.optim.clip / (norm + 1e-6)) if self.optim.clip else 1.0

    @torch.no_grad()
    def move(self, names: Iterable[str], scale: float, shrink: float = 1.0) -> None:
        """Move these weights, by their gradients times `shrink`; clear all gradients, those of others too."""
        names = set(names)
        for name, parameter in self.parameters.items():
            if name not in names:
                parameter.grad = None  # AdamW leaves a weight without a gradient as it is
        present = [own(p.grad) for p in self.parameters.values() if p.grad is not None]
        if shrink < 1.0 and present:
            torch._foreach_mul_(present, shrink)
        for group in self.adam.param_groups:
            group["lr"] = self.optim.lr * scale
        self.adam.step()
        shapes: dict[torch.Size, list[str]] = {}
        for name in sorted(names & self.momentum.keys()):
            shapes.setdefault(self.parameters[name].shape, []).append(name)
        for alike in shapes.values():
            self._muon(alike, self.optim.muon * scale)
        for parameter in self.parameters.values():
            parameter.grad = None

    def _muon(self, names: Sequence[str], step: float) -> None:
        """Move matrices of one shape, all at once."""
        whole = [self.parameters[n] for n in names]
        rows, columns = whole[0].shape
        weights, momenta = [own(w) for w in whole], [own(self.momentum[n]) for n in names]
        gradients = [torch.zeros_like(w) if p.grad is None else own(p.grad) for w, p in zip(weights, whole, strict=True)]
        torch._foreach_lerp_(momenta, gradients, 0.05)
        nesterov = torch.stack(torch._foreach_lerp(gradients, momenta, 0.95))  # (M, rows here, columns)
        update = self.orthogonalise(nesterov, rows) * max(1.0, rows / columns) ** 0.5
        torch._foreach_mul_(weights, 1 - step * self.optim.weight_decay)
        torch._foreach_add_(weights, list(update), alpha=-step)

    def shares(self, parts: int) -> list[list[str]]:
        """Names for each of so many processes, with about as much to do: Muon's products cost more than AdamW's sums."""
        names = list(self.parameters)
        sizes = [(self.parameters[n].numel(), min(self.parameters[n].shape)) for n in names]
        costs = [k * (1 + (least / 16 if n in self.momentum else 0)) for n, (k, least) in zip(names, sizes, strict=True)]
        return [[names[i] for i in part] for part in balanced(costs, parts)]

    def state(self) -> dict[str, Tensor]:
        """Every tensor that the next step depends on."""
        state = {f"muon.{name}": momentum for name, momentum in self.momentum.items()}
        for name in self.adam_names:
            for key, value in self.adam.state[self.parameters[name]].items():
                state[f"adam.{name}.{key}"] = value
        return state

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


def own(tensor: Tensor) -> Tensor:
    """This process's part of a sharded tensor, as a view; any other tensor as it is."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def orthogonal(matrices: Tensor, steps: int = 5, exact: bool = False) -> Tensor:
    """The nearest orthogonal matrix to each of (M, rows, columns), roughly: singular values come to lie near one.

    In bfloat16 where that is fast, unless `exact`: there a last bit of the gradient becomes a thousandth of an update.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    if not exact and (x.is_cuda or half_is_fast()):
        x = x.bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.transpose(1, 2) if tall else x).to(matrices.dtype)
