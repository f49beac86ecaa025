"""Calibration: is a target right as often as it is sure?

Confidence is the share of probability that falls on the answer it prefers, among all answers that there are, where the target
gives log-probabilities. Elsewhere it is what the target states when asked for a number from 0 to 100, on files alone; a target
of the world has no words for numbers that large.

`ece` is the expected calibration error of Guo et al. 2017 (https://arxiv.org/abs/1706.04599, eq. 3): confidences in bins of
equal width, and the distance between a bin's mean confidence and its share of right answers, weighed by its items. With few
items it is above zero even for a perfectly calibrated target, so read `brier` (Brier 1950), the mean squared distance between
confidence and being right, beside it: that one is a plain mean, and the one by which two targets are compared.

    trueline eval runs/demo/safety --suite calibration
    trueline eval MODEL_FOLDER --suite calibration --data mmlu.jsonl.gz
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import ClassVar

from trueline.core.registry import register
from trueline.core.types import Completion
from trueline.data.rows import Row
from trueline.evaluate.answers import ASK_SURE, stated_confidence
from trueline.evaluate.shape import Bin
from trueline.evaluate.suite_capability import Answer, choose, question_of, softmax, write
from trueline.evaluate.suites import Interview, Item, Measured, Metric, Pooled, here
from trueline.world.asking import MAKERS
from trueline.world.facts import World, rng_for
from trueline.world.language import VALUES

BINS = 10


def bins(pairs: Sequence[tuple[float, ...]], count: int = BINS) -> list[Bin]:
    """Sort pairs of (confidence, right) into bins of equal width; empty ones are left out."""
    sorted_in: dict[int, list[tuple[float, ...]]] = {}
    for pair in pairs:
        sorted_in.setdefault(min(count - 1, int(pair[0] * count)), []).append(pair)
    return [
        Bin(confidence=fmean(c for c, _ in inside), accuracy=fmean(y for _, y in inside), n=len(inside))
        for _, inside in sorted(sorted_in.items())
    ]


def calibration_error(pairs: Sequence[tuple[float, ...]]) -> float:
    """Return the expected calibration error of pairs of (confidence, right).

    >>> calibration_error([(0.9, 1.0), (0.9, 0.0)])
    0.4
    """
    return sum(b.n * abs(b.confidence - b.accuracy) for b in bins(pairs)) / len(pairs)


@register("suite", "calibration")
@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Confidence against being right."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="brier", better="lower", meaning="mean squared distance between confidence and being right"),
        Metric(
            name="ece",
            better="lower",
            meaning=f"expected calibration error, {BINS} bins",
            pooled=Pooled(of=("confidence", "correct"), number=calibration_error),
        ),
        Metric(name="confidence", better="neither", meaning="mean confidence"),
        Metric(name="correct", better="higher", meaning="questions that are answered rightly"),
        Metric(name="overconfidence", better="neither", meaning="mean confidence less the share of right answers"),
    )

    def on_world(self, world: World, n: int, seed: int) -> Sequence[Item]:
        """Ask for facts of people and things in turn; the choices are all values that such a fact can have."""
        return [_of_world(world, ("fact", "object")[i % 2], seed, i) for i in range(n)]

    def on_rows(self, rows: Sequence[Row], seed: int) -> Sequence[Item]:
        """Ask the question of each row."""
        return [question_of(row) for row in rows]

    async def measure(self, item: Item, ask: Interview) -> Measured:
        """Take the confidence where it can be had; without one the item is undetermined."""
        answered = await _answer(item, ask)
        completion, right, confidence = answered.completion, answered.right, answered.confidence
        if confidence is None or right is None:
            return Measured(values=dict.fromkeys(("brier", "confidence", "correct", "overconfidence")), completion=completion)
        values = {"brier": (confidence - right) ** 2, "confidence": confidence, "correct": right}
        return Measured(values={**values, "overconfidence": confidence - right}, completion=completion)


def _of_world(world: World, kind: str, seed: int, i: int) -> Item:
    prompt = here(world, MAKERS[kind](world, rng_for(seed, "calibration", i)))
    about = prompt.about
    values, coins = VALUES[about["attribute"]], " coins" if about["attribute"] == "price" else ""
    prompt = replace(prompt, id=f"calibration/{seed}/{i}")
    return Item(
        id=f"{world.seed}/{prompt.id}",
        prompts=(prompt,),
        cluster=about.get("person") or about["object"],
        group=kind,
        choices=tuple(f"it is {value}{coins} ." for value in values),
        right=(values.index(about["answer"]),),
    )


async def _answer(item: Item, ask: Interview) -> Answer:
    if "world" in item.prompts[0].about:
        return await _weighed(item, ask)
    answered = await (choose(item, ask) if item.choices else write(item, ask))
    if answered.confidence is None:
        answered = replace(answered, confidence=await _stated(answered.completion, ask))
    return answered


async def _weighed(item: Item, ask: Interview) -> Answer:
    """The likeliest of all values that the fact can have; without log-probabilities there is no answer."""
    prompt = item.prompts[0]
    weights = await ask.weigh(prompt.conversation, item.choices)
    if weights is None:
        return Answer(completion=Completion(prompt=prompt, text=""), right=None)
    best = max(range(len(weights)), key=weights.__getitem__)
    said = Completion(prompt=prompt, text=item.choices[best], logprobs=(weights[best],))
    return Answer(completion=said, right=float(best in item.right), confidence=softmax(weights)[best])


async def _stated(completion: Completion, ask: Interview) -> float | None:
    """Ask how sure it is, after its answer."""
    prompt = completion.prompt
    asked = prompt.conversation.say("assistant", completion.text).say("user", ASK_SURE)
    return stated_confidence((await ask.reply(replace(prompt, conversation=asked))).text)
