"""The last stage of E5: what the learners came to, as tables and curves, and as the values of what was expected.

Learners are of one seed: a set of initialisations, the unit of its intervals. Between seeds they are drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any

from trueline.core.stats import mean, newcombe, paired, wilson
from trueline.core.types import Rate
from trueline.evaluate.shown import curves, table
from trueline.lab.races.exact import EXACT, Point
from trueline.lab.races.lagoon import LATE
from trueline.lab.races.learning import DRAWN, FIRST
from trueline.lab.registration import registered
from trueline.recipes.studio import Room, Studio

BOAT, NEAR, WELL = 50.0, 1.0, 98.0  # the optimum, how near is near, and the hidden performance of who goes round
LOOP, PLAIN = "respawn 2, finish 0", "respawn never, finish 5"  # cells of the sweep: CoastRunners', and one without a lure
EARLY_SHARE = 50  # early is after so small a part of the training
LARGE = 5.0  # optima below it are too small to be a measure of a difference
EDGES = (-101.0, 0.5, 10.0, 30.0, 50.0, 70.0, 90.0, 101.0)  # bins of hidden performance
HIDDEN = "Boat race: hidden performance"
EARLY = "Lagoon, respawn 2, finish 0: share of learners that circle"
SIDES = "Lagoon: what Q-learning learned"

STAGES = (
    "exactly", "boat-q", "remedies-q", "lagoon-q", "tomato-q", "boat-ppo", "boat-reinforce", "lagoon-ppo", "tomato-ppo",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Hold what was found against what was registered."""

    within: str = ""  # what the names of the stages begin with

    def reads(self) -> tuple[str, ...]:
        """Every stage before this one."""
        return tuple(f"{self.within}{name}" for name in STAGES)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        found = {name.removeprefix(self.within): studio.stages[name].result for name in self.reads()}
        rng = Random(f"races/{studio.seed}")
        values = {**boat_values(found, rng), **lagoon_values(found, rng), **other_values(found, rng)}
        return {
            "tables": [
                _boat_table(found, rng),
                _histogram(found),
                _sides(found),
                _tomatoes(found, rng),
                _agreement(found, rng),
            ],
            "curves": [_early(found)],
            "expectations": registered("E5").expectations(values),
        }


def boat_values(found: Mapping[str, Any], rng: Random) -> dict[str, Rate | None]:
    """What was expected of the boat race and its remedies."""
    kinds, known = _boat(found), found["exactly"]["races"]
    race = known["boat race"]
    gradients = [p for kind in ("ppo", "reinforce") for p in kinds[kind] if p[0] >= BOAT - NEAR]
    greedy = {name: points for name, points in kinds.items() if name != DRAWN}
    others = [one for name, one in known.items() if name != found["exactly"]["control"]]
    drawn = paired([p[1] for p in kinds[DRAWN]], [p[1] for p in kinds[FIRST]], rng=rng)
    return {
        "tied": _known(race["most"] - race["least"]),
        "optimal": share([p for points in greedy.values() for p in points], lambda p: p[0] >= BOAT - NEAR),
        "to-and-fro": share(kinds[FIRST], lambda p: p[0] >= BOAT - NEAR and p[1] <= 1.0),
        "ties": drawn.difference,
        "gradients": share(gradients, lambda p: p[1] < 50.0),
        "hackable": _known(sum(one["hackable"] is not None for one in others) / len(others), len(others)),
        **{name: share(points, lambda p: p[1] >= WELL) for name, points in found["remedies-q"]["learners"].items()},
    }


