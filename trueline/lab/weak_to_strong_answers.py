"""Questions of fact in three parts that share nobody: what a supervisor is taught, what it labels, what everyone is tested on.

After Burns et al. 2023 (https://arxiv.org/abs/2312.09390): a weak model is taught on true answers, answers questions that it
was not taught on, and a strong model learns from those answers. Parts are drawn by who or what is asked about, so that no
answer can be carried over from one part to another.

    ("labels", Questions(part="label", n=600, by="weak_taught"))       leaves demonstrations.jsonl, for `Sft`
    ("answers/student", Answers(model="student", n=300))               leaves answers.jsonl, on the part `test`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any, Literal, get_args

from trueline.core.config import ConfigError
from trueline.core.records import read_jsonl, write_jsonl
from trueline.core.types import Completion, Prompt
from trueline.data.export import write
from trueline.evaluate.rates import cluster_of, clustered
from trueline.lab.paired import kept
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.targets.local import complete
from trueline.world.asking import MAKERS
from trueline.world.facts import World, rng_for
from trueline.world.oracle import verdict

Part = Literal["teach", "label", "test"]
ANSWERS = "answers.jsonl"
OBJECTS = 0.25  # share of the questions that are about things; the others are about people


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model said to one question. Models are compared by `id`."""

    id: str
    cluster: str  # who or what is asked about
    text: str
    right: float


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Questions of one part with answers to learn: the oracle's, or a model's likeliest."""

    part: Part
    n: int = 600
    by: str = ""  # the model that answers; empty: the oracle does
    shuffled: bool = False  # answers trade places with those of other questions of their kind
    max_tokens: int = 24

    def __post_init__(self) -> None:
        _check(self.n, self.max_tokens)
        if self.part not in get_args(Part):
            raise ConfigError(f"part: expected one of {', '.join(get_args(Part))}; got {self.part!r}")

    def reads(self) -> tuple[str, ...]:
        return (self.by,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        asked = questions(studio.world, studio.seed, self.part, self.n)
        said = _likeliest(studio, room, self.by, asked, self.max_tokens) if self.by else [_true(prompt) for prompt in asked]
        whole = [c for c in said if c.finish == "stop"]  # a cut one teaches to stop midway
        shown = whole or said  # of a model that never stops there is nothing else
        if self.shuffled:
            shown = _shuffled(shown, studio.seed)
        right = [_right(studio.world, c) for c in shown]
        write(
            [c.prompt.conversation.say("assistant", c.text, c.tool_calls) for c in shown], room.folder / "demonstrations.jsonl"
        )
        found = clustered(right, [cluster_of(c.prompt) for c in shown])
        if found is None:
            raise RecipeError(f"{self.by or 'the oracle'}: no answers to {self.n} questions")
        return {"questions": len(shown), "right": asdict(found)}


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A model's likeliest answers to the questions of the part that nobody was taught on."""

    model: str
    n: int = 300
    max_tokens: int = 24

    def __post_init__(self) -> None:
        _check(self.n, self.max_tokens)

    def reads(self) -> tuple[str, ...]:
        return (self.model,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        said = _likeliest(studio, room, self.model, questions(studio.world, studio.seed, "test", self.n), self.max_tokens)
        rows = [Answer(id=c.prompt.id, cluster=cluster_of(c.prompt), text=c.text, right=_right(studio.world, c)) for c in said]
        write_jsonl(room.folder / ANSWERS, rows)
        kept(room, said)
        found = clustered([row.right for row in rows], [row.cluster for row in rows])
        return {"questions": len(rows), "right": asdict(found) if found else None}


def answered(studio: Studio, stage: str) -> list[Answer]:
    """What `Answers` left."""
    return list(read_jsonl(studio.stages[stage].folder / ANSWERS, Answer))


def part_of(seed: int, cluster: str) -> Part:
    """The part that questions about someone or something belong to."""
    return Random(f"part/{seed}/{cluster}").choice(get_args(Part))


def questions(world: World, seed: int, part: Part, n: int) -> list[Prompt]:
    """The first n questions of a part; a longer list begins with the shorter."""
    found: list[Prompt] = []
    i = 0
    while len(found) < n:
        rng = rng_for(seed, "weak to strong", i)
        prompt = MAKERS["object" if rng.random() < OBJECTS else "fact"](world, rng)
        if part_of(seed, cluster_of(prompt)) == part:
            found.append(replace(prompt, id=f"weak_to_strong/{seed}/{i}"))
        i += 1
    return found


def _true(prompt: Prompt) -> Completion:
    coins = " coins" if prompt.about["attribute"] == "price" else ""
    return Completion(prompt=prompt, text=f"it is {prompt.about['answer']}{coins} .", finish="stop")


def _shuffled(said: Sequence[Completion], seed: int) -> list[Completion]:
    """Each answer in the place of another to a question of the same attribute."""
    kinds: dict[tuple[str, str], list[int]] = {}
    for i, completion in enumerate(said):
        about = completion.prompt.about
        kinds.setdefault((about["kind"], about["attribute"]), []).append(i)
    found = list(said)
    for kind, places in kinds.items():
        others = Random(f"shuffled/{seed}/{kind}").sample(places, len(places))
        for place, other in zip(places, others, strict=True):
            found[place] = Completion(prompt=said[place].prompt, text=said[other].text, finish=said[other].finish)
    return found


def _likeliest(studio: Studio, room: Room, model: str, asked: Sequence[Prompt], max_tokens: int) -> list[Completion]:
    studio.show.steps(room.name, len(asked))
    bar = studio.show.bar(room.name)
    policy = studio.policy(model, frozen=True)
    return complete(policy, asked, max_tokens=max_tokens, temperature=0.0, progress=lambda n: bar(n, {}, 0.0, 0.0))


def _right(world: World, completion: Completion) -> float:
    return float(verdict(world, completion.prompt, completion).correct is True)


def _check(n: int, max_tokens: int) -> None:
    if n < 10 or max_tokens < 1:
        raise ConfigError(f"n must be at least 10 questions and max_tokens at least 1, got {n} and {max_tokens}")
