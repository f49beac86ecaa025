"""Maximum likelihood: pre-training, supervised fine-tuning, distillation on sequences.   trueline run sft"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trueline.models.policy import Outputs
from trueline.train.batch import Batch, Term


@dataclass(frozen=True)
class NextToken:
    """Cross-entropy of the masked tokens, nats per token.

    The mean is over all trained tokens of the step, whatever the split: long rows weigh more than short ones.
    """

    expected_start: float = 0.0  # nats a fresh model should begin at (log V); 0: the model is not fresh, nothing to check

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logp"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset()

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        assert out.logp is not None
        yield Term("loss", -(out.logp * batch.mask).sum())

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """A fresh model knows nothing: its loss is close to log V, neither far above (bad scale) nor below (leaked targets)."""
        loss, expected = metrics["loss"], self.expected_start
        if expected and not 0.85 * expected <= loss <= 1.35 * expected:
            yield f"a fresh model's loss should be near log V = {expected:.2f}, got {loss:.2f}: check its initial weights"
