"""AdamW, and Muon for hidden matrices, with warm-up, a schedule and clipping: one object that steps and can be saved.

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) replaces a matrix's momentum by its nearest orthogonal matrix,
found by five Newton-Schulz steps. Here matrices of one shape are orthogonalised together, in bfloat16 where that is fast.
Embeddings, norms and heads stay with AdamW (Loshchilov & Hutter 2019).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

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
    """The state behind an Optim: momenta by parameter name, so that a checkpoint is a plain dictionary of tensors."""

    def __init__(self, model: nn.Module, optim: Optim) -> None:
        self.optim = optim
        self.parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        hidden = {n for n, p in self.parameters.items() if optim.muon and p.ndim == 2 and not any(h in n for h in HEADS)}
        matrices = [p for n, p in self.parameters.items() if n not in hidden and p.ndim >= 2]
        others = [p for n, p in self.parameters.items() if n not in hidden and p.ndim < 2]
        self.adam_names = [n for n, p in self.parameters.items() if n not in hidden]
        decay = 0.0 if optim.muon else optim.weight_decay  # with Muon only embeddings and heads are left here
        self.adam = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}],
            lr=optim.lr, betas=(0.9, 0.95), eps=1e-8, fused=True,
        )  # fmt: skip
        self.muon: dict[tuple[int, int], list[str]] = {}
        for name in sorted(hidden):
            rows, columns = self.parameters[name].shape
            self.muon.setdefault((rows, columns), []).append(name)
        self.momentum = {
            shape: torch.zeros(len(names), *shape, device=self.parameters[names[0]].device)
            for shape, names in self.muon.items()
        }

    @torch.no_grad()
    def step(self, scale: float) -> float:
        """Move every weight once, at `scale` times the full step size; clear the gradients; return the gradient's norm."""
        limit = self.optim.clip or math.inf
        norm = float(nn.utils.clip_grad_norm_(self.parameters.values(), limit))
        if not math.isfinite(norm):
            raise FloatingPointError(f"the gradient's norm is {norm}; no weight was changed; lower optim.lr and optim.muon")
        for group in self.adam.param_groups:
            group["lr"] = self.optim.lr * scale
        self.adam.step()
        for shape, names in self.muon.items():
            gradient = torch.stack([self._gradient(n) for n in names])  # (M, rows, columns)
            momentum = self.momentum[shape].lerp_(gradient, 0.05)
            update = orthogonal(gradient.lerp(momentum, 0.95)) * max(1.0, shape[0] / shape[1]) ** 0.5  # Nesterov
            step = self.optim.muon * scale
            for weight, change in zip((self.parameters[n] for n in names), update, strict=True):
                weight.mul_(1 - step * self.optim.weight_decay).add_(change, alpha=-step)
        for parameter in self.parameters.values():
            parameter.grad = None
        return norm

    def _gradient(self, name: str) -> Tensor:
        gradient = self.parameters[name].grad
        return torch.zeros_like(self.parameters[name]) if gradient is None else gradient

    def state(self) -> dict[str, Tensor]:
        """Every tensor that the next step depends on."""
        state = {f"muon.{rows}x{columns}": m for (rows, columns), m in self.momentum.items()}
        for name in self.adam_names:
            for key, value in self.adam.state[self.parameters[name]].items():
                state[f"adam.{name}.{key}"] = value
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        for rows, columns in self.momentum:
            self.momentum[rows, columns].copy_(state[f"muon.{rows}x{columns}"])
        for name in self.adam_names:
            found = {
                k: state[f"adam.{name}.{k}"].clone() for k in ("step", "exp_avg", "exp_avg_sq") if f"adam.{name}.{k}" in state
            }
            if found:
                self.adam.state[self.parameters[name]] = found


def orthogonal(matrices: Tensor, steps: int = 5) -> Tensor:
    """The nearest orthogonal matrix to each of (M, rows, columns), roughly: singular values come to lie near one."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    if x.is_cuda or half_is_fast():
        x = x.bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.transpose(1, 2) if tall else x).to(matrices.dtype)
