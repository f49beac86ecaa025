"""Reinforcement learning from a reward: GRPO, RLOO and PPO, which differ in their advantage and in nothing else here.

Departures from the papers, each by measurement at this size: one update a rollout, so that the ratio is one and nothing is
clipped; the mean is over tokens (DAPO); GRPO's deviation has .1 added to it, since groups of nearly equal rewards would
otherwise shout; no KL penalty by default, so that over-optimisation can be seen and not only avoided.

    trueline run grpo start=MODEL reward=REWARD_MODEL
    trueline run grpo start=MODEL prompts=openings.jsonl template=raw reward=rule:contains=dragon,ends
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Completion, Prompt
from trueline.models.policy import Policy
from trueline.recipes.reading import prompts
from trueline.recipes.rewards import reward_of, watch_world
from trueline.recipes.studio import Room, Studio
from trueline.targets.local import complete
from trueline.train import annotate
from trueline.train.batch import Annotate, Objective
from trueline.train.loop import train
from trueline.train.objectives.reinforce import PPO, PolicyGradient
from trueline.train.optim import Optim
from trueline.train.rollout import Rollouts

SHOWN = ("reward", "gold", "kl")


@dataclass(frozen=True, kw_only=True)
class Reinforce:
    """What every RL recipe has in common: rollouts of a live policy, scored."""

    start: str = "safety"  # the model to train: a stage, a folder, or hf:NAME
    reward: str = "reward"  # a reward model (stage, folder, hf:NAME), gold, or rule:contains=WORD,ends
    prompts: str = "world/training"  # world/training, or a file of prompts
    template: Literal["model", "raw", "plain"] = "model"  # the model's own chat template, or the prompt as the start of a text
    iterations: int = 30  # rollouts
    batch: int = 48  # prompts a rollout
    group: int = 8  # completions of each prompt
    max_tokens: int = 56
    temperature: float = 1.0
    kl: float = 0.0  # weight of the KL to the start, per token, in the reward
    truncation_penalty: float = 0.0  # taken off the reward of a sample that does not end by itself
    micro_rows: int = 64  # completions per forward pass; 0: all of a step, which takes twice the time and memory on a CPU

    def __post_init__(self) -> None:
        if min(self.iterations, self.batch, self.group, self.max_tokens) < 1:
            raise ConfigError("iterations, batch, group and max_tokens must each be at least 1")
        if self.temperature <= 0 or self.kl < 0:
            raise ConfigError("temperature must be above 0 and kl not negative")

    def reads(self) -> tuple[str, ...]:
        named = "" if self.reward == "gold" or self.reward.startswith("rule:") else self.reward
        return (self.start, named, "" if self.prompts.startswith("world/") else self.prompts)

    def carry_out(
        self, studio: Studio, room: Room, policy: Policy, objective: Objective, advantage: Annotate, optim: Optim, epochs: int
    ) -> Mapping[str, Any]:
        """Train `policy` on its own scored samples."""
        own = policy.codec
        policy.codec = own.with_template(self.template)
        reference = policy.frozen()
        in_world = self.prompts.startswith("world/")
        pool = [] if in_world else prompts(studio, self.prompts, 0, 0)
        reward = reward_of(studio, self.reward)
        watched = pool[:16] or list(self._drawn(studio, pool, 0))[:16]
        before = self._look(studio, policy, watched, reward)
        oracle = watch_world(studio) if in_world else None

        def watch(iteration: int, completions: Sequence[Completion], rewards: Sequence[float]) -> Mapping[str, float]:
            if iteration % 5 == 0:
                room.keep(iteration + 1, completions[:: self.group][:4])
            return oracle(iteration, completions, rewards) if oracle else {}

        source = Rollouts(
            policy=policy,
            prompts=lambda i: self._drawn(studio, pool, i),
            reward=reward,
            annotate=annotate.chain(annotate.reference(reference), annotate.log_kl, annotate.kl_in_reward(self.kl), advantage),
            iterations=self.iterations,
            group=self.group,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            epochs=epochs,
            truncation_penalty=self.truncation_penalty,
            seed=studio.seed,
            watch=watch,
        )
        studio.show.steps(room.name, len(source))
        done = train(policy, objective, source, optim, room.loop(SHOWN, self.micro_rows))
        after = self._look(studio, policy, watched, reward)
        policy.codec = own
        policy.save(room.folder / "model")
        rows = room.curve()
        return {
            "tokens": done.tokens,
            "seconds": done.seconds,
            "reward_first": rows[0]["reward"],
            "reward_last": rows[-1]["reward"],
            "kl_last": rows[-1]["kl"],
            "before": before,
            "after": after,
        }

    def _drawn(self, studio: Studio, pool: Sequence[Prompt], iteration: int) -> Sequence[Prompt]:
        if not pool:
            return prompts(studio, self.prompts, self.batch, seed=1000 * (studio.seed + 7) + iteration)
        return Random(f"prompts/{studio.seed}/{iteration}").choices(pool, k=self.batch)

    def _look(self, studio: Studio, policy: Policy, watched: Sequence[Prompt], reward: Any) -> list[dict[str, Any]]:
        """One sample of each of a few fixed prompts, with its reward: what a person would read first."""
        drawn = complete(policy, watched, max_tokens=self.max_tokens, temperature=self.temperature, seed=studio.seed)
        return [
            {"prompt": c.prompt.conversation.messages[-1].text, "reply": c.text, "reward": r, "finish": c.finish}
            for c, r in zip(drawn, reward(drawn), strict=True)
        ]


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Grpo(Reinforce):
    """Group-relative policy optimisation (Shao et al. 2024, 2402.03300); Dr.GRPO and REINFORCE by their estimators."""

    estimator: Literal["grpo", "dr_grpo", "reinforce"] = "grpo"  # how a reward becomes an advantage
    floor: float = 0.1  # added to the group's standard deviation (grpo)
    objective: PolicyGradient = PolicyGradient()
    optim: Optim = Optim(lr=1e-3, muon=0.003, schedule="constant", warmup=0.1)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        advantage = annotate.grpo(self.floor) if self.estimator == "grpo" else annotate.ESTIMATORS[self.estimator]
        return self.carry_out(studio, room, studio.policy(self.start), self.objective, advantage, self.optim, epochs=1)


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Rloo(Reinforce):
    """REINFORCE with the other samples of the prompt as baseline (Ahmadian et al. 2024, 2402.14740)."""

    objective: PolicyGradient = PolicyGradient()
    optim: Optim = Optim(lr=1e-3, muon=0.003, schedule="constant", warmup=0.1)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        return self.carry_out(studio, room, studio.policy(self.start), self.objective, annotate.rloo, self.optim, epochs=1)


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Ppo(Reinforce):
    """PPO with a value head and GAE (Schulman et al. 2017, 1707.06347), two passes over each rollout."""

    kl: float = 0.02
    epochs: int = 2  # passes over each rollout
    discount: float = 1.0
    decay: float = 0.95  # lambda of the advantage estimate
    objective: PPO = PPO()
    optim: Optim = Optim(lr=7e-4, muon=0.002, schedule="constant", warmup=0.1)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start)
        policy.add_value_head()
        advantage = annotate.chain(annotate.old_value(policy), annotate.gae(self.discount, self.decay))
        return self.carry_out(studio, room, policy, self.objective, advantage, self.optim, self.epochs)
