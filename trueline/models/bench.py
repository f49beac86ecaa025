"""What the processor's arithmetic reaches, what a training step makes of it, and what runs will use here: `doctor --bench`.

Three rates for each number of threads and each type of number: a large square product (the ceiling), the tiny model's widest
product (how near a small one comes to it), and a training step of the tiny model, forward and backward.

    trueline doctor --bench
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)

from trueline.models.policy import Policy
from trueline.models.products import half_is_fast, linear, onednn_is_better, speeds

SIDE = 1024  # of the square product: large enough to fill every core, 2 GFLOP
ROWS, ROW = 8, 128  # of the training step's batch: 1,024 tokens, what the recipes take
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What one number of threads does with one type of number."""

    threads: int
    dtype: str
    ceiling: float  # GFLOP/s of a square product
    product: float  # GFLOP/s of the tiny model's widest product
    step: float  # seconds of a training step of the tiny model


def rates(policy: Policy, threads: Sequence[int], seconds: float = 0.2, clock: Clock = time.perf_counter) -> list[Rate]:
    """Measure every choice, about `seconds` for each figure, and leave torch's threads as they were."""
    before, found = torch.get_num_threads(), []
    try:
        for count in sorted(set(threads)):
            torch.set_num_threads(count)
            products = speeds(seconds, clock)
            for name, dtype in TYPES.items():
                square = 2e-9 * SIDE**3 / _least(_square(dtype), seconds, clock)
                step = _least(_step(copy.deepcopy(policy).to(dtype)), seconds, clock)
                found.append(Rate(threads=count, dtype=name, ceiling=square, product=products[name], step=step))
    finally:
        torch.set_num_threads(before)
    return found


def reasons(found: Sequence[Rate], chosen: int) -> list[tuple[str, str]]:
    """What runs use on this machine, each with its why: threads (`chosen` by trying), numbers, Muon's numbers, the library."""
    steps = {(r.threads, r.dtype): r.step for r in found}
    others = [f"{s * 1e3:.0f} ms on {n}" for (n, kind), s in steps.items() if kind == "float32" and n != chosen]
    mine = steps.get((chosen, "float32"))
    took = "" if mine is None else f": a training step takes {mine * 1e3:.0f} ms" + (f", {others[0]}" if others else "")
    half = "" if mine is None else f"; a step in bfloat16 would take {steps[chosen, 'bfloat16'] * 1e3:.0f} ms"
    return [
        ("threads", f"{chosen}, as was tried just now{took}"),
        ("weights", f"float32: of a weight that has 8 significant bits, most updates would be rounded away{half}"),
        (
            "Muon's products",
            "bfloat16: this processor multiplies it in hardware, and their result is rough by design"
            if half_is_fast()
            else "float32: this processor has no hardware for bfloat16",
        ),
        (
            "float32 products",
            "by oneDNN: here it is as exact as torch's default, and faster"
            if onednn_is_better()
            else "by torch's default library",
        ),
    ]


def _square(dtype: torch.dtype) -> Callable[[], object]:
    a, b = torch.ones(SIDE, SIDE, dtype=dtype), torch.ones(SIDE, SIDE, dtype=dtype)
    return (lambda: linear(a, b)) if dtype == torch.float32 else (lambda: F.linear(a, b))


def _step(policy: Policy) -> Callable[[], object]:
    tokens = torch.arange(ROWS * ROW).view(ROWS, ROW) % policy.model.config.vocab_size

    def step() -> None:
        out = policy(tokens, torch.ones_like(tokens), frozenset({"logp"}))
        out.logp.sum().backward()
        policy.zero_grad()

    return step


def _least(way: Callable[[], object], seconds: float, clock: Clock) -> float:
    """The shortest call, in seconds, after one that warms up."""
    way()
    least, until = float("inf"), clock() + seconds
    while least == float("inf") or clock() < until:
        began = clock()
        way()
        least = min(least, clock() - began)
    return least
