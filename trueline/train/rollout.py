"""Online RL as a source: sample from the live policy, score, annotate, hand out batches.

The loop cannot tell it from a data set. Replaying a batch `epochs` times, in `minibatches` parts, is PPO's inner loop; a run
can be taken up only between rollouts, since the policy that made one is gone after the first update. Which prompts a rollout
draws, and draws again, is a function of its number, so that no position in the data has to be remembered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from statistics import fmean
from typing import Protocol

import torch

from trueline.core.types import Completion, Prompt
from trueline.models.policy import Policy
from trueline.targets.local import complete, completions_of
from trueline.train.ahead import Ahead, Asked
from trueline.train.batch import Annotate, Batch, Limit, pad_rows
from trueline.train.shaping import Shaping

FLAT = 1e-6  # rewards of a group that differ by less are equal: they teach nothing
RATIO_BOUND = {"cpu": 1e-4, "cuda": 1e-3}  # largest |ratio - 1| that is rounding, in float32 on that device
ROUGH_RATIO_BOUND = 0.3  # in any lower precision


class Reward(Protocol):
    """Scores completions, any scale: a reward model, a rule, an oracle."""

    def __call__(self, completions: Sequence[Completion]) -> Sequence[float]: ...


Prompts = Callable[[int], Sequence[Prompt]]  # the prompts of an iteration
Watch = Callable[[int, Sequence[Completion], Sequence[float]], Mapping[str, float]]  # what else to log about a rollout


@dataclass(frozen=True, slots=True)
class Answers:
    """Completions of some prompts, and how many rollouts the weights that made them were trained on (a server's)."""

    completions: list[Completion]
    version: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """The samples of one prompt, what they scored, and what of that is trained on."""

    prompt: Prompt
    completions: Sequence[Completion]
    rewards: Sequence[float]
    shaped: Sequence[float]
    version: int = 0  # as that of its `Answers`

    @property
    def flat(self) -> bool:
        """Whether all samples earned the same."""
        return max(self.shaped) - min(self.shaped) < FLAT


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """`iterations` times: sample `group` completions for each prompt, score them, annotate, train on them.

    refills    dynamic sampling (Yu et al. 2025, 2503.14476, 3.2): groups whose rewards are all equal are put aside, and up to
               so many further draws of prompts are made to replace them. What is still missing is filled with those aside.
    greedy     also answer each prompt greedily, and write that answer's reward as the column `baseline` (ReMax).
    scores     further scores of each completion, each written as a column (N,) and logged as a mean.
    stop_kl    the passes over a rollout end once the policy is so far from the sampler (metric `old_kl`, nats a token); the
               rest of them are batches of no rows. 0: never. The metrics come in by `see`, which the loop's observer calls.
    sampler    a server that samples in this process's place (train/ahead.py). Trainer and sampler are then not one model to the
               last digit: rows carry the column `version`, and what bounds the first pass is the sampler's own limit.
    """

    policy: Policy
    prompts: Prompts
    reward: Reward
    annotate: Annotate
    iterations: int
    group: int = 8
    max_tokens: int = 56
    temperature: float = 1.0
    epochs: int = 1
    minibatches: int = 1
    shape: Shaping = field(default_factory=Shaping)
    refills: int = 0
    greedy: bool = False
    scores: Mapping[str, Reward] = field(default_factory=dict)
    stop_kl: float = 0.0
    sampler: Ahead | None = None
    seed: int = 0
    watch: Watch = field(default=lambda iteration, completions, rewards: {})
    _seen: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)
    _spent: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)  # seconds, by metric

    def __post_init__(self) -> None:
        if self.group < 1 or self.epochs < 1 or self.minibatches < 1 or self.iterations < 1:
            raise ValueError("iterations, group, epochs and minibatches must each be at least 1")
        if self.refills < 0 or self.stop_kl < 0:
            raise ValueError(f"refills and stop_kl must not be negative, got {self.refills} and {self.stop_kl}")

    def __len__(self) -> int:
        return self.iterations * self.epochs * self.minibatches

    def resumable(self, step: int) -> bool:
        return step % (self.epochs * self.minibatches) == 0

    def see(self, metrics: Mapping[str, float]) -> None:
        """Take in the metrics of the step that was just made."""
        self._seen.update(metrics)

    def batches(self, start: int) -> Iterator[Batch]:
        per_rollout = self.epochs * self.minibatches
        for iteration in range(start // per_rollout, self.iterations):
            batch = self._rollout(iteration)
            size = batch.group  # an annotation may have made smaller groups
            self._seen.clear()
            limits: tuple[Limit, ...] = (_parity(self.policy),) if self.sampler is None else self.sampler.limits
            spent = dict(self._spent)
            self._spent.clear()
            for epoch in range(self.epochs):
                order = list(range(len(batch.tokens) // size))
                if self.minibatches > 1:
                    Random(f"minibatch/{self.seed}/{iteration}/{epoch}").shuffle(order)
                for part in range(self.minibatches):
                    if self.stop_kl and self._seen.get("old_kl", 0.0) > self.stop_kl:
                        yield batch.take(slice(0, 0))
                        continue
                    chosen = order[part :: self.minibatches]
                    rows = torch.tensor([g * size + k for g in chosen for k in range(size)], device=batch.tokens.device)
                    yield replace(batch if self.minibatches == 1 else batch.take(rows), limits=limits).logging(**spent)
                    limits, spent = (), {}  # from here on the policy is no longer the sampler

    def _rollout(self, iteration: int) -> Batch:
        self.policy.eval()  # no dropout between here and the update (algorithms 7.0 rule 6)
        pushed: Mapping[str, float] = {}
        if self.sampler is not None:
            after = partial(self._asked, iteration + 1) if iteration + 1 < self.iterations else None
            with self._timed("sampling"):
                self.sampler.wait()
            with self._timed("pushing"):
                pushed = self.sampler.at(iteration, after)
        drawn = self._draw(iteration)
        wanted, draws = len(drawn), 1
        while draws <= self.refills and sum(not g.flat for g in drawn) < wanted:
            drawn += self._draw(iteration + draws * self.iterations)
            draws += 1
        groups = sorted(drawn, key=lambda g: g.flat)[:wanted] if self.refills else drawn
        batch = self._batch(groups, iteration).logging(**pushed)
        completions = [c for g in drawn for c in g.completions]
        rewards = [r for g in drawn for r in g.rewards]
        batch = batch.logging(
            reward=fmean(rewards),
            truncated=fmean(float(c.finish == "length") for c in completions),
            length=fmean(len(c.ids) for c in completions),
            zero_spread=fmean(float(g.flat) for g in groups),
        )
        if self.refills:
            batch = batch.logging(draws=float(draws), drawn_zero_spread=fmean(float(g.flat) for g in drawn))
        batch = batch.logging(**self.watch(iteration, completions, rewards))
        if self.policy.device.type != "cpu":
            batch = batch.to(self.policy.device)
        with self._timed("annotating"):
            return self.annotate(batch)

    def _draw(self, index: int) -> list[Group]:
        """Sample and score the prompts of one draw."""
        prompts = self.prompts(index)
        answers = self._complete(prompts, self.group, self.temperature, hash_seed(self.seed, index), index)
        completions = answers.completions
        rewards = self._score(self.reward, completions)
        self.shape.see(rewards)
        shaped = self.shape(completions, rewards)
        parts = [slice(i * self.group, (i + 1) * self.group) for i in range(len(prompts))]
        return [Group(p, completions[s], rewards[s], shaped[s], answers.version) for p, s in zip(prompts, parts, strict=True)]

    def _batch(self, groups: Sequence[Group], iteration: int) -> Batch:
        """Prompt and sample as rows, with what the sampler thought of each token and what each row earned."""
        completions = [c for g in groups for c in g.completions]
        rows, masks, old = [], [], []
        for group in groups:
            head = self.policy.codec.prompt(group.prompt.conversation)
            for completion in group.completions:
                rows.append([*head, *completion.ids])
                masks.append([False] * len(head) + [True] * len(completion.ids))
                old.append([0.0] * len(head) + list(completion.logprobs))
        batch = pad_rows(rows, masks, self.policy.codec.pad, self.group)
        width = batch.tokens.shape[1]
        sampler = torch.tensor([row + [0.0] * (width - len(row)) for row in old])
        batch = replace(batch, temperature=self.temperature)
        batch = batch.having(old_logp=sampler, sampler_logp=sampler, reward=_column([s for g in groups for s in g.shaped]))
        batch = batch.logging(entropy=-float(sampler.sum() / batch.mask.sum()))
        if self.sampler is not None:
            versions = [g.version for g in groups for _ in g.completions]
            batch = batch.having(version=torch.tensor(versions)).logging(staleness=self.sampler.age(iteration, versions))
        for name, score in self.scores.items():
            found = self._score(score, completions)
            batch = batch.having(**{name: _column(found)}).logging(**{name: fmean(found)})
        if self.greedy:
            answers = self._complete([g.prompt for g in groups], 1, 0.0, 0).completions
            baseline = self.shape(answers, self._score(self.reward, answers))
            batch = batch.having(baseline=_column(baseline).repeat_interleave(self.group))
        return batch

    def _complete(
        self, prompts: Sequence[Prompt], count: int, temperature: float, seed: int, index: int | None = None
    ) -> Answers:
        with self._timed("sampling"):
            if self.sampler is None:
                drawn = complete(
                    self.policy, prompts, count=count, max_tokens=self.max_tokens, temperature=temperature, seed=seed
                )
                return Answers(drawn)
            found = self.sampler.draw(self._wanted(prompts, count, temperature, seed, index))
        return Answers(completions_of(self.policy, prompts, found.groups), found.version)

    def _asked(self, index: int) -> Asked:
        """What a server is asked to sample for a rollout, before its turn."""
        return self._wanted(self.prompts(index), self.group, self.temperature, hash_seed(self.seed, index), index)

    def _wanted(self, prompts: Sequence[Prompt], count: int, temperature: float, seed: int, index: int | None) -> Asked:
        heads = [self.policy.codec.prompt(p.conversation) for p in prompts]
        return Asked(heads=heads, count=count, max_tokens=self.max_tokens, temperature=temperature, seed=seed, index=index)

    def _score(self, reward: Reward, completions: Sequence[Completion]) -> list[float]:
        with self._timed("scoring"):
            return list(reward(completions))

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        """Count the seconds of a phase; they are logged with the first batch of the rollout as `seconds_PHASE`."""
        began = time.perf_counter()
        yield
        name = f"seconds_{phase}"
        self._spent[name] = self._spent.get(name, 0.0) + time.perf_counter() - began


def hash_seed(seed: int, index: int) -> int:
    """A sampling seed for each iteration, far from its neighbours'."""
    return Random(f"{seed}/{index}").getrandbits(60)


def _column(values: Sequence[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


def _parity(policy: Policy) -> Limit:
    """On the first pass over a rollout trainer and sampler are one model, and every ratio is one but for rounding."""
    bound = RATIO_BOUND.get(policy.device.type, 1e-3) if policy.compute_dtype == torch.float32 else ROUGH_RATIO_BOUND
    return Limit(
        name="ratio_max",
        most=bound,
        meaning="sampler and trainer are one model on the first pass over a rollout, so that the largest |ratio - 1| of its "
        "tokens can only be rounding; check temperature, template, dropout and padding",
    )
