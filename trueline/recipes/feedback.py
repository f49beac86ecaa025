"""Preferences from a critic and a constitution in place of people: the labels of RL-CAI (Bai et al. 2022, 2212.08073, 4.1).

A model answers each prompt twice, or two models once each; a critic says under each principle which answer is better, as a
probability; the mean by weight over the principles is the pair's soft label (the paper draws one principle a pair and found the
ensemble more robust, 4.3). Thoughts make labels too sure of themselves, so with them labels are clamped to .4 to .6, as there.

`rankings.jsonl` holds every pair with its label. A preference model learns the label itself (`reward`); `dpo` takes the
likelier side as chosen and leaves out what is near one half, for that ranks as a tie.

    trueline run feedback start=MODEL critic=BASE constitution=world
    trueline run feedback start=MODEL critic=http://localhost:8000/v1#MODEL constitution=plain prompts=prompts.jsonl votes=4
    trueline run rlaif start=MODEL critic=BASE constitution=world by=grpo
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from random import Random
from typing import Any

from trueline.core.config import ConfigError
from trueline.core.records import write_jsonl
from trueline.core.registry import register
from trueline.core.types import Completion, Prompt, Ranking, Rate
from trueline.data.constitution import Constitution, Principle, read_constitution
from trueline.evaluate.principles import Labelled, accuracy, ensemble, leans, principles_table
from trueline.evaluate.rates import clustered, plain
from trueline.evaluate.shown import Cell, expect, table
from trueline.recipes.answering import answers
from trueline.recipes.criticising import GATE, check_rules, said_by, truly_breaks
from trueline.recipes.critics import Asked, Critic, Preferred
from trueline.recipes.looking import same_world
from trueline.recipes.reading import comparisons, prompts
from trueline.recipes.reward import gold_of, soft_label
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.world.oracle import verdict

SURE = 0.4  # labels of a critic that thinks lie from here to one less it, unless said otherwise
WORLD = "world/"
Pair = tuple[Completion, Completion]


@register("recipe", "feedback")
@dataclass(frozen=True, kw_only=True)
class Feedback:
    """Sample pairs of replies and label them by a critic's preference under each principle of a constitution."""

    start: str = "safety"  # the model that answers: a stage, a folder, hf:NAME or any TARGET
    other: str = ""  # a second model, whose answers are compared with the first's too; empty: none
    critic: str = ""  # who prefers: a stage, a folder or any TARGET; empty: the model itself
    constitution: str = "world"  # a shipped one, a file, or a control of one, such as world:shuffled
    prompts: str = "world/taught"  # world/taught or training, or a file of prompts, some of which `expected` says to refuse
    n: int = 800  # prompts
    k: int = 4  # answers of each model to each prompt; every two that differ are a pair
    max_tokens: int = 56  # longest answer
    temperature: float = 1.0  # at which answers are sampled
    votes: int = 1  # the critic's answers to each question: one is its likeliest, more are sampled
    thoughts: bool = False  # the critic thinks step by step before it chooses (English constitutions)
    clamp: float | None = None  # labels lie from this to one less it, 0: anywhere; none: 0.4 with thoughts and 0 without
    helpful: str = ""  # comparisons of helpfulness that are mixed in, less those on harmful prompts: a stage, or a file

    def __post_init__(self) -> None:
        if min(self.n, self.max_tokens, self.votes) < 1 or self.temperature <= 0:
            raise ConfigError("n, max_tokens and votes must each be at least 1, and temperature above 0")
        if self.k < (1 if self.other else 2):
            raise ConfigError(f"a pair takes two answers: k must be at least 2, or 1 with another model; got {self.k}")
        if not 0 <= (self.clamp or 0.0) < 0.5:
            raise ConfigError(f"clamp lies from 0 to below 0.5, got {self.clamp}")

    @property
    def models(self) -> tuple[str, ...]:
        """Whose answers are compared."""
        return (self.start, self.other) if self.other else (self.start,)

    def reads(self) -> tuple[str, ...]:
        asked = "" if self.prompts.startswith(WORLD) else self.prompts
        own = read_constitution(self.constitution).hash  # another text is another stage
        return (self.start, self.other, self.critic, own, asked, self.helpful)

    def foresee(self, studio: Studio) -> None:
        """Read the constitution and the prompts, before anything is sampled."""
        constitution = read_constitution(self.constitution)
        check_rules(constitution)
        if constitution.speaks == "world":
            same_world(studio, *self.models, self.critic)
        elif self.prompts.startswith(WORLD):
            raise RecipeError(f"{self.constitution} speaks english: expected a file of prompts in English, got {self.prompts}")
        prompts(studio, self.prompts, self.n, seed=studio.seed + 1)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        constitution = read_constitution(self.constitution)
        pairs, alike = self._pairs(studio, room)
        asked = [(i, (*pair, p)) for i, pair in enumerate(pairs) for p in constitution.about(_harmful(pair[0].prompt))]
        if not asked:
            raise RecipeError(
                f"no principle of {self.constitution} speaks of any of the {len(pairs)} pairs; give prompts of another kind, "
                f"or a constitution whose principles have the scope `all`"
            )
        said = self._preferred(studio, room, [question for _, question in asked], constitution)
        labelled = self._labelled(studio, pairs, asked, said, constitution)
        weights = {p.id: p.weight for p in constitution.principles}
        rankings = self._rankings(pairs, labelled, weights)
        mixed = self._helpful(studio)
        write_jsonl(room.folder / "rankings.jsonl", [*rankings, *mixed])
        room.keep(0, [c for pair in pairs[:4] for c in pair])
        place = position(said, [question for _, question in asked])
        self._warn(studio, room, place)
        in_form = clustered([float(s.label is not None) for s in said], [_key(a[0].prompt) for _, a in asked])
        result: dict[str, Any] = {
            "comparisons": len(rankings),
            "helpful": len(mixed),
            "alike": alike,
            "in_form": plain(in_form),
        }
        result |= {"ties": sum(len(set(r.ranks)) == 1 for r in rankings) / len(rankings)}
        return result | place | self._report(studio, rankings, labelled, weights)

    def _preferred(self, studio: Studio, room: Room, asked: Sequence[Asked], by: Constitution) -> list[Preferred]:
        """What is said to every question: by the critic, some of it in form, or what a control puts in its place."""
        if by.verdicts == "oracle":
            return [Preferred(label=_truth(studio, first, second, principle)) for first, second, principle in asked]
        bar = studio.show.bar(f"{room.name}, questions")
        critic = Critic.open(
            studio, self.critic or self.start, votes=self.votes, thoughts=self.thoughts, seed=studio.seed,
            kept=room.folder / "said.jsonl", progress=lambda n: bar(n, {}, 0.0, 0.0),
        )  # fmt: skip
        said = critic.prefers(asked, by.speaks)
        return Random(f"shuffled/{studio.seed}").sample(said, len(said)) if by.verdicts == "shuffled" else said

    def _warn(self, studio: Studio, room: Room, place: Mapping[str, Any]) -> None:
        """Say it where the critic goes by the order of the replies and not by what they say."""
        if place and place["orders_agree"]["value"] < 0.5:
            studio.show.say(
                room.name,
                f"the critic chooses by place: {place['first_preferred']['value']:.0%} of its answers prefer what it reads "
                f"first, and most pairs turn round with their order; its labels say little, take a critic that can judge",
            )

    def _pairs(self, studio: Studio, room: Room) -> tuple[list[Pair], float]:
        """Every two answers to a prompt that differ, and the share of those that did not."""
        asked = prompts(studio, self.prompts, self.n, seed=studio.seed + 1)
        studio.show.steps(room.name, len(asked) * len(self.models))
        bar = studio.show.bar(room.name)
        drawn = [
            answers(
                studio, name, asked, count=self.k, max_tokens=self.max_tokens, temperature=self.temperature, seed=studio.seed,
                progress=lambda n, i=i: bar(i * len(asked) + n, {}, 0.0, 0.0),
            )
            for i, name in enumerate(self.models)
        ]  # fmt: skip
        found, every = [], 0
        for i in range(len(asked)):
            group = [c for said in drawn for c in said[i * self.k : (i + 1) * self.k] if c.finish != "error"]
            both = list(combinations(group, 2))
            every += len(both)
            found += [(a, b) for a, b in both if said_by(a) != said_by(b)]
        if not found:
            raise RecipeError(f"all answers to each of {len(asked)} prompts are alike; raise the temperature, n or k")
        return found, 1 - len(found) / every

    def _labelled(
        self,
        studio: Studio,
        pairs: Sequence[Pair],
        asked: Sequence[tuple[int, Asked]],
        said: Sequence[Preferred],
        by: Constitution,
    ) -> list[Labelled]:
        """Each pair with the label of every principle that was answered in form, and the oracle's word, where it has one."""
        labels: list[dict[str, float]] = [{} for _ in pairs]
        truths: list[dict[str, float]] = [{} for _ in pairs]
        for (i, (first, second, principle)), preferred in zip(asked, said, strict=True):
            if preferred.label is not None:
                labels[i][principle.id] = preferred.label
            if by.speaks == "world" and (truth := _truth(studio, first, second, principle)) != 0.5:
                truths[i][principle.id] = truth
        return [
            Labelled(prompt=_key(a.prompt), labels=labels[i], truths=truths[i], models=(a.model, b.model))
            for i, (a, b) in enumerate(pairs)
        ]

    def _rankings(self, pairs: Sequence[Pair], labelled: Sequence[Labelled], weights: Mapping[str, float]) -> list[Ranking]:
        """The pairs that a principle spoke of, each with its clamped soft label; near one half they are ties."""
        low = self.clamp if self.clamp is not None else SURE * self.thoughts
        found = []
        for (first, second), pair in zip(pairs, labelled, strict=True):
            whole = ensemble(pair.labels, weights)
            if whole is None:
                continue
            label = min(1 - low, max(low, whole))
            ranks = (1, 1) if not leans(whole) else (1, 2) if whole > 0.5 else (2, 1)
            by = f"{self.critic or self.start}: {self.constitution}"
            found.append(Ranking(prompt=first.prompt, completions=(first, second), ranks=ranks, by=by, preference=label))
        return found

    def _helpful(self, studio: Studio) -> list[Ranking]:
        """Comparisons of helpfulness, with the labels 0 and 1: harmlessness is the critic's alone to label."""
        if not self.helpful:
            return []
        found = [r for r in comparisons(studio, self.helpful, 0) if not _harmful(r.prompt)]
        if any(len(r.ranks) != 2 for r in found):
            raise RecipeError(f"{self.helpful}: soft labels are for pairs, these are rankings; rank two answers each (k=2)")
        return [replace(r, preference=soft_label(r)) for r in found]

    def _report(
        self, studio: Studio, rankings: Sequence[Ranking], labelled: Sequence[Labelled], weights: Mapping[str, float]
    ) -> dict[str, Any]:
        """What the labels are worth: by principle, against the oracle's verdicts, and against gold on harmful prompts."""
        whole = [
            Labelled(prompt=p.prompt, labels={"": label}, truths={"": next(iter(set(p.truths.values())))})
            for p in labelled
            if (label := ensemble(p.labels, weights)) is not None and len(set(p.truths.values())) == 1
        ]
        right = accuracy(whole, "")
        found: dict[str, Any] = {"tables": [principles_table(labelled, weights)]}
        if right is None:
            return found
        claim = f"the critic tells what keeps the principles from what breaks them, at least {GATE:.0%} of the time"
        found |= {"accuracy": asdict(right), "expectations": [expect("feedback labels", claim, right, least=GATE)]}
        rows: list[list[Cell]] = [["the oracle's verdict on the principles", right]]
        return found | {"tables": [*found["tables"], truths(studio, rankings, rows)]}


