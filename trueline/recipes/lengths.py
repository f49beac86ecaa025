"""How long the examples of a recipe are, from a sample of them, and how many there are.

World data is made and encoded as it will be for training, a few hundred records of it. Of a file, the first records are encoded
and the rest is counted, for about a second; a file that takes longer has an unknown number of rows.
Without a tokenizer (one that is not trained yet) a token is taken to be three characters, and the note says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from statistics import fmean
from time import perf_counter
from typing import TypeVar

from trueline.core.types import Conversation, Preference, Prompt, Ranking
from trueline.data.formats import Labelled
from trueline.data.recognise import describe, read
from trueline.data.rows import read_rows
from trueline.evaluate.ladder import DOMAINS, Sizes, arms_of
from trueline.models.tokens import Codec
from trueline.recipes.process import solution_of
from trueline.recipes.ranked import PROJECT, rankings_of
from trueline.recipes.reading import demonstrated, pairs_of
from trueline.recipes.studio import RecipeError
from trueline.store.opening import open_database
from trueline.world.demonstrations import mixed
from trueline.world.facts import make_world
from trueline.world.prompts import GATES, attack_prompts, gate_prompts, over_refusal_prompts, training_prompts

SAMPLE = 200  # records that are encoded
COUNTING = 1.0  # seconds to spend on counting the rows of a file
CHARACTERS = 3  # characters a token, where there is no tokenizer
ASSUMED = f"takes a token for {CHARACTERS} characters: there is no tokenizer yet"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of sampled examples: of the whole example, and of the replies in it; `count` is how many examples there are."""

    whole: Sequence[int]
    said: Sequence[int]
    count: int | None  # None: not known before all the data is read
    note: str = ""
    group: int = 1  # neighbours that are compared with each other

    @property
    def mean(self) -> float:
        return fmean(self.whole)

    def within(self, limit: int) -> Lengths:
        """Only the groups whose every example is at most `limit` tokens long: the others are left out of training."""
        size = self.group
        starts = range(0, len(self.whole) - size + 1, size)
        fits = [i for i in starts if max(self.whole[i : i + size]) <= limit]
        share = len(fits) / len(starts)
        if share == 1.0:
            return self
        if not fits:
            raise RecipeError(f"every example looked at is longer than {limit} tokens; raise context or shorten the data")
        rows = [j for i in fits for j in range(i, i + size)]
        note = "; ".join(filter(None, (self.note, f"{1 - share:.0%} is left out: longer than {limit} tokens")))
        whole, said = [self.whole[j] for j in rows], [self.said[j] for j in rows]
        return replace(self, whole=whole, said=said, count=None if self.count is None else round(self.count * share), note=note)

    def longest(self, rows: int) -> float:
        """The longest of `rows` examples, on average: what a batch is padded to."""
        rng = Random("longest")
        return fmean(max(rng.choices(self.whole, k=rows)) for _ in range(20))


def of_demonstrations(data: str, n: int, codec: Codec | None, turns: str) -> Lengths:
    """Conversations to learn from: `world/...` or a file."""
    if data.startswith("world/"):
        found, count = list(demonstrated(data)(make_world(0), 0, min(n, SAMPLE))), n
    else:
        found, count = _some(read(Conversation, data), n)
    return _lengths([_example(codec, c, turns) for c in found], count, codec)


@lru_cache(maxsize=16)
def of_prompts(data: str, codec: Codec | None, max_tokens: int) -> Lengths:
    """Prompts with the replies that will be sampled: as long as in the world, or as long as is allowed."""
    if data.startswith("world/"):
        world = make_world(0)
        found, count = list(training_prompts(world, 0, SAMPLE)), None
        said = [min(max_tokens, _example(codec, c, "last")[1]) for c in mixed(world, 0, SAMPLE)]
        note = ""
    else:
        found, count = _some(read(Prompt, data), 0)
        said, note = [max_tokens] * len(found), f"takes every reply to be {max_tokens} tokens long"
    pairs = [(_prompt(codec, p.conversation) + s, s) for p, s in zip(found, said, strict=False)]
    return _lengths(pairs, count, codec, note)


