"""Where the time of our own steps goes, and what share of the machine's ceiling for products they reach.

    python benchmarks/where.py INPUTS [--models tiny,small] [--work pretrain,sft,dpo,grpo]

One process of one thread makes steps under torch's profiler, as each process of a crew does (train/crew.py); INPUTS is what
inputs.py wrote. `ceiling` is the best of three products of 1024 x 1024 by 1024 x 1024, float32, on one thread, just before.
`products` is the share of the time that is spent in matrix products, `of ceiling` how fast these are, and `step` the share of
the ceiling that the whole step reaches: the floating-point operations of its products over all of its time. The other columns
are shares of the time. A decoder's products are inside its one call (models/decoding.cpp), which counts as `decoding`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from types import SimpleNamespace

import ours
import torch
from torch.profiler import ProfilerActivity, profile

from trueline.models.allocation import few_kernels, keep_memory
from trueline.models.products import linear
from trueline.targets import local

KINDS = {
    "attention": ("_Attend",),
    "norms, SwiGLU": ("_Norm", "_SwiGLU"),
    "log-probs": ("_LogProbabilities",),
    "optimiser": ("adamw", "foreach", "baddbmm", "lerp"),
}


class Some(Exception):  # noqa: N818  (it says that there are enough steps, and is no error)
    """There were enough steps."""


class Steps:
    """What `ours.measure` reports to: some steps to warm up, then `count` under the profiler."""

    def __init__(self, warm: int, count: int) -> None:
        self.left, self.count = warm, count
        self.profiler = profile(activities=[ProfilerActivity.CPU], with_flops=True)
        self.began = 0.0

    def started(self) -> None:
        """What comes now is steps."""

    def step(self, useful: float) -> None:
        self.left -= 1
        if self.left == 0 and not self.began:
            self.left, self.began = self.count, time.perf_counter()
            self.profiler.__enter__()
        elif self.left == 0:
            self.seconds = time.perf_counter() - self.began
            self.profiler.__exit__(None, None, None)
            raise Some


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("--models", default="tiny,small")
    parser.add_argument("--work", default="pretrain,sft,reward,dpo,grpo")
    asked = parser.parse_args()
    few_kernels()
    keep_memory()
    torch.set_num_threads(1)
    names = ["ms", "ceiling", "step", "of ceiling", "products", *KINDS, "decoding", "rest"]
    print(f"{'work':10}{'model':7}" + "".join(f"{n:>15}" for n in names))
    for model in asked.models.split(","):
        for work in asked.work.split(","):
            print(f"{work:10}{model:7}" + "".join(f"{x:>15}" for x in row(asked.inputs, work, model)), flush=True)


def row(inputs: Path, work: str, model: str) -> list[str]:
    """One line of the table."""
    ceiling, decoding = best(), 0.0
    steps = Steps(5, 20 if model == "tiny" else 4)
    whole = ours.sample

    def timed(*given: object, **more: object) -> object:
        nonlocal decoding
        began = time.perf_counter()
        try:
            return whole(*given, **more)
        finally:
            decoding += (time.perf_counter() - began) if steps.began else 0.0

    local.sample = timed
    try:
        rows = 64 if work == "grpo" else 16
        ours.measure(SimpleNamespace(inputs=inputs, model=model, work=work, rows=rows, device="cpu", cached=False), steps)
    except Some:
        pass
    finally:
        local.sample = whole
    events = steps.profiler.key_averages()
    flops = sum(e.flops for e in events if e.key in ("aten::mm", "aten::addmm"))
    spent = dict.fromkeys(KINDS, 0.0)
    products = 0.0
    for event in events:
        took = event.self_cpu_time_total / 1e6
        if event.key in ("aten::mm", "aten::addmm"):
            products += took
        kind = next((k for k, words in KINDS.items() if any(w in event.key for w in words)), None)
        if kind:
            spent[kind] += took
    total = steps.seconds
    rest = total - products - sum(spent.values()) - decoding
    shares = [x / total for x in (products, *spent.values(), decoding, rest)]
    reached = [flops / seconds / 1e9 / ceiling for seconds in (total, products)]
    ours_ms, at_best = f"{total / steps.count * 1e3:.1f}", f"{ceiling:.0f} GF/s"
    return [ours_ms, at_best, *(f"{x:.2f}" for x in (*reached, *shares))]


def best(side: int = 1024) -> float:
    """GFLOP/s of a large product."""
    a, b = torch.ones(side, side), torch.ones(side, side)
    linear(a, b)
    took = []
    for _ in range(3):
        began = time.perf_counter()
        linear(a, b)
        took.append(time.perf_counter() - began)
    return 2e-9 * side**3 / min(took)


if __name__ == "__main__":
    main()