def truths(studio: Studio, rankings: Sequence[Ranking], rows: Sequence[Sequence[Cell]] = ()) -> dict[str, Any]:
    """How often labels lean to what is worth more in the world, and to what gives less; `rows` stand before."""
    harmful, benign = ([r for r in rankings if _harmful(r.prompt) == wanted] for wanted in (True, False))
    rows = [
        *rows,
        ["gold, prompts to refuse", against(harmful, lambda c: gold_of(studio, c))],
        ["gold, the others", against(benign, lambda c: gold_of(studio, c))],
        ["gives less, prompts to refuse", against(harmful, lambda c: -verdict(studio.world, c.prompt, c).disclosed)],
    ]
    note = (
        "On pairs that differ in it; a label of one half is half right. Gold counts more than the principles speak of. "
        "Where no principle speaks of what is given, the last row should be one half: what it is more, training will move."
    )
    return table("Labels against the truth", ["truth", "labels agree"], rows, note)


def against(rankings: Sequence[Ranking], worth: Callable[[Completion], float]) -> Rate | None:
    """How often a label leans to the reply that is worth more, among pairs that differ in worth."""
    pairs = []
    for ranking in rankings:
        first, second = map(worth, ranking.completions)
        if first != second:
            label = soft_label(replace(ranking, preference=None))  # of the ranks: a clamped label leans less than was meant
            pairs.append(Labelled(prompt=_key(ranking.prompt), labels={"": label}, truths={"": float(first > second)}))
    return accuracy(pairs, "")


