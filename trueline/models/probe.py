"""A linear probe: how much a prompt is like what must not be answered, read from the model that would answer it.

The score is w x + b, log-odds, where x are the states of a prompt at one layer (models/prompt_states.py): of its last token, or
the mean of all. The idea is that of Alain & Bengio 2016 (https://arxiv.org/abs/1610.01644). Constitutional Classifiers++ uses
such probes as a guard (Cunningham et al. 2026, https://arxiv.org/abs/2601.04603), over the tokens of an exchange; this one
reads the prompt alone.

    probe = Probe.load(Path("models/probe"), policy)      # refused where it was trained on another model
    probe.score(policy, policy.codec.prompt(conversation)) > probe.threshold

A probe is two files: `probe.safetensors` (the weights) and `probe.json` (everything else, and a digest over all of it).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from trueline.core.files import atomic_file
from trueline.models.policy import Policy
from trueline.models.prompt_states import READS, prompt_states

WEIGHTS, REST = "probe.safetensors", "probe.json"
L2 = 0.1  # of the standardised weights; the loss is a mean. Of 0.1 to 0.001 it had the least loss on families out of fold
STEPS = 200
AGAIN = "train it again"


class ProbeError(ValueError):
    """A probe that cannot be used; the message says which file, what was expected and what to do."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Probe:
    """Weights for the states of one layer of one model, and the score above which a prompt is stopped."""

    weights: Tensor  # (D,) float32
    bias: float
    threshold: float
    layer: int
    reads: str  # what is kept of a prompt's states, a name of READS
    model: str  # identity_of the model that it reads
    trained: Mapping[str, Any] = field(default_factory=dict)  # on what, as counts and hashes; plain values

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that decisions depend on, and what it was trained on."""
        return _hash(json.dumps(self._rest, sort_keys=True).encode(), _bytes(self.weights))

    def scores(self, states: Tensor) -> Tensor:
        """The scores (N,) float64 of states (N, D) of the probe's layer."""
        return states.double() @ self.weights.double() + self.bias

    def score(self, policy: Policy, head: Sequence[int]) -> float:
        """The score of a prompt in tokens, which is read alone: no other request can move it."""
        return float(self.scores(prompt_states(policy, [head], (self.layer,), read=READS[self.reads])[:, 0]))

    def save(self, folder: Path) -> None:
        """Write both files."""
        with atomic_file(folder / WEIGHTS) as file:
            file.write(save({"weights": self.weights.contiguous()}))
        with atomic_file(folder / REST) as file:
            file.write(json.dumps({**self._rest, "digest": self.digest}, ensure_ascii=False, indent=2).encode() + b"\n")

    @classmethod
    def load(cls, folder: Path, policy: Policy) -> Self:
        """Read the probe of a model. Raises ProbeError where it is not whole, was changed, or is another model's."""
        rest = _rest_in(folder / REST)
        try:
            weights = load((folder / WEIGHTS).read_bytes())["weights"]
        except (OSError, SafetensorError, KeyError) as error:
            raise ProbeError(f"{folder / WEIGHTS}: expected the weights of a probe ({error}); {AGAIN}") from error
        if (reads := rest.get("reads")) not in READS:
            raise ProbeError(f"{folder}: expected a probe that reads {' or '.join(READS)}, got {reads!r}; {AGAIN}")
        said = rest.pop("digest", None)
        try:
            probe = cls(weights=weights, **rest)
            if not all(map(math.isfinite, (probe.bias, probe.threshold))) or not weights.isfinite().all():
                raise ValueError("weights, bias and threshold: expected finite numbers")
        except (TypeError, ValueError) as error:
            raise ProbeError(f"{folder / REST}: expected what `trueline guard probe` writes ({error})") from error
        if said != probe.digest:
            raise ProbeError(f"{folder}: expected the digest {said}, got {probe.digest}: the files were changed; {AGAIN}")
        if probe.model != (own := identity_of(policy)):
            raise ProbeError(
                f"{folder}: expected a probe of this model ({own[:12]}), got one of another ({probe.model[:12]}): weights, "
                f"words or chat template differ; train one on this model with `trueline guard probe`"
            )
        return probe

    @property
    def _rest(self) -> dict[str, Any]:
        return {
            "reads": self.reads,
            "layer": self.layer,
            "bias": self.bias,
            "threshold": self.threshold,
            "model": self.model,
            "trained": dict(self.trained),
        }


class Fitted(NamedTuple):
    """What `fit` found: the log-odds of states x are `x @ weights + bias`."""

    weights: Tensor  # (D,) float64
    bias: float

    def scores(self, states: Tensor) -> Tensor:
        """The log-odds (N,) of states (N, D)."""
        return states.double() @ self.weights + self.bias


def fit(states: Tensor, labels: Tensor, importance: Tensor) -> Fitted:
    """Logistic regression on standardised states, L2-regularised, in float64 (L-BFGS), told on the states as they are.

    states (N, D), labels (N,) bool, importance (N,): both labels count the same in sum. Raises ValueError where one is missing.
    """
    if labels.all() or not labels.any():
        raise ValueError(f"expected attacks and benign texts, got only {'attacks' if labels.all() else 'benign ones'}")
    share = importance.double()
    share = share / torch.where(labels, share[labels].sum(), share[~labels].sum()) / 2
    read = states.double()
    mean, spread = read.mean(0), read.std(0, correction=0)
    spread = torch.where(spread > 1e-6, spread, torch.inf)  # what never changes tells nothing: its weight is 0
    read, wanted = (read - mean) / spread, labels.double()
    weights = torch.zeros(read.shape[1] + 1, dtype=torch.float64, requires_grad=True)  # the last one is the bias
    steps = torch.optim.LBFGS([weights], max_iter=STEPS, tolerance_grad=1e-7, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        steps.zero_grad()
        odds = read @ weights[:-1] + weights[-1]
        total = (F.binary_cross_entropy_with_logits(odds, wanted, reduction="none") * share).sum()
        total = total + L2 / 2 * weights[:-1].square().sum()
        total.backward()
        return total

    steps.step(loss)
    found = weights.detach()
    plain = found[:-1] / spread
    return Fitted(plain, float(found[-1] - plain @ mean))


def identity_of(policy: Policy) -> str:
    """What a probe belongs to (sha256, hex): weights, the words of the ids, and the chat template, wherever they lie."""
    tokenizer = policy.codec.tokenizer
    parts = [json.dumps([sorted(tokenizer.get_vocab().items()), str(tokenizer.chat_template)]).encode()]
    for name, weight in sorted(policy.model.state_dict().items()):
        parts += [f"{name} {weight.dtype} {tuple(weight.shape)}".encode(), _bytes(weight)]
    return _hash(*parts)


def _bytes(tensor: Tensor) -> memoryview:
    return memoryview(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())


def _hash(*parts: bytes | memoryview) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(str(len(part)).encode() + b"|")
        found.update(part)
    return found.hexdigest()


def _rest_in(path: Path) -> dict[str, Any]:
    try:
        rest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProbeError(f"{path}: expected a probe that `trueline guard probe` wrote ({error})") from error
    if not isinstance(rest, dict):
        raise ProbeError(f"{path}: expected an object, got {type(rest).__name__}")
    return rest
