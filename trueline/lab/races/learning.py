"""The stages of E5 that learn: tables by Q-learning, policies by gradients, on each race, and on the boat race remedied.

Each leaves `learners`: by the name of a kind of learner or of a cell of a sweep, one (return, hidden performance) for each
initialisation, of its greedy policy, computed exactly (exact.py). A seed of the lab is a set of initialisations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import numpy as np

from trueline.core.types import Completion, Conversation, Prompt
from trueline.lab.races.boat import boat, checkpoints, paid_for_progress, place, shaped
from trueline.lab.races.drawing import told
from trueline.lab.races.exact import Point, evaluate
from trueline.lab.races.lagoon import course, lagoon, paying, regime
from trueline.lab.races.player import Player, one_hot, parts
from trueline.lab.races.preference import preferred
from trueline.lab.races.race import Race, sail
from trueline.lab.races.sailing import Gradient
from trueline.lab.races.tabular import FixedHorizon, QLearning, by_step, greedy
from trueline.lab.races.tomato import tomato
from trueline.recipes.studio import Room, Studio

FIRST, DRAWN, OPTIMISTIC, SCATTERED = "Q, first of ties", "Q, ties drawn", "Q, optimistic", "Q, random start"
LOOKS = 14  # at a table while it is learned, from the first episode to the last
Found = dict[str, list[Point]]


@dataclass(frozen=True, kw_only=True)
class BoatTables:
    """Q-learning on the boat race as it is, from three kinds of start, and ties broken in two ways."""

    learners: int = 100  # initialisations of each kind
    q: QLearning = QLearning()
    optimistic: float = 20.0  # the value of everything, for those who hope
    scatter: float = 1.0  # standard deviation of values, for those who start anywhere

    def reads(self) -> tuple[str, ...]:
        """Nothing: it starts from no model."""
        return ()

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        race, q = boat(), self.q
        zero = q.learn(race, self.learners, generator(studio, 0))
        hopeful = _like(q, start=self.optimistic).learn(race, self.learners, generator(studio, 1))
        anywhere = _like(q, scatter=self.scatter).learn(race, self.learners, generator(studio, 2))
        policies = {
            FIRST: greedy(zero),
            DRAWN: greedy(zero, ties="random"),
            OPTIMISTIC: greedy(hopeful, within=0.0),  # rounding decides
            SCATTERED: greedy(anywhere, within=0.0),
        }
        keep(room, studio, race, {name: found[0] for name, found in policies.items()})
        return {"learners": {name: worth(race, found) for name, found in policies.items()}}


@dataclass(frozen=True, kw_only=True)
class RemedyTables:
    """Q-learning on the boat race under other rewards, ties by the first; judged by the race's own two."""

    learners: int = 100  # initialisations under each reward
    clips: int = 400  # comparisons that the learned reward is learned from
    weight: float = 1.0  # of a cell of progress
    q: QLearning = QLearning()

    def reads(self) -> tuple[str, ...]:
        """Nothing: it starts from no model."""
        return ()

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        found: Found = {}
        for i, (name, race) in enumerate(remedies(studio.seed, self.clips, self.weight, self.q.discount).items()):
            policies = greedy(self.q.learn(race, self.learners, generator(studio, 10 + i)))
            judged = race if name == "checkpoints" else boat()  # the same cells: the race's own reward can be read off
            found[name] = worth(judged, policies)
            keep(room, studio, judged, {name: policies[0]})
        return {"learners": found}


