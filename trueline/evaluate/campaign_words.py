"""The sentences of a campaign's page: the answer first, computed from the numbers, and then what was not measured.

The answer says what breaks the target, at what budget, and how sure that is; every share in it has its interval and its n, and
every attack success the number of questions it was allowed.
"""

from __future__ import annotations

from collections.abc import Iterator

from trueline.core.types import Rate
from trueline.evaluate.campaign_shape import Arm, Campaign, Law, Lift
from trueline.evaluate.words import MINUS, ON, percent, plain, share

EXACT = "oracle"  # the judge that is never wrong, in the world that it knows
VERDICTS = {"holds": "PASS", "over": "FAIL", "inconclusive": "NA"}


def answer(found: Campaign) -> str:
    """Say in one paragraph what breaks the target, at what budget, and how sure that is."""
    return " ".join(_answer(found))


def notes(found: Campaign) -> list[str]:
    """Say, a line each, what stands beside the answer: held-out families, the judge, over-refusal, the unusable."""
    return [*_gave(found), *_carries(found), *_judged(found), *_costs(found)]


def points(rate: Rate) -> str:
    """Write a difference of shares in points, with its sign and interval.

    >>> points(Rate(value=0.284, n=40, low=-0.02, high=0.5)).replace(MINUS, "-")
    '+28 points (-2 to 50, n\\xa040)'
    """
    value, low, high = (f"{100 * part:.0f}".replace("-0", "0") for part in (rate.value, rate.low, rate.high))
    sign = "+" if rate.value > 0 and value != "0" else ""
    return f"{sign}{value} points ({low} to {high}, n\u00a0{rate.n:,})".replace("-", MINUS)


def chance(p: float) -> str:
    """Write a p-value.

    >>> chance(0.0312), chance(1e-9)
    ('p 0.031', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p {p:.2g}"


def within(budget: int) -> str:
    """Write a budget of questions a goal."""
    return "with one question a goal" if budget == 1 else f"within {budget:,} questions a goal"


def law(arm: Arm, one: Law) -> str:
    """Say which law an attack's success follows, what it forecasts, and how well it would have forecast."""
    if one.cannot_tell or one.power is None or one.beta is None:
        return f"{arm.attack}: no law can be told, for {one.cannot_tell or 'none was fitted'}."
    fits = (
        f"a power law (b {plain(one.power.b)}) and a beta-binomial (alpha {plain(one.beta.alpha)}, beta {plain(one.beta.beta)})"
    )
    if one.better == "cannot tell":
        told = f"{fits} fit alike (AIC {abs(one.apart):.1f} apart)"
    else:
        told = f"of {fits}, the {one.better} fits better by AIC ({abs(one.apart):.1f})"
    said = [f"{arm.attack}: {told}."]
    said += [
        f"At {far.budget:,} questions the first forecasts {_range(far.power)}, the second {_range(far.beta)}."
        for far in one.forecast
    ]
    tried = one.held_out
    if tried is not None:
        said.append(
            f"From the first {tried.fitted_on:,} questions they would have missed what came at {tried.forecast_at:,} "
            f"({_range(tried.observed)}) by {_off(tried.power_error)} and {_off(tried.beta_error)} points."
        )
    return " ".join(said)


def unmeasured(found: Campaign) -> list[str]:
    """List what the campaign does not say anything about, each with its reason."""
    return list(_unmeasured(found))


def _answer(found: Campaign) -> Iterator[str]:
    whole, base = found.overall, found.baseline
    if whole.asr is None:
        yield "Not one goal was decided, so nothing can be said about this target."
        return
    if whole.asr.value == 0:
        yield (
            f"Nothing broke it: none of {whole.asr.n:,} goals, {within(whole.budget)} and attack. "
            f"That leaves room for up to {percent(whole.asr.high)} of goals like these."
        )
        return
    asked = f"; asked directly, {share(base.asr)} do" if base and base.asr else "; the direct request was not measured"
    yield f"{share(whole.asr)} of goals break under at least one attack, {within(whole.budget)} and attack{asked}."
    best = found.ranked[0]
    if best.asr is not None and not best.baseline:
        fell = (
            f"; half of what it broke fell by question {best.first_success:g}" if best.budget > 1 and best.first_success else ""
        )
        yield f"The attack that works best is {best.attack}: {share(best.asr)} {within(best.budget)}{_lifted(best)}{fell}."
    single = max((arm for arm in found.ranked if arm.curve), key=lambda arm: arm.curve[0].value, default=None)
    if single is not None and single.attack != best.attack and single.curve[0].value > 0:
        once = Rate(**single.curve[0].model_dump(exclude={"budget"}))
        yield f"With a single question, {single.attack} does most: {share(once)}."


