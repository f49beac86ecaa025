"""Process reward models: a score for every step of a reply, from labels of the steps (Lightman et al. 2023, 2305.20050).

A row of data has a prompt, its reply in steps, and a label for each step, as TRL writes stepwise supervision:
`{"prompt": ..., "completions": ["...", "..."], "labels": [true, false]}`.
A label may also be a number from 0 to 1: how likely the step is right.

    trueline run process start=MODEL data=steps.jsonl
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import torch

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.stats import wilson
from trueline.core.types import Conversation
from trueline.data.messages import FieldError, read_list, read_prompt
from trueline.data.rows import DataError, Row, read_rows
from trueline.data.split import split_by_prompt
from trueline.models.policy import RewardModel
from trueline.models.tokens import Codec, Example, TemplateError
from trueline.recipes.reading import context_of
from trueline.recipes.reward_report import reliability
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.train.batch import pad_rows
from trueline.train.loop import train
from trueline.train.objectives.reward import StepReward
from trueline.train.optim import Optim
from trueline.train.sources import Examples

BETWEEN = "\n"  # what stands between two steps of a reply


@dataclass(frozen=True, slots=True)
class Solution:
    """A conversation whose last reply is made of steps, each with its label, 0 to 1."""

    conversation: Conversation
    steps: tuple[str, ...]
    labels: tuple[float, ...]


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Process:
    """Learn a score of every step from labels of the steps."""

    start: str = "safety"  # the model whose body the reward model starts from
    data: str = "steps.jsonl"  # a file of prompts, steps and their labels
    n: int = 0  # replies to use; 0: all
    epochs: int = 3
    batch: int = 1024  # tokens a step of the optimiser
    micro_rows: int = 0  # replies per forward pass; 0: all of a step
    context: int = 0  # longest example, tokens; longer ones are left out and counted. 0: the model's room
    held_out: float = 0.15  # share of the prompts that is kept to measure on
    optim: Optim = Optim(lr=1e-3, muon=0.003, decay=0.5)

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ConfigError(f"held_out is a share between 0 and 1, got {self.held_out}")
        if self.n < 0 or min(self.epochs, self.batch) < 1:
            raise ConfigError("n must not be negative; epochs and batch must be at least 1")

    def reads(self) -> tuple[str, ...]:
        return (self.start, self.data)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start)
        limit = context_of(policy.codec, policy.model.config.max_position_embeddings, self.context)
        solutions = {id(s.conversation): s for s in map(solution_of, islice(read_rows(self.data), self.n or None))}
        split = split_by_prompt([s.conversation for s in solutions.values()], self.held_out, studio.seed)
        sides = [[(step_example(policy.codec, solutions[id(c)]), solutions[id(c)].labels) for c in side] for side in split]
        kept, held = ([(e, labels) for e, labels in side if len(e.ids) <= limit] for side in sides)
        if not kept or not held:
            raise RecipeError(
                f"{len(kept)} replies to train on and {len(held)} to measure on, within {limit} tokens: "
                f"both must be above 0; give more data, or raise context or held_out"
            )
        source = Examples(
            examples=[e for e, _ in kept],
            columns={"step_label": [at_ends(e, labels) for e, labels in kept]},
            epochs=self.epochs,
            tokens=self.batch,
            pad=policy.codec.pad,
            seed=studio.seed,
        )
        reward = studio.ready(RewardModel.start_from(policy))
        studio.show.steps(room.name, len(source))
        done = train(reward, StepReward(), source, self.optim, room.loop(("loss", "accuracy"), self.micro_rows))
        reward.save(room.folder / "model")
        return {
            "tokens": done.tokens,
            "seconds": done.seconds,
            "replies": len(kept),
            "too_long": sum(map(len, sides)) - len(kept) - len(held),
            **step_report(step_probabilities(reward, [e for e, _ in held]), [labels for _, labels in held]),
        }


def solution_of(row: Row) -> Solution:
    """Read a row of stepwise supervision. Raises DataError with the file and the line."""
    try:
        for name in ("prompt", "completions", "labels"):
            if row.values.get(name) is None:
                raise FieldError(name, "a value (steps need prompt, completions, labels)", None)
        messages = read_prompt(row.values["prompt"], "prompt")
        steps = read_list(row.values["completions"], "completions", "a list of steps, each a text")
        labels = read_list(row.values["labels"], "labels", "a list with a label for each step")
        for i, step in enumerate(steps):
            if not isinstance(step, str) or not step.strip():
                raise FieldError(f"completions[{i}]", "a step, some text", step)
        for i, label in enumerate(labels):
            if not isinstance(label, bool | int | float) or not 0 <= label <= 1:
                raise FieldError(f"labels[{i}]", "true, false or a number from 0 to 1", label)
        if len(labels) != len(steps) or not steps:
            raise FieldError("labels", f"a label for each of {len(steps)} steps, and one step or more", labels)
    except ValueError as error:
        raise DataError(f"{row.file}:{row.line}: {error}") from None
    stripped = tuple(step.strip() for step in steps)
    conversation = Conversation(messages=messages).say("assistant", BETWEEN.join(stripped))
    return Solution(conversation, stripped, tuple(float(label) for label in labels))


def step_example(codec: Codec, solution: Solution) -> Example:
    """Ids of the whole conversation; the mask holds, for each step, the token in which it ends.

    Raises TemplateError where that token reaches into the next step, or the template changes the reply.
    """
    text, spans = codec.spans(solution.conversation)
    begin = text.find(BETWEEN.join(solution.steps), spans[-1][0])
    if begin < 0:
        raise TemplateError(
            f"the chat template changes the reply {solution.steps[0][:40]!r} ..., so its steps are not to be found"
        )
    encoded = codec.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    mask = [False] * len(encoded["input_ids"])
    for number, step in enumerate(solution.steps, 1):
        end = begin + len(step)
        index = next(i for i, (low, high) in enumerate(encoded["offset_mapping"]) if low < end <= high)
        if encoded["offset_mapping"][index][1] > end + len(BETWEEN) and number < len(solution.steps):
            raise TemplateError(
                f"the token at the end of the step {step[-40:]!r} reaches into the next; write steps on lines of their own"
            )
        mask[index] = True
        begin = end + len(BETWEEN)
    return Example(tuple(encoded["input_ids"]), tuple(mask))


def at_ends(example: Example, labels: Sequence[float]) -> list[float]:
    """The labels at the tokens where their steps end, zeros elsewhere."""
    rest = iter(labels)
    return [next(rest) if end else 0.0 for end in example.mask]


@torch.no_grad()
def step_probabilities(reward: RewardModel, examples: Sequence[Example], rows: int = 64) -> list[list[float]]:
    """sigmoid(score) at the end of every step."""
    found = []
    for i in range(0, len(examples), rows):
        part = examples[i : i + rows]
        batch = pad_rows([e.ids for e in part], [e.mask for e in part], reward.codec.pad).to(reward.device)
        value = reward(batch.tokens, batch.mask).value.sigmoid()
        found += [row[mask].tolist() for row, mask in zip(value, batch.mask, strict=True)]
    return found


def step_report(probabilities: Sequence[Sequence[float]], labels: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Accuracy of the steps, of right and wrong ones apart, and how often the first wrong step (or that none is) is found.

    A step counts as right from one half on, in the label and in the probability.
    """
    pairs = [(p >= 0.5, y >= 0.5, p) for ps, ys in zip(probabilities, labels, strict=True) for p, y in zip(ps, ys, strict=True)]
    bins = reliability([(max(p, 1 - p), float(said == true)) for said, true, p in pairs], 0.5, 5)
    first = [(_first_wrong(ps), _first_wrong(ys)) for ps, ys in zip(probabilities, labels, strict=True)]
    found: dict[str, Any] = {
        "accuracy": asdict(wilson(sum(said == true for said, true, _ in pairs), len(pairs))),
        "first_error": asdict(wilson(sum(a == b for a, b in first), len(first))),
        "calibration": bins,
        "ece": sum(b["n"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / len(pairs),
    }
    for name, kind in (("right_steps", True), ("wrong_steps", False)):
        those = [said == true for said, true, _ in pairs if true == kind]
        if those:
            found[name] = asdict(wilson(sum(those), len(those)))
    return found


def _first_wrong(values: Sequence[float]) -> int:
    return next((i for i, value in enumerate(values) if value < 0.5), -1)
