"""The analytic twin: over a finite set of replies, what optimising a reward does is computed and not trained.

A policy over R replies is a vector of probabilities, so the two things that people do with a reward have exact answers:

    tilted     the policy that maximises E[reward] - beta KL(policy || start): start * exp(reward / beta), normalised
    best_of    the best of n samples: reward ranks are order statistics, and equal rewards share their place

A `Twin` is several prompts at once: the check on what training reaches, a stand-in where training is unstable, and a test.

    points = Twin(prompts=(facts, hazards), weights=(0.7, 0.3)).best_of(rewards, ns=(1, 4, 16, 64))
    [(p.kl, p.proxy, p.gold) for p in points]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
STEPS = 60  # most steps in the search for a beta; about eight are needed
CLOSE = 1e-8  # how near, relatively, the KL of a found policy is to what was asked for
FAR = 14.0  # largest logarithm of 1 / beta that is tried
TINY = 1e-300


@dataclass(frozen=True)
class Replies:
    """All replies to one prompt: how likely the start gives each, and what each is worth."""

    start: Array  # (R,), sums to one
    gold: Array  # (R,)

    def __post_init__(self) -> None:
        if self.start.shape != self.gold.shape or self.start.ndim != 1 or not np.isclose(self.start.sum(), 1.0):
            raise ValueError(
                f"expected as many probabilities, that sum to one, as values; got {self.start.shape} that sum to "
                f"{self.start.sum():.6f}, and {self.gold.shape}"
            )


@dataclass(frozen=True, kw_only=True)
class Point:
    """One policy: how far it went from the start, what it earns, what that is worth."""

    kl: float  # nats a reply
    proxy: float
    gold: float
    strength: float  # n of best-of-n, or 1 / beta

    @property
    def distance(self) -> float:
        """The square root of the KL: the axis that over-optimisation is drawn against (Gao et al. 2022, 2210.10760)."""
        return float(max(0.0, self.kl) ** 0.5)


@dataclass(frozen=True)
class Twin:
    """Prompts with their replies, and how often each prompt is asked."""

    prompts: tuple[Replies, ...]
    weights: tuple[float, ...]  # sum to one

    def under(self, rewards: Sequence[Array], policy: Callable[[Array, Array], Array], strength: float = 0.0) -> Point:
        """Where a policy ends up; it is given the start and the reward of every prompt in turn."""
        kl_, proxy, gold = 0.0, 0.0, 0.0
        for weight, replies, reward in zip(self.weights, self.prompts, rewards, strict=True):
            chosen = policy(replies.start, reward)
            kl_ += weight * kl(chosen, replies.start)
            proxy += weight * float(chosen @ reward)
            gold += weight * float(chosen @ replies.gold)
        return Point(kl=kl_, proxy=proxy, gold=gold, strength=strength)

    def best_of(self, rewards: Sequence[Array], ns: Sequence[float]) -> list[Point]:
        """The best of n samples, for each n."""
        return [self.under(rewards, lambda start, reward, n=n: best_of(start, reward, n), n) for n in ns]

    def tilted(self, rewards: Sequence[Array], kls: Sequence[float]) -> list[Point]:
        """The policies that earn most at each of these distances (nats a reply, over all prompts under one beta).

        A finite set ends somewhere: what lies further off than the best replies do is left out.
        """
        found = []
        for wanted in kls:
            strength = self._strength(rewards, wanted)
            if strength is not None:
                found.append(self.under(rewards, lambda start, reward, s=strength: tilted(start, reward, 1 / s), strength))
        return found

    def _strength(self, rewards: Sequence[Array], wanted: float) -> float | None:
        """The 1 / beta whose policy is `wanted` nats away; the KL rises with it. None: there is none.

        False position on log KL against log strength, where the path is nearly straight; the end that stays is weighed by half
        (Illinois), so that both ends move.
        """

        def beyond(strength: float) -> float:
            gone = self.under(rewards, lambda start, reward: tilted(start, reward, 1 / exp(strength))).kl
            return log(max(gone, TINY)) - log(wanted)

        low, high = 0.0, 0.0
        below = above = beyond(0.0)
        while below > 0:
            low -= 1.0
            below = beyond(low)
        while above < 0:
            high += 1.0
            if high > FAR:
                return None
            above = beyond(high)
        middle = low
        for _ in range(STEPS):
            middle = (low * above - high * below) / (above - below) if above > below else low
            here = beyond(middle)
            if abs(here) < CLOSE:
                break
            if here < 0:
                low, below, above = middle, here, above / 2
            else:
                high, above, below = middle, here, below / 2
        return exp(middle)


def tilted(start: Array, reward: Array, beta: float) -> Array:
    """The policy that maximises E[reward] - beta KL(policy || start): start * exp(reward / beta), normalised.

    >>> tilted(np.array([0.5, 0.5]), np.array([0.0, np.log(3.0)]), beta=1.0)
    array([0.25, 0.75])
    """
    scaled = reward / beta
    made = start * np.exp(scaled - scaled[start > 0].max())
    return np.asarray(made / made.sum())


def best_of(start: Array, reward: Array, n: float) -> Array:
    """The distribution of the best of n independent samples; among samples of one reward each is as likely to be kept.

    P(the best earns r) = F(r)^n - F(r-)^n, shared out within r as the start shares it out.

    >>> best_of(np.array([0.5, 0.25, 0.25]), np.array([1.0, 0.0, 0.0]), n=2)
    array([0.75 , 0.125, 0.125])
    """
    order = np.argsort(reward, kind="stable")
    first = np.flatnonzero(np.diff(reward[order], prepend=-np.inf))  # where a higher reward begins
    mass = np.add.reduceat(start[order], first)
    upto = np.minimum(np.cumsum(mass), 1.0)
    upto[-1] = 1.0
    best = np.diff(upto**n, prepend=0.0)
    share = np.divide(best, mass, out=np.zeros_like(best), where=mass > 0)
    found = np.empty_like(start)
    found[order] = start[order] * np.repeat(share, np.diff(first, append=len(order)))
    return found


def best_of_drawn(reward: Array, n: int) -> Array:
    """The same for a start that is known by m samples alone: weights (m,) of the best of n of them, without bias.

    The k-th lowest of m is the best of a random n of them in C(k - 1, n - 1) of C(m, n) cases; equal ones share their weight.
    """
    m = len(reward)
    if not 1 <= n <= m:
        raise ValueError(f"the best of n of {m} samples: expected n from 1 to {m}, got {n}")
    upto = np.ones(m + 1)
    upto[:n] = 0.0  # upto[k] = C(k, n) / C(m, n): all n lie among the k lowest
    for k in range(m - 1, n - 1, -1):
        upto[k] = upto[k + 1] * (k + 1 - n) / (k + 1)
    order = np.argsort(reward, kind="stable")
    first = np.flatnonzero(np.diff(reward[order], prepend=-np.inf))
    sizes = np.diff(first, append=m)
    found = np.empty(m)
    found[order] = np.repeat(np.diff(upto[first + sizes], prepend=0.0) / sizes, sizes)
    return found


def kl(policy: Array, start: Array) -> float:
    """KL(policy || start), nats."""
    there = policy > 0
    return float((policy[there] * np.log(policy[there] / start[there])).sum())


def most_kl(n: float) -> float:
    """What the KL of best-of-n is where no two replies earn the same, and at most elsewhere (Beirami et al. 2024, 2401.01879).

    >>> round(most_kl(16), 3)
    1.835
    """
    return log(n) - (n - 1) / n
