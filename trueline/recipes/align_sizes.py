"""The sizes of `align`: smoke (that all of it runs), quick (one seed in a quarter of an hour), full (the study).

`full` measures with more prompts, runs every control and every arm of distillation, and three rounds of red-teaming; evidence
is several seeds of it.

    trueline run align size=full seeds=3
    trueline demo --size smoke
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from trueline.evaluate.ladder import Sizes
from trueline.recipes.inherit import ARMS
from trueline.recipes.slices import Slices


def smoke(recipe: Any) -> Any:
    """The same stack at its smallest: minutes become seconds, and no number means anything."""
    return replace(
        recipe,
        pretrain=replace(recipe.pretrain, tokens=60_000, width=64, layers=2, heads=2),
        helpful=replace(recipe.helpful, n=300),
        safety=replace(recipe.safety, n=300),
        placebo=replace(recipe.placebo, n=300),
        uneven=replace(recipe.uneven, n=300),
        rankings=replace(recipe.rankings, n=60, max_tokens=24),
        reward=replace(recipe.reward, epochs=1, groups=8),
        grpo=replace(recipe.grpo, iterations=3, batch=8, group=4, max_tokens=24),
        control=replace(recipe.control, iterations=2, batch=8, group=4, max_tokens=24),
        ppo=replace(recipe.ppo, iterations=2, batch=8, group=4, max_tokens=24),
        dpo=replace(recipe.dpo, epochs=1, groups=8),
        rlhf=replace(recipe.rlhf, iterations=2, batch=8, group=4, max_tokens=24),
        constitution=replace(recipe.constitution, n=8, revise=replace(recipe.constitution.revise, n=24, n_replay=20, tries=2)),
        redteam=replace(
            recipe.redteam,
            rounds=1,
            campaign=replace(recipe.redteam.campaign, n=4, probes=6),
            lessons=replace(recipe.redteam.lessons, n=60),
        ),
        compared=replace(recipe.compared, n=60, max_tokens=24),
        polish=replace(recipe.polish, epochs=1, groups=8),
        distil=replace(
            recipe.distil,
            n=60,
            doses=(8,),
            ask=replace(recipe.distil.ask, sizes=Slices(direct=6, new=3, family=3, twin=2, benign=6, over_refusal=6)),
        ),
        sizes=Sizes(direct=12, new_targets=4, family=4, domain=8, over_refusal=12, gate=6, transcripts=4, max_tokens=24),
    )


def full(recipe: Any) -> Any:
    """Every control, arm and round, each measured on as many prompts as its own recipe asks."""
    campaign, revise, ask = recipe.redteam.campaign, recipe.constitution.revise, recipe.distil.ask
    return replace(
        recipe,
        with_ppo=True,
        constitution=replace(recipe.constitution, controls="auto", n=300, revise=replace(revise, n=800)),
        redteam=replace(recipe.redteam, rounds=3, control=True, campaign=replace(campaign, n=40, probes=200)),
        distil=replace(recipe.distil, arms=ARMS, n=3000, doses=(8, 16, 32, 64), ask=replace(ask, sizes=Slices())),
        sizes=replace(recipe.sizes, family=96),
    )


# Sizes by name, each made from the recipe's defaults, which are those of `quick`.
SIZES: Mapping[str, Callable[[Any], Any]] = {"smoke": smoke, "quick": lambda recipe: recipe, "full": full}
