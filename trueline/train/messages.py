"""What a crew's processes tell each other (train/crew.py): which rows are whose, batches as bytes, tensors in shared memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from trueline.models.forked import balanced, shared_tensor
from trueline.train.batch import Batch

FEW = 96  # tokens in a step: for fewer, sending them costs more than it saves
TRAINED = 4 / 3  # work of a token that carries loss, which needs logits, beside one that does not


def rows_of_parts(batch: Batch, parts: int) -> list[Tensor | None]:
    """Rows of each part, groups whole, with about as much work each. None is all of them, for the only part."""
    groups = len(batch.tokens) // batch.group
    trained = batch.mask.sum(-1)
    prompts = batch.columns["length"] - trained if "length" in batch.columns else torch.zeros_like(trained)
    once = prompts.view(groups, -1).float().mean(-1)  # a group's prompt is computed once
    costs = (once + TRAINED * trained.view(groups, -1).sum(-1)).tolist()
    if parts == 1 or groups < parts or sum(costs) < FEW:
        return [None]
    chosen = balanced(costs, parts)
    return [torch.tensor([g * batch.group + k for g in part for k in range(batch.group)]) for part in chosen]


def rows_each(micro_rows: int, parts: int) -> int:
    """Rows of one forward pass of each part, where all of them together take so many; 0: no limit."""
    return max(1, micro_rows // parts) if micro_rows else 0


def packed(told: Mapping[str, Any], model: nn.Module, batches: Mapping[str, Batch]) -> bytes:
    """A message: a line of JSON, then the tensors of all batches."""
    tensors: dict[str, Tensor] = {}
    heads = []
    for name, batch in batches.items():
        columns = {"tokens": batch.tokens, "mask": batch.mask} | {f"column.{k}": v for k, v in batch.columns.items()}
        tensors |= {f"{len(heads)}.{k}": v.contiguous() for k, v in columns.items()}
        heads.append({"name": name, "group": batch.group, "temperature": batch.temperature})
    training = "".join("1" if m.training else "0" for m in model.modules()) if batches else ""
    return json.dumps({**told, "training": training, "batches": heads}).encode() + b"\n" + (save(tensors) if tensors else b"")


def batches_of(told: Mapping[str, Any], tensors: Mapping[str, Tensor], model: nn.Module) -> dict[str, Batch]:
    """The batches of a message; the model trains or does not, as it does where the message comes from."""
    if told["training"]:
        for module, training in zip(model.modules(), told["training"], strict=True):
            module.training = training == "1"
    batches = {}
    for i, head in enumerate(told["batches"]):
        own = {k.removeprefix(f"{i}."): v for k, v in tensors.items() if k.startswith(f"{i}.")}
        columns = {k.removeprefix("column."): v for k, v in own.items() if k.startswith("column.")}
        batches[head["name"]] = Batch(
            tokens=own["tokens"], mask=own["mask"], columns=columns, group=head["group"], temperature=head["temperature"]
        )
    return batches


def like(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Shared memory of the same shapes, one after another, each at a multiple of 64 bytes."""
    sizes = [(t.numel() * t.element_size() + 63) // 64 * 64 for t in tensors]
    whole = shared_tensor(sum(sizes))
    parts = whole.split(sizes)
    return [p[: t.numel() * t.element_size()].view(t.dtype).view(t.shape) for p, t in zip(parts, tensors, strict=True)]


def into_shared_memory(tensors: Sequence[Tensor]) -> None:
    """Move what changes while training to where forked processes see it, matrices apart from vectors.

    So the matrices that one product reads together (models/fast.py) lie one after another.
    """
    tensors = sorted(tensors, key=lambda t: t.ndim < 2)
    for tensor, place in zip(tensors, like(tensors), strict=True):
        if tensor.count_nonzero():  # of what is zero no page is touched before it is used
            place.copy_(tensor.detach())
        tensor.data = place
