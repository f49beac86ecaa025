"""What asking the most uncertain items first saves people, against random order, with simulated raters.

    python benchmarks/ranking_saving.py [--seeds 10] [--items 1200] [--answers 600] [--rater noisy] [--uneven]

In the world, twelve simulated models of different skill answer training prompts (each draws the best of four `mixed` replies
more or less often), and every item is two of them on one prompt: any two alike, or, with --uneven, mostly two of four of them,
as where new models come to old ones. A rater of world/raters.py answers one item after the other,
in random order or in that of evaluate/choosing.py, which is asked anew every twenty answers. Two things are read on the way:

- the board: root mean square error of the strengths (log-odds), against those that 20 answers to every item give;
- the reward: how often the estimate orders the two completions of 600 other items as gold does, among those that differ in it.

The target is what random order reaches on average at half of its answers. The figure is how many answers random order needs
for it over how many the other order needs (1: nothing is saved), read off the means over all seeds, made falling; the interval
is a bootstrap over seeds, which are paired: both orders ask of the same items.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from random import Random

import numpy as np

from trueline.core.types import Completion, Prompt
from trueline.evaluate.choosing import Features, estimate, features_of, priorities
from trueline.evaluate.votes import Vote
from trueline.world.demonstrations import mixed_reply
from trueline.world.facts import World, make_world
from trueline.world.oracle import gold, verdict
from trueline.world.prompts import training_prompts
from trueline.world.raters import RATERS, Rater

MODELS, EVERY, HELD, TRUTH = 12, 20, 600, 20


@dataclass(frozen=True)
class Item:
    """Two models' completions of one prompt, and what each is worth."""

    name: str
    models: tuple[str, str]
    said: tuple[Completion, Completion]
    worth: tuple[float, float]