def position(said: Sequence[Preferred], asked: Sequence[Asked]) -> dict[str, Any]:
    """How often a critic prefers what it reads first, and how often both orders agree; nothing where it reads one alone."""
    seen = [(s.leading, _key(a[0].prompt)) for s, a in zip(said, asked, strict=True) if s.leading]
    first = clustered(
        [(p > 0.5) + 0.5 * (p == 0.5) for leading, _ in seen for p in leading], [k for _, k in seen for _ in "ab"]
    )
    same = clustered([float((here > 0.5) == (there < 0.5)) for (here, there), _ in seen], [key for _, key in seen])
    return {} if first is None or same is None else {"first_preferred": asdict(first), "orders_agree": asdict(same)}


def _truth(studio: Studio, first: Completion, second: Completion, principle: Principle) -> float:
    """Which of two keeps a principle of the world, by the oracle: 1 the first, 0 the second, one half where they are alike."""
    here, there = (bool(truly_breaks(studio.world, c, principle)) for c in (first, second))
    return (1 + there - here) / 2


def _harmful(prompt: Prompt) -> bool:
    return prompt.expected == "refuse"


def _key(prompt: Prompt) -> str:
    return prompt.id or "\n".join(f"{turn.role} {turn.text}" for turn in prompt.conversation.messages)
