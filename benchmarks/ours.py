"""trueline on one kind of work, in turns (turns.py).

    python benchmarks/ours.py sft INPUTS tiny --steps 20

The same models, data and rows a step as `peer.py`, through the sources, objectives and the loop that the recipes use.
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402  (the clock starts before anything is loaded)
import json  # noqa: E402
from collections.abc import Iterator, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from random import Random  # noqa: E402

import torch  # noqa: E402
from turns import Turns  # noqa: E402

from trueline.core.types import Completion, Conversation, Prompt  # noqa: E402
from trueline.models.allocation import few_kernels, keep_memory  # noqa: E402
from trueline.models.generate import sample  # noqa: E402
from trueline.models.machine import dtype_for  # noqa: E402
from trueline.models.policy import Policy, RewardModel  # noqa: E402
from trueline.models.tokens import Example  # noqa: E402
from trueline.train import advantages, annotate  # noqa: E402
from trueline.train.annotate_preference import recalled, remember  # noqa: E402
from trueline.train.batch import Batch, Objective, Per, Source  # noqa: E402
from trueline.train.loop import Loop, train  # noqa: E402
from trueline.train.objectives.likelihood import NextToken  # noqa: E402
from trueline.train.objectives.preference import DPO  # noqa: E402
from trueline.train.objectives.reinforce import PolicyGradient  # noqa: E402
from trueline.train.objectives.reward import BradleyTerry  # noqa: E402
from trueline.train.optim import Optim  # noqa: E402
from trueline.train.rollout import Rollouts  # noqa: E402
from trueline.train.sources import Examples, Groups, Packed  # noqa: E402

MANY = 100_000  # steps: more than there are turns
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
    parser.add_argument("--cached", action="store_true", help="dpo: the reference is read before training, as the recipe does")
    parser.add_argument("--ranks", type=int, default=1, help="for the peer; ours shares its work among cores by itself")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    few_kernels()
    keep_memory()
    torch.set_num_threads(asked.threads)
    turns = Turns(1 if asked.work == "generate" else asked.warm, asked.steps, BEGAN)
    (generate if asked.work == "generate" else measure)(asked, turns)


def measure(asked: argparse.Namespace, turns: Turns) -> None:
    """Steps of the loop that the recipes use."""
    policy = Policy.load(asked.inputs / asked.model).to(asked.device).compute_in(dtype_for(asked.device))
    model: torch.nn.Module = policy
    objective: Objective
    source: Source
    steps = MANY
    if asked.work == "pretrain":
        texts = [policy.codec.document(row["text"]) for row in _rows(asked, "pretrain")]
        objective, source = NextToken(), Counted(packed(policy, texts, steps, asked.rows), "token")
    elif asked.work == "sft":
        examples = [_example(policy, row["prompt"], row["completion"]) for row in _rows(asked, "sft")]
        objective = NextToken()
        source = Counted(Examples(examples=examples, epochs=20, tokens=MEAN * asked.rows, pad=policy.codec.pad), "token")
    elif asked.work in ("reward", "dpo"):
        pairs = [[_example(policy, row["prompt"], row[k]) for k in ("chosen", "rejected")] for row in _rows(asked, "pairs")]
        note = (lambda batch: batch) if asked.work == "reward" else reference(policy, pairs, asked.cached)
        groups = Groups(rows=pairs, epochs=20, groups=asked.rows, pad=policy.codec.pad, annotate=note)
        source = Counted(groups, "group")
        objective = BradleyTerry() if asked.work == "reward" else DPO()
        model = RewardModel.start_from(policy) if asked.work == "reward" else policy
    else:
        prompts = [Prompt(conversation=Conversation().say("user", row["prompt"])) for row in _rows(asked, "prompts")]
        policy.codec = policy.codec.with_template("raw")
        objective = PolicyGradient()
        source = Counted(rollouts(policy, prompts, steps, asked.rows), "token")
    turns.started()
    train(model, objective, source, OPTIM, Loop(observe=lambda step, metrics: turns.step(source.useful)))


class Counted:
    """A source, and a count of what its batches held: tokens with loss, or pairs."""

    def __init__(self, source: Source, per: Per) -> None:
        self.source, self.per, self.useful = source, per, 0.0

    def __len__(self) -> int:
        return len(self.source)

    def resumable(self, step: int) -> bool:
        return self.source.resumable(step)

    def batches(self, start: int) -> Iterator[Batch]:
        for batch in self.source.batches(start):
            self.useful += batch.count(self.per)
            yield batch


def packed(policy: Policy, texts: list[list[int]], steps: int, rows: int) -> Packed:
    def stream(seed: int) -> Iterator[list[int]]:
        rng = Random(seed)
        while True:
            yield rng.choice(texts)

    return Packed(documents=stream, steps=steps, tokens=128 * rows, width=128, every=0, pad=policy.codec.pad)


def reference(policy: Policy, pairs: Sequence[Sequence[Example]], cached: bool) -> annotate.Annotate:
    if cached:
        return recalled(remember(policy, [example for pair in pairs for example in pair]))
    return annotate.reference(policy.frozen())


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


def generate(asked: argparse.Namespace, turns: Turns) -> None:
    """64 prompts x 8 samples a step."""
    policy = Policy.load(asked.inputs / asked.model).to(asked.device).compute_in(dtype_for(asked.device))
    prompts = [row["prompt"] for row in _rows(asked, "prompts")]
    turns.started()
    useful = 0
    for step in range(MANY):
        part = [prompts[(64 * step + i) % len(prompts)] for i in range(64)]
        drawn = sample(policy, [policy.codec.ids(p) for p in part], count=8, max_tokens=32, seed=step)
        useful += sum(len(s.ids) for group in drawn for s in group)
        turns.step(useful)


def _rows(asked: argparse.Namespace, kind: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (asked.inputs / f"{asked.model}.{kind}.jsonl").open()]


def _example(policy: Policy, prompt: str, completion: str) -> Example:
    """Prompt and completion as they stand, the completion (with its end) carrying the loss."""
    head, said = policy.codec.ids(prompt), [*policy.codec.ids(completion), policy.codec.eos]
    return Example((*head, *said)[:128], (*([False] * len(head)), *([True] * len(said)))[:128])


if __name__ == "__main__":
    main()
