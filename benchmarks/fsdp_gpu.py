"""One GPU, one process, FSDP: what share of the GPU's FLOP/s a 1 B model's training uses, and memory against the plan's.

    python -m benchmarks.fsdp_gpu --peak-tflops N                      # of one GPU in bfloat16, by its data sheet
    python -m benchmarks.fsdp_gpu --device cpu --width 64 --layers 2 --heads 2 --row 128 --rows 4    # the arithmetic alone

A model of the world's words is trained on its documents (`trueline run pretrain`, AdamW), launched as on many GPUs. The first
steps are left out of the time: kernels are chosen there. Tokens a second are those of the median step; MFU is the model's FLOPs
(forward and backward, causal attention, nothing made again) over the peak's. Memory is the most that tensors held
(`torch.cuda.max_memory_allocated`), beside `trueline cluster plan` for one process. It exits with 1 where they differ by more
than --within; on a processor memory is another thing, and nothing is compared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from trueline.models.machine import dtype_for
from trueline.recipes.pretrain import Pretrain
from trueline.recipes.sharded_size import GB, Plan, Sharding, plan
from trueline.recipes.size import fresh

WARM = 5  # steps that are not counted
MB = 2**20


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was measured, beside what was planned. None where it cannot be told."""

    parameters: int
    tokens_per_second: float
    mfu: float | None
    planned_gb: float
    measured_gb: float | None

    @property
    def off(self) -> float | None:
        """How far the measured memory is from the planned, as a share of the planned."""
        return None if self.measured_gb is None else self.measured_gb / self.planned_gb - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--peak-tflops", type=float, help="of one GPU in what is computed in; without it, no MFU")
    for name, default in (("width", 2048), ("layers", 20), ("heads", 16), ("row", 2048), ("rows", 8), ("steps", 25)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--within", type=float, default=0.1, help="how far memory may be from the plan, as a share")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.steps <= WARM:
        parser.error(f"--steps: expected more than the {WARM} that are not counted, got {asked.steps}")
    recipe = recipe_of(asked)
    with tempfile.TemporaryDirectory() as folder:
        stage, steps = launch(recipe, asked.device, Path(folder) / "run", asked.timeout)
    found = compared(recipe, asked.device, asked.peak_tflops, stage, steps)
    if asked.json:
        print(json.dumps({**asdict(found), "off": found.off}))
    else:
        show(found)
    sys.exit(found.off is not None and abs(found.off) > asked.within)


def recipe_of(asked: argparse.Namespace) -> Pretrain:
    """The training that is measured: every step one forward and backward pass of `rows` rows."""
    batch = asked.rows * asked.row
    return Pretrain(
        width=asked.width, layers=asked.layers, heads=asked.heads, context=asked.row + 1, row=asked.row, long_row=0,
        batch=batch, micro_rows=asked.rows, tokens=asked.steps * batch, optim=replace(Pretrain().optim, lr=1e-4, muon=0.0),
    )  # fmt: skip


def words(recipe: Pretrain) -> list[str]:
    """The recipe as a command's words."""
    names = ("width", "layers", "heads", "context", "row", "long_row", "batch", "micro_rows", "tokens")
    settings = [f"{name}={getattr(recipe, name)}" for name in names]
    return ["run", "pretrain", *settings, f"optim.lr={recipe.optim.lr}", f"optim.muon={recipe.optim.muon}"]


def launch(recipe: Pretrain, device: str, folder: Path, timeout: float) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """Train in a process of its own, as a cluster would; return the stage's result and its steps."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1", "-m", "trueline",
        *words(recipe), "--device", device, "--out", str(folder), "--threads", "1", "--json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise SystemExit(f"the training ended with exit code {done.returncode}: {done.stderr.strip()[-2000:]}")
    steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return json.loads((folder / "stages" / "pretrain" / "result.json").read_text(encoding="utf-8")), steps


def compared(
    recipe: Pretrain, device: str, peak_tflops: float | None, stage: Mapping[str, Any], steps: Sequence[Mapping[str, float]]
) -> Found:
    """What was measured beside what the plan of one process says."""
    found, parameters = planned(recipe, device)
    each = [b["tokens"] - a["tokens"] for a, b in zip(steps[WARM - 1 :], steps[WARM:], strict=False)]
    took = [step["seconds_training"] for step in steps[WARM:]]
    rate = median(tokens / seconds for tokens, seconds in zip(each, took, strict=True))
    return Found(
        parameters=parameters,
        tokens_per_second=rate,
        mfu=rate * found.flops / (peak_tflops * 1e12) if peak_tflops else None,
        planned_gb=found.peak / GB,
        measured_gb=stage["memory_mb"] * MB / GB if stage["memory_of"] == "gpu" else None,
    )


def planned(recipe: Pretrain, device: str) -> tuple[Plan, int]:
    """The plan of one process, and the model's parameters."""
    size = fresh(recipe).size
    assert size is not None
    asked = Sharding(sequence=recipe.row, micro_rows=recipe.micro_rows, compute=dtype_for(device, "auto").itemsize)
    return plan(size, asked), size.parameters


def show(found: Found) -> None:
    """What people read."""
    print(f"{found.parameters / 1e9:.3f} B parameters, {found.tokens_per_second:,.0f} tokens a second")
    print(f"MFU {found.mfu:.3f}" if found.mfu is not None else "no MFU: --peak-tflops was not said")
    print(f"memory: planned {found.planned_gb:.2f} GB", end="")
    print(
        f", measured {found.measured_gb:.2f} GB, {found.off:+.1%}" if found.off is not None else "; not a GPU's, not compared"
    )


if __name__ == "__main__":
    main()
