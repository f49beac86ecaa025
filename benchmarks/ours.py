"""trueline on one kind of work, timed by the step; prints one JSON line.

    python benchmarks/ours.py sft INPUTS tiny --steps 20

The same models, data and rows a step as `peer.py`, through the sources, objectives and the loop that the recipes use.
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402  (the clock starts before anything is loaded)
import json  # noqa: E402
import resource  # noqa: E402
from collections.abc import Iterator, Mapping, Sequence  # noqa: E402
from itertools import islice  # noqa: E402
from pathlib import Path  # noqa: E402
from random import Random  # noqa: E402

import torch  # noqa: E402

from trueline.core.types import Completion, Conversation, Prompt  # noqa: E402
from trueline.models.generate import sample  # noqa: E402
from trueline.models.machine import keep_memory  # noqa: E402
from trueline.models.policy import Policy, RewardModel  # noqa: E402
from trueline.models.tokens import Example  # noqa: E402
from trueline.train import advantages, annotate  # noqa: E402
from trueline.train.batch import Batch, Objective, Per, Source  # noqa: E402
from trueline.train.loop import Loop, train  # noqa: E402
from trueline.train.objectives.likelihood import NextToken  # noqa: E402
from trueline.train.objectives.preference import DPO  # noqa: E402
from trueline.train.objectives.reinforce import PolicyGradient  # noqa: E402
from trueline.train.objectives.reward import BradleyTerry  # noqa: E402
from trueline.train.optim import Optim  # noqa: E402
from trueline.train.rollout import Rollouts  # noqa: E402
from trueline.train.sources import Examples, Groups, Packed  # noqa: E402

MEAN = 47  # tokens of a demonstration, its end included
OPTIM = Optim(lr=1e-5, muon=0.0, schedule="constant", warmup=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=["pretrain", "sft", "reward", "dpo", "grpo", "generate"])
    parser.add_argument("inputs", type=Path)
    parser.add_argument("model")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm", type=int, default=3)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cached", action="store_true")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    keep_memory()
    torch.set_num_threads(asked.threads)
    found = generate(asked) if asked.work == "generate" else measure(asked)
    found["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"side": "ours", "work": asked.work, "model": asked.model, **found}))


def measure(asked: argparse.Namespace) -> dict[str, float]:
    """Time the steps of the loop after the first `warm` ones."""
    policy = Policy.load(asked.inputs / asked.model).to(asked.device)
    model: torch.nn.Module = policy
    objective: Objective
    source: Source
    steps = asked.warm + asked.steps
    if asked.work == "pretrain":
        texts = [policy.codec.document(row["text"]) for row in _rows(asked, "pretrain")]
        objective, source = NextToken(), Counted(packed(policy, texts, steps, asked.rows), "token", steps)
    elif asked.work == "sft":
        examples = [_example(policy, row["prompt"], row["completion"]) for row in _rows(asked, "sft")]
        objective = NextToken()
        source = Counted(Examples(examples=examples, epochs=3, tokens=MEAN * asked.rows, pad=policy.codec.pad), "token", steps)
    elif asked.work in ("reward", "dpo"):
        pairs = [[_example(policy, row["prompt"], row[k]) for k in ("chosen", "rejected")] for row in _rows(asked, "pairs")]
        note = (lambda batch: batch) if asked.work == "reward" else reference(policy, pairs, asked.cached)
        groups = Groups(rows=pairs, epochs=3, groups=asked.rows, pad=policy.codec.pad, annotate=note)
        source = Counted(groups, "group", steps)
        objective = BradleyTerry() if asked.work == "reward" else DPO()
        model = RewardModel.start_from(policy) if asked.work == "reward" else policy
    else:
        prompts = [Prompt(conversation=Conversation().say("user", row["prompt"])) for row in _rows(asked, "prompts")]
        policy.codec = policy.codec.with_template("raw")
        objective = PolicyGradient()
        source = Counted(rollouts(policy, prompts, steps, asked.rows), "token", steps)
    marks: list[tuple[float, float, float]] = []

    def mark(step: int, metrics: Mapping[str, float]) -> None:
        marks.append((time.perf_counter(), time.process_time(), source.useful))

    ready = time.perf_counter()
    train(model, objective, source, OPTIM, Loop(observe=mark))
    (began, used, before), (ended, cpu, after) = marks[asked.warm - 1], marks[-1]
    return {"useful": after - before, "seconds": ended - began, "cpu_s": cpu - used, "start_s": ready - BEGAN}


class Counted:
    """The first `steps` batches of a source, and a count of what they hold: tokens with loss, or pairs."""

    def __init__(self, source: Source, per: Per, steps: int) -> None:
        self.source, self.per, self.steps, self.useful = source, per, steps, 0.0

    def __len__(self) -> int:
        return self.steps

    def resumable(self, step: int) -> bool:
        return self.source.resumable(step)

    def batches(self, start: int) -> Iterator[Batch]:
        for batch in islice(self.source.batches(start), self.steps - start):
            self.useful += batch.count(self.per)
            yield batch


def packed(policy: Policy, texts: list[list[int]], steps: int, rows: int) -> Packed:
    def stream(seed: int) -> Iterator[list[int]]:
        rng = Random(seed)
        while True:
            yield rng.choice(texts)

    return Packed(documents=stream, steps=steps, tokens=128 * rows, width=128, every=0, pad=policy.codec.pad)


def reference(policy: Policy, pairs: Sequence[Sequence[Example]], cached: bool) -> annotate.Annotate:
    frozen = policy.frozen()
    return annotate.reference(frozen)


def rollouts(policy: Policy, prompts: list[Prompt], steps: int, rows: int) -> Rollouts:
    def reward(completions: Sequence[Completion]) -> list[float]:
        return [sum(c in "aeiou" for c in x.text) / (len(x.text) + 1) for x in completions]

    groups = max(1, rows // 8)
    return Rollouts(
        policy=policy,
        prompts=lambda i: [prompts[(groups * i + k) % len(prompts)] for k in range(groups)],
        reward=reward,
        annotate=annotate.chain(annotate.kl_in_reward(0.0), advantages.grpo()),
        iterations=steps,
        group=8,
        max_tokens=32,
    )


def generate(asked: argparse.Namespace) -> dict[str, float]:
    """Time sampling on 64 prompts x 8 samples."""
    policy = Policy.load(asked.inputs / asked.model).to(asked.device)
    prompts = [row["prompt"] for row in _rows(asked, "prompts")]
    ready, useful, seconds = time.perf_counter(), 0, 0.0
    for step in range(asked.warm + asked.steps):
        part = [prompts[(64 * step + i) % len(prompts)] for i in range(64)]
        began = time.perf_counter()
        drawn = sample(policy, [policy.codec.ids(p) for p in part], count=8, max_tokens=32, seed=step)
        if step >= asked.warm:
            seconds += time.perf_counter() - began
            useful += sum(len(s.ids) for group in drawn for s in group)
    return {"useful": useful, "seconds": seconds, "start_s": ready - BEGAN}


def _rows(asked: argparse.Namespace, kind: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (asked.inputs / f"{asked.model}.{kind}.jsonl").open()]


def _example(policy: Policy, prompt: str, completion: str) -> Example:
    """Prompt and completion as they stand, the completion (with its end) carrying the loss."""
    head, said = policy.codec.ids(prompt), [*policy.codec.ids(completion), policy.codec.eos]
    return Example((*head, *said)[:128], (*([False] * len(head)), *([True] * len(said)))[:128])


if __name__ == "__main__":
    main()
