"""Data, and in a share of the steps the student's own words in its place: what on-policy distillation is trained on.

Agarwal et al. 2023 (2306.13649), algorithm 1: at each step a coin decides whether the replies are those of the data or are
sampled from the student as it then is. Nothing is differentiated through the sampling. The coin and the sampling seed come from
the step, and a sample is used once, so that a run can be taken up at any step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

import torch

from trueline.models.generate import sample
from trueline.models.policy import Policy
from trueline.models.tokens import Example
from trueline.train.batch import Annotate, Batch, pad_rows
from trueline.train.sources import by_length


@dataclass(frozen=True, kw_only=True)
class StudentSamples:
    """Examples in random order, `tokens` a step; in a share of the steps their replies are sampled anew from `policy`.

    A reply begins at an example's first trained token; an example that trains none is a prompt, and needs share = 1. Sampled
    batches carry `old_logp` (N, T), the sampler's own log-probabilities at temperature 1.
    """

    policy: Policy
    examples: Sequence[Example]
    annotate: Annotate
    share: float = 0.0  # of the steps, on the student's own samples (lambda)
    epochs: int = 1
    tokens: int = 1024  # tokens a step, padding included
    max_tokens: int = 56  # longest sample
    seed: int = 0
    heads: list[int] = field(init=False)  # length of each example's prompt

    def __post_init__(self) -> None:
        if not self.examples:
            raise ValueError("there are no examples to train on; the data is empty")
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is a share of the steps between 0 and 1, got {self.share}")
        heads = [e.mask.index(True) if True in e.mask else len(e.ids) for e in self.examples]
        object.__setattr__(self, "heads", heads)
        if self.share < 1 and any(head == len(e.ids) for head, e in zip(heads, self.examples, strict=True)):
            raise ValueError(
                f"prompts alone have nothing to train on but the student's samples: share must be 1, got {self.share}"
            )

    def __len__(self) -> int:
        return sum(len(epoch) for epoch in self._plan)

    def resumable(self, step: int) -> bool:
        return True

    def batches(self, start: int) -> Iterator[Batch]:
        plan = [rows for epoch in self._plan for rows in epoch]
        for step, rows in enumerate(plan[start:], start):
            rng = Random(f"student/{self.seed}/{step}")
            own = rng.random() < self.share
            batch = self._sampled(rows, rng.getrandbits(60)) if own else self._shown(rows)
            yield self.annotate(batch.to(self.policy.device).logging(on_policy=float(own)))

    def _shown(self, rows: Sequence[int]) -> Batch:
        chosen = [self.examples[i] for i in rows]
        return pad_rows([e.ids for e in chosen], [e.mask for e in chosen], self.policy.codec.pad)

    def _sampled(self, rows: Sequence[int], seed: int) -> Batch:
        heads = [list(self.examples[i].ids[: self.heads[i]]) for i in rows]
        drawn = [group[0] for group in sample(self.policy, heads, max_tokens=self.max_tokens, seed=seed)]
        pairs = list(zip(heads, drawn, strict=True))
        masks = [[False] * len(head) + [True] * len(said.ids) for head, said in pairs]
        batch = pad_rows([[*head, *said.ids] for head, said in pairs], masks, self.policy.codec.pad)
        old = torch.zeros(batch.tokens.shape)
        for row, (head, said) in enumerate(pairs):
            old[row, len(head) : len(head) + len(said.ids)] = torch.tensor(said.logprobs)
        return batch.having(old_logp=old).logging(
            truncated=sum(said.finish == "length" for said in drawn) / len(drawn),
            length=sum(len(said.ids) for said in drawn) / len(drawn),
        )

    @cached_property
    def _plan(self) -> list[list[list[int]]]:
        room = self.max_tokens if self.share else 0
        lengths = [max(len(e.ids), head + room) for e, head in zip(self.examples, self.heads, strict=True)]
        return [by_length(lengths, self.tokens, f"{self.seed}/{n}") for n in range(self.epochs)]