@dataclass(frozen=True, kw_only=True)
class LagoonTables:
    """Q-learning with the clock in view, over respawn times and bonuses at the line; and how often it circles as it learns."""

    learners: int = 20  # initialisations in each cell of the sweep
    respawns: tuple[int, ...] = (0, 2, 4)  # steps; 0: never
    bonuses: tuple[float, ...] = (0.0, 5.0, 15.0, 20.0)
    q: FixedHorizon = FixedHorizon()
    shy: FixedHorizon = FixedHorizon(hope=0.0, episodes=500)  # who does not try everything; 500 more change little

    def reads(self) -> tuple[str, ...]:
        """Nothing: it starts from no model."""
        return ()

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        found: Found = {}
        courses: dict[str, list[tuple[int, int]]] = {}
        shy: dict[str, list[tuple[int, int]]] = {}
        early: dict[str, list[tuple[int, list[bool]]]] = {}
        looks = {round(self.q.episodes ** (i / (LOOKS - 1))) for i in range(LOOKS)} | {max(1, self.q.episodes // 50)}
        for respawn in self.respawns:
            base, many = lagoon(respawn), len(self.bonuses)
            races = [paying(base, bonus) for bonus in self.bonuses]
            seen: list[tuple[int, list[bool]]] = []

            def look(episode: int, values: np.ndarray, seen: list = seen, races: Sequence[Race] = races) -> None:
                if episode in looks:
                    policies = by_step(values[:: len(races)])
                    seen.append((episode, [regime(*course(races[0], policy)) == "circles" for policy in policies]))

            values = self.q.learn(races, many * self.learners, generator(studio, 20 + respawn), look)
            policies = by_step(values)
            for i, (bonus, race) in enumerate(zip(self.bonuses, races, strict=True)):
                found[cell(respawn, bonus)] = worth(race, policies[i::many])
                courses[cell(respawn, bonus)] = [course(race, policy) for policy in policies[i::many]]
                keep(room, studio, race, {f"Q, {cell(respawn, bonus)}": policies[i]})
            early[cell(respawn, self.bonuses[0])] = seen
            policies = by_step(self.shy.learn(races, many * self.learners, generator(studio, 40 + respawn)))
            for i, (bonus, race) in enumerate(zip(self.bonuses, races, strict=True)):
                shy[cell(respawn, bonus)] = [course(race, policy) for policy in policies[i::many]]
        return {"learners": found, "courses": courses, "early": early, "shy": shy}


@dataclass(frozen=True, kw_only=True)
class TomatoTables:
    """Q-learning among the tomatoes."""

    learners: int = 40  # initialisations
    q: QLearning = QLearning(episodes=1000, rate=0.1, explore=0.1, start=1.2)  # 1.2: all seen watered, for good

    def reads(self) -> tuple[str, ...]:
        """Nothing: it starts from no model."""
        return ()

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        race = tomato()
        policies = greedy(self.q.learn(race, self.learners, generator(studio, 30)))
        keep(room, studio, race, {"Q": policies[0]})
        return {"learners": {"Q": worth(race, policies)}}


@dataclass(frozen=True, kw_only=True)
class Policies:
    """PPO or REINFORCE on a race, by the training loop of this project (sailing.py)."""

    race: Literal["boat", "lagoon", "tomato"] = "boat"
    learners: int = 100  # initialisations, for each bonus
    respawn: int = 2  # of the lagoon, in steps
    bonuses: tuple[float, ...] = ()  # of the lagoon
    how: Gradient = Gradient()

    def reads(self) -> tuple[str, ...]:
        """Nothing: it starts from no model."""
        return ()

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        base = {"boat": boat, "lagoon": lambda: lagoon(self.respawn), "tomato": tomato}[self.race]()
        races = [paying(base, bonus) for bonus in self.bonuses] or [base]
        names = [cell(self.respawn, bonus) for bonus in self.bonuses] or [self.how.kind]
        seen = parts(base, _ready(base)) if self.how.hidden else one_hot(base)

        def watch(player: Player) -> dict[str, float]:
            if self.race != "lagoon":
                return {}
            policies = player.policies()[:: len(races)]
            return {"circles": float(np.mean([regime(*course(races[0], policy)) == "circles" for policy in policies]))}

        everyone, loop = self.learners * len(races), room.loop(show=("reward",))
        policies = self.how.learn(races, seen, everyone, studio.seed, loop, watch)
        best = np.eye(policies.shape[-1])[policies.argmax(-1)]
        found = {name: worth(race, best[i :: len(races)]) for i, (name, race) in enumerate(zip(names, races, strict=True))}
        as_it_is = {
            name: worth(race, policies[i :: len(races)]) for i, (name, race) in enumerate(zip(names, races, strict=True))
        }
        keep(room, studio, races[0], {f"{self.how.kind}, {names[0]}": best[0]})
        made: dict[str, Any] = {"learners": found, "sampled": as_it_is}
        if self.race == "lagoon":
            made["courses"] = {
                name: [course(race, policy) for policy in best[i :: len(races)]]
                for i, (name, race) in enumerate(zip(names, races, strict=True))
            }
            made["episodes"] = self.how.episodes
            made["early"] = {names[0]: [(1 + (row["step"] - 1) // self.how.epochs, row["circles"]) for row in room.curve()]}
        return made


def remedies(seed: int, clips: int, weight: float, discount: float) -> dict[str, Race]:
    """The boat race under other rewards, by name."""
    race = boat()
    return {
        "checkpoints": checkpoints(),
        "progress": paid_for_progress(race, weight),
        "preference": preferred(race, clips, seed),
        "potential": shaped(race, place(race), discount),
    }


def worth(race: Race, policies: np.ndarray) -> list[Point]:
    """The exact return and hidden performance of each policy."""
    return [evaluate(race, policy) for policy in policies]


def cell(respawn: int, bonus: float) -> str:
    """The name of a cell of the lagoon's sweep."""
    return f"respawn {respawn or 'never'}, finish {bonus:g}"


def generator(studio: Studio, part: int) -> np.random.Generator:
    """Chance for one part of a seed, independent of the others."""
    return np.random.default_rng([studio.seed, part])


def keep(room: Room, studio: Studio, race: Race, policies: Mapping[str, np.ndarray]) -> None:
    """One episode of each policy, as an exchange that the page can show."""
    asked = Prompt(conversation=Conversation().say("user", f"{race.name}\n" + "\n".join(race.art)))
    episodes = {name: sail(race, policy, Random(studio.seed)) for name, policy in policies.items()}
    room.keep(0, [Completion(prompt=asked, text=told(race, one), model=name) for name, one in episodes.items()])


def _ready(race: Race) -> Any:
    """Whether each pickup is there."""
    return lambda state: [float(wait == 0) for wait in race.states[state].waits]  # type: ignore[attr-defined]


def _like(q: QLearning, **changes: float) -> QLearning:
    return QLearning(**{**{name: getattr(q, name) for name in q.__dataclass_fields__}, **changes})