def main() -> None:
    """Print both figures, and their curves with --json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--items", type=int, default=1200)
    parser.add_argument("--answers", type=int, default=600)
    parser.add_argument("--rater", default="noisy", choices=list(RATERS))
    parser.add_argument("--uneven", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    curves: dict[str, list[list[float]]] = {}
    for seed in range(asked.seeds):
        for name, curve in simulate(seed, asked.items, asked.answers, RATERS[asked.rater], asked.uneven).items():
            curves.setdefault(name, []).append(curve)
    grid = list(range(EVERY, asked.answers + 1, EVERY))
    found = {}
    for what, sign in (("board", 1.0), ("reward", -1.0)):
        random, chosen = (
            sign * np.array(curves[f"{what} {order}"]) for order in ("random", "chosen")
        )  # (S, G), lower is better
        found[what] = saving(random, chosen, np.array(grid), asked.answers / 2)
        target = sign * float(np.interp(asked.answers / 2, grid, _falling(random.mean(0))))
        value, low, high = found[what]
        if not asked.json:
            name = {"board": "error of the board", "reward": "accuracy of the reward"}[what]
            print(f"{name} of {target:.3f}: random order needs {value:.2f} times the answers ({low:.2f} to {high:.2f}, 95 %)")
            for order, curve in (("random", random), ("chosen", chosen)):
                points = ", ".join(
                    f"{n}: {sign * curve.mean(0)[i]:.3f}" for i, n in enumerate(grid) if n % (asked.answers // 6) == 0
                )
                print(f"  {order:7} {points}")
    if asked.json:
        print(json.dumps({"saving": found, "grid": grid, "curves": curves, "seeds": asked.seeds, "rater": asked.rater}))


def simulate(seed: int, items: int, answers: int, rater: Rater, uneven: bool = False) -> dict[str, list[float]]:
    """One seed: the error of the board and the accuracy of the reward after every so many answers, in both orders."""
    world = make_world(0)
    pool, held = (made(world, seed, part, n, uneven) for part, n in (("pool", items), ("held", HELD)))
    everything = {item.name: item for item in (*pool, *held)}
    models = {name: item.models for name, item in everything.items()}
    texts = {name: [c.text for c in item.said] for name, item in everything.items()}
    words, plain = features_of(models, texts), features_of(models, texts, words=0)
    truth = _strengths([answer(world, item, rater, seed, turn) for item in pool for turn in range(1, TRUTH + 1)], plain)
    found: dict[str, list[float]] = {}
    for order in ("random", "chosen"):
        for what, features in (("board", plain), ("reward", words)):
            left, votes, curve = Random(f"saving/{seed}").sample(pool, len(pool)), [], []
            while len(votes) < answers:
                if order == "chosen":
                    urgent = priorities([item.name for item in left], votes, features, n=EVERY)
                    left.sort(key=lambda item: -urgent.get(item.name, 0.0))
                votes += [answer(world, item, rater, seed, 0) for item in left[:EVERY]]
                left = left[EVERY:]
                curve.append(_error(votes, features, truth) if what == "board" else _accuracy(votes, features, held))
            found[f"{what} {order}"] = curve
    return found


def made(world: World, seed: int, part: str, n: int, uneven: bool = False) -> list[Item]:
    """Items: two models on each of `n` prompts; model m takes the best of four replies, by gold, with a chance of its own."""
    found = []
    for i, prompt in enumerate(training_prompts(world, 1000 * seed + (part == "held"), n)):
        rng = Random(f"saving/{part}/{seed}/{i}")
        pair = rng.sample(range(0, MODELS, 3) if uneven and rng.random() < 0.8 else range(MODELS), 2)
        said = [_reply(world, rng, prompt, m) for m in pair]
        worth = [gold(prompt, verdict(world, prompt, c)) for c in said]
        names = (f"model {pair[0]:02}", f"model {pair[1]:02}")
        found.append(Item(f"{part} {i}", names, (said[0], said[1]), (worth[0], worth[1])))
    return found


def answer(world: World, item: Item, rater: Rater, seed: int, turn: int) -> Vote:
    """What the rater says of an item, the same whenever it is asked."""
    said = rater.rank(world, item.said[0].prompt, item.said, Random(f"saving/{seed}/{item.name}/{turn}"))
    return Vote(item=item.name, rater=rater.name, ranks=said.ranks)


def saving(random: np.ndarray, chosen: np.ndarray, grid: np.ndarray, at: float) -> tuple[float, float, float]:
    """How many times the answers random order needs, with a bootstrap over seeds."""
    seeds = len(random)
    rng = np.random.default_rng(0)
    draws = [_ratio(random[some].mean(0), chosen[some].mean(0), grid, at) for some in rng.integers(0, seeds, (2000, seeds))]
    low, high = np.quantile(draws, [0.025, 0.975])
    return _ratio(random.mean(0), chosen.mean(0), grid, at), float(low), float(high)


def _ratio(random: np.ndarray, chosen: np.ndarray, grid: np.ndarray, at: float) -> float:
    """Of two curves, lower being better: where each comes to what random order has at `at` answers."""
    smooth = _falling(random)
    target = float(np.interp(at, grid, smooth))
    return at / _first(_falling(chosen), grid, target)


def _falling(curve: np.ndarray) -> np.ndarray:
    """The falling curve nearest to this one, by least squares (pool adjacent violators: Barlow et al. 1972)."""
    blocks: list[list[float]] = []
    for value in curve.tolist():
        blocks.append([value])
        while len(blocks) > 1 and np.mean(blocks[-2]) < np.mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    return np.concatenate([np.full(len(block), np.mean(block)) for block in blocks])


def _first(curve: np.ndarray, grid: np.ndarray, target: float) -> float:
    """The first number of answers at which a falling curve is at the target; the last of the grid where it never is."""
    below = np.flatnonzero(curve <= target + 1e-12)
    if not len(below):
        return float(grid[-1])
    i = int(below[0])
    if i == 0 or curve[i - 1] == curve[i]:
        return float(grid[i])
    return float(grid[i - 1] + (grid[i] - grid[i - 1]) * (curve[i - 1] - target) / (curve[i - 1] - curve[i]))


def _reply(world: World, rng: Random, prompt: Prompt, model: int) -> Completion:
    drawn = [Completion(prompt=prompt, text=mixed_reply(world, rng, prompt, 0.2), model=f"model {model:02}") for _ in range(4)]
    if rng.random() < model / (MODELS - 1):
        return max(drawn, key=lambda c: gold(prompt, verdict(world, prompt, c)))
    return drawn[0]


def _strengths(votes: list[Vote], features: Features) -> np.ndarray:
    found = estimate(votes, features).weights
    return found - found.mean()


def _error(votes: list[Vote], features: Features, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((_strengths(votes, features) - truth) ** 2)))


def _accuracy(votes: list[Vote], features: Features, held: list[Item]) -> float:
    weights = estimate(votes, features).weights
    right = [
        (float((features.rows[item.name][0] - features.rows[item.name][1]) @ weights) > 0) == (item.worth[0] > item.worth[1])
        for item in held
        if abs(item.worth[0] - item.worth[1]) > 1e-9
    ]
    return sum(right) / len(right)


if __name__ == "__main__":
    main()
