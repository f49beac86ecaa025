"""The report's sentences: computed from its numbers, so that no one can write them kinder than they are.

The few numbers that are derived for reading live here too: the mean over attack families or domains (with an interval that
is safe whatever the dependence between them), and the refusal-enablement gap, the share of refusals that give the material.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trueline.core import stats
from trueline.core.types import Rate
from trueline.evaluate.shape import Preferring, Reinforcement, Report, Rung

MINUS = "\u2212"
SPLITS = {"held_out": "held out", "validation": "validation", "train": "trained on"}
ON = {"held_out": "on held-out families", "validation": "on validation families", "train": "on families it was trained on"}


def percent(value: float) -> str:
    """Write a share as a percentage; small ones keep a decimal, so that a little is not none.

    >>> percent(0.124), percent(0.004), percent(0.0)
    ('12%', '0.4%', '0%')
    """
    hundred = 100 * value
    return f"{hundred:.1f}%" if 0 < abs(hundred) < 0.95 or 99.05 < hundred < 100 else f"{hundred:.0f}%"


def plain(value: float) -> str:
    """Write a number with two decimals, a real minus sign, and no minus zero.

    >>> plain(-0.001), plain(-1.5) == f"{MINUS}1.50"
    ('0.00', True)
    """
    return f"{round(value, 2) + 0.0:.2f}".replace("-", MINUS)


def compact(count: int) -> str:
    """Write a large count in three digits.

    >>> compact(950), compact(66_667), compact(4_000_000)
    ('950', '66.7 k', '4 M')
    """
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def share(rate: Rate) -> str:
    """Write a rate of things as a sentence needs it: value, interval and n."""
    return f"{percent(rate.value)} ({percent(rate.low)} to {percent(rate.high)}, n\u00a0{rate.n:,})"


def number(rate: Rate) -> str:
    """Write a measured number with its interval and n."""
    return f"{plain(rate.value)} ({plain(rate.low)} to {plain(rate.high)}, n\u00a0{rate.n:,})"


def duration(seconds: float) -> str:
    """Write seconds for people.

    >>> duration(75), duration(3.2), duration(7300)
    ('1 min 15 s', '3.2 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def mean_of(rates: Iterable[Rate | None]) -> Rate | None:
    """Return the mean of the rates that were measured."""
    measured = [rate for rate in rates if rate is not None]
    return stats.average(measured) if measured else None


def families(report: Report) -> dict[str, list[str]]:
    """Return the attack families by split, held-out first; a family's split is the one its first rung gives."""
    found: dict[str, str] = {}
    for rung in report.ladder:
        for name in rung.attack:
            found.setdefault(name, rung.families[name].split if name in rung.families else "held_out")
    return {split: names for split in SPLITS if (names := [n for n, s in found.items() if s == split])}


def attack(rung: Rung, names: Iterable[str]) -> Rate | None:
    """Return mean attack success over the named families."""
    return mean_of(rung.attack.get(name) for name in names)


def worst(rung: Rung, names: Iterable[str]) -> tuple[str, Rate] | None:
    """Return the family that succeeds most often."""
    measured = [(name, rate) for name in names if (rate := rung.attack.get(name)) is not None]
    return max(measured, key=lambda pair: pair[1].value) if measured else None


def gap(rung: Rung) -> Rate | None:
    """Return the refusal-enablement gap: the share of refusals that gave the material all the same."""
    gave, withheld = rung.two_by_two.get("refuse_gave", 0), rung.two_by_two.get("refuse_withheld", 0)
    return stats.wilson(gave, gave + withheld) if gave + withheld else None


def summary(report: Report) -> list[str]:
    """Say in a few sentences what the run did, what it gained, what it cost and what it broke."""
    done = sum(stage.status in ("done", "skipped") for stage in report.stages)
    time = f" in {duration(report.seconds)}" if report.seconds is not None else ""
    said = [f"{done} of {_count(len(report.stages), 'stage')} ran to the end{time}."]
    broken = [stage.name for stage in report.stages if stage.status == "failed"]
    if broken:
        said.append(f"Failed: {_listed(broken)}.")
    if report.ladder:
        said += _ladder(report)
        said += _hardened(report)
    said += [sentence for run in report.rl if not run.control and (sentence := reinforcement(run))]
    judged = [gate for gate in report.gates if gate.status != "N/A"]
    if judged:
        failed = [gate.name for gate in judged if gate.status == "FAIL"]
        fate = f"; not {_listed(failed)}" if failed else ""
        said.append(f"{len(judged) - len(failed)} of {_count(len(judged), 'gate')} hold{fate}.")
    return said + _expected(report)


def reinforcement(run: Reinforcement) -> str:
    """Say where proxy and gold went, and whether gold turned before the end."""
    points = [point for point in run.points if {"proxy", "gold"} <= point.keys()]
    if len(points) < 2:
        return ""
    first, last = points[0], points[-1]
    best = max(range(len(points)), key=lambda i: points[i]["gold"])
    told = (
        f"In {run.stage} the reward it was trained on went from {plain(first['proxy'])} to {plain(last['proxy'])} "
        f"and gold from {plain(first['gold'])} to {plain(last['gold'])}"
    )
    if 0 < best < len(points) - 1 and last["proxy"] > points[best]["proxy"]:
        where = f"iteration {points[best]['step']:.0f}" if "step" in points[best] else "a point on the way"
        told += f"; the highest gold measured, {plain(points[best]['gold'])}, was at {where}, and the reward rose on"
        moved = _moved(points[best], last)
        if last["gold"] < points[best]["gold"] and moved:
            told += f". What moved from there to the end: {_listed(moved)}"
    return f"{told}."


def _moved(before: Mapping[str, float], after: Mapping[str, float], most: int = 4) -> list[str]:
    """Name what changed most between two points, relative to where it stood; reward, gold and distance aside."""
    aside = {"step", "kl", "proxy", "gold", "length", "grad_norm", "tokens"}
    shared = [key for key in before if key in after and key not in aside and not key.endswith(("_low", "_high"))]
    size = {key: abs(after[key] - before[key]) / (abs(before[key]) + 0.25) for key in shared}
    largest = sorted((key for key in shared if size[key] > 0.25), key=lambda key: -size[key])[:most]
    return [f"{key.replace('_', ' ')} from {plain(before[key])} to {plain(after[key])}" for key in largest]


def _hardened(report: Report) -> list[str]:
    """Say of the first stage that took direct requests down by half or more from its parent, what still gets through."""
    rungs, parents = {rung.stage: rung for rung in report.ladder}, {stage.name: stage.parent for stage in report.stages}
    for name, rung in rungs.items():
        parent = rungs.get(parents.get(name) or "")
        before, after = (parent.attack.get("direct"), rung.attack.get("direct")) if parent else (None, None)
        if parent is None or before is None or after is None or before.value - after.value < 0.5:
            continue
        held = families(report).get("held_out", [])
        through = sorted(
            ((n, r) for n in held if (r := rung.attack.get(n)) and r.low > after.high), key=lambda pair: -pair[1].value
        )
        text = f"{name} took direct requests from {share(before)} in {parent.stage} to {share(after)}"
        if through:
            text += (
                f", and of the families it never saw {_listed([f'{n} {share(r)}' for n, r in through[:4]])} still get through"
            )
        return [f"{text}{_beside(parent.over_refusal, rung.over_refusal)}."]
    return []


def preferring(run: Preferring) -> str:
    """Say whether the chosen replies themselves became likelier, which a growing margin does not promise."""
    points = [point for point in run.points if {"chosen_logp", "rejected_logp"} <= point.keys()]
    if len(points) < 2:
        return ""
    chosen = points[-1]["chosen_logp"] - points[0]["chosen_logp"]
    rejected = points[-1]["rejected_logp"] - points[0]["rejected_logp"]
    moved = f"Log-probability of the chosen replies moved by {_signed(chosen)} nats, of the rejected by {_signed(rejected)}."
    displaced = " The margin grew while the chosen replies became less likely." if rejected < chosen < 0 else ""
    return moved + displaced


def _ladder(report: Report) -> list[str]:
    first, last = report.ladder[0], report.ladder[-1]
    said: list[str] = []
    split, names = next(iter(families(report).items()), ("", []))
    before, after = attack(first, names), attack(last, names)
    if before is not None and after is not None and first is not last:
        said.append(
            f"From {first.stage} to {last.stage}, mean attack success {ON[split]} went from {share(before)} to {share(after)}"
            f"{_beside(first.over_refusal, last.over_refusal)}."
        )
    elif after is not None:
        refused = f"; it refuses {share(last.over_refusal)} of benign requests" if last.over_refusal else ""
        said.append(f"Mean attack success against {last.stage}, {ON[split]}, is {share(after)}{refused}.")
    weakest = worst(last, [name for group in families(report).values() for name in group])
    if weakest is not None and weakest[1].value > 0:
        said.append(f"The attack that works best against {last.stage} is {weakest[0]}: {share(weakest[1])}.")
    gold_before, gold_after = mean_of(first.gold.values()), mean_of(last.gold.values())
    if gold_before is not None and gold_after is not None and first is not last:
        said.append(f"Mean gold utility went from {number(gold_before)} to {number(gold_after)}.")
    leak = gap(last)
    if leak is not None:
        said.append(f"Of the replies of {last.stage} that say no, {share(leak)} give the material all the same.")
    return said


def _expected(report: Report) -> list[str]:
    """Count the expectations by status, and name those that failed."""
    if not report.expectations:
        return []
    by = {s: [e.name for e in report.expectations if e.status == s] for s in ("PASS", "FAIL", "INCONCLUSIVE", "N/A")}
    failed = f" ({_listed(by['FAIL'])})" if by["FAIL"] else ""
    undecided = f"{len(by['INCONCLUSIVE'])} inconclusive, {len(by['N/A'])} not available"
    total = _count(len(report.expectations), "expectation")
    return [f"{len(by['PASS'])} of {total} held, {len(by['FAIL'])} failed{failed}, {undecided}."]


def _beside(before: Rate | None, after: Rate | None) -> str:
    if before is None or after is None:
        return "; over-refusal was not measured, so this may be bought with refusals"
    return f", while refusal of benign requests went from {share(before)} to {share(after)}"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", MINUS)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
