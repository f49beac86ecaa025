"""Circuit breakers by representation rerouting: harmful states are turned aside, benign ones stay.

    trueline run circuit_breakers

Zou et al. 2024 (2406.04313), algorithm 1, with rep the states of some layers at the tokens of a reply, and t of T steps done:

    c_s = alpha (1 - t / 2T)        L_s = E_harmful[ relu(cos(rep, rep of the start)) ]
    c_r = alpha t / 2T              L_r = E_benign[ |rep - rep of the start|_2 ]              loss = c_s L_s + c_r L_r

A state that is orthogonal to what it was costs nothing, so the model is not told what to say in its place.
Both losses are means over tokens and layers. The norm is divided by that of the start's state, so that alpha means the same at
any width and layer; `retain` weighs the benign side against the harmful one, which the paper leaves at 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)

from trueline.models.policy import Outputs
from trueline.train.batch import Batch, Term

TINY = 1e-6  # a state this short has no direction


@dataclass(frozen=True)
class Reroute:
    """Reads `ref_hidden` of `annotate_hidden.hidden_of`, and `harmful`, `weight` and `along` of `kinds.Kinds`."""

    alpha: float = 1.0  # weight of both losses
    retain: float = 8.0  # weight of the benign side against the harmful one

    def __post_init__(self) -> None:
        if self.alpha <= 0 or self.retain <= 0:
            raise ValueError(f"alpha and retain must be above 0, got {self.alpha} and {self.retain}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"hidden"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"ref_hidden", "harmful", "weight", "along"})

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        assert out.hidden is not None
        at = batch.mask.clone()
        at[:, 0] = False
        now = out.hidden.float()  # (M, layers, D)
        start = batch.columns["ref_hidden"][at].view_as(now)
        row = at.nonzero()[:, 0]
        weight, harmful = batch.columns["weight"][row], batch.columns["harmful"][row]  # (M,)
        turned = F.relu(F.cosine_similarity(now, start, dim=-1, eps=TINY)).mean(-1)
        moved = (torch.linalg.vector_norm(now - start, dim=-1) / start.norm(dim=-1).clamp(min=TINY)).mean(-1)
        along = float(batch.columns["along"][0])
        yield Term("reroute", (turned * weight * harmful).sum(), "token", self.alpha * (1 - along / 2))
        yield Term("retain", (moved * weight * (1 - harmful)).sum(), "token", self.alpha * self.retain * along / 2)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """Before any update the model is its own reference: every cosine is 1 and nothing has moved."""
        if abs(metrics["reroute"] - 1) > 1e-3 or metrics["retain"] > 1e-3:
            yield (
                f"model and reference must be one at the start: reroute 1 and retain 0, "
                f"got {metrics['reroute']:.4f} and {metrics['retain']:.4f}"
            )
