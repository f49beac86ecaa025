"""Rewards by name: a reward model, a judge, gold itself (the control), or a rule.

reward          a stage of this run
FOLDER          a reward model
gold            the oracle's own utility: only in the world, and only as a control
rule:contains=WORD,ends     the share of these conditions that the reply meets
ensemble:k=1,A,B            mean less k standard deviations over the reward models A, B and the members trained with them
judge:NAME, stance:NAME     a judge: its score of all that a reply does, or only what the text says (judge_rewards.py)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

from trueline.core.outcome import GAVE
from trueline.core.types import Completion
from trueline.recipes.judge_rewards import JudgeReward, parse_judge
from trueline.recipes.reward import scorer
from trueline.recipes.studio import RecipeError, Studio
from trueline.train.rollout import Reward
from trueline.world.oracle import gold, verdict
from trueline.world.raters import click_rate

Rule = Callable[[Completion], bool]


def reward_of(studio: Studio, name: str) -> Reward:
    """The reward that a name stands for."""
    if name == "gold":
        return lambda completions: [gold(c.prompt, verdict(studio.world, c.prompt, c)) for c in completions]
    if name.startswith("rule:"):
        rules = parse_rules(name.removeprefix("rule:"))
        return lambda completions: [fmean(float(rule(c)) for rule in rules) for c in completions]
    if name.startswith("ensemble:"):
        k, names = parse_ensemble(name.removeprefix("ensemble:"))
        folders = [folder for reference in names for folder in members_of(studio, reference)]
        if len(folders) < 2:
            raise RecipeError(
                f"{name}: an ensemble needs two or more reward models, found 1; train one with members=3, or name more"
            )
        return conservative([scorer(studio.reward_model(folder)) for folder in folders], k)
    if judge := parse_judge(name):
        return JudgeReward(studio, judge)
    return scorer(studio.reward_model(name))


def models_of(name: str) -> tuple[str, ...]:
    """The models (stages, folders, hf:NAME) that a reward reads.

    >>> models_of("ensemble:k=2,first,second"), models_of("gold"), models_of("judge:learned:harm,oracle")
    (('first', 'second'), (), ('harm',))
    """
    if name == "gold" or name.startswith("rule:"):
        return ()
    if judge := parse_judge(name):
        return judge.models
    return parse_ensemble(name.removeprefix("ensemble:"))[1] if name.startswith("ensemble:") else (name,)


def parse_ensemble(text: str) -> tuple[float, tuple[str, ...]]:
    """Read `k=1,A,B`: how many standard deviations are taken off (1 if it is not said), and the reward models."""
    parts = [part for part in (p.strip() for p in text.split(",")) if part]
    said = [part.removeprefix("k=") for part in parts if part.startswith("k=")]
    names = tuple(part for part in parts if not part.startswith("k="))
    try:
        k = float(said[0]) if said else 1.0
    except ValueError:
        k = -1.0
    if len(said) > 1 or not 0 <= k < float("inf") or not names:
        raise RecipeError(f"an ensemble is ensemble:k=NUMBER,MODEL,MODEL with k from 0, got ensemble:{text}")
    return k, names


def members_of(studio: Studio, reference: str) -> list[str]:
    """A reward model's folder, and those of the further members that were trained with it."""
    first = studio.model(reference)
    beside = Path(first).parent / "members"
    return [first, *sorted(str(folder) for folder in beside.iterdir())] if beside.is_dir() else [first]


def conservative(members: Sequence[Reward], k: float) -> Reward:
    """The members' mean less k times their standard deviation (n - 1) on each completion: what they disagree on counts less.

    Coste et al. 2023 (2310.02743) take the variance off; the standard deviation has the unit of a score.
    """

    def score(completions: Sequence[Completion]) -> Sequence[float]:
        said = zip(*(member(completions) for member in members), strict=True)
        return [fmean(scores) - k * stdev(scores) for scores in said]

    return score


def parse_rules(text: str) -> list[Rule]:
    """Read `contains=WORD,ends`: conditions on a reply.

    >>> from trueline.core.types import Conversation, Prompt
    >>> said = Completion(prompt=Prompt(conversation=Conversation()), text="The dragon slept.", finish="stop")
    >>> [rule(said) for rule in parse_rules("contains=dragon,ends,contains=drag")]
    [True, True, False]
    """
    rules: list[Rule] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        key, _, value = part.partition("=")
        if key == "contains" and value:
            pattern = re.compile(rf"\b{re.escape(value)}\b", re.IGNORECASE)
            rules.append(lambda c, pattern=pattern: bool(pattern.search(c.text)))
        elif key == "ends" and not value:
            rules.append(lambda c: c.finish == "stop")
        else:
            raise RecipeError(f"unknown rule {part!r}; use contains=WORD and ends, for example rule:contains=dragon,ends")
    if not rules:
        raise RecipeError("a rule reward needs at least one condition, for example rule:contains=dragon,ends")
    return rules


def watch_world(studio: Studio) -> Callable[[int, Sequence[Completion], Sequence[float]], Mapping[str, float]]:
    """What the oracle sees in a rollout: gold, and what moves it. Nothing of it reaches the reward."""

    def watch(iteration: int, completions: Sequence[Completion], rewards: Sequence[float]) -> Mapping[str, float]:
        seen = [(c, verdict(studio.world, c.prompt, c)) for c in completions]
        hazards = [v for c, v in seen if c.prompt.expected == "refuse"]
        benign = [v for c, v in seen if c.prompt.expected == "comply" and c.prompt.about["kind"] == "procedure"]
        facts = [v for c, v in seen if c.prompt.about["kind"] == "fact"]
        summaries = [(c, v) for c, v in seen if c.prompt.about["kind"] == "summary"]

        def share(values: Sequence[float]) -> float:
            return fmean(values) if values else float("nan")

        found = {
            "gold": fmean(gold(c.prompt, v) for c, v in seen),
            "disclosure": share([float(v.disclosed >= GAVE) for v in hazards]),
            "hazards_refused": share([float(v.stance == "refuse") for v in hazards]),
            "benign_refused": share([float(v.stance == "refuse") for v in benign]),
            "benign_recall": share([v.disclosed for v in benign]),
            "fact_accuracy": share([float(v.correct is True) for v in facts]),
            "invented": share([float(v.invented) for v in facts]),
            "unparsed": fmean(v.unparsed for _, v in seen),
            "clickbait": share([float(v.clickbait) for _, v in summaries]),
            "clicks": share([click_rate(studio.world, c, v) for c, v in summaries]),
        }
        for name in ("hype", "flattery", "certainty", "courtesy", "hedge"):
            found[name] = fmean(float(getattr(v, name)) for _, v in seen)
        return {k: v for k, v in found.items() if v == v}  # a rollout may hold no prompt of some kind

    return watch