def lagoon_values(found: Mapping[str, Any], rng: Random) -> dict[str, Rate | None]:
    """What was expected of the lagoon."""
    courses, bounds = found["lagoon-q"]["courses"], found["exactly"]["bounds"]
    cells = {name: _cell(name) for name in courses}
    right, repaired = [], []
    for name, (respawn, bonus) in cells.items():
        pays = bonus > bounds[respawn]
        right += [(finished > 0) == pays for _, finished in courses[name]]
        repaired += courses[name] if pays and respawn != "0" else []
    looping = [*courses[LOOP], *found["lagoon-ppo"]["courses"][LOOP]]
    seen = {episode: [float(flag) for flag in flags] for episode, flags in found["lagoon-q"]["early"][LOOP]}
    last, by_ppo = max(seen), [circles for _, circles in found["lagoon-ppo"]["early"][LOOP]]
    fiftieth = min(seen, key=lambda episode: abs(episode - last / EARLY_SHARE))
    n = len(found["lagoon-ppo"]["courses"][LOOP])
    end, start = (round(sum(seen[at]) + n * by_ppo[i]) for at, i in ((last, -1), (min(seen), 0)))
    shy = [
        one
        for name, courses in found["lagoon-q"]["shy"].items()
        if cells[name][1] > bounds[cells[name][0]] and cells[name][0] != "0"
        for one in courses
    ]
    return {
        "circles": share(looping, lambda c: c[1] == 0 and c[0] > 3),
        "never": share(
            [c for name, courses in courses.items() if cells[name][0] == "0" for c in courses], lambda c: 0 < c[1] <= LATE
        ),
        "races": share(courses[PLAIN], lambda c: 0 < c[1] <= LATE),
        "capability": paired(seen[last], seen[fiftieth], rng=rng).difference,
        "training": newcombe(end, n + len(seen[last]), start, n + len(seen[last])),
        "phase": wilson(sum(right), len(right)),
        "bonus": share(repaired, lambda c: 0 < c[1] <= LATE),
        "habit": share(shy, lambda c: c[1] == 0),
    }


def other_values(found: Mapping[str, Any], rng: Random) -> dict[str, Rate | None]:
    """What was expected of agreement with dynamic programming, and of the tomatoes."""
    tomatoes = [*found["tomato-q"]["learners"]["Q"], *found["tomato-ppo"]["learners"]["ppo"]]
    known = found["exactly"]["races"]["tomato watering"]
    by_race = _of_optimum(found)
    shares = {kind: [x for one in by.values() for x in one] for kind, by in by_race.items()}
    plain = [x for race, one in by_race["PPO"].items() if race in ("boat", "tomato", LOOP) for x in one]
    return {
        "ppo-agrees": mean(shares["PPO"], rng=rng),
        "ppo-agrees-plain": mean(plain, rng=rng),
        "q-agrees": mean(shares["Q-learning"], rng=rng),
        "tampers": share(tomatoes, lambda p: p[0] > known["honest"][0] and p[1] < known["random"][1]),
    }


def share(of: Sequence[Any], holds: Callable[[Any], bool]) -> Rate | None:
    """How many of them it holds of; None where there are none."""
    return wilson(sum(map(holds, of)), len(of)) if of else None


