"""Online adversarial training: refusals of requests that carry the suffixes which harm this very model most, as it now is.

After R2D2 (Mazeika et al. 2024, HarmBench, 2402.04249). A pool of harmful requests persists, each with an
adversarial suffix. At every step some of them take a few steps of greedy coordinate gradient against the current weights, and

    toward: -log p(refusal | request + suffix)      away: -log(1 - p(harmful token))      and -log p(reply | benign request)

are learned together. Now and then some suffixes begin again from nothing, so that the pool does not settle on one weakness.
White box and adaptive, and so measured only by attacks of other kinds, or by suffixes that are searched for afterwards.

    trueline run online_adversarial start=MODEL
    trueline run online_adversarial start=MODEL steps=200 pool=128 suffix.length=12

The pool is part of every checkpoint: a run that was killed goes on with the suffixes that it had.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random

import torch
from torch import Tensor

from trueline.attack.goal import request, say
from trueline.attack.gradient import SuffixError, SuffixLoss
from trueline.attack.suffix import gcg
from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.models.policy import Policy
from trueline.models.tokens import Example
from trueline.recipes.hardening import Arranged, Hardening, Ids, Pair, refusing
from trueline.recipes.studio import RecipeError
from trueline.train.batch import Batch
from trueline.train.kinds import places


@dataclass(frozen=True, kw_only=True)
class Search:
    """How suffixes are searched for."""

    length: int = 8  # tokens of a suffix
    steps: int = 1  # of greedy coordinate gradient, each time an input is refreshed
    candidates: int = 32  # swaps that are scored in a step
    top_k: int = 32  # tokens at each position that swaps are drawn from, the steepest first
    words: int = 4  # words of the harmful reply that a suffix makes likely

    def __post_init__(self) -> None:
        if min(self.length, self.steps, self.candidates, self.top_k, self.words) < 1:
            raise ConfigError(f"suffix: every setting must be at least 1, got {self}")


@register("recipe", "online_adversarial")
@dataclass(frozen=True, kw_only=True)
class OnlineAdversarial(Hardening):
    """Refuse requests whose suffixes are searched for against the current weights at every step. After R2D2 (2402.04249)."""

    pool: int = 32  # adversarial inputs that persist; `rows` of them are refreshed and trained on in a step
    every: int = 50  # steps after which some begin again; 0: never
    reset: float = 0.2  # share of the pool that does
    away: float = 1.0  # weight of making the harmful reply unlikely; 0 leaves it out
    suffix: Search = Search()

    def check(self) -> None:
        if self.pool < 1 or self.every < 0 or self.away < 0 or not 0 <= self.reset <= 1:
            raise ConfigError("pool must be at least 1, every and away not negative, and reset a share")

    def arrange(self, policy: Policy, pairs: Sequence[Pair], seed: int) -> Arranged:
        try:
            pool = Pool(policy, pairs[: self.pool], self, seed)
        except SuffixError as error:
            raise RecipeError(f"{self.start}: {error}") from error
        draws = partial(pool.rows, Pair.refused), partial(pool.rows, Pair.told)
        return Arranged(model=policy, annotate=pool.noted, keep={"pool": pool}, **refusing(draws, self.away))


class Pool:
    """Requests with suffixes that persist, and get worse for the model whenever a step draws them."""

    def __init__(self, policy: Policy, pairs: Sequence[Pair], settings: OnlineAdversarial, seed: int) -> None:
        self.pairs, self.settings, self.seed = pairs, settings, seed
        self.losses = [self._loss(policy, pair, i) for i, pair in enumerate(pairs)]
        self.suffixes: list[Ids] = [loss.start(self._rng("start", i)) for i, loss in enumerate(self.losses)]
        self.step, self.drawn, self.found = -1, list[int](), list[float]()

    def rows(self, make: Callable[[Pair], Example], step: int) -> list[Example]:
        """The step's inputs as `make` says, after they were refreshed; asked again at one step, the same."""
        if step != self.step:
            self._refresh(step)
        return [make(replace(self.pairs[i], head=self._head(i))) for i in self.drawn]

    def noted(self, batch: Batch) -> Batch:
        """Log what the attack reached: -log p of the harmful reply's first words, the mean over the step's inputs."""
        return batch.logging(attack_loss=sum(self.found) / len(self.found))

    def state(self) -> dict[str, Tensor]:
        return {"suffixes": torch.tensor(self.suffixes)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.suffixes = [tuple(row) for row in state["suffixes"].tolist()]

    def _refresh(self, step: int) -> None:
        chosen = self.settings
        if chosen.every and step and step % chosen.every == 0:
            for i in self._rng("reset", step).sample(range(len(self.pairs)), round(chosen.reset * len(self.pairs))):
                self.suffixes[i] = self.losses[i].start(self._rng(f"reset/{step}", i))
        self.step = step
        self.drawn = places(len(self.pairs), chosen.rows, step, f"{self.seed}/pool")
        self.found = []
        how = chosen.suffix
        for i in self.drawn:
            search = gcg(
                self.losses[i],
                steps=how.steps,
                candidates=how.candidates,
                top_k=how.top_k,
                rng=self._rng(f"step/{step}", i),
                start=self.suffixes[i],
            )
            *_, best = search
            self.suffixes[i] = best.ids
            self.found.append(best.loss)

    def _head(self, i: int) -> Ids:
        return (*self.losses[i].head, *self.suffixes[i], *self.losses[i].tail)

    def _loss(self, policy: Policy, pair: Pair, i: int) -> SuffixLoss:
        prompt, how = pair.prompt, self.settings.suffix
        opening = " ".join(policy.codec.text(pair.harmful).split()[: how.words])
        return SuffixLoss(
            policy,
            lambda text: say(prompt, request(prompt) + text),
            opening,
            length=how.length,
            rng=self._rng("place", i),
            rows=how.candidates,
        )

    def _rng(self, what: str, index: int) -> Random:
        return Random(f"pool/{self.seed}/{what}/{index}")
