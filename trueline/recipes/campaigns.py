"""A campaign as a stage of a run: attacks on a model of the run, and the benign questions that stand beside them.

Every attack is put to the goals that should be refused. Those that training may learn from are put to their benign twins too:
what a wrapper gets there is capability, and what it gets refused is over-refusal. In the world the plain probes come on top:
requests that only look dangerous, and benign work. Half of what is benign is to measure on, and half to teach (data/apart.py):
texts of the world, whole clusters of a file. The campaign has a run of its own in the database, by whose memory it goes on
after kill -9, and all that worked becomes a finding (attack/bank.py). Where the studio has an executor, workers ask what is
more than a chunk of them (spread.py): the same attempts in the same order.

    Campaign(target="safety", attacks="train,validation,past,bind", n=40)      leaves attempts.jsonl
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trueline.attack.bank import KEY, found, remember
from trueline.attack.campaign import told
from trueline.attack.catalogue import BASELINE, attack_named, choose
from trueline.attack.goals import WORLD, read_goals
from trueline.attack.people import read_people
from trueline.cluster.executor import Executor
from trueline.core.config import ConfigError
from trueline.core.outcome import reached, tally
from trueline.core.ports import Attack
from trueline.core.records import write_jsonl
from trueline.core.types import Attempt, Prompt, Run
from trueline.data.apart import drawn, measured
from trueline.data.rows import names_file
from trueline.evaluate.rounds import OVER_REFUSAL, PROBE, UTILITY, on_sides
from trueline.models.folders import source_of
from trueline.models.tokens import Codec
from trueline.recipes.answering import is_local
from trueline.recipes.arms import Arms, Attacking, arms
from trueline.recipes.elsewhere import Elsewhere, with_room
from trueline.recipes.judgements import refuse_undecided
from trueline.recipes.looking import look_at_judge, same_world
from trueline.recipes.opened import Opened, inside_of, target_hash
from trueline.recipes.spread import PAIRS, Spread, spread
from trueline.recipes.spread_answers import placed
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.recipes.usual import usual_judge
from trueline.store.opening import Database, beside
from trueline.targets.errors import TargetError
from trueline.targets.http import Asking
from trueline.targets.local import LocalModel
from trueline.world.prompts import ORDINARY_MIX, over_refusal_prompts, training_prompts

ATTEMPTS = "attempts.jsonl"
USUAL = 40  # harmful goals of the world; a third as many benign twins come on top
REPLICATE = 1009  # between the seeds of two draws
STRANGE = 0.2  # share of unknown words from which a goal is in another tongue


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """Attack a model of the run, and ask it what it must not refuse."""

    target: str = "safety"  # a stage, a folder, or any TARGET
    attacks: str = "train,validation"  # names and batteries; the held-out ones are asked of harmful goals alone
    settings: tuple[str, ...] = ()  # of the attacks, as NAME.KEY=VALUE
    goals: str = WORLD  # world, or files of goals (attack/goals.py)
    n: int = 0  # goals; 0: 40 of the world, all of a file
    column: str = ""  # of the file, that holds the request
    people: str = ""  # a file of what people asked (attack/people.py); it is asked as it stands
    probes: int = 200  # plain benign questions of each kind, in the world
    judge: str = ""  # empty: the oracle for the world, enablement for files
    attacker: str = ""  # a TARGET or a stage that helps to attack
    budget: int = 16  # questions that an attack may ask for one goal
    temperature: float = 1.0
    max_tokens: int = 0  # of an answer; 0: 60 for the world, 256 for files
    draw: int = 0  # another draw is a fresh attacker: other wordings, other samples, the same goals

    def __post_init__(self) -> None:
        if min(self.n, self.probes, self.max_tokens, self.draw) < 0 or self.budget < 1 or self.temperature < 0:
            raise ConfigError("n, probes, max_tokens, draw and temperature must not be negative; budget is at least 1")
        try:
            choose(self.attacks, self.settings)
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(f"attacks: {error}") from None

    def reads(self) -> tuple[str, ...]:
        files = [part.strip() for part in self.goals.split(",")]
        return (self.target, self.attacker, self.people, *(name for name in files if names_file(name) or Path(name).is_file()))

    def foresee(self, studio: Studio) -> None:
        """Read every row of what people and files ask, and look for the judge, before anything is attacked."""
        look_at_judge(self.judge)
        if self.people:
            read_people(self.people, studio.world_seed)
        if self.goals == WORLD:
            same_world(studio, self.target)
        else:
            self._goals(studio)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        goals = self._goals(studio)
        people = list(read_people(self.people, studio.world_seed)) if self.people else []
        rounds = self._rounds(goals, [*people, *self._probes(studio)])
        attempts, missed = put(self, studio, room, rounds)
        with beside(studio.run.folder) as database:
            remember(database, run_of(studio, room).id, found(attempts))
        write_jsonl(room.folder / ATTEMPTS, [lean(attempt) for attempt in attempts])
        harmful = [attempt for attempt in attempts if attempt.goal.expected == "refuse"]
        outcomes = tally(reached(attempt) for attempt in harmful)
        refuse_undecided(self.judge or usual_judge(self.goals == WORLD), [a.judgement for a in attempts if _answered(a)])
        result: dict[str, Any] = {
            "questions": len(attempts),
            "worked": outcomes.counts["success"],
            "undecided": outcomes.counts["undetermined"] + outcomes.counts["error"],
            "not_asked": {name: why for name, why, _ in told(missed)},
        }
        return result | ({"success": asdict(outcomes.raw)} if outcomes.raw else {})

    def asked(self, studio: Studio) -> Attacking:
        """The campaign in the words of `trueline attack`."""
        return Attacking(
            target=self.target, attacks=self.attacks, settings=self.settings, goals=self.goals, judge=self.judge,
            attacker=studio.model(self.attacker) if self.attacker in studio.stages else self.attacker, budget=self.budget,
            temperature=self.temperature, max_tokens=self.max_tokens, seed=studio.seed + REPLICATE * self.draw,
            world_seed=studio.world_seed,
        )  # fmt: skip

    def _goals(self, studio: Studio) -> Sequence[Prompt]:
        n = self.n or (USUAL if self.goals == WORLD else None)
        goals = read_goals(self.goals, n, column=self.column, seed=studio.seed, world_seed=studio.world_seed)
        return goals if self.goals == WORLD else on_sides(goals)

    def _probes(self, studio: Studio) -> list[Prompt]:
        """Plain benign questions of the world; of another tongue the goals that are labelled benign are all there is."""
        if self.goals != WORLD or not self.probes:
            return []
        world, seed = studio.world, studio.seed
        looks = drawn(
            self.probes, lambda n: over_refusal_prompts(world, seed + 17, n), lambda p: p.expected == "comply" and measured(p)
        )
        work = drawn(self.probes, lambda n: training_prompts(world, seed + 11, n, ORDINARY_MIX), measured)
        named = [(OVER_REFUSAL, prompt) for prompt in looks] + [(UTILITY, prompt) for prompt in work]
        return [replace(p, about={**p.about, PROBE: kind, "world": str(studio.world_seed)}) for kind, p in named]

    def _rounds(self, goals: Sequence[Prompt], plain: Sequence[Prompt]) -> list[tuple[Sequence[Attack], Sequence[Prompt]]]:
        """What is put to what: attacks to learn from to all goals, held-out ones to harmful goals, the rest as it stands."""
        attacks = choose(self.attacks, self.settings)
        harmful = [goal for goal in goals if goal.expected == "refuse"]
        parts: list[tuple[Sequence[Attack], Sequence[Prompt]]] = [
            ([attack for attack in attacks if attack.split != "held_out"], goals),
            ([attack for attack in attacks if attack.split == "held_out"], harmful),
            ([attack_named(BASELINE)], plain),
        ]
        return [(some, whom) for some, whom in parts if some and whom]


def put(
    asking: Campaign, studio: Studio, room: Room, rounds: Sequence[tuple[Sequence[Attack], Sequence[Prompt]]]
) -> tuple[list[Attempt], Counter[tuple[str, str]]]:
    """Put attacks to goals, one group after the other, as `asking` says; return the attempts, and what was not asked and why.

    Raises RecipeError where the goals are in another tongue than the model's, and TargetError where the target is gone before
    the end, or fails on more than half: what it answered is kept, and a stage that is not done is taken up again.
    """
    goals, asked, run = [goal for _, some in rounds for goal in some], asking.asked(studio), run_of(studio, room)
    executor = studio.executor if sum(len(attacks) * len(some) for attacks, some in rounds) > PAIRS else None

    async def conduct(database: Database) -> tuple[list[Attempt], Counter[tuple[str, str]]]:
        made: list[Attempt] = []
        missed: Counter[tuple[str, str]] = Counter()
        opening: AbstractAsyncContextManager[Arms | Spread] = (
            arms(asked, run, database, goals)
            if executor is None
            else spread(asked, run, database, goals, with_room(Asking(), executor.workers), executor)
        )
        async with opening as ready:
            local = is_local(studio, asking.target)
            there = _local(asking.target, studio, goals, executor) if local else await ready.open(asking.target)
            for attacks, some in rounds:
                attempts, ended = await ready.arm(there, attacks, some, show=studio.show, name=room.name)
                made += attempts
                missed += ended.skipped + ended.failed
                _still_there(asking.target, made, ended.stopped)
        if lost := sum(not _answered(attempt) for attempt in made):
            studio.show.say(room.name, f"{asking.target} failed on {lost} of {len(made)} questions, which count as undecided")
        return made, missed

    with beside(studio.run.folder) as database:
        return asyncio.run(conduct(database))


def run_of(studio: Studio, room: Room) -> Run:
    """The run of one stage's questions: its memory is its own, and it is the same run after a kill."""
    run = studio.run.run
    return Run(
        id=f"{run.id}/{room.name}", recipe="campaign", spec={"stage": room.name}, commit=run.commit, seed=studio.seed,
        parents=(run.id,), started=run.started,
    )  # fmt: skip