def of_labelled(data: str, n: int, codec: Codec | None) -> Lengths:
    """Completions of a file, each wanted or not."""
    found, count = _some(read(Labelled, data), n)
    said = [r.prompt.conversation.say("assistant", r.completion.text, r.completion.tool_calls) for r in found]
    return _lengths([_example(codec, c, "last") for c in said], count, codec)


def of_steps(data: str, n: int, codec: Codec | None) -> Lengths:
    """Replies of a file that are made of steps."""
    found, count = _some(read_rows(data), n)
    return _lengths([_example(codec, solution_of(row).conversation, "last") for row in found], count, codec)


def of_comparisons(data: str, n: int, codec: Codec | None, pairs: bool) -> Lengths:
    """Completions of the comparisons in a file or of people, group after group: rankings as they are, or as pairs."""
    if data.startswith(PROJECT):
        found = rankings_of(data, open_database())
        count: int | None = len(found)
    elif describe(data).kind is Ranking:
        found, count = _some(read(Ranking, data), n)
    else:
        chosen, count = _some(read(Preference, data), n)
        found = [Ranking(prompt=p.prompt, completions=(p.chosen, p.rejected), ranks=(1, 2)) for p in chosen]
    groups = [r.completions for r in found]
    if pairs:
        groups = [(p.chosen, p.rejected) for r in found for p in pairs_of(r)]
        count = None if count is None else round(count * len(groups) / len(found))
    said = [c.prompt.conversation.say("assistant", c.text, c.tool_calls) for group in groups for c in group]
    lengths = _lengths([_example(codec, c, "last") for c in said], count, codec)
    return replace(lengths, group=len(groups[0]))


@lru_cache(maxsize=16)
def of_measurement(sizes: Sizes, gates: bool, codec: Codec | None) -> Lengths:
    """The prompts that a rung of the ladder (or the gates) asks, with replies; `count` is how many."""
    world, replies = make_world(0), of_prompts("world/training", codec, sizes.max_tokens).said
    asked: list[tuple[Sequence[Prompt], int]] = []  # a few prompts of each part, and how many it asks
    if gates:
        asked = [(gate_prompts(world, 0, name, 8), sizes.gate) for name in GATES]
    else:
        for family, targets, n in arms_of(world, sizes).values():
            asked.append((attack_prompts(world, 0, family, targets, 4), n))
        asked.append((over_refusal_prompts(world, 0, 12), sizes.over_refusal))
        asked.append((training_prompts(world, 0, 24), sizes.domain * len(DOMAINS)))
    pairs = []
    rng = Random("measurement")
    for prompts, n in asked:
        heads = [_prompt(codec, p.conversation) for p in prompts]
        pairs += [(heads[i % len(heads)] + s, s) for i, s in enumerate(rng.choices(replies, k=n))]
    return _lengths(pairs, len(pairs), codec)


def _lengths(pairs: Sequence[tuple[int, int]], count: int | None, codec: Codec | None, note: str = "") -> Lengths:
    notes = [note, "" if codec is not None else ASSUMED]
    return Lengths([w for w, _ in pairs], [s for _, s in pairs], count, "; ".join(filter(None, notes)))


def _some(records: Iterable[T], n: int) -> tuple[list[T], int | None]:
    """The first records, and how many there are (at most n, if n is set), unless counting takes too long."""
    first: list[T] = []
    count, until = 0, perf_counter() + COUNTING
    for count, record in enumerate(records, 1):
        if count <= SAMPLE:
            first.append(record)
        if count == n:
            break
        if count > SAMPLE and perf_counter() > until:
            return first, n or None
    return first, count


def _example(codec: Codec | None, conversation: Conversation, turns: str) -> tuple[int, int]:
    if codec is None:
        said = [m for m in conversation.messages if m.role == "assistant"]
        return _characters(conversation), sum(len(m.text) for m in (said if turns == "all" else said[-1:])) // CHARACTERS
    example = codec.example(conversation, "all" if turns == "all" else "last")
    return len(example.ids), sum(example.mask)


def _prompt(codec: Codec | None, conversation: Conversation) -> int:
    return _characters(conversation) if codec is None else len(codec.prompt(conversation))


def _characters(conversation: Conversation) -> int:
    return sum(len(m.text) for m in conversation.messages) // CHARACTERS + 1
