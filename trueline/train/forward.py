"""What a model says of a batch without a gradient, on every core where the helpers of a crew have the model too.

    forward(model, batch, "logp")                       one output of every token, (N, T)
    read(model, batch, Distribution(top=64))            columns by name, as a reading makes them of the outputs

A reference, a teacher, a critic and the policy itself are read at every step. Helpers see the trained weights as they are now,
and have every model that was `expected` when training began; what no helper has is read here, by all threads of one process.
A reading is carried out where the model is: of logits or states only the columns that it makes of them are sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from safetensors.torch import load
from torch import Tensor, nn

from trueline.models.forked import Helpers, helpers_of
from trueline.models.policy import Outputs
from trueline.train.batch import Batch, Model
from trueline.train.described import settings_built, settings_told
from trueline.train.messages import rows_each, rows_of_parts

ROWS = 128  # rows a forward pass without gradient takes at a time: larger ones were slower on a CPU


class Reading(Protocol):
    """Makes columns, (N, T) or (N, T, K), of what a model gives of some rows; what it makes of a row follows from that row.

    It is a frozen dataclass of this package, since other processes are told of it (train/described.py).
    """

    @property
    def needs(self) -> frozenset[str]: ...  # columns of Outputs

    def __call__(self, out: Outputs, batch: Batch) -> dict[str, Tensor]: ...


@dataclass(frozen=True)
class Output:
    """One output of every token (logp, value, ...) as the column `name`, (N, T)."""

    what: str
    name: str

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({self.what})

    def __call__(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        return {self.name: getattr(out, self.what)}


def forward(model: Model, batch: Batch, what: str) -> Tensor:
    """The output `what` (logp, value, ...) of every row, (N, T)."""
    return read(model, batch, Output(what, what))[what]


@torch.no_grad()
def read(model: Model, batch: Batch, reading: Reading, micro_rows: int = 0) -> dict[str, Tensor]:
    """The columns that `reading` makes of every row, where the batch is.

    `micro_rows` are rows of a forward pass, those of all processes together; 0: ROWS in each.
    """
    helpers = helpers_of.get(model) if isinstance(model, nn.Module) and not model.training else None
    asked = replace(batch, columns={k: v for k, v in batch.columns.items() if k == "length"})
    found = here(model, asked, reading, micro_rows) if helpers is None else helpers.read(model, asked, reading, micro_rows)
    return {name: values.to(batch.tokens.device) for name, values in found.items()}


def answer(model: nn.Module, told: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a helper gives that was asked to read."""
    was_training = model.training
    model.eval()
    columns = {name: tensor for name, tensor in tensors.items() if name not in ("tokens", "mask")}
    group, temperature = told["group"], told["temperature"]
    batch = Batch(tokens=tensors["tokens"], mask=tensors["mask"], columns=columns, group=group, temperature=temperature)
    with torch.no_grad():
        found = here(model, batch, settings_built(told["reading"]), told["micro_rows"])
    model.train(was_training)
    return {name: made.contiguous() for name, made in found.items()}


def here(model: Model, batch: Batch, reading: Reading, micro_rows: int = 0, passes: int = 0) -> dict[str, Tensor]:
    """The columns of every row, by this process; at least so many `passes`, the last ones on rows that count for nothing."""
    place = next(model.parameters()).device if isinstance(model, nn.Module) else batch.tokens.device
    micros = list(batch.split(micro_rows or ROWS))
    found: list[dict[str, Tensor]] = []
    for index in range(max(passes, len(micros))):
        micro = micros[min(index, len(micros) - 1)].to(place)
        out = model(micro.tokens, micro.mask, reading.needs, micro.temperature)
        if index < len(micros):
            found.append({name: made.to(batch.tokens.device) for name, made in reading(out, micro).items()})
    return merged(batch, torch.arange(len(batch.tokens)).split(len(micros[0].tokens)), found)


def together(helpers: Helpers, model: nn.Module, batch: Batch, reading: Reading, micro_rows: int = 0) -> dict[str, Tensor]:
    """As `here`, each process reading some of the groups."""
    parts = [rows for rows in rows_of_parts(batch, 1 + helpers.count) if rows is not None]
    if not parts:
        return here(model, batch, reading, micro_rows)
    rows = rows_each(micro_rows, len(parts))
    told = {"do": "read", "reading": settings_told(reading), "micro_rows": rows}
    told |= {"group": batch.group, "temperature": batch.temperature}
    pieces, messages = [batch.take(at) for at in parts], {}
    for i, piece in enumerate(pieces[1:], 1):
        tensors = {"tokens": piece.tokens, "mask": piece.mask, **piece.columns}
        messages[i] = helpers.message(told, model, {name: t.contiguous() for name, t in tensors.items()})
    found = helpers.together(
        messages,
        lambda: here(model, pieces[0], reading, rows),
        lambda i: here(model, pieces[i], reading, rows),
        load,
    )
    return merged(batch, parts, found)


def merged(batch: Batch, rows: Iterable[Tensor | None], parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Columns of the whole batch, from those of some rows each (None: of none): zeros where a part was not as wide."""
    found = {name: made.new_zeros(*batch.tokens.shape, *made.shape[2:]) for name, made in parts[0].items()}
    for at, part in zip(rows, parts, strict=True):
        for name, made in part.items() if at is not None else ():
            found[name][at, : made.shape[1]] = made
    return found


def spread(values: Tensor, batch: Batch) -> Tensor:
    """Put what is said of trained tokens, (M, K), at their places, (N, T, K); zeros elsewhere. Token 0 is never predicted."""
    at = batch.mask.clone()
    at[:, 0] = False
    found = values.new_zeros(*at.shape, values.shape[-1])
    found[at] = values
    return found
