"""A provider that silently swaps its model: false alarms in quiet rounds, and rounds until the swap is noticed, as expected.

    python benchmarks/watch_swap.py --repeats 400                                    simulated providers
    python benchmarks/watch_swap.py --models BEFORE AFTER --repeats 10               real ones: two TARGETs, sampled each round

Simulated (`watch_providers.py`): 40 questions that should be refused and 40 that should be answered, every six hours. The swap
comes after `--before` quiet rounds; the expected number of rounds until it is noticed is computed from the rates and the
threshold (`watch/expected.py`) before anything is drawn. A delay of 1 is the first round that the new model answered. What was
not noticed within `--after` rounds is counted as missed, and stands in the quantiles as longer than all others. Of a swap only
the series that should tell is followed, for speed; each series is a detector of its own.

Real models (`watch_models.py`): the rates that the expectation needs come from rounds of their own, with other seeds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from random import Random
from typing import Any

from watch_providers import (
    DAY,
    QUESTIONS,
    ROUND,
    Provider,
    more_attacks,
    more_refusals,
    other_answers,
    other_words,
    rounds,
    slower,
)  # fmt: skip

from trueline.core.stats import wilson
from trueline.watch.changes import Rules, changes
from trueline.watch.expected import rounds_for_answers, rounds_for_latency, rounds_for_wording

QUIET = 100  # rounds in which there must be no alarm
Swap = Callable[[Provider, int, Random], Provider]
SWAPS: Mapping[str, tuple[str, Swap, tuple[int, ...]]] = {  # by what happens: the series that should tell, and the sizes
    "attack success up": ("attack success", more_attacks, (5, 10, 20)),
    "other questions": ("attack success", other_answers, (10,)),
    "over-refusal up": ("over-refusal", more_refusals, (10, 20)),
    "refusals worded anew": ("refusal wording", other_words, (10, 25)),
    "slower": ("latency", slower, (25, 50, 100)),
}
KINDS: Mapping[str, Callable[[Random], Provider]] = {
    "temperature 0, 1 answer in 100 changes": lambda rng: Provider.drawn(0.0, rng),
    "temperature 0, 5 answers in 100 change": lambda rng: Provider.drawn(0.0, rng, flip=0.05),
    "temperature 1": lambda rng: Provider.drawn(1.0, rng),
    "broken: latency drifts for days": lambda rng: replace(Provider.drawn(1.0, rng), weather=0.3),
    "broken: a replica that differs": lambda rng: replace(Provider.drawn(0.0, rng), replicas=0.1),
}


def main() -> None:
    """Print the tables, or JSON."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--repeats", type=int, default=200)
    words.add_argument("--swaps", type=int, default=0, help="repeats of each swap, where they are to be fewer")
    words.add_argument("--before", type=int, default=30, help="quiet rounds before the swap")
    words.add_argument("--after", type=int, default=30, help="rounds after it")
    words.add_argument("--quiet", type=int, default=Rules().quiet, help="quiet rounds to one false alarm, at least")
    words.add_argument("--workers", type=int, default=1, help="processes; results are the same")
    words.add_argument("--models", nargs=2, metavar=("BEFORE", "AFTER"), help="two TARGETs of one world")
    words.add_argument("--world", type=int, default=0, help="their world's seed")
    words.add_argument("--json", action="store_true")
    given = words.parse_args()
    rules = Rules(quiet=given.quiet)
    if given.models:
        from watch_models import measured  # begins with torch

        found = measured(*given.models, given, rules)
    else:
        found = {"quiet": _quiet(given, rules), "swaps": _swaps(given, rules)}
    if given.json:
        print(json.dumps({title: list(rows) for title, rows in found.items()}, indent=1))
        return
    for title, rows in found.items():
        for place, row in enumerate(rows):
            if place == 0:
                print(f"\n{title}\n\n| {' | '.join(row)} |\n|{'---|' * len(row)}")
            print(f"| {' | '.join(_cell(value) for value in row.values())} |", flush=True)


def _quiet(given: argparse.Namespace, rules: Rules) -> Iterator[dict[str, Any]]:
    """Alarms in quiet rounds: as the bound supposes them, and where what it supposes does not hold."""
    for name in KINDS:
        alarms = _each(_calm, [(name, repeat, rules) for repeat in range(given.repeats)], given.workers)
        said = sorted({series for one in alarms for series in one})
        yield {
            "quiet rounds": name,
            "runs": given.repeats,
            f"with an alarm in {QUIET} rounds": asdict(wilson(sum(map(bool, alarms)), given.repeats)),
            "at most": "no bound" if name.startswith("broken") else rules.false_alarms(QUIET),
            "alarms": {series: sum(one.count(series) for one in alarms) for series in said},
        }


def _calm(name: str, repeat: int, rules: Rules) -> list[str]:
    rng = Random(f"quiet/{name}/{repeat}")
    seen = rounds(KINDS[name](rng), QUIET, rng)
    return [change.series for change in changes(seen, rules)]


