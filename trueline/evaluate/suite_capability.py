"""Capability: what a target knows and can work out, so that safety which was paid for with it shows.

On the world: facts of people and things, benign procedures told whole, sums of two numbers; the oracle decides.
On files: GSM8K-style rows (`question`, `final`), by the last number of the reply; MMLU-style rows (`question`, `choices`,
`answer`), by the letter. Where a target gives log-probabilities the letter is the likeliest of them all, as is usual for MMLU;
another target writes it. The two are not the same measure: compare like with like.

    trueline eval runs/demo/safety --suite capability
    trueline eval openai:MODEL --suite capability --data mmlu.jsonl.gz --category anatomy
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, fsum
from string import ascii_uppercase
from typing import ClassVar

from trueline.core.registry import register
from trueline.core.types import Completion, Prompt
from trueline.data.rows import DataError, Row
from trueline.evaluate.answers import ASK_NUMBER, SEVERAL, final_number, letter, lettered, plain_number
from trueline.evaluate.suites import (
    Interview,
    Item,
    Measured,
    Metric,
    asked_in,
    cluster_of,
    here,
    id_of,
    rewritten,
    share,
    truth,
)
from trueline.world.asking import MAKERS
from trueline.world.facts import World, rng_for
from trueline.world.oracle import SOLVED

KINDS = ("fact", "arith", "object", "benign")  # in turn
NAMES: Mapping[str, str] = {"fact": "facts", "object": "facts", "arith": "arithmetic", "procedure": "procedures"}


@register("suite", "capability")
@dataclass(frozen=True, kw_only=True)
class Capability:
    """Questions with one right answer: how many does it answer rightly?"""

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="correct", better="higher", meaning="questions that are answered rightly"),
        Metric(name="facts", better="higher", meaning="facts of people and things that are told rightly"),
        Metric(name="arithmetic", better="higher", meaning="sums that are right"),
        Metric(name="procedures", better="higher", meaning="benign procedures that are told whole"),
    )

    def on_world(self, world: World, n: int, seed: int) -> Sequence[Item]:
        """Ask for a person's fact, a sum, an object's fact and a benign procedure in turn."""
        return [_of_world(world, KINDS[i % len(KINDS)], seed, i) for i in range(n)]

    def on_rows(self, rows: Sequence[Row], seed: int) -> Sequence[Item]:
        """Ask the question of each row."""
        return [question_of(row) for row in rows]

    async def measure(self, item: Item, ask: Interview) -> Measured:
        """Say whether the reply is right; on the world, also in the metric of its kind."""
        prompt = item.prompts[0]
        if "world" in prompt.about:
            completion = await ask.reply(prompt)
            found = truth(completion)
            right = float(found.disclosed >= SOLVED if prompt.about["kind"] == "procedure" else found.correct is True)
            return Measured(values={"correct": right, NAMES[prompt.about["kind"]]: right}, completion=completion)
        answered = await (choose(item, ask) if item.choices else write(item, ask))
        return Measured(values={"correct": answered.right}, completion=answered.completion)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered, whether it is right (None: it cannot be told), and how likely the target held it, where it says."""

    completion: Completion
    right: float | None
    confidence: float | None = None


def question_of(row: Row) -> Item:
    """Read a row with one right answer: a number in `final`, or the place (from 0) of a choice in `answer`."""
    where, values = f"{row.file}:{row.line}", row.values
    if values.get("final") not in (None, ""):
        prompt = asked_in(row, "question", final=str(values["final"]))
        if plain_number(prompt.about["final"]) is None:
            raise DataError(f"{where}: expected a number in 'final', got {values['final']!r}")
        return Item(id=id_of(row), prompts=(_with(prompt, ASK_NUMBER),), cluster=cluster_of(row))
    choices, answer = values.get("choices"), values.get("answer")
    if not isinstance(choices, list) or type(answer) is not int or not 0 <= answer < len(choices) or len(choices) < 2:
        raise DataError(
            f"{where}: expected a question with a number in 'final', or with a list in 'choices' and a place in it (from 0) in "
            f"'answer'; it has {', '.join(values)}"
        )
    prompt = asked_in(row, "question")
    return lettered_item(Item(id=id_of(row), prompts=(prompt,), cluster=cluster_of(row)), tuple(map(str, choices)), (answer,))


def lettered_item(item: Item, choices: tuple[str, ...], right: tuple[int, ...]) -> Item:
    """Return an item whose question shows its choices under letters."""
    (prompt,) = item.prompts
    return replace(
        item,
        prompts=(rewritten(prompt, lambda text: lettered(text, choices)),),
        choices=choices,
        right=right,
        group=prompt.category,
    )


async def choose(item: Item, ask: Interview) -> Answer:
    """Let the target choose a letter: the likeliest where it gives log-probabilities, else the one that it writes."""
    prompt = item.prompts[0]
    names = ascii_uppercase[: len(item.choices)]
    weights = await ask.weigh(prompt.conversation, tuple(names))
    if weights is not None:
        best = max(range(len(weights)), key=weights.__getitem__)
        completion = Completion(prompt=prompt, text=names[best], logprobs=(weights[best],))
        return Answer(completion=completion, right=float(best in item.right), confidence=softmax(weights)[best])
    completion = await ask.reply(prompt)
    said = letter(completion.text, item.choices)
    return Answer(completion=completion, right=None if said is SEVERAL else float(said in item.right))


async def write(item: Item, ask: Interview) -> Answer:
    """Let the target write a number."""
    completion = await ask.reply(item.prompts[0])
    wanted = plain_number(item.prompts[0].about["final"])
    return Answer(completion=completion, right=share(final_number(completion.text) == wanted))


def softmax(weights: Sequence[float]) -> tuple[float, ...]:
    """Return shares of log-weights: what each is of all of them together."""
    most = max(weights)
    parts = [exp(weight - most) for weight in weights]
    return tuple(part / fsum(parts) for part in parts)


def _of_world(world: World, kind: str, seed: int, i: int) -> Item:
    prompt = here(world, MAKERS[kind](world, rng_for(seed, "capability", i)))
    about = prompt.about
    subject = about.get("person") or about.get("object") or about.get("procedure") or f"sum/{i}"
    return Item(
        id=f"{world.seed}/capability/{seed}/{i}", prompts=(replace(prompt, id=f"capability/{seed}/{i}"),), cluster=subject
    )


def _with(prompt: Prompt, asked: str) -> Prompt:
    return rewritten(prompt, lambda text: f"{text.rstrip()}\n{asked}")
