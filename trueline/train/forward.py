"""What a model says of a batch without a gradient, on every core where the helpers of a crew have the model too.

A reference, a critic and the policy itself are read at every step of RL. Helpers see the trained weights as they are now, and
have every model that was `expected` when training began; what no helper has is read here, by all threads of one process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from safetensors.torch import load
from torch import Tensor

from trueline.models.forked import Helpers, helpers_of
from trueline.train.batch import Batch, Model
from trueline.train.messages import rows_of_parts

ROWS = 128  # rows a forward pass without gradient takes at a time: larger ones were slower on a CPU


@torch.no_grad()
def forward(model: Model, batch: Batch, what: str) -> Tensor:
    """The output `what` (logp, value, ...) of every row, (N, T)."""
    helpers = helpers_of.get(model) if isinstance(model, torch.nn.Module) and not model.training else None
    return here(model, batch, what) if helpers is None else helpers.read(model, batch, what)


def answer(model: torch.nn.Module, told: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a helper gives that was asked to read."""
    was_training = model.training
    model.eval()
    batch = Batch(
        tokens=tensors["tokens"],
        mask=tensors["mask"],
        columns={"length": tensors["length"]} if "length" in tensors else {},
        group=told["group"],
        temperature=told["temperature"],
    )
    with torch.no_grad():
        found = here(model, batch, told["what"])
    model.train(was_training)
    return {"found": found.contiguous()}


def here(model: Model, batch: Batch, what: str) -> Tensor:
    """The output `what` of every row, (N, T), in this process."""
    needs = frozenset({what})
    outs = (getattr(model(m.tokens, m.mask, needs, m.temperature), what) for m in batch.split(max(batch.group, ROWS)))
    return padded(outs, batch.tokens.shape[1])


def padded(outs: Iterable[Tensor], width: int) -> Tensor:
    """What was said of micro-batches, (N, T) of the whole batch: zeros where a micro-batch was not as wide."""
    return torch.cat([F.pad(out, (0, width - out.shape[1])) for out in outs])


def together(helpers: Helpers, model: torch.nn.Module, batch: Batch, what: str) -> Tensor:
    """As `here`, each process reading some of the groups."""
    parts = [rows for rows in rows_of_parts(batch, 1 + helpers.count) if rows is not None]
    if not parts:
        return here(model, batch, what)
    told = {"do": "read", "what": what, "group": batch.group, "temperature": batch.temperature}
    pieces = [batch.take(rows) for rows in parts]
    messages = {}
    for i, piece in enumerate(pieces[1:], 1):
        tensors = {"tokens": piece.tokens, "mask": piece.mask}
        tensors |= {"length": piece.columns["length"]} if "length" in piece.columns else {}
        messages[i] = helpers.message(told, model, {name: t.contiguous() for name, t in tensors.items()})
    found = helpers.together(
        messages,
        lambda: here(model, pieces[0], what),
        lambda i: here(model, pieces[i], what),
        lambda given: load(given)["found"],
    )
    out = found[0].new_zeros(batch.tokens.shape)
    for rows, values in zip(parts, found, strict=True):
        out[rows, : values.shape[1]] = values
    return out
