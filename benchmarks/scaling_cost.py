"""What a campaign and a training cost on a large model, by arithmetic from named assumptions; nothing is measured here.

    python -m benchmarks.scaling_cost                                           # a 70 B model, a million attempts
    python -m benchmarks.scaling_cost 7b --replica-gpus 1 --replica-tokens 2500 --gpu-hour 1.5

Every number that is no arithmetic is an option: tokens a second that one replica of the model decodes with all its slots full
(measure yours; 1,500 on 8 GPUs is a guess for a 70 B model), tokens of a question and of an answer, the GPU's peak and the
share of it that training uses, and what a GPU costs an hour (2.00 is nobody's price). A judge that is a model comes on top.

    attempts a second of a replica = replica tokens / answer tokens
    GPU-hours of a campaign        = attempts / (attempts a second) * GPUs of a replica / 3600
    GPU-hours of a training        = tokens * FLOPs a token / (peak * MFU) / 3600
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass

from trueline.recipes.sharded_size import SIZES, Sharding, plan
from trueline.recipes.size import Size


@dataclass(frozen=True, kw_only=True)
class Assumed:
    """What is not arithmetic."""

    attempts: int = 1_000_000
    prompt_tokens: int = 300  # of a question
    answer_tokens: int = 256
    replica_gpus: int = 8
    replica_tokens: float = 1500.0  # decoded a second by one replica, all slots full, questions read between
    training_tokens: float = 1e9
    sequence: int = 4096
    peak_tflops: float = 900.0  # of one GPU in bfloat16
    mfu: float = 0.4
    gpu_hour: float = 2.0  # what a GPU costs an hour


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What follows."""

    parameters: int
    attempt_flops: float
    attempts_per_second: float  # of one replica
    campaign_gpu_hours: float
    campaign_cost: float
    training_flops_per_token: float
    training_gpu_hours: float
    training_cost: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", choices=list(SIZES), default="70b")
    for name, default in asdict(Assumed()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    parser.add_argument("--json", action="store_true")
    said = vars(parser.parse_args())
    name, as_json = said.pop("model"), said.pop("json")
    assumed = Assumed(**said)
    if low := [key for key, value in asdict(assumed).items() if value <= 0]:
        parser.error(f"--{low[0].replace('_', '-')}: expected more than 0")
    found = cost(SIZES[name], assumed)
    if as_json:
        print(json.dumps({"model": name, **asdict(assumed), **asdict(found)}))
    else:
        show(name, assumed, found)


def cost(size: Size, assumed: Assumed) -> Cost:
    """The arithmetic."""
    row = assumed.prompt_tokens + assumed.answer_tokens
    rate = assumed.replica_tokens / assumed.answer_tokens
    hours = assumed.attempts / rate * assumed.replica_gpus / 3600
    token = plan(size, Sharding(sequence=assumed.sequence)).flops
    training = assumed.training_tokens * token / (assumed.peak_tflops * 1e12 * assumed.mfu) / 3600
    return Cost(
        parameters=size.parameters,
        attempt_flops=size.forward(row, row, assumed.answer_tokens),
        attempts_per_second=rate,
        campaign_gpu_hours=hours,
        campaign_cost=hours * assumed.gpu_hour,
        training_flops_per_token=token,
        training_gpu_hours=training,
        training_cost=training * assumed.gpu_hour,
    )


def show(name: str, assumed: Assumed, found: Cost) -> None:
    """What people read."""
    a, f = assumed, found
    print(f"{name}: {f.parameters / 1e9:.1f} B parameters")
    print(f"an attempt: {a.prompt_tokens} tokens read and {a.answer_tokens} said, {f.attempt_flops / 1e12:.1f} TFLOP")
    print(f"a replica of {a.replica_gpus} GPUs: {a.replica_tokens:,.0f} tokens a second (assumed)", end="")
    print(f", {f.attempts_per_second:.2f} attempts a second")
    print(f"{a.attempts:,} attempts: {f.campaign_gpu_hours:,.0f} GPU-hours", end="")
    print(f", {f.campaign_cost:,.0f} at {a.gpu_hour:.2f} a GPU-hour (assumed)")
    print(f"training on {a.training_tokens / 1e9:.1f} B tokens: {f.training_flops_per_token / 1e9:.0f} GFLOP each", end="")
    print(f", {f.training_gpu_hours:,.0f} GPU-hours at {a.mfu} of {a.peak_tflops:.0f} TFLOP/s (assumed)", end="")
    print(f", {f.training_cost:,.0f}")


if __name__ == "__main__":
    main()