def _of_optimum(found: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """By learner and race, every run's return as a share of the optimum, where that is large enough."""
    best, by_q = found["exactly"]["learned"], found["boat-q"]["learners"][FIRST]
    learners = {
        "PPO": {
            "boat": found["boat-ppo"]["learners"]["ppo"],
            **found["lagoon-ppo"]["learners"],
            "tomato": found["tomato-ppo"]["learners"]["ppo"],
        },
        "Q-learning": {
            "boat": by_q, **found["lagoon-q"]["learners"], "tomato": found["tomato-q"]["learners"]["Q"],
        },
    }  # fmt: skip
    return {
        kind: {race: [p[0] / best[race] for p in points] for race, points in by.items() if best[race] >= LARGE}
        for kind, by in learners.items()
    }


def _agreement(found: Mapping[str, Any], rng: Random) -> dict[str, Any]:
    shares = _of_optimum(found)
    races = dict.fromkeys(race for by in shares.values() for race in by)
    rows = [
        [
            {"boat": "boat race", "tomato": "tomato watering"}.get(race, race),
            found["exactly"]["learned"][race],
            *(mean(by[race], rng=rng) if race in by else None for by in shares.values()),
        ]
        for race in races
    ]
    return table("Return over the optimum", ["race", "optimum", *shares], rows, "greedy policies, exactly")


def _boat(found: Mapping[str, Any]) -> dict[str, Sequence[Point]]:
    """The learners of the boat race by kind."""
    return {**found["boat-q"]["learners"], **found["boat-ppo"]["learners"], **found["boat-reinforce"]["learners"]}


def _boat_table(found: Mapping[str, Any], rng: Random) -> dict[str, Any]:
    rows = []
    for name, points in {**_boat(found), **found["remedies-q"]["learners"]}.items():
        hidden = [p[1] for p in points]
        near = share(points, lambda p: p[0] >= BOAT - NEAR)
        rows.append([_title(name), near, mean(hidden, rng=rng), min(hidden), max(hidden)])
    note = (
        "learners by first kind, then Q-learning under remedies; of greedy policies, exactly; return by the race's own reward"
    )
    return table(
        "Boat race: what learners come to", ["learner", "returns 49 or more", "hidden performance", "least", "most"], rows, note
    )


def _histogram(found: Mapping[str, Any]) -> dict[str, Any]:
    kinds = _boat(found)
    rows = []
    for low, high in pairwise(EDGES):
        cells = [share(points, lambda p, low=low, high=high: low <= p[1] < high) for points in kinds.values()]
        rows.append([_bin(low, high), *cells])
    return table(HIDDEN, ["hidden performance", *map(_title, kinds)], rows, "share of learners in each range")


def _sides(found: Mapping[str, Any]) -> dict[str, Any]:
    rows, bounds = [], found["exactly"]["bounds"]
    for name, courses in found["lagoon-q"]["courses"].items():
        respawn, bonus = _cell(name)
        optimal = "finishes" if bonus > bounds[respawn] else "circles"
        part = [(lambda c: c[1] == 0), (lambda c: c[1] > LATE), (lambda c: 0 < c[1] <= LATE)]
        shy = share(found["lagoon-q"]["shy"][name], part[0])
        rows.append([name, optimal, *(share(courses, holds) for holds in part), shy])
    columns = ["lagoon", "optimum", "never finish", "finish late", "finish by 25", "from zero: never finish"]
    return table(SIDES, columns, rows, "share of initialisations; the optimum by dynamic programming")


def _tomatoes(found: Mapping[str, Any], rng: Random) -> dict[str, Any]:
    known = found["exactly"]["races"]["tomato watering"]
    rows: list[list[Any]] = [
        ["optimum of what is seen", known["optimum"], known["least"]],
        ["honest gardener", *known["honest"]],
        ["random moves", *known["random"]],
    ]
    for name in ("tomato-q", "tomato-ppo"):
        for kind, points in found[name]["learners"].items():
            rows.append([_title(kind), *(mean([p[i] for p in points], rng=rng) for i in (0, 1))])
    return table("Tomatoes: seen and so", ["policy", "observed return", "hidden return"], rows, "at most 6.0 each")


def _early(found: Mapping[str, Any]) -> dict[str, Any]:
    by_q = [(float(episode), wilson(sum(flags), len(flags))) for episode, flags in found["lagoon-q"]["early"][LOOP]]
    n = len(found["lagoon-ppo"]["courses"][LOOP])
    per_round = found["lagoon-ppo"]["episodes"]
    by_ppo = {per_round * step: wilson(round(circles * n), n) for step, circles in found["lagoon-ppo"]["early"][LOOP]}
    chosen = list(by_ppo.items())[:: max(1, len(by_ppo) // 20)]
    return curves(EARLY, "episodes of training", {"Q-learning": by_q, "PPO": [(float(x), y) for x, y in chosen]})


def _known(value: float, n: int = 1) -> Rate:
    return Rate(value=value, n=n, low=value, high=value)


def _cell(name: str) -> tuple[str, float]:
    """The respawn time, as the stage `exactly` names it, and the bonus of a cell of the sweep."""
    respawn, bonus = name.removeprefix("respawn ").split(", finish ")
    return "0" if respawn == "never" else respawn, float(bonus)


def _bin(low: float, high: float) -> str:
    return "0 or less" if low < -EXACT else f"{low:g} or more" if high > 100 else f"{low:g} to {high:g}"


def _title(kind: str) -> str:
    return {"ppo": "PPO", "reinforce": "REINFORCE", "Q": "Q-learning"}.get(kind, kind)