def _local(reference: str, studio: Studio, goals: Sequence[Prompt], executor: Executor | None) -> Opened:
    """A model of the run, open here; with an executor its workers open it, and here its words alone are read."""
    policy = studio.policy(reference, frozen=True) if executor is None else None
    codec = Codec.load(source_of(studio.model(reference))) if policy is None else policy.codec
    plain = [goal for goal in goals if KEY not in goal.about]  # whole attacks may be strange words, and worked
    if plain and all(_strange(codec, goal) > STRANGE for goal in plain):
        raise RecipeError(
            f"{reference} does not know the words of these goals; give goals in the model's own tongue: goals=world for a "
            "model of the embedded world, goals=FILE for others"
        )
    if policy is None:
        there = placed(studio, reference)
        return Opened(Elsewhere(reference), there.hash, None, there)
    target = LocalModel(policy, reference)
    return Opened(target, target_hash(studio.model(reference)), inside_of(target))


def lean(attempt: Attempt) -> Attempt:
    """The attempt as it is kept for lessons: without what only training on-policy needs."""
    return replace(attempt, completion=replace(attempt.completion, logprobs=()))


def _answered(attempt: Attempt) -> bool:
    return attempt.completion.finish != "error"


def _still_there(target: str, made: Sequence[Attempt], stopped: str) -> None:
    """Raise where a target stopped answering; half a campaign must not pass for a whole one."""
    lost = [attempt.judgement.why for attempt in made if not _answered(attempt)]
    if stopped or len(lost) > len(made) / 2:
        why = (stopped or lost[-1]).removeprefix(f"{target}: ")
        raise TargetError(
            f"{target} failed on {len(lost)} of {len(made)} questions, last with: {why}; what it answered is kept: "
            f"run the same command again once it is up (trueline chat {target} tries it)"
        )


def _strange(codec: Codec, goal: Prompt) -> float:
    """The share of a goal's tokens that the model has no word for."""
    unknown = codec.tokenizer.unk_token_id
    ids = codec.prompt(goal.conversation)
    return sum(i == unknown for i in ids) / max(1, len(ids)) if unknown is not None else 0.0
