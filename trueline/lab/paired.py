"""Prompts put to a model, and what two models did of the same prompts compared: what all that ask in the lab share.

    said = put(studio, room, "dpo", prompts, max_tokens=60)              # one completion a prompt, with the bar moving
    mean(values, clusters, name="gold", share=False)                     # with its interval over what is asked about
    change(after, before, clusters, name="gold", share=False)            # the same prompts under two models

Prompt i and the seed that its reply is sampled with are the same for every model, so that two of them are compared in pairs.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from random import Random

from trueline.core import stats
from trueline.core.types import Completion, Prompt, Rate
from trueline.evaluate.rates import clustered, rise
from trueline.models.policy import Policy
from trueline.recipes.answering import answers, has_room
from trueline.recipes.studio import RecipeError, Room, Studio


def put(
    studio: Studio, room: Room, model: str, prompts: Sequence[Prompt], *,
    max_tokens: int, seed: int, policy: Policy | None = None,
) -> list[Completion]:  # fmt: skip
    """Put prompts to a stage, a folder or any TARGET; `policy` is the model where it is loaded already."""
    studio.show.steps(room.name, len(prompts))
    bar = studio.show.bar(room.name)
    return answers(
        studio, model, prompts, policy=policy, max_tokens=max_tokens, seed=seed, progress=lambda n: bar(n, {}, 0.0, 0.0)
    )


def fitting(
    studio: Studio, room: Room, policy: Policy | None, groups: Sequence[Sequence[Prompt]], max_tokens: int
) -> list[int]:
    """Which groups of prompts leave a model room for answers of that length; of one that is not in this process, all.

    Raises RecipeError where none does; how many do not is said.
    """
    fits = [i for i, some in enumerate(groups) if policy is None or all(has_room(policy, p, max_tokens) for p in some)]
    if not fits:
        raise RecipeError(
            f"{room.name}: expected a context with room for one of {len(groups)} questions and {max_tokens} tokens of an "
            f"answer; this model has room for none: take one with a longer context"
        )
    if left_out := len(groups) - len(fits):
        studio.show.say(room.name, f"{left_out} of {len(groups)} are too long for the model's context, and are left out")
    return fits


def kept(room: Room, said: Sequence[Completion], most: int = 24) -> None:
    """Add some of these exchanges to the run's samples, evenly from first to last."""
    room.keep(0, said[:: max(1, len(said) // most)])


def mean(values: Sequence[float], clusters: Sequence[Hashable], *, name: str, share: bool) -> Rate | None:
    """The mean: of a share with Wilson's interval, of any other value with the bootstrap's, which `name` seeds.

    None where nothing was measured, and where a bootstrap would draw from one thing alone.
    """
    if share:
        return clustered(values, clusters)
    return stats.mean(values, rng=Random(name), clusters=clusters) if len(set(clusters)) > 1 else None


def change(
    after: Sequence[float], before: Sequence[float], clusters: Sequence[Hashable], *, name: str, share: bool
) -> Rate | None:
    """After less before, pair by pair; None with fewer than two things asked about."""
    if share:
        return rise(after, before, clusters, name=name)
    alone = len(set(clusters)) < 2
    return None if alone else stats.paired(after, before, rng=Random(name), clusters=clusters).difference
