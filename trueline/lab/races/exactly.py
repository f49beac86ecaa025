"""The stage of E5 that computes: what policies can reach in each race, who is hackable, and where the lagoon changes phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np

from trueline.evaluate.shown import curves, table
from trueline.evaluate.words import MINUS
from trueline.lab.races.boat import boat
from trueline.lab.races.drawing import svg
from trueline.lab.races.exact import Point, evaluate, hackable, optimum, reach, spread
from trueline.lab.races.lagoon import boundary, course, lagoon, paying, regime
from trueline.lab.races.learning import cell, remedies
from trueline.lab.races.race import Race, sail
from trueline.lab.races.tomato import tomato
from trueline.recipes.studio import Room, Studio
from trueline.store.folders import write_text

OPTIMA = "Lagoon: what is optimal"
PHASES = "Lagoon: the bonus at which finishing becomes optimal"
REACHED = "What policies can reach"


@dataclass(frozen=True, kw_only=True)
class Exactly:
    """Dynamic programming over all races."""

    respawns: tuple[int, ...] = (0, 2, 3, 4, 6, 10)  # steps until a pickup is there again; 0: never
    bonuses: tuple[float, ...] = (0.0, 2.0, 5.0, 8.0, 10.5, 15.0, 20.0)  # at the line
    learned: tuple[int, ...] = (0, 2, 4)  # respawn times that learners are given
    offered: tuple[float, ...] = (0.0, 5.0, 15.0, 20.0)  # bonuses that they are given
    clips: int = 400  # of the reward that is learned from comparisons
    weight: float = 1.0  # of a cell of progress
    discount: float = 0.95  # of the potential

    def reads(self) -> tuple[str, ...]:
        """Nothing: it starts from no model."""
        return ()

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        loop = lagoon(2)
        races = {"boat race": boat(), "lagoon race, respawn 2, finish 0": loop, "tomato watering": tomato()}
        remedied = remedies(studio.seed, self.clips, self.weight, self.discount)
        races |= {f"boat race, {name}": race for name, race in remedied.items()}
        control = "boat race, paid by hidden performance"
        races[control] = replace(boat(), reward=boat().hidden)
        found = {name: self._known(race) for name, race in races.items()}
        bases = {respawn: lagoon(respawn) for respawn in self.respawns}
        bounds = {respawn: boundary(base) for respawn, base in bases.items()}
        write_text(room.folder / "courses.svg", drawn())
        phases = [(float(respawn), bound) for respawn, bound in bounds.items() if respawn]
        return {
            "races": found,
            "control": control,
            "learned": {
                "boat": found["boat race"]["optimum"],
                "tomato": found["tomato watering"]["optimum"],
                **self._lagoons(),
            },
            "bounds": {str(respawn): bound for respawn, bound in bounds.items()},
            "tables": [_reached(found), self._optima(bases, bounds)],
            "curves": [curves(PHASES, "steps until a pickup is back", {"by dynamic programming": phases})],
        }

    def _known(self, race: Race) -> dict[str, Any]:
        corners, any_move = reach(race), np.full(race.reward.shape[:2], 1 / race.reward.shape[1])
        least, most = spread(race)
        return {
            "optimum": optimum(race).value,
            "least": least,
            "most": most,
            "honest": evaluate(race, optimum(race, (0.0, 1.0)).policy),
            "random": evaluate(race, any_move),
            "hackable": hackable(race, corners),
            "corners": len(corners),
        }

    def _lagoons(self) -> dict[str, float]:
        """The optimum of every cell that learners may be given."""
        bases = {respawn: lagoon(respawn) for respawn in self.learned}
        return {cell(r, f): optimum(paying(base, f)).value for r, base in bases.items() for f in self.offered}

    def _optima(self, bases: Mapping[int, Race], bounds: Mapping[int, float]) -> dict[str, Any]:
        rows = []
        for respawn, base in bases.items():
            courses = [course(base, optimum(paying(base, bonus)).policy) for bonus in self.bonuses]
            rows.append(
                [f"{respawn or 'never'}", *(_said(*one) for one in courses), f"{bounds[respawn]:.1f}".replace("-", MINUS)]
            )
        columns = ["respawn", *(f"finish {bonus:g}" for bonus in self.bonuses), "boundary"]
        note = "pickups taken in brackets; where two courses are equally good, that of the first of equal actions"
        return table(OPTIMA, columns, rows, note)


def drawn() -> str:
    """The courses of optimal policies as SVG: the paid and the meant one of every race."""
    courses = []
    for title, race in (
        ("boat race", boat()),
        ("lagoon, respawn 4, finish 0", lagoon(4)),
        ("tomatoes", tomato()),
    ):
        for what, weights in (("paid", (1.0, 0.0)), ("meant", (0.0, 1.0))):
            episode = sail(race, optimum(race, weights).policy, Random(0))
            came_to = f"return {episode.reward:.1f}, hidden {episode.hidden:.1f}".replace("-", MINUS)
            courses.append((f"{title}: {what}\n{came_to}", race, episode))
    return svg(courses)


def _reached(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    rows = [
        [name, one["optimum"], one["least"], one["most"], *one["honest"], *one["random"], _pair(one["hackable"])]
        for name, one in found.items()
    ]
    columns = [
        "race", "largest return", "hidden at it, least", "hidden at it, most", "honest: return", "honest: hidden",
        "random: return", "random: hidden", "two policies ordered oppositely",
    ]  # fmt: skip
    note = (
        "exact; honest: the policy of largest hidden performance; pairs are (return, hidden), Skalse et al. 2022, definition 1"
    )
    return table(REACHED, columns, rows, note)


def _pair(pair: tuple[Point, Point] | None) -> str:
    if pair is None:
        return "none"
    return " and ".join(f"({a:.2f}, {b:.2f})" for a, b in pair).replace("-", MINUS)


def _said(pickups: int, finished: int) -> str:
    return f"at {finished} ({pickups})" if finished else f"{regime(pickups, finished)} ({pickups})"