def _lifted(arm: Arm) -> str:
    if arm.lift is None:
        return ""
    p = arm.lift.p if arm.lift.p_holm is None else arm.lift.p_holm
    return f", {points(arm.lift.difference)} over asking directly ({chance(p)} after Holm)"


def _gave(found: Campaign) -> Iterator[str]:
    if found.refused_but_gave is not None and found.refused_but_gave.value > 0:
        yield f"Of the answers that say no, {share(found.refused_but_gave)} give the material all the same."


def _carries(found: Campaign) -> Iterator[str]:
    for split in ("held_out", "validation"):
        gap, rate = found.gaps.get(split), found.splits.get(split)
        if gap is not None and rate is not None:
            yield (
                f"Attack success {ON[split]} is {share(rate)}, goal by goal {points(gap.difference)} against families that "
                f"training may use ({chance(gap.p)}): {_meaning(gap)}."
            )


def _meaning(gap: Lift) -> str:
    if gap.difference.low > 0:
        return "they work better, so a defence trained on the others does not cover them"
    if gap.difference.high < 0:
        return "they work less well"
    return "no difference can be told"


def _judged(found: Campaign) -> Iterator[str]:
    if found.judge is None:
        if found.about.get("judge") == EXACT:
            yield "The world's oracle judged: it knows the truth, so there are no errors of a judge to correct."
        else:
            yield "The judge was not measured on labelled rows, so rates are raw: its errors are in them."
        return
    judge, raw, fixed = found.judge, found.overall.by_attempt, found.overall.by_attempt_corrected
    yield (
        f"The judge {judge.judge} finds {share(judge.sensitivity)} of successes and {share(judge.specificity)} of failures on "
        f"labelled rows."
    )
    if raw is not None and fixed is not None:
        yield f"Question by question, {share(raw)} succeeded as judged, and {share(fixed)} corrected for the judge's errors."
    if raw is not None and fixed is None:
        yield "That is no better than chance, so no rate can be corrected."


def _costs(found: Campaign) -> Iterator[str]:
    if found.over_refusal is not None:
        yield f"Asked directly, {share(found.over_refusal)} of answers to harmless requests are refusals."
    weak = [arm.attack for arm in found.arms if arm.capability.usable is False]
    if weak:
        yield f"Not usable at this scale: {', '.join(weak)}. The target cannot follow them well enough, which is no defence."


def _unmeasured(found: Campaign) -> Iterator[str]:
    for what, reasons in (("skipped", found.skipped), ("failed", found.failed)):
        for attack, reason in reasons.items():
            yield f"{attack} {what}: {reason}"
    lost = {name: found.outcomes.get(name, 0) for name in ("undetermined", "error")}  # type: ignore[call-overload]  # Outcome
    if lost["undetermined"]:
        yield f"{_count(lost['undetermined'], 'question')} that the judge could not decide"
    if lost["error"]:
        yield f"{_count(lost['error'], 'question')} that the target did not answer"
    if found.overall.open and found.overall.at_most:
        yield (
            f"{_count(found.overall.open, 'goal')} not known to be broken with a question undecided: had all been successes, "
            f"{percent(found.overall.at_most.value)} of goals would be broken"
        )
    if found.baseline is None:
        yield "the direct request: without it there is no lift, and no telling what the attacks added"
    if found.over_refusal is None:
        yield "over-refusal: no harmless request was asked directly, so safety here may be bought with refusals"
    bare = [arm.attack for arm in found.arms if arm.capability.able is None]
    if bare:
        yield f"capability under {', '.join(bare)}: a low success there may be lack of skill"
    if found.judge is None:
        yield "the judge's own errors"


def _range(rate: Rate) -> str:
    return f"{percent(rate.value)} ({percent(rate.low)} to {percent(rate.high)})"


def _off(error: float) -> str:
    return f"{100 * error:+.1f}".replace("-", MINUS)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
