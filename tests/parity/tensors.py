"""The rows and the models that both sides are measured on, in two settings.

float64   the models are tables of logits, one for each row and token; gradients are taken with respect to them
float32   the models are small random Llamas; gradients are taken with respect to all their weights

In the first nothing but the loss is compared, to the last digits. In the second whole paths are: shifts, masks, averages and
the forward pass. Each side gets a copy of its own with the same numbers in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import LlamaForSequenceClassification

from tests.models.small import codec, random_policy
from trueline.models.folders import classifier_on
from trueline.models.policy import Outputs, Policy, RewardModel
from trueline.models.tokens import Example
from trueline.train.batch import Batch, pad_rows

Precision = Literal["float64", "float32"]
PAD, START, END = 0, 1, 2
LETTERS = (8, 28)  # the tokens that rows are made of
VOCABULARY = 64
NEAR = 0.05  # how far, in deviations of a weight, the reference, the sampler and the teacher are from the policy


@dataclass(frozen=True)
class Row:
    """A prompt and an answer that ends, as token ids."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    @property
    def ids(self) -> tuple[int, ...]:
        return (*self.prompt, *self.answer)

    @property
    def mask(self) -> tuple[bool, ...]:
        return (False,) * len(self.prompt) + (True,) * len(self.answer)

    @property
    def example(self) -> Example:
        return Example(self.ids, self.mask)


def rows_of(seed: int, count: int, group: int, length: int = 0) -> list[Row]:
    """`count` prompts with `group` answers each, neighbours; answers have 2 to 7 tokens, or `length`."""
    random = torch.Generator().manual_seed(seed)
    draw = lambda n: torch.randint(*LETTERS, (n,), generator=random).tolist()  # noqa: E731  (letters, n of them)
    number = lambda low, high: int(torch.randint(low, high, (1,), generator=random))  # noqa: E731
    rows = []
    for _ in range(count):
        prompt = (START, *draw(number(1, 5)))
        rows += [Row(prompt, (*draw((length or number(2, 8)) - 1), END)) for _ in range(group)]
    return rows


def batch_of(rows: Sequence[Row], group: int = 1, whole: bool = False) -> Batch:
    """Our batch of these rows; `whole` trains the prompts too."""
    masks = [[True] * len(row.ids) if whole else list(row.mask) for row in rows]
    return pad_rows([row.ids for row in rows], masks, PAD, group)


class Told(nn.Module):
    """A model that is a table: logits (R, T, V) and scores (R, T) in float64, entry t of a row for its token t.

    Called as trueline calls a model; `StandIn` is how TRL calls it. A row is known by its tokens, wherever it is padded.
    """

    def __init__(self, rows: Sequence[Row], seed: int, base: Told | None = None) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        distinct = list(dict.fromkeys(row.ids for row in rows))
        self.where = {ids: i for i, ids in enumerate(distinct)}
        shape = (len(distinct), max(map(len, distinct)), VOCABULARY)
        logits = torch.randn(shape, generator=random, dtype=torch.float64)
        self.logits = nn.Parameter(logits if base is None else base.logits.detach() + 0.7 * logits)
        self.scores = nn.Parameter(torch.randn(shape[:2], generator=random, dtype=torch.float64))
        self.codec = codec()
        self.device = torch.device("cpu")

    def forward(self, tokens: Tensor, mask: Tensor, needs: frozenset[str], temperature: float = 1.0) -> Outputs:
        lengths = (tokens != PAD).sum(-1).tolist()
        logits, scores = self.placed(tokens, [list(range(n)) for n in lengths])
        logp = (logits / temperature).log_softmax(-1)
        entropy = -(logp.exp() * logp).sum(-1)
        said = logp.gather(-1, tokens[..., None]).squeeze(-1)
        return Outputs(logp=said * mask, entropy=entropy * mask, value=scores * mask, logits=logits[mask])

    def placed(self, tokens: Tensor, columns: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Logits (N, T, V) and scores (N, T) of rows whose tokens stand at these columns; zeros elsewhere."""
        logits = self.logits.new_zeros(*tokens.shape, VOCABULARY)
        scores = self.logits.new_zeros(tokens.shape)
        for n, (row, places) in enumerate(zip(tokens, columns, strict=True)):
            r = self.where[tuple(row[places].tolist())]
            logits[n, places], scores[n, places] = self.logits[r, : len(places)], self.scores[r, : len(places)]
        return logits, scores


@dataclass(frozen=True)
class StandIn:
    """A table in the place of a model of `transformers`, with the head that TRL adds to one; `scores`: of a classifier."""

    told: Told
    scores: bool = False

    def __call__(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None, fused_lm_head: bool = False, **_: object
    ) -> SimpleNamespace:
        columns = [row.nonzero().flatten().tolist() for row in attention_mask]
        logits, scores = self.told.placed(input_ids, columns)
        if self.scores:
            return SimpleNamespace(logits=scores.gather(1, torch.tensor([[places[-1]] for places in columns])))
        logits = torch.cat([logits[:, 1:], torch.zeros_like(logits[:, :1])], 1)  # what predicts token t + 1 stands at t
        if not fused_lm_head:
            return SimpleNamespace(logits=logits)
        labels = labels[:, 1:]
        logp, known = logits[:, :-1].log_softmax(-1), labels != -100
        entropy = -(logp.exp() * logp).sum(-1) * known
        said = logp.gather(-1, labels.clamp(min=0)[..., None]).squeeze(-1) * known
        zero = torch.zeros_like(said)
        return SimpleNamespace(log_probs=said, entropy=entropy, mean_logits=zero, is_top1=zero.bool(), label_mask=known)

    def eval(self) -> StandIn:
        return self

    def train(self) -> StandIn:
        return self


@dataclass(frozen=True)
class Speaker:
    """One model as both sides call it."""

    ours: Policy | RewardModel | Told
    theirs: Callable[..., SimpleNamespace]

    @property
    def leaves(self) -> list[Tensor]:
        return [parameter for parameter in self.ours.parameters() if parameter.requires_grad]


@dataclass(frozen=True)
class Stage:
    """The models of one measurement, each made anew when it is first asked for."""

    precision: Precision
    seed: int
    rows: tuple[Row, ...]  # all that the models will be asked about

    @cached_property
    def policy(self) -> Speaker:
        return self._told(0) if self.precision == "float64" else self._llama(0)

    @cached_property
    def reference(self) -> Speaker:
        return self._told(1) if self.precision == "float64" else self._llama(1)

    @cached_property
    def old(self) -> Speaker:
        return self._told(2) if self.precision == "float64" else self._llama(2)

    @cached_property
    def scorer(self) -> Speaker:
        if self.precision == "float64":
            told = Told(self.rows, self.seed)
            return Speaker(told, StandIn(told, scores=True))
        body = self._llama(0).ours
        model: LlamaForSequenceClassification = classifier_on(body.model, PAD)
        torch.manual_seed(self.seed)
        nn.init.normal_(model.score.weight)
        reward = RewardModel(model, body.codec).eval()
        return Speaker(reward, reward.model)

    def _told(self, which: int) -> Speaker:
        base = Told(self.rows, self.seed)
        told = Told(self.rows, self.seed + 100 * which, base) if which else base
        return Speaker(told, StandIn(told))

    def _llama(self, which: int) -> Speaker:
        policy = random_policy("llama", self.seed)
        random = torch.Generator().manual_seed(self.seed + 100 * which)
        with torch.no_grad():
            for weight in policy.parameters() if which else ():
                weight += NEAR * torch.randn(weight.shape, generator=random)
        return Speaker(policy, policy.model)
