"""Reinforcement learning from a reward: GRPO and its kin, RLOO and PPO.

They differ in their advantage and objective and in nothing else here. Departures from the papers, each by measurement at this
size: one update a rollout, so that the ratio is one and nothing is clipped; the mean is over tokens (DAPO); GRPO's deviation
has .1 added to it, since groups of nearly equal rewards would otherwise shout; no KL penalty by default, so that
over-optimisation can be seen and not only avoided.

    trueline run grpo start=MODEL reward=REWARD_MODEL
    trueline run grpo start=MODEL estimator=remax prompts=openings.jsonl template=raw reward=rule:contains=dragon,ends
    trueline run grpo minibatches=4 objective.clip_high=0.28 refills=3 overlong=16             # DAPO
    trueline run grpo minibatches=4 objective.form=gspo objective.average=row objective.clip=3e-4 objective.clip_high=4e-4
    trueline run ppo critic=reward kl=0.05 kl_target=6 stop_kl=0.02
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from torch import nn

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Completion, Prompt
from trueline.models.adapters import Adapter
from trueline.models.policy import Policy, RewardModel
from trueline.models.tokens import Codec
from trueline.recipes.reading import context_of, conversations, prompts
from trueline.recipes.rewards import models_of, reward_of, watch_world
from trueline.recipes.sampling import Correction, Sampler, told
from trueline.recipes.studio import Room, Studio
from trueline.targets.local import complete
from trueline.train import advantages, annotate
from trueline.train.batch import Annotate, Objective
from trueline.train.controllers import AdaptiveKL, RunningScale
from trueline.train.critic import ActorCritic
from trueline.train.loop import Beside, Keeper, train
from trueline.train.objectives.likelihood import NextToken
from trueline.train.objectives.ppo import PPO
from trueline.train.objectives.reinforce import PolicyGradient
from trueline.train.optim import Optim
from trueline.train.rollout import Reward, Rollouts, Watch
from trueline.train.shaping import Shaping
from trueline.train.sources import Groups

Estimator = Literal["grpo", "dr_grpo", "reinforce", "reinforce++", "reinforce++_baseline", "remax"]
SHOWN = ("reward", "cost", "gold", "kl")
REPLAYED = 2000  # demonstrations of the world that are made for replay


@dataclass(frozen=True, kw_only=True)
class Reinforce:
    """What every RL recipe has in common: rollouts of a live policy, scored."""

    start: str = "safety"  # the model to train: a stage, a folder, or hf:NAME
    reward: str = "reward"  # a reward model (stage, folder, hf:NAME), judge:NAME, gold, or rule:contains=WORD,ends
    prompts: str = "world/training"  # world/training, or a file of prompts
    template: Literal["model", "raw", "plain"] = "model"  # the model's own chat template, or the prompt as the start of a text
    iterations: int = 30  # rollouts
    batch: int = 48  # prompts a rollout
    group: int = 8  # completions of each prompt
    max_tokens: int = 56  # longest completion
    temperature: float = 1.0  # at which completions are sampled, and all their log-probabilities taken
    epochs: int = 1  # passes over each rollout
    minibatches: int = 1  # parts that a pass is cut into, an update each
    stop_kl: float = 0.0  # passes over a rollout end once the policy is so far from its sampler, nats a token; 0: never
    refills: int = 0  # further draws that may replace groups whose rewards are all equal (dynamic sampling)
    normalise: bool = False  # rewards less their running mean, over their running deviation
    kl: float = 0.0  # weight of the KL to the start, per token, in the reward
    kl_target: float = 0.0  # nats an answer that the weight of the KL is steered to; 0: the weight stays
    truncation_penalty: float = 0.0  # taken off the reward of a sample that does not end by itself
    truncated_reward: float | None = None  # the reward of such a sample, whatever it scored; none: its score
    overlong: int = 0  # last tokens of max_tokens over which a penalty grows from 0 to 1 (DAPO)
    mismatch: Correction = "auto"  # importance weights where sampler and trainer differ; auto: by token for a server's samples
    mismatch_cap: float = 3.0  # largest weight of a token; a sequence off by more than this factor is left out
    replay: str = ""  # demonstrations that are learned beside the reward (PPO-ptx): world/helpful or such, or a file
    replay_weight: float = 1.0  # weight of their loss, nats a token
    replay_rows: int = 16  # of them a step
    micro_rows: int = 64  # completions per forward pass; 0: all of a step, which takes twice the time and memory on a CPU
    adapter: Adapter = Adapter()
    sampler: Sampler = Sampler()  # a server that samples in this process's place
    optim: Optim = Optim(lr=1e-3, muon=0.003, schedule="constant", warmup=0.1)

    def __post_init__(self) -> None:
        if min(self.iterations, self.batch, self.group, self.max_tokens, self.epochs, self.replay_rows) < 1:
            raise ConfigError("iterations, batch, group, max_tokens, epochs and replay_rows must each be at least 1")
        if not 1 <= self.minibatches <= self.batch:
            raise ConfigError(
                f"minibatches cut the {self.batch} prompts of a rollout: expected 1 to that, got {self.minibatches}"
            )
        if self.temperature <= 0 or min(self.kl, self.stop_kl, self.refills, self.replay_weight) < 0:
            raise ConfigError("temperature must be above 0, and kl, stop_kl, refills and replay_weight not negative")
        self._shaping(None)  # what these refuse is refused before work starts
        annotate.truncated_importance(self.mismatch_cap, "token")
        if self.kl_target:
            AdaptiveKL(self.kl, self.kl_target)

    def reads(self) -> tuple[str, ...]:
        files = [name for name in (self.prompts, self.replay) if name and not name.startswith("world/")]
        return (self.start, *models_of(self.reward), *files)

    def foresee(self, studio: Studio) -> None:
        """Look at the server, where one samples."""
        self.sampler.look(self.start, self.max_tokens)

    def carry_out(
        self,
        studio: Studio,
        room: Room,
        policy: Policy,
        objective: Objective,
        advantage: Annotate,
        *,
        model: nn.Module | None = None,  # the policy with its critics, where these are networks of their own
        greedy: bool = False,
        scores: Mapping[str, Reward] | None = None,
        keep: Mapping[str, Keeper] | None = None,
    ) -> Mapping[str, Any]:
        """Train `policy` on its own scored samples."""
        own = policy.codec
        policy.codec = own.with_template(self.template)
        reference = policy.frozen()
        in_world = self.prompts.startswith("world/")
        pool = [] if in_world else prompts(studio, self.prompts, 0, 0)
        reward = reward_of(studio, self.reward)
        watched = pool[:16] or list(self._drawn(studio, pool, 0))[:16]
        sampler = self.sampler.of(policy, room, watched, self.max_tokens, self.temperature)
        before = self._look(studio, policy, watched, reward)
        weight = AdaptiveKL(self.kl, self.kl_target) if self.kl_target else self.kl
        scale = RunningScale() if self.normalise else None
        source = Rollouts(
            policy=policy,
            prompts=lambda i: self._drawn(studio, pool, i),
            reward=reward,
            annotate=self._annotations(policy, reference, objective, advantage, weight),
            iterations=self.iterations,
            group=self.group,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            epochs=self.epochs,
            minibatches=self.minibatches,
            shape=self._shaping(scale),
            refills=self.refills,
            greedy=greedy,
            scores=scores or {},
            stop_kl=self.stop_kl,
            sampler=sampler,
            seed=studio.seed,
            watch=self._watch(room, watch_world(studio) if in_world else None),
        )
        base = room.loop(SHOWN, self.micro_rows)

        def observe(step: int, metrics: Mapping[str, float]) -> None:
            source.see(metrics)
            base.observe(step, metrics)

        kept = {"kl": weight, "scale": scale, "ahead": sampler, **(keep or {})}
        loop = replace(
            base,
            observe=observe,
            keep={name: one for name, one in kept.items() if isinstance(one, Keeper)},
            beside=self._replayed(studio, policy, own, len(source)),
        )
        studio.show.steps(room.name, len(source))
        done = train(policy if model is None else model, objective, source, self.optim, loop)
        self.sampler.tidy(room)
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
            **told(rows),
            "phases": room.phases(),
            "before": before,
            "after": after,
        }

    def _watch(self, room: Room, oracle: Watch | None) -> Watch:
        """Keep some samples of every fifth rollout, and log what the oracle sees, where there is one."""

        def watch(iteration: int, completions: Sequence[Completion], rewards: Sequence[float]) -> Mapping[str, float]:
            if iteration % 5 == 0:
                room.keep(iteration * self.epochs * self.minibatches + 1, completions[:: self.group][:4])
            return oracle(iteration, completions, rewards) if oracle else {}

        return watch

    def _annotations(
        self, policy: Policy, reference: Policy, objective: Objective, advantage: Annotate, weight: float | AdaptiveKL
    ) -> Annotate:
        """From samples and rewards to advantages. Where no KL steers anything, its metric takes a part of the rows."""
        steers = self.kl > 0 or "ref_logp" in objective.requires
        steps = [annotate.reference(reference), annotate.log_kl] if steers else [annotate.watch_kl(reference)]
        steps += [annotate.kl_in_reward(weight), advantage]
        return self.sampler.corrects(policy, steps, self.mismatch, self.mismatch_cap)

    def _shaping(self, scale: RunningScale | None) -> Shaping:
        return Shaping(
            scale=scale,
            truncated_reward=self.truncated_reward,
            truncation_penalty=self.truncation_penalty,
            overlong=self.overlong,
            limit=self.max_tokens,
        )

    def _replayed(self, studio: Studio, policy: Policy, codec: Codec, steps: int) -> dict[str, Beside]:
        """Demonstrations for every step, in random order, over and over."""
        if not self.replay:
            return {}
        found = conversations(studio, self.replay, REPLAYED if self.replay.startswith("world/") else 0)
        limit = context_of(codec, policy.model.config.max_position_embeddings, 0)
        examples = [[e] for e in map(codec.example, found) if len(e.ids) <= limit]
        rows = min(self.replay_rows, len(examples))
        epochs = math.ceil(steps / max(1, len(examples) // max(1, rows)))
        source = Groups(rows=examples, epochs=epochs, groups=rows, pad=codec.pad, seed=studio.seed)
        return {"replay": Beside(objective=NextToken(), source=source, weight=self.replay_weight)}

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
    """Group-relative policy optimisation (Shao et al. 2024, 2402.03300) and its kin, by their estimators and objectives."""

    estimator: Estimator = "grpo"  # how a reward becomes an advantage
    floor: float = 0.1  # added to the group's standard deviation (grpo)
    objective: PolicyGradient = PolicyGradient()

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        advantage = advantages.grpo(self.floor) if self.estimator == "grpo" else advantages.ESTIMATORS[self.estimator]
        policy = studio.policy(self.start, adapter=self.adapter)
        return self.carry_out(studio, room, policy, self.objective, advantage, greedy=self.estimator == "remax")


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Rloo(Reinforce):
    """REINFORCE with the other samples of the prompt as baseline (Ahmadian et al. 2024, 2402.14740)."""

    objective: PolicyGradient = PolicyGradient()

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        return self.carry_out(studio, room, studio.policy(self.start, adapter=self.adapter), self.objective, advantages.rloo)


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Ppo(Reinforce):
    """PPO with a critic and GAE (Schulman et al. 2017, 1707.06347), two passes over each rollout."""

    kl: float = 0.02
    epochs: int = 2
    critic: str = "head"  # head: a value head on the policy; start: a copy of the start; or a reward model to start from
    discount: float = 1.0  # gamma: what a reward one token later is worth
    decay: float = 0.95  # lambda of the advantage estimate
    objective: PPO = PPO()
    optim: Optim = Optim(lr=7e-4, muon=0.002, schedule="constant", warmup=0.1)

    def reads(self) -> tuple[str, ...]:
        return (*super().reads(), *([] if self.critic in ("head", "start") else [self.critic]))

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start, adapter=self.adapter)
        model: Policy | ActorCritic = policy
        if self.critic == "head":
            policy.add_value_head()
            studio.ready(policy)
        else:
            model = ActorCritic(policy, critic_of(studio, policy, self.critic))
        advantage = annotate.chain(annotate.old_value(model), advantages.gae(self.discount, self.decay))
        return self.carry_out(studio, room, policy, self.objective, advantage, model=model)


def critic_of(studio: Studio, policy: Policy, name: str) -> RewardModel:
    """A critic that starts as the policy's body with a head at zero, or as a reward model."""
    made = RewardModel.start_from(policy) if name == "start" else studio.reward_model(name)
    return studio.ready(made)
