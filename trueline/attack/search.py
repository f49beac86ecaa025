"""Searches over wordings: many at random (best of n), by evolution (genetic), and by a bandit over the families.

    trueline attack runs/demo --attacks best_of_n,genetic,bandit --budget 256

Best of n follows Hughes et al. 2024 (https://arxiv.org/abs/2412.03556): wording i is a function of i alone, so the first k
questions are the same for every n. The genetic search keeps the best sequences of names it has asked in, crosses and mutates
them. The bandit is UCB1-tuned (Auer, Cesa-Bianchi and Fischer 2002, Machine Learning 47:235, section 4) with the families and
the transforms as its arms. Each asks in rounds, which a local model answers as one batch, and stops after the round with the
first success. What was learned from a target is for measuring it, so all three are held out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log, sqrt
from random import Random
from statistics import fmean
from typing import ClassVar

from trueline.attack.families import family_named
from trueline.attack.feedback import progress, together, won
from trueline.attack.settings import at_least_one, known_families, shares
from trueline.attack.transforms import STRENGTH, rewrite, tongue_of
from trueline.attack.wordings import Choices, Names, choices, render
from trueline.core.ports import Ask
from trueline.core.registry import register
from trueline.core.types import Attempt, Conversation, Prompt, Split


@register("attack", "best_of_n")
@dataclass(frozen=True, kw_only=True)
class BestOfN:
    """Asks the same thing in many augmented wordings, until one gets through."""

    name: str = "best_of_n"
    n: int = 256  # wordings at most
    round: int = 16  # of them asked at once
    strength: float = STRENGTH  # of all augmentations together, 0 to 1: the sigma of the paper
    wrapper: str = "direct"  # family whose words are augmented
    family: ClassVar[str] = "best_of_n"
    split: ClassVar[Split] = "held_out"
    adaptive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        at_least_one(n=self.n, round=self.round)
        shares(strength=self.strength)
        known_families([self.wrapper])

    async def __call__(self, goal: Prompt, ask: Ask) -> None:
        """Ask wording after wording, a round at a time."""
        key = ask.rng.getrandbits(64)
        for start in range(0, self.n, self.round):
            numbers = range(start, min(start + self.round, self.n))
            if won(await together(ask, [self.wording(goal, key, i) for i in numbers])):
                return

    def wording(self, goal: Prompt, key: int, i: int) -> Conversation:
        """Return augmented wording `i` of a goal: no other wording has to be drawn for it."""
        rng, augment = Random(f"{key}/{i}"), tongue_of(goal).augment
        asked = family_named(self.wrapper).render(goal, rng)
        return rewrite(asked, lambda text, rng: augment(text, rng, self.strength), rng)


@register("attack")
@dataclass(frozen=True, kw_only=True)
class Genetic:
    """Breeds sequences of families and transforms from those that came furthest."""

    name: str = "genetic"
    families: tuple[str, ...] = ()  # families to search over; none: every one that fits the goal
    generations: int = 16  # rounds
    population: int = 16  # sequences asked in each
    parents: int = 6  # best sequences so far, which the next ones are bred from
    length: int = 5  # names in a sequence at most
    mutation: float = 0.25  # chance of every name to be replaced, and of a sequence to gain or lose one
    family: ClassVar[str] = "genetic"
    split: ClassVar[Split] = "held_out"
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least_one(generations=self.generations, population=self.population, parents=self.parents, length=self.length)
        shares(mutation=self.mutation)
        known_families(self.families)

    async def __call__(self, goal: Prompt, ask: Ask) -> None:
        """Ask a random generation, then breed: the best ever asked live on without being asked again."""
        known, rng = choices(goal, self.families), ask.rng
        came: dict[Names, list[float]] = defaultdict(list)
        brood = [self._random(known, rng) for _ in range(self.population)]
        for _ in range(self.generations):
            attempts = await _asked(goal, ask, brood)
            if won(attempts):
                return
            for names, attempt in zip(brood, attempts, strict=False):  # the budget may have cut the round short
                if (reward := progress(attempt)) is not None:
                    came[names].append(reward)
            best = sorted(came, key=lambda names: fmean(came[names]))[-self.parents :]  # of equals, the latest
            brood = [self._child(best, known, rng) for _ in range(self.population)]

    def _random(self, known: Choices, rng: Random) -> Names:
        length = rng.randint(1, self.length)
        return (rng.choice(known.families), *(_step(known, rng) for _ in range(length - 1)))

    def _child(self, best: Sequence[Names], known: Choices, rng: Random) -> Names:
        """Cross two parents at one point each, then mutate; without parents, begin again at random."""
        if not best:
            return self._random(known, rng)
        mother, father = rng.choice(best), rng.choice(best)
        crossed = [*mother[: rng.randint(1, len(mother))], *father[rng.randint(1, len(father)) :]][: self.length]
        for i in range(len(crossed)):
            if rng.random() < self.mutation:
                crossed[i] = _step(known, rng) if i else rng.choice(known.families)
        if rng.random() < self.mutation:
            if rng.random() < 0.5 and len(crossed) < self.length:
                crossed.insert(rng.randint(1, len(crossed)), _step(known, rng))
            elif len(crossed) > 1:
                del crossed[rng.randrange(1, len(crossed))]
        return tuple(crossed)


@register("attack")
@dataclass(frozen=True, kw_only=True)
class Bandit:
    """Spends its questions on the family or transform that comes furthest, and tries each of them."""

    name: str = "bandit"
    families: tuple[str, ...] = ()  # families among the arms; none: every one that fits the goal
    pulls: int = 256  # questions at most
    round: int = 8  # of them asked at once
    family: ClassVar[str] = "bandit"
    split: ClassVar[Split] = "held_out"
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least_one(pulls=self.pulls, round=self.round)
        known_families(self.families)

    async def __call__(self, goal: Prompt, ask: Ask) -> None:
        """Pull the arms with the highest bounds; within a round, an arm that waits for its answer counts as tried."""
        known = choices(goal, self.families)
        names = [(family,) for family in known.families]
        names += [(known.families[0], transform) for transform in known.transforms]
        ask.rng.shuffle(names)  # ties go to the first
        arms = [Arm(n) for n in names]
        for start in range(0, self.pulls, self.round):
            pulled = [_pull(arms) for _ in range(min(self.round, self.pulls - start))]
            attempts = await _asked(goal, ask, [arm.names for arm in pulled])
            if won(attempts):
                return
            for arm, attempt in zip(pulled, attempts, strict=False):
                arm.learn(progress(attempt))


@dataclass(slots=True, eq=False)
class Arm:
    """What a bandit knows of one sequence of names: how often it was tried, and the rewards in [0, 1] that came of it."""

    names: Names
    tried: int = 0
    rewards: int = 0
    total: float = 0.0
    squares: float = 0.0

    def learn(self, reward: float | None) -> None:
        """Add a reward; None, where a try taught nothing, leaves only the try."""
        if reward is not None:
            self.rewards, self.total, self.squares = self.rewards + 1, self.total + reward, self.squares + reward**2

    def bound(self, tries: int, average: float) -> float:
        """Return UCB1-tuned's bound after `tries` of all arms: mean + sqrt(ln t / n * min(1/4, variance + sqrt(2 ln t / n))).

        1/4 is the most that the variance of a reward in [0, 1] can be. An arm without a reward is taken for the average.
        """
        if not self.tried:
            return inf
        mean = self.total / self.rewards if self.rewards else average
        variance = self.squares / self.rewards - mean**2 if self.rewards else 0.25
        share = log(tries) / self.tried
        return mean + sqrt(share * min(0.25, max(0.0, variance) + sqrt(2 * share)))


def _pull(arms: Sequence[Arm]) -> Arm:
    tries, rewards = sum(arm.tried for arm in arms), sum(arm.rewards for arm in arms)
    average = sum(arm.total for arm in arms) / rewards if rewards else 0.0
    best = max(arms, key=lambda arm: arm.bound(tries, average))
    best.tried += 1
    return best


async def _asked(goal: Prompt, ask: Ask, brood: Sequence[Names]) -> list[Attempt]:
    return await together(ask, [render(goal, names, Random(ask.rng.getrandbits(64))) for names in brood])


def _step(known: Choices, rng: Random) -> str:
    """A name that may follow the first: as often a transform, of which there are few, as a family."""
    return rng.choice(known.transforms if rng.random() < 0.5 else known.families)
