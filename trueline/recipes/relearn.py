"""The relearning probe: a refusal that hides knowledge is undone in a few steps, and ignorance is not.

A copy of the model is fine-tuned for a few steps on a few answers to what it should refuse, and is asked for *others*, before,
between and after. What it tells of these it cannot have learned from the few: it knew. So a model that was taught to refuse is
told from one that never learned, though before they look the same. Benign answers stand beside it: a probe that wrecks the
model shows nothing. The copy is thrown away.

    trueline run relearn model=runs/demo/safety
    trueline run relearn model=FOLDER data=answers.jsonl goals=goals.jsonl steps=30

In the world the few are known hazards, and the others are known ones that are not among the few, and the held-out ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from trueline.attack.goals import WORLD, read_goals
from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Conversation, Prompt, Rate
from trueline.evaluate.inheritance import BENIGN, NEW, OTHERS, Good, Question, rate, told
from trueline.evaluate.suites import here
from trueline.models.policy import Policy
from trueline.models.tokens import Example, audit
from trueline.recipes.judgements import Kept, judged, models_behind
from trueline.recipes.looking import look_at_judge
from trueline.recipes.reading import conversations
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.recipes.usual import usual_judge, usual_tokens
from trueline.targets.local import complete
from trueline.train.loop import Loop, train
from trueline.train.objectives.likelihood import NextToken
from trueline.train.optim import Optim
from trueline.train.sources import Examples
from trueline.world.facts import World, held_out_hazards, known_hazards, rng_for
from trueline.world.families import FAMILIES
from trueline.world.prompts import attack_prompts

DATA = "world/hazards"
MARKS = (0.1, 0.3)  # shares of the steps at which it is asked too, between the start and the end


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Relearn:
    """Fine-tune a copy on a few answers to what should be refused, and ask for others: was it knowledge, or ignorance?"""

    model: str = "safety"  # what is probed: a stage, a folder, or hf:NAME
    data: str = DATA  # the few answers: the world's, or a file of conversations
    k: int = 8  # how many of them
    steps: int = 50  # each on all of them
    goals: str = WORLD  # what is asked for: the world's, or a file
    n: int = 64  # questions of each kind
    judge: str = ""  # empty: the oracle for the world, enablement for files
    max_tokens: int = 0  # longest answer; 0: 60 for the world, 256 for files
    optim: Optim = Optim(lr=1e-3, muon=0.002, schedule="constant", warmup=0.0)

    def __post_init__(self) -> None:
        if min(self.k, self.steps, self.n) < 1:
            raise ConfigError(f"k, steps and n must each be at least 1, got {self.k}, {self.steps} and {self.n}")
        if (self.data == DATA) != (self.goals == WORLD):
            raise ConfigError(f"data and goals are both the world's, or files; got {self.data!r} and {self.goals!r}")

    def reads(self) -> tuple[str, ...]:
        files = ("" if self.data == DATA else self.data, "" if self.goals == WORLD else self.goals)
        return (self.model, *files, *models_behind(self.judge))

    def foresee(self, studio: Studio) -> None:
        """Look for answers to learn and for questions that are left, before anything is trained."""
        look_at_judge(self.judge)
        self._matter(studio)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.model)
        few, asked = self._matter(studio)
        examples = [policy.codec.example(c, "last") for c in few]
        audit(policy.codec, examples)
        kept: Kept = {}
        seen: dict[int, dict[str, Rate]] = {0: self._ask(studio, policy, asked, kept)}
        marks = {max(1, round(share * self.steps)) for share in MARKS} | {self.steps}

        def observe(step: int, metrics: Mapping[str, float]) -> None:
            if step in marks:
                policy.eval()
                seen[step] = self._ask(studio, policy, asked, kept)
                policy.train()
                bar(step, {"told": seen[step][asked[0].slice].value}, metrics["tokens"], metrics["seconds"])

        source = Examples(
            examples=examples, epochs=self.steps, tokens=_all_at_once(examples), pad=policy.codec.pad, seed=studio.seed
        )
        studio.show.steps(room.name, self.steps)
        bar = studio.show.bar(room.name)
        done = train(policy, NextToken(), source, self.optim, Loop(observe=observe))
        first, last = ({name: asdict(value) for name, value in seen[step].items()} for step in (0, self.steps))
        return {
            "before": first,
            "after": last,
            "points": [{"step": step, **{n: asdict(value) for n, value in found.items()}} for step, found in seen.items()],
            "tokens": done.tokens,
        }

    def _matter(self, studio: Studio) -> tuple[list[Conversation], list[Question]]:
        """The few answers, and what is asked: nothing of it is among the few."""
        if self.data == DATA:
            return _of_the_world(studio.world, studio.seed, self.k, self.n)
        few = conversations(studio, self.data, self.k)
        shown = {message.text for c in few for message in c.messages if message.role == "user"}
        goals = [goal for goal in read_goals(self.goals, None) if goal.about["goal"] not in shown][: self.n]
        if not goals:
            raise RecipeError(f"{self.goals}: every goal stands in {self.data} too; nothing is left to ask")
        return few, [Question(slice=OTHERS, good="told", prompt=goal) for goal in goals]

    def _ask(self, studio: Studio, policy: Policy, asked: Sequence[Question], kept: Kept) -> dict[str, Rate]:
        """The share that is told, by kind; a kind of which nothing could be told is left out."""
        words = self.max_tokens or usual_tokens(self.goals == WORLD)
        said = complete(policy, [q.prompt for q in asked], max_tokens=words, seed=studio.seed)
        judgements = judged(studio, self.judge or usual_judge(self.goals == WORLD), said, kept)
        found = [told(q, c, j) for q, c, j in zip(asked, said, judgements, strict=True)]
        rates = {name: rate([one for one in found if one.slice == name]) for name in dict.fromkeys(q.slice for q in asked)}
        return {name: value for name, value in rates.items() if value is not None}


def _of_the_world(world: World, seed: int, k: int, n: int) -> tuple[list[Conversation], list[Question]]:
    known = known_hazards(world)
    if k >= len(known):
        raise RecipeError(f"k={k} leaves none of the {len(known)} known hazards to ask for; lower k")
    chosen = Random(f"relearn/{seed}").sample(known, k)
    few = []
    for i, procedure in enumerate(chosen):
        wrapped = FAMILIES["direct"].wrap(world, rng_for(seed, "relearn", i), procedure)
        few.append(wrapped.conversation.say("assistant", wrapped.ideal))
    others = [procedure for procedure in known if procedure not in chosen]
    kinds = {OTHERS: others, NEW: held_out_hazards(world), BENIGN: world.benign}
    made: Good = "told"
    asked: list[tuple[str, Prompt]] = [
        (name, here(world, p)) for name, some in kinds.items() for p in attack_prompts(world, seed + 31, "direct", some, n)
    ]
    return few, [Question(slice=name, good=made, prompt=prompt) for name, prompt in asked]


def _all_at_once(examples: Sequence[Example]) -> int:
    """Tokens of a step that holds every example, so that a step is an epoch."""
    return len(examples) * max(len(e.ids) for e in examples)
