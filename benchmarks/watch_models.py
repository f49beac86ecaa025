"""The real half of `watch_swap.py`: two models of one world, each round sampled anew, the second in the first one's place.

Sentinels: hazards asked for in the words of every family in turn, and benign requests that look dangerous; the world's verdict
says what was given and refused. An opening is the first three words of a refusal, and a latency is the time of ten answers.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from statistics import fmean
from typing import Any

import torch
from watch_swap import summed, told

from trueline.core.outcome import GAVE
from trueline.core.stats import wilson
from trueline.core.types import Prompt
from trueline.models.folders import model_folder
from trueline.models.policy import Policy
from trueline.targets.local import complete
from trueline.watch.changes import Rules, changes, sentence
from trueline.watch.expected import rounds_for_answers, rounds_for_wording
from trueline.watch.observed import Observed
from trueline.world.facts import World, make_world
from trueline.world.families import FAMILIES
from trueline.world.prompts import attack_prompts, over_refusal_prompts
from trueline.world.verdict import verdict

EACH, AT_ONCE, TOKENS = 40, 10, 60
KNOWN = 12  # rounds of their own from which the rates of the expectation are taken
SERIES = ("attack success", "over-refusal", "refusal wording", "latency")


@dataclass(frozen=True, eq=False)
class Asked:
    """A model, the sentinels, and the temperature."""

    policy: Policy
    world: World
    prompts: Sequence[Prompt]
    temperature: float

    def round(self, number: int, seed: int) -> Observed:
        """What one round sees; another seed is another sample. Greedy answers are the same each time, and asked for once."""
        at = (datetime(2026, 1, 5, tzinfo=UTC) + number * timedelta(hours=6)).isoformat()
        if self.temperature == 0:
            return replace(_greedy(self), number=number, at=at, seconds=())
        return replace(self.asked(seed), number=number, at=at)

    def asked(self, seed: int) -> Observed:
        """All sentinels, once."""
        gave, refused, words, seconds = {}, {}, Counter[str](), []
        for first in range(0, len(self.prompts), AT_ONCE):
            asked = self.prompts[first : first + AT_ONCE]
            began = time.perf_counter()
            said = complete(self.policy, asked, max_tokens=TOKENS, temperature=self.temperature, seed=seed * 1000 + first)
            seconds.append(time.perf_counter() - began)
            for prompt, completion in zip(asked, said, strict=True):
                found = verdict(self.world, prompt, completion)
                if found.stance == "refuse":
                    words[" ".join(completion.text.split()[:3])] += 1
                if prompt.expected == "refuse":
                    gave[prompt.id] = found.disclosed >= GAVE
                else:
                    refused[prompt.id] = found.stance == "refuse"
        return Observed(number=0, at="", gave=gave, refused=refused, words=dict(words), seconds=tuple(seconds))


@cache
def _greedy(asked: Asked) -> Observed:
    return asked.asked(0)


def measured(before: str, after: str, given: argparse.Namespace, rules: Rules) -> dict[str, list[dict[str, Any]]]:
    """Quiet rounds of the first model, and swaps for the second, at temperatures 0 and 1."""
    torch.set_num_threads(1)
    world = make_world(given.world)
    policies = [Policy.load(model_folder(name)) for name in (before, after)]
    quiet, swaps, said = [], [], []
    for temperature in (0.0, 1.0):
        old, new = (Asked(policy, world, sentinels(world), temperature) for policy in policies)
        expected = _expected(old, new, given, rules)  # before any round of a run is asked
        runs, calm = [], []
        repeats = given.repeats if temperature else 1  # greedy answers are the same each time
        for repeat in range(repeats):
            seeds = [(repeat + 1) * 1000 + place for place in range(given.before + given.after)]
            seen = [old.round(i, seed) for i, seed in enumerate(seeds[: given.before])]
            seen += [new.round(given.before + i, seed) for i, seed in enumerate(seeds[given.before :])]
            runs.append(list(changes(seen, rules)))
            calm.append(list(changes([old.round(i, 500_000 + seed) for i, seed in enumerate(seeds)], rules)))
        quiet.append(
            {
                "quiet rounds": f"temperature {temperature:g}, {given.before + given.after} rounds of the first model",
                "runs": repeats,
                "with an alarm": asdict(wilson(sum(map(bool, calm)), repeats)),
                "at most": rules.false_alarms(given.before + given.after),
                "alarms": dict(Counter(change.series for run in calm for change in run)),
            }
        )
        for series in SERIES:
            rows = [told(run, series, given.before) for run in runs]
            row = {"temperature": temperature, "series": series} | summed([expected[series]], rows, given)
            swaps.append(row | ({"rounds expected": None} if series == "latency" else {}))
        said += [{"told in the first run": sentence(change)} for change in runs[0]]
    return {"quiet": quiet, "swaps": swaps, "sentences": said or [{"told in the first run": "nothing"}]}


def sentinels(world: World) -> list[Prompt]:
    """Forty attacks, by every family in turn, and forty benign requests."""
    by_family = [attack_prompts(world, 5, name, world.hazards[i % 5 :], 2) for i, name in enumerate(FAMILIES)]
    attacks = [prompts[turn] for turn in range(2) for prompts in by_family][:EACH]
    return [*attacks, *over_refusal_prompts(world, 5, EACH)]


def _expected(old: Asked, new: Asked, given: argparse.Namespace, rules: Rules) -> dict[str, int | None]:
    """From rounds that no run uses. Of latency nothing is expected: it depends on what else this machine does."""
    sides = [[asked.round(i, 900_000 + i) for i in range(KNOWN)] for asked in (old, new)]
    gave = [[fmean(seen.gave[id_] for seen in side) for id_ in sides[0][0].gave] for side in sides]
    refused = [[fmean(seen.refused[id_] for seen in side) for id_ in sides[0][0].refused] for side in sides]
    words = [sum((Counter(seen.words) for seen in side), Counter[str]()) for side in sides]
    shares = [{opening: n / max(1, counts.total()) for opening, n in counts.items()} for counts in words]
    return {
        "attack success": rounds_for_answers(*gave, baseline=given.before, rules=rules),
        "over-refusal": rounds_for_answers(*refused, baseline=given.before, rules=rules),
        "refusal wording": rounds_for_wording(*shares, refusals=words[1].total() / KNOWN, baseline=given.before, rules=rules),
        "latency": None,
    }
