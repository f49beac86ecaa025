"""Preferences of the policy's own samples: DPO on the fly, or in rounds.

`online_dpo` samples a few answers to each prompt from the policy as it is now, a reward picks the best and the worst, and DPO
takes one step against a reference that stays the start (Guo et al. 2024, 2402.04792).
`iterative_dpo` does the same in rounds, each a whole `dpo` on samples of the last round's model, which is its reference too
(Xiong et al. 2023, 2312.11456; Yuan et al. 2024, 2401.10020).

    trueline run online_dpo start=MODEL reward=REWARD_MODEL
    trueline run iterative_dpo start=MODEL reward=rule:contains=dragon,ends prompts=openings.jsonl rounds=3
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from trueline.core.config import ConfigError
from trueline.core.records import write_jsonl
from trueline.core.registry import register
from trueline.core.types import Completion, Prompt, Ranking
from trueline.models.adapters import Adapter
from trueline.recipes.answering import answers, unnamed
from trueline.recipes.prefer import Dpo, warn_of_displacement
from trueline.recipes.reading import prompts
from trueline.recipes.reporting import made_of
from trueline.recipes.rewards import models_of, reward_of, watch_world
from trueline.recipes.sampling import Sampler, told
from trueline.recipes.studio import Recipe, RecipeError, Room, Studio
from trueline.train import annotate
from trueline.train.annotate_preference import best_first
from trueline.train.loop import train
from trueline.train.objectives.preference import DPO
from trueline.train.optim import Optim
from trueline.train.rollout import Rollouts

WORLD = "world/"


@register("recipe", "online_dpo")
@dataclass(frozen=True, kw_only=True)
class OnlineDpo:
    """Sample from the policy, let a reward choose, take a DPO step; the reference is the start throughout."""

    start: str = "safety"  # the model to train, and the reference: a stage, a folder, or hf:NAME
    reward: str = "reward"  # a reward model (stage, folder, hf:NAME), judge:NAME, gold, or rule:contains=WORD,ends
    prompts: str = "world/training"  # world/training, or a file of prompts
    iterations: int = 30  # rollouts, a step each
    batch: int = 48  # prompts a rollout
    group: int = 2  # completions of each prompt; the best is chosen and the worst rejected
    max_tokens: int = 56  # longest completion
    temperature: float = 1.0  # at which completions are sampled
    micro_rows: int = 64  # completions per forward pass; 0: all of a step
    adapter: Adapter = Adapter()
    sampler: Sampler = Sampler()  # a server that samples in this process's place
    objective: DPO = DPO(beta=0.1)
    optim: Optim = Optim(lr=5e-4, muon=0.002, schedule="constant", warmup=0.1)

    def __post_init__(self) -> None:
        if min(self.iterations, self.batch, self.max_tokens) < 1 or self.group < 2 or self.temperature <= 0:
            raise ConfigError(
                "iterations, batch and max_tokens must each be at least 1, group at least 2 and temperature above 0"
            )
        if extra := self.objective.requires - {"ref_logp"}:
            raise ConfigError(
                f"link {self.objective.link} needs {', '.join(extra)} of a whole batch at rest; choose another link, or `dpo`"
            )

    def reads(self) -> tuple[str, ...]:
        return (self.start, *_named(self.reward, self.prompts))

    def foresee(self, studio: Studio) -> None:
        """Look at the server, where one samples."""
        self.sampler.look(self.start, self.max_tokens)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start, adapter=self.adapter)
        probed = draw(studio, self.prompts, self.batch, 0) if self.sampler.server else []
        sampler = self.sampler.of(policy, room, probed, self.max_tokens, self.temperature)
        oracle = watch_world(studio) if self.prompts.startswith(WORLD) else None

        def watch(iteration: int, completions: Sequence[Completion], rewards: Sequence[float]) -> Mapping[str, float]:
            if iteration % 5 == 0:
                room.keep(iteration + 1, completions[:: self.group][:4])
            return oracle(iteration, completions, rewards) if oracle else {}

        steps = [annotate.reference(policy.frozen()), annotate.log_kl, best_first]
        source = Rollouts(
            policy=policy,
            prompts=lambda i: draw(studio, self.prompts, self.batch, i),
            reward=reward_of(studio, self.reward),
            annotate=self.sampler.corrects(policy, steps, "none"),
            iterations=self.iterations,
            group=self.group,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            sampler=sampler,
            seed=studio.seed,
            watch=watch,
        )
        loop = room.loop(("reward", "gold", "chosen", "kl"), self.micro_rows)
        loop = loop if sampler is None else replace(loop, keep={"ahead": sampler})
        studio.show.steps(room.name, len(source))
        done = train(policy, self.objective, source, self.optim, loop)
        self.sampler.tidy(room)
        policy.save(room.folder / "model")
        rows = room.curve()
        if not rows:
            raise RecipeError(
                f"all {self.group} samples of every prompt had the same reward, so nothing was learned; "
                f"raise temperature or group, or choose a reward that tells them apart"
            )
        warn_of_displacement(studio, room.name, rows[-1]["chosen"])
        return {
            "tokens": done.tokens,
            "seconds": done.seconds,
            "reward_first": rows[0]["reward"],
            "reward_last": rows[-1]["reward"],
            "kl_last": rows[-1]["kl"],
            **told(rows),
            "phases": room.phases(),
        }


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A stage of `iterative_dpo`: sample a model and rank what it says by a reward. Equal rewards are ties."""

    start: str
    reward: str
    prompts: str
    round: int  # each draws its own prompts
    n: int
    k: int
    max_tokens: int
    temperature: float

    def reads(self) -> tuple[str, ...]:
        return (self.start, *_named(self.reward, self.prompts))

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        score = reward_of(studio, self.reward)
        asked = draw(studio, self.prompts, self.n, self.round)
        seed = Random(f"round/{studio.seed}/{self.round}").getrandbits(32)
        drawn = answers(
            studio, self.start, asked, count=self.k, max_tokens=self.max_tokens, temperature=self.temperature, seed=seed
        )
        drawn = unnamed(drawn)
        scores = list(score(drawn))
        rankings = []
        for i, prompt in enumerate(asked):
            group, worth = drawn[i * self.k : (i + 1) * self.k], scores[i * self.k : (i + 1) * self.k]
            order = sorted(set(worth), reverse=True)
            if len(order) > 1:
                ranks = tuple(order.index(x) + 1 for x in worth)
                rankings.append(Ranking(prompt=prompt, completions=tuple(group), ranks=ranks, by=self.reward))
        if not rankings:
            raise RecipeError(
                f"round {self.round}: all {self.k} samples of each of {len(asked)} prompts had the same reward; "
                f"raise temperature or k, or choose a reward that tells them apart"
            )
        write_jsonl(room.folder / "rankings.jsonl", rankings)
        room.keep(0, drawn[:: self.k][:4])
        return {"rankings": len(rankings), "tied": 1 - len(rankings) / len(asked), "mean_reward": sum(scores) / len(scores)}