def _each(work: Callable[..., Any], asked: list[tuple[Any, ...]], workers: int) -> list[Any]:
    """Do all of it, in order; each piece draws from a generator of its own."""
    if workers == 1:
        return [work(*one) for one in asked]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(work, *zip(*asked, strict=True), chunksize=10))


def _swaps(given: argparse.Namespace, rules: Rules) -> Iterator[dict[str, Any]]:
    for temperature in (0.0, 1.0):
        for what, (_, _, sizes) in SWAPS.items():
            for size in sizes:
                expected = [_expected(what, temperature, size, repeat, given, rules) for repeat in range(3)]
                asked = [(what, temperature, size, repeat, given, rules) for repeat in range(given.swaps or given.repeats)]
                runs = _each(_run, asked, given.workers)
                yield {"temperature": temperature, "swap": what, "by": f"{size} %"} | summed(expected, runs, given)


def summed(expected: list[int | None], runs: list[dict[str, Any]], given: argparse.Namespace) -> dict[str, Any]:
    """Runs of one swap as a row: delays beside what was expected of them."""
    delays = sorted(run["delay"] if run["delay"] else given.after + 1 for run in runs)
    noticed = [run for run in runs if run["delay"]]
    middle = sorted(value if value else given.after + 1 for value in expected)[len(expected) // 2]

    def quantile(share: float) -> str:
        value = delays[min(len(delays) - 1, int(share * len(delays)))]
        return str(value) if value <= given.after else f"> {given.after}"

    return {
        "rounds expected": str(middle) if middle <= given.after else f"> {given.after}",
        "median": quantile(0.5),
        "nine in ten within": quantile(0.9),
        "noticed": asdict(wilson(len(noticed), len(runs))),
        "round told within 1": asdict(wilson(sum(run["off"] <= 1 for run in noticed), len(noticed))) if noticed else None,
        "alarms before": sum(run["early"] for run in runs),
        "once more after": sum(run["again"] for run in runs),
    }


def told(found: list[Any], series: str, swap: int) -> dict[str, Any]:
    """Of one run: rounds until its series told of the swap, how far off that was, alarms before it, and its own after."""
    late = [change for change in found if change.number >= swap and change.series == series]
    return {
        "delay": late[0].number - swap + 1 if late else None,
        "off": abs(late[0].since - swap) if late else None,
        "early": sum(change.number < swap for change in found),
        "again": max(0, len(late) - 1),
    }


def _run(what: str, temperature: float, size: int, repeat: int, given: argparse.Namespace, rules: Rules) -> dict[str, Any]:
    series, swap, _ = SWAPS[what]
    rng = Random(f"swap/{what}/{temperature}/{size}/{repeat}")
    provider = Provider.drawn(temperature, rng)
    seen = rounds(provider, given.before, rng) + rounds(swap(provider, size, rng), given.after, rng, given.before)
    return told(list(changes(seen, rules, only=series)), series, given.before)


def _expected(what: str, temperature: float, size: int, repeat: int, given: argparse.Namespace, rules: Rules) -> int | None:
    """What the threshold and the rates of one provider say. It is drawn anew: nothing of the runs is looked at."""
    rng = Random(f"expected/{what}/{temperature}/{size}/{repeat}")
    old = Provider.drawn(temperature, rng)
    new = SWAPS[what][1](old, size, rng)
    match SWAPS[what][0]:
        case "attack success":
            return rounds_for_answers(old.gave, new.gave, baseline=given.before, rules=rules)
        case "over-refusal":
            return rounds_for_answers(old.refused, new.refused, baseline=given.before, rules=rules)
        case "refusal wording":
            refusing = [*(1 - rate for rate in old.gave), *old.refused]
            sides = (_openings(old, refusing), _openings(new, refusing))
            return rounds_for_wording(*sides, refusals=sum(refusing), baseline=given.before, rules=rules)
    # The median of n answers spreads by 1.25 sigma / sqrt(n); the round's own noise comes on top.
    spread = ((1.25 * 0.6) ** 2 / (2 * QUESTIONS) + ROUND**2) ** 0.5
    return rounds_for_latency(1 + size / 100, spread=spread, baseline=given.before, parts=4 if DAY else 1, rules=rules)


def _openings(provider: Provider, refusing: list[float]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for rate, says in zip(refusing, provider.wording, strict=True):
        for opening, share in says.items():
            weights[opening] = weights.get(opening, 0.0) + rate * share
    return {opening: weight / sum(refusing) for opening, weight in weights.items()}


def _cell(value: Any) -> str:
    match value:
        case {"value": share, "low": low, "high": high}:
            return f"{share:.1%} ({low:.1%} to {high:.1%})"
        case dict():
            return ", ".join(f"{name} {count}" for name, count in value.items()) or "none"
        case float():
            return f"{value:.3g}" if value >= 1 or value == 0 else f"{value:.0%}"
    return "-" if value is None else str(value)


if __name__ == "__main__":
    main()
