"""Sources over data at rest: packed documents, masked examples, groups of compared completions.

Every source is a function of the step: batch k is the same whether the run came to it or was taken up there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from random import Random

import torch

from trueline.models.tokens import Example
from trueline.train.batch import Annotate, Batch, pad_rows

Column = Sequence[float] | Sequence[Sequence[float]]  # one value an example, or one a token of each


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Rows of pre-training text, filled with whole documents, best fit first; every `every`-th step has longer rows.

    `documents(seed)` is an endless stream of token ids, bos to eos. Documents longer than a row are cut.
    A document may see its neighbours in the row: at this size a mask costs more than it gives.
    """

    documents: Callable[[int], Iterator[list[int]]]
    steps: int
    tokens: int = 1536  # tokens a step
    width: int = 128  # tokens a row
    long_width: int = 384  # tokens a row of the long steps: dialogues of many turns
    every: int = 4  # one step in so many is long; 0 never
    pad: int = 0
    seed: int = 0
    pool: int = 1024  # documents among which the best fit is sought

    def __len__(self) -> int:
        return self.steps

    def resumable(self, step: int) -> bool:
        return True

    def batches(self, start: int) -> Iterator[Batch]:
        short = self._rows(self.width, self.seed)
        long = self._rows(self.long_width, self.seed + 1)
        for step in range(self.steps):
            is_long = self.every > 0 and step % self.every == self.every - 1
            width = self.long_width if is_long else self.width
            rows = list(islice(long if is_long else short, max(1, self.tokens // width)))
            if step >= start:  # the stream is replayed, not stored: text is cheap
                yield pad_rows(rows, [[True] * len(r) for r in rows], self.pad)

    def _rows(self, width: int, seed: int) -> Iterator[list[int]]:
        stream = self.documents(seed)
        rng = Random(f"packed/{seed}")
        shelves: dict[int, list[list[int]]] = {}  # documents by length
        waiting = 0
        while True:
            while waiting < self.pool:
                document = next(stream)[: width + 1]
                shelves.setdefault(len(document), []).append(document)
                waiting += 1
            row: list[int] = []
            room = width + 1  # the last token is only predicted
            while room > 0 and waiting:
                # While there is plenty of room any document will do (so that no length is preferred), then the best fit.
                lengths = [n for n in shelves if n <= room]
                if not lengths:
                    break
                weights = [len(shelves[n]) for n in lengths]
                length = rng.choices(lengths, weights)[0] if room > 0.6 * width else max(lengths)
                shelf = shelves[length]
                row += shelf.pop(rng.randrange(len(shelf)))
                if not shelf:
                    del shelves[length]
                waiting -= 1
                room = width + 1 - len(row)
            yield row


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Masked examples in random order, `tokens` a step; neighbours in length share a step, so that little is padding."""

    examples: Sequence[Example]
    columns: Mapping[str, Column] = field(default_factory=dict)  # travel with the examples: `weight`, `negative`, `step_label`
    epochs: int = 1
    tokens: int = 1024  # tokens a step, padding included
    pad: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.examples:
            raise ValueError("there are no examples to train on; the data is empty")

    def __len__(self) -> int:
        return sum(len(epoch) for epoch in self._plan)

    def resumable(self, step: int) -> bool:
        return True

    def batches(self, start: int) -> Iterator[Batch]:
        plan = [rows for epoch in self._plan for rows in epoch]
        for rows in plan[start:]:
            chosen = [self.examples[i] for i in rows]
            batch = pad_rows([e.ids for e in chosen], [e.mask for e in chosen], self.pad)
            yield batch.having(**{k: _column([v[i] for i in rows], batch.tokens.shape[1]) for k, v in self.columns.items()})

    @cached_property
    def _plan(self) -> list[list[list[int]]]:
        return [by_length([len(e.ids) for e in self.examples], self.tokens, f"{self.seed}/{n}") for n in range(self.epochs)]


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Groups of rows that are compared (chosen and rejected; a ranking of K), `groups` of them a step, best row first.

    `columns` are (N,) values that travel with the rows: `rank`, `margin`. The annotation is applied to each batch.
    """

    rows: Sequence[Sequence[Example]]  # one inner sequence a group
    columns: dict[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    epochs: int = 1
    groups: int = 32
    pad: int = 0
    seed: int = 0
    annotate: Annotate = field(default=lambda batch: batch)

    def __post_init__(self) -> None:
        if not self.rows:
            raise ValueError("there are no comparisons to train on; the data is empty")
        sizes = {len(g) for g in self.rows}
        if len(sizes) > 1:
            raise ValueError(f"all groups of one run must have the same number of completions, got {sorted(sizes)}")

    def __len__(self) -> int:
        return self.epochs * max(1, len(self.rows) // self.groups)

    def resumable(self, step: int) -> bool:
        return True

    def batches(self, start: int) -> Iterator[Batch]:
        size, per_epoch = len(self.rows[0]), len(self) // self.epochs
        for step in range(start, len(self)):
            epoch, index = divmod(step, per_epoch)
            order = list(range(len(self.rows)))
            Random(f"groups/{self.seed}/{epoch}").shuffle(order)
            chosen = order[index * self.groups : (index + 1) * self.groups]
            flat = [example for i in chosen for example in self.rows[i]]
            batch = pad_rows([e.ids for e in flat], [e.mask for e in flat], self.pad, size)
            extra = {k: torch.tensor([x for i in chosen for x in v[i]]) for k, v in self.columns.items()}
            yield self.annotate(batch.having(**extra))


def _column(values: Sequence[float | Sequence[float]], width: int) -> torch.Tensor:
    """One value a row, (N,), or one a token, (N, width), with zeros where a row is shorter."""
    return torch.tensor([v if isinstance(v, int | float) else [*v, *[0.0] * (width - len(v))] for v in values])


def by_length(lengths: Sequence[int], tokens: int, seed: str) -> list[list[int]]:
    """Cut a shuffled order into steps of at most `tokens` padded tokens: neighbours in length together, steps shuffled."""
    rng = Random(f"length/{seed}")
    order = list(range(len(lengths)))
    rng.shuffle(order)
    steps: list[list[int]] = []
    for begin in range(0, len(order), 2048):  # sorting within windows keeps the order random on the large scale
        rows: list[int] = []
        for i in sorted(order[begin : begin + 2048], key=lambda i: lengths[i]):
            if rows and lengths[i] * (len(rows) + 1) > tokens:
                steps.append(rows)
                rows = []
            rows.append(i)
        if rows:
            steps.append(rows)
    rng.shuffle(steps)
    return steps