@register("recipe", "iterative_dpo")
@dataclass(frozen=True, kw_only=True)
class IterativeDpo:
    """Rounds of sampling, ranking by a reward and `dpo`; each round starts from, and is held to, the last round's model."""

    start: str = "safety"  # the model to begin with: a folder, a run, or hf:NAME
    reward: str = "reward"  # a reward model (folder, hf:NAME), judge:NAME, gold, or rule:contains=WORD,ends
    prompts: str = "world/training"  # world/training, or a file of prompts
    rounds: int = 3  # each samples, ranks and trains once
    n: int = 400  # prompts a round
    k: int = 2  # completions of each; every strict pair among them is trained on
    max_tokens: int = 56  # longest completion
    temperature: float = 1.0  # at which completions are sampled
    train: Dpo = Dpo(epochs=1)  # how each round trains; its start and data are those of the round

    def __post_init__(self) -> None:
        if min(self.rounds, self.n, self.max_tokens) < 1 or self.k < 2 or self.temperature <= 0:
            raise ConfigError("rounds, n and max_tokens must each be at least 1, k at least 2 and temperature above 0")

    def stages(self) -> list[tuple[str, Recipe]]:
        """Samples and training, round after round: `samples1`, `round1`, `samples2`, ..."""
        made: list[tuple[str, Recipe]] = []
        last = self.start
        for number in range(1, self.rounds + 1):
            samples, trained = f"samples{number}", f"round{number}"
            judged = Judged(
                start=last, reward=self.reward, prompts=self.prompts, round=number, n=self.n, k=self.k,
                max_tokens=self.max_tokens, temperature=self.temperature,
            )  # fmt: skip
            made += [(samples, judged), (trained, replace(self.train, start=last, data=samples))]
            last = trained
        return made

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry the rounds out; return the report."""
        return made_of(self, studio)


def draw(studio: Studio, data: str, n: int, index: int) -> Sequence[Prompt]:
    """The `n` prompts of a rollout or a round: new ones from the world, a random choice from a file."""
    if data.startswith(WORLD):
        return prompts(studio, data, n, seed=1000 * (studio.seed + 7) + index)
    pool = prompts(studio, data, 0, 0)
    rng = Random(f"prompts/{studio.seed}/{index}")
    return rng.sample(pool, n) if n <= len(pool) else rng.choices(pool, k=n)


def _named(reward: str, data: str) -> tuple[str, ...]:
    """What of these is read from somewhere, and not made by the world or by a rule."""
    return (*models_of(reward), "" if data.startswith(WORLD) else data)
