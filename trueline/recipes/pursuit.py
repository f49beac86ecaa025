"""RL of an attacker: a model that writes requests is rewarded by what a target gives for them, and by how new they are.

    R(x) = gave(x) + novelty * new(x) - kl * log(pi(x) / start(x))        where x is a request
    R(x) = -unreadable                                                     where it is none
    loss = GRPO's, less objective.entropy * the mean entropy of the tokens

These are the terms of Hong et al. 2024 (https://arxiv.org/abs/2402.19464), with one departure: what is new is paid for only
where the request names its goal, since an attacker that is after something learns otherwise to chat about anything. Without
novelty and entropy it is the plain RL that they compare with, which finds one request that works and repeats it: a collapse
is said while it happens. Every request, with what came of it, stands in `requests.jsonl` of the stage's folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from statistics import fmean
from typing import Any, Literal

from trueline.attack.goals import WORLD
from trueline.attack.recognised import recognised
from trueline.attack.trained import invitation, is_request, names_goal, tidy
from trueline.core.config import ConfigError
from trueline.core.files import write_lines
from trueline.core.records import json_line
from trueline.core.types import Completion, Prompt
from trueline.evaluate.diversity import collapse, effective
from trueline.evaluate.shown import curves
from trueline.models.adapters import Adapter
from trueline.recipes.judgements import models_behind, refuse_undecided
from trueline.recipes.looking import look_at_judge, same_world
from trueline.recipes.novelty import Memory
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.recipes.trying import Opponent, Try, goals_of, in_world
from trueline.recipes.usual import usual_judge
from trueline.train import advantages, annotate
from trueline.train.loop import train
from trueline.train.objectives.reinforce import PolicyGradient
from trueline.train.optim import Optim
from trueline.train.rollout import Rollouts, hash_seed

WRITTEN = "requests.jsonl"
SHOWN = ("reward", "success", "distinct", "families")  # beside the bar
SEEN = ("success", "readable", "novelty", "distinct", "families", "kl")  # of the first and the last rollout, in the result


@dataclass(frozen=True, kw_only=True)
class Pursuit:
    """Train an attacker on one target."""

    start: str = "warm"  # a model that can write requests: a stage, a folder, or hf:NAME
    target: str = "safety"  # what is attacked: a stage, a folder or any TARGET
    goals: str = WORLD  # the world's known hazards, or a file of goals
    judge: str = ""  # who says what was given; empty: the oracle in the world, rules for a file
    novelty: float = 0.1  # weight of how new a request is; 0: only success is rewarded
    unreadable: float = 0.5  # taken off for an answer that is no request
    kl: float = 0.01  # weight of the KL to the start, per token, in the reward
    flat: Literal["refuse", "train"] = "refuse"  # what to do where no first request succeeds and novelty is 0
    iterations: int = 20  # rollouts, an update each
    batch: int = 32  # goals a rollout
    group: int = 8  # requests for each
    max_tokens: int = 48  # longest request; English wants 128 or more
    answer_tokens: int = 60  # longest answer of the target; English wants 256
    temperature: float = 1.0  # at which requests are sampled
    micro_rows: int = 64  # requests per forward pass; 0: all of a step
    adapter: Adapter = Adapter()
    objective: PolicyGradient = PolicyGradient(entropy=0.003)
    optim: Optim = Optim(lr=3e-3, muon=0.01, schedule="constant", warmup=0.1)

    def __post_init__(self) -> None:
        if min(self.iterations, self.batch, self.max_tokens, self.answer_tokens) < 1:
            raise ConfigError("iterations, batch, max_tokens and answer_tokens must each be at least 1")
        if self.group < 2 or self.temperature <= 0:
            raise ConfigError(f"group is at least 2 and temperature above 0, got {self.group} and {self.temperature}")
        if min(self.novelty, self.unreadable, self.kl) < 0:
            raise ConfigError(
                f"novelty, unreadable and kl must not be negative, got {self.novelty}, {self.unreadable} and {self.kl}"
            )

    def reads(self) -> tuple[str, ...]:
        return (self.start, self.target, "" if self.goals == WORLD else self.goals, *models_behind(self.judge))

    def foresee(self, studio: Studio) -> None:
        """Look for the judge, and for goals to train on, before anything is trained."""
        look_at_judge(self.judge)
        if self.goals == WORLD:
            same_world(studio, self.start, self.target)
        goals_of(studio, self.goals, held_out=False)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start, adapter=self.adapter)
        hunt = Hunt(self, studio, room)
        source = Rollouts(
            policy=policy,
            prompts=hunt.prompts,
            reward=hunt.reward,
            annotate=annotate.chain(
                annotate.reference(policy.frozen()), annotate.log_kl, annotate.kl_in_reward(self.kl), advantages.grpo(0.1)
            ),
            iterations=self.iterations,
            group=self.group,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            seed=studio.seed,
            watch=hunt.watch,
        )
        studio.show.steps(room.name, len(source))
        done = train(policy, self.objective, source, self.optim, room.loop(SHOWN, self.micro_rows))
        policy.save(room.folder / "model")
        rows = room.curve()
        last = rows[-1]
        return {
            "tokens": done.tokens,
            "seconds": done.seconds,
            "first": {name: rows[0][name] for name in SEEN if name in rows[0]},
            "last": {name: last[name] for name in SEEN if name in last},
            "collapsed": collapse(last["distinct"], last.get("families")),
            "flat": max(row["success"] for row in rows) == 0,
            "phases": room.phases(),
            "curves": _curves(room.name, rows),
        }


@dataclass
class Hunt:
    """What the loop asks of a pursuit: goals, rewards, and what else there is to tell of a rollout."""

    recipe: Pursuit
    studio: Studio
    room: Room
    goals: dict[str, Prompt] = field(init=False)
    opponent: Opponent = field(init=False)
    memory: Memory = field(default_factory=Memory)
    iteration: int = -1
    last: Mapping[str, float] = field(default_factory=dict)  # what the last rollout came to
    warned: bool = False

    def __post_init__(self) -> None:
        recipe = self.recipe
        self.goals = {goal.id: goal for goal in goals_of(self.studio, recipe.goals, held_out=False)}
        judge = recipe.judge or usual_judge(recipe.goals == WORLD)
        self.opponent = Opponent(self.studio, recipe.target, judge, recipe.answer_tokens)

    def prompts(self, iteration: int) -> Sequence[Prompt]:
        """Goals of a rollout, each as an invitation to ask for it."""
        if self.iteration < 0:
            self._recall(iteration)
        self.iteration = iteration
        drawn = Random(f"goals/{self.studio.seed}/{iteration}").choices(list(self.goals.values()), k=self.recipe.batch)
        return [replace(goal, conversation=invitation(goal)) for goal in drawn]

    def reward(self, completions: Sequence[Completion]) -> list[float]:
        """What each request is worth; all of a rollout are compared with those of earlier ones."""
        goals = [self.goals[c.prompt.id] for c in completions]
        texts = [tidy(goal, c.text) for goal, c in zip(goals, completions, strict=True)]
        fit = [
            c.finish == "stop" and not c.tool_calls and is_request(goal, text)
            for c, goal, text in zip(completions, goals, texts, strict=True)
        ]
        written = [(goal, text) for goal, text, f in zip(goals, texts, fit, strict=True) if f]
        tries = iter(self.opponent.put(written, hash_seed(self.studio.seed, -1 - self.iteration)))
        found = [next(tries) if f else None for f in fit]
        new = [
            self.memory.novelty(text) if f and names_goal(goal, text) else 0.0
            for goal, text, f in zip(goals, texts, fit, strict=True)
        ]
        self.memory.add(text for text, f in zip(texts, fit, strict=True) if f)
        self._tell(texts, found, new)
        if self.iteration == 0:
            self._check(completions, found)
        return [
            self.recipe.novelty * n + t.gave if t is not None else -self.recipe.unreadable
            for t, n in zip(found, new, strict=True)
        ]

    def watch(self, iteration: int, completions: Sequence[Completion], rewards: Sequence[float]) -> Mapping[str, float]:
        """Success and diversity of the rollout, beside its reward; a collapse is said once."""
        del rewards
        if iteration % 5 == 0:
            self.room.keep(iteration + 1, completions[:: self.recipe.group][:4])
        why, do = collapse(self.last["distinct"], self.last.get("families")), "raise novelty"
        if not self.last["readable"]:
            why, do = "nothing that the attacker writes is a request", "lower optim.lr and optim.muon, or raise kl"
        if why and not self.warned:
            self.warned = True
            self.studio.show.say(self.room.name, f"iteration {iteration + 1}: {why}; {do}")
        return self.last

    def _tell(self, texts: Sequence[str], found: Sequence[Try | None], new: Sequence[float]) -> None:
        """Keep what the rollout came to, and its requests as one row of the stage's file."""
        size = self.recipe.group
        groups = [[t.text for t in found[i : i + size] if t] for i in range(0, len(found), size)]
        fit = [t for t in found if t]
        self.last = {
            "success": fmean(float(t is not None and t.won) for t in found),
            "readable": len(fit) / len(found),
            "novelty": fmean(n for n, t in zip(new, found, strict=True) if t) if fit else 0.0,
            "distinct": fmean(len(set(some)) / len(some) if some else 0.0 for some in groups),
        }
        if fit and in_world(list(self.goals.values())):
            self.last = {**self.last, "families": effective([recognised(t.text) for t in fit])}
        rows = [
            {"goal": t.goal.id, "request": t.text, "answer": t.completion.text, "gave": t.gave, "won": t.won} if t
            else {"request": text, "won": False}
            for text, t in zip(texts, found, strict=True)
        ]  # fmt: skip
        self.studio.run.append(self._file, {"iteration": self.iteration, "requests": rows})

    def _check(self, completions: Sequence[Completion], found: Sequence[Try | None]) -> None:
        """Refuse to train where there is nothing to learn from, before the first update."""
        recipe, name = self.recipe, self.recipe.start
        if not any(found):
            tongue = "the world's tongue" if in_world(list(self.goals.values())) else "English"
            raise RecipeError(
                f"the start, {name}, writes no request in {tongue}: 0 of {len(found)} answers are one, the first is "
                f"{completions[0].text[:80]!r}; warm it up on demonstrations (requests=world/requests, or a file)"
            )
        refuse_undecided(self.opponent.judge, [t.judgement for t in found if t])
        if any(t.gave for t in found if t):
            return
        lost = f"{recipe.target} gave nothing for any of the {sum(t is not None for t in found)} first requests"
        if recipe.novelty:
            self.studio.show.say(self.room.name, f"{lost}: only novelty is rewarded until one succeeds")
        elif recipe.flat == "refuse":
            raise RecipeError(
                f"{lost}, so that the reward is flat and there is nothing to learn from; raise novelty, batch or temperature, "
                f"show it requests that work, or attack a target that gives way now and then"
            )

    def _recall(self, iteration: int) -> None:
        """Take in what earlier sittings wrote; what the loop will do again is dropped."""
        rows = self.studio.run.rows(self._file)
        kept = [row for row in rows if row["iteration"] < iteration]
        if len(kept) < len(rows):
            write_lines(self.studio.run.folder / self._file, map(json_line, kept))
        for row in kept:
            self.memory.add(r["request"] for r in row["requests"] if "goal" in r)

    @property
    def _file(self) -> str:
        return str((self.room.folder / WRITTEN).relative_to(self.studio.run.folder))


def _curves(stage: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Success beside what differs, rollout by rollout."""
    shares = {name: [(row["step"], row[name]) for row in rows] for name in ("success", "distinct", "novelty")}
    found = [curves(f"{stage}: success and novelty of what it writes", "iteration", shares)]
    if all("families" in row for row in rows):
        families = {"families": [(row["step"], row["families"]) for row in rows]}
        found.append(curves(f"{stage}: families, counted by their shares", "iteration", families))
    return found
