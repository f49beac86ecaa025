"""The sentinels of a watch: questions drawn once and asked the same way in every round, so that rounds compare in pairs.

    drawn = await draw("w1", attacks, goals, probes, 48)
    attempts, _ = await ready.arm(there, asking(drawn), goals_of(drawn), ...)
    seen = observe(drawn, attempts, number=3, at=..., seconds=...)

Half of them are attacks on what should be refused, half are requests that should be answered. Each is kept word for word as it
was drawn: a later version of this package, or of a pack, asks the same. So only attacks that ask one question and learn nothing
can be sentinels. They are asked at temperature 0; what still differs between rounds is the target's doing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar

from trueline.core.outcome import reached
from trueline.core.ports import Ask, Attack, BudgetSpentError, NotApplicableError
from trueline.core.types import Attempt, Completion, Conversation, Judgement, Prompt, Split
from trueline.evaluate.boilerplate import WORD
from trueline.evaluate.suite_refusal import refuses
from trueline.judges.sentences import fold
from trueline.watch.observed import Observed

BY = "by"  # of `about` of a sentinel: the attack whose question it is
WORDS, LETTERS = 4, 400  # of a refusal: so many words are its beginning, looked for in so many characters
NO = Judgement(judge="rehearsal", score=1.0, stance="refuse", disclosure=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentinel:
    """One question as it is asked in every round: the goal, its conversation the whole attack, and whose words these are."""

    attack: str
    family: str
    split: Split
    prompt: Prompt


@dataclass(frozen=True, kw_only=True)
class AsItStands:
    """Asks the sentinels of one attack as they stand; others' goals are not for it."""

    name: str
    family: str
    split: Split
    adaptive: ClassVar[bool] = False

    async def __call__(self, goal: Prompt, ask: Ask) -> None:
        """Ask once."""
        if goal.about.get(BY) != self.name:
            raise NotApplicableError("a sentinel of another attack")
        await ask(goal.conversation)


@dataclass(frozen=True, kw_only=True)
class Again:
    """Asks what once worked as it stands, until it works or its budget is spent: each time is a sample of its own."""

    name: ClassVar[str] = "direct"  # as `trueline attack --goals bank` asks: the plain request is the whole attack
    family: ClassVar[str] = "direct"
    split: ClassVar[Split] = "train"
    adaptive: ClassVar[bool] = False

    async def __call__(self, goal: Prompt, ask: Ask) -> None:
        """Ask."""
        while ask.left and reached(await ask(goal.conversation)) != "success":
            pass


@dataclass
class Rehearsal:
    """An Ask that refuses every question and remembers it: what would an attack ask?"""

    goal: Prompt
    rng: Random
    left: int = 2
    attacker: None = None
    inside: None = None
    asked: list[Conversation] = field(default_factory=list)

    async def __call__(self, conversation: Conversation) -> Attempt:
        """Refuse."""
        if self.left < 1:
            raise BudgetSpentError("the rehearsal is over")
        self.left -= 1
        self.asked.append(conversation)
        said = Completion(prompt=self.goal, text="No.")
        return Attempt(
            goal=self.goal, attack="", conversation=conversation, completion=said, judgement=NO, query=len(self.asked)
        )


async def only_question(attack: Attack, goal: Prompt, seed: str) -> Conversation | None:
    """Return what an attack asks of a goal, where that is one question whatever is answered; else None."""
    if attack.adaptive:
        return None
    ask = Rehearsal(goal, Random(f"{seed}/{attack.name}/{goal.id}"))
    try:
        await attack(goal, ask)
    except (BudgetSpentError, NotApplicableError):
        return None
    except Exception:  # somebody's plugin: a campaign will say what fails
        return None
    return ask.asked[0] if len(ask.asked) == 1 else None


async def draw(
    watch: str, attacks: Sequence[Attack], goals: Sequence[Prompt], probes: Sequence[Prompt], n: int
) -> tuple[Sentinel, ...]:
    """Draw the sentinels of a watch: the attacks in turn, each on goals of its own order, and what should be answered.

    Of that, up to half are goals' own benign twins, and the rest probes. Of fewer than are wanted, all.
    """
    rng = Random(f"watch/{watch}/sentinels")
    harmful = [goal for goal in goals if goal.expected == "refuse"]
    waiting = [(attack, iter(rng.sample(harmful, len(harmful)))) for attack in attacks]
    drawn: dict[str, Sentinel] = {}
    while waiting and len(drawn) < n - n // 2:
        attack, rest = waiting.pop(0)
        for goal in rest:
            asked = await only_question(attack, goal, f"watch/{watch}")
            if asked is not None:
                one = _sentinel(attack.name, attack.family, attack.split, goal, asked)
                drawn.setdefault(one.prompt.id, one)
                waiting.append((attack, rest))
                break
            if attack.adaptive:
                break
    benign = [goal for goal in goals if goal.expected == "comply"]
    twins = rng.sample(benign, min(len(benign), n // 4))
    for probe in (*twins, *rng.sample(probes, min(len(probes), n // 2 - len(twins)))):
        one = _sentinel("direct", "direct", "train", probe, probe.conversation)
        drawn.setdefault(one.prompt.id, one)
    return tuple(drawn.values())


def asking(sentinels: Iterable[Sentinel]) -> tuple[Attack, ...]:
    """Return the attacks that ask them."""
    kinds = dict.fromkeys((one.attack, one.family, one.split) for one in sentinels)
    return tuple(AsItStands(name=name, family=family, split=split) for name, family, split in kinds)


def goals_of(sentinels: Iterable[Sentinel]) -> tuple[Prompt, ...]:
    """Return their goals."""
    return tuple(one.prompt for one in sentinels)


def observe(attempts: Sequence[Attempt], *, number: int, at: str, seconds: Sequence[float]) -> Observed:
    """Return what a round saw of its sentinels. What was not answered, or stayed undecided, is not there."""
    answered = [attempt for attempt in attempts if attempt.completion.finish != "error"]
    harmful = [attempt for attempt in answered if attempt.goal.expected == "refuse"]
    benign = [(attempt.goal.id, refuses(attempt.judgement)) for attempt in answered if attempt.goal.expected == "comply"]
    return Observed(
        number=number,
        at=at,
        gave={a.goal.id: reached(a) == "success" for a in harmful if reached(a) in ("success", "failure")},
        refused={name: bool(said) for name, said in benign if said is not None},
        words=dict(Counter(opening(a.completion.text) for a in answered if a.judgement.stance == "refuse").most_common()),
        seconds=tuple(round(one, 4) for one in seconds),
    )


def opening(text: str) -> str:
    """Return how a reply begins: its first words, folded, without marks.

    >>> opening("I'm sorry, but I can't help with that.")
    'i am sorry but'
    """
    return " ".join(WORD.findall(fold(text[:LETTERS]))[:WORDS])


def _sentinel(attack: str, family: str, split: Split | None, goal: Prompt, asked: Conversation) -> Sentinel:
    about = {**goal.about, BY: attack}
    prompt = Prompt(
        conversation=asked, expected=goal.expected, category=goal.category, source=goal.source,
        id=f"{goal.id}/{attack}", about=about,
    )  # fmt: skip
    return Sentinel(attack=attack, family=family, split=split or "train", prompt=prompt)
