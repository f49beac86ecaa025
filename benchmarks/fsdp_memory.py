"""The plan of sharded training beside FSDP itself, on tensors without memory: no GPU, no other process, whatever the size.

    python -m benchmarks.fsdp_memory
    python -m benchmarks.fsdp_memory --json 7b:8:4096:1 70b:64:4096:1          # MODEL:WORLD:SEQUENCE:ROWS

torch's `fully_shard` shards a model of these sizes, whose blocks do what models/fast.py does, for one rank of a process group
that sends nothing; a forward and a backward pass is run on fake tensors, and `FSDPMemTracker` adds up what every operation
holds. The norm keeps its input alone, as on a GPU. The optimiser is left out on both sides: its moments are a constant. What
operations hold inside themselves, CUDA and fragments are in neither; a GPU is benchmarks/fsdp_gpu.py. It exits with 1 where a
peak is further from the plan's than --within.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

os.environ["TRUELINE_NO_KERNELS"] = "1"  # a kernel reads memory, and there is none

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils.checkpoint import checkpoint

from trueline.models.fused import norm_linear, swiglu_linear
from trueline.models.packed import split_heads
from trueline.models.products import log_probabilities
from trueline.recipes.sharded_size import GB, SIZES, Sharding, plan
from trueline.recipes.size import Size

CASES = (
    "1b:1:2048:8", "1b:8:2048:8", "1b:8:2048:1", "1b:8:128:1", "7b:8:4096:1", "7b:64:2048:2", "70b:64:4096:1", "70b:512:1024:1",
    "1b:8:2048:8:recompute", "7b:8:4096:1:recompute", "70b:16:4096:1:recompute", "70b:64:4096:1:recompute",
)  # fmt: skip
HEAD = 128  # width of a head


@dataclass(frozen=True, kw_only=True)
class Held:
    """One case: bytes at the peak, planned and tracked, the optimiser's moments left out."""

    case: str
    planned: float
    tracked: float
    when: str  # the phase that the plan holds to be the fullest
    kinds: Mapping[str, float]  # what the tracker calls it

    @property
    def off(self) -> float:
        """How far the plan is from what was tracked, as a share of that."""
        return self.planned / self.tracked - 1


class Norm(torch.autograd.Function):
    """A root-mean-square norm that keeps its input alone; its gradients have the right shapes and no meaning."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.empty_like(x)

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, Tensor]:
        _, weight = ctx.saved_tensors
        return torch.empty_like(given), torch.empty_like(weight)


class Block(nn.Module):
    """A layer as models/fast.py computes it, with the weights that it joins as one."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.norm_in, self.norm_post = (nn.Parameter(torch.empty(size.width)) for _ in range(2))
        self.qkv = nn.Parameter(torch.empty(size.queries + 2 * size.keys, size.width))
        self.out = nn.Parameter(torch.empty(size.width, size.queries))
        self.gate_up = nn.Parameter(torch.empty(2 * size.inner, size.width))
        self.down = nn.Parameter(torch.empty(size.width, size.inner))
        self.heads = (size.queries // HEAD, size.keys // HEAD)

    def forward(self, x: Tensor, turn: Tensor) -> Tensor:
        """The next states of x (N, T, D)."""
        x, qkv = norm_linear(x, None, self.norm_in, 1e-6, self.qkv)
        q, k, v = (part.transpose(1, 2) for part in split_heads(qkv, turn, turn, self.heads))
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True).transpose(1, 2).flatten(-2)
        x, both = norm_linear(x, F.linear(seen, self.out), self.norm_post, 1e-6, self.gate_up)
        return x + swiglu_linear(both, self.down)


class Model(nn.Module):
    """Embedding, blocks, last norm and head: from tokens to the sum of their log-probabilities."""

    def __init__(self, size: Size, recompute: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size.vocabulary, size.width)
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.layers))
        self.norm = nn.Parameter(torch.empty(size.width))
        self.head = nn.Parameter(torch.empty(size.vocabulary, size.width))
        self.recompute = recompute

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        turn = torch.empty(tokens.shape[1], HEAD // 2, dtype=x.dtype)
        for block in self.blocks:
            x = checkpoint(block, x, turn, use_reentrant=False) if self.recompute else block(x, turn)
        return log_probabilities(Norm.apply(x, self.norm).flatten(0, 1), self.head, tokens.flatten())[0].sum()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=CASES, metavar="MODEL:WORLD:SEQUENCE:ROWS[:recompute]")
    parser.add_argument("--within", type=float, default=0.1, help="as a share")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = []
    for case in asked.cases:
        try:
            size, sharding = read(case)
        except (ValueError, KeyError) as error:
            parser.error(f"{case}: expected MODEL:WORLD:SEQUENCE:ROWS or those with :recompute, got {error}")
        found.append(held(case, size, sharding))
    if asked.json:
        print(json.dumps([{**vars(one), "off": one.off} for one in found]))
    else:
        print(f"{'model:processes:tokens:rows':30}{'planned GB':>11}{'tracked GB':>11}{'off':>8}   fullest")
        for one in found:
            print(f"{one.case:30}{one.planned / GB:11.2f}{one.tracked / GB:11.2f}{one.off:+8.1%}   {one.when}")
    sys.exit(any(abs(one.off) > asked.within for one in found))


def read(case: str) -> tuple[Size, Sharding]:
    """The model's size and how it is sharded."""
    name, world, sequence, rows, *more = case.split(":")
    if more not in ([], ["recompute"]):
        raise ValueError(more)
    return SIZES[name], Sharding(sequence=int(sequence), micro_rows=int(rows), world=int(world), recompute=bool(more))


def held(case: str, size: Size, asked: Sharding) -> Held:
    """The plan's peak and FSDP's, of one forward and backward pass."""
    made = plan(size, asked)
    (moments,) = (item.bytes for item in made.items if item.name == "moments")
    kinds = tracked(size, asked)
    return Held(case=case, planned=made.peak - moments, tracked=kinds.pop("Total"), when=made.fullest, kinds=kinds)


def tracked(size: Size, asked: Sharding) -> dict[str, float]:
    """Bytes at FSDP's peak on the first of `world` processes, by the tracker's names."""
    norm = F.rms_norm
    F.rms_norm = lambda x, shape, weight, eps: Norm.apply(x, weight)
    dist.init_process_group("fake", rank=0, world_size=asked.world, store=FakeStore())
    try:
        mesh = dist.device_mesh.init_device_mesh("cpu", (asked.world,))
        with FakeTensorMode(allow_non_fake_inputs=True):
            half = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
            model = Model(size, asked.recompute)
            for module in (*model.blocks, model):
                fully_shard(module, mesh=mesh, mp_policy=half)
            tracker = FSDPMemTracker(model)
            tracker.track_inputs((torch.zeros(1),))
            tokens = torch.zeros(asked.micro_rows, asked.sequence, dtype=torch.long)
            with tracker:
                model(tokens).backward()
            (found,) = tracker.get_tracker_snapshot("peak").values()
    finally:
        dist.destroy_process_group()
        F.rms_norm = norm
    return {str(getattr(kind, "value", kind)): float(size) for kind, size in found.items()}


if __name__ == "__main__":
    main()
