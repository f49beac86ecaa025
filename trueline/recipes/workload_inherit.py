"""What the stages of `inheritance` and `retention` ask of a machine: `blank`, `relearn`, a repair, the questions, the report.

The arithmetic is that of workload.py and workload_base.py; importing this file registers them with its `work`.

    trueline run inheritance teacher=runs/demo/safety --dry-run
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from trueline.models.decoder import weightless
from trueline.recipes.blank import Blank
from trueline.recipes.examine import Examine
from trueline.recipes.examined import Examined
from trueline.recipes.inherit_report import Inherit
from trueline.recipes.lengths import of_prompts
from trueline.recipes.relearn import MARKS, Relearn
from trueline.recipes.repair import Repair
from trueline.recipes.size import Model, Size, model_of
from trueline.recipes.slices import Slices, world_questions
from trueline.recipes.usual import WORDS
from trueline.recipes.workload import unread, work
from trueline.recipes.workload_base import Known, Work, decoded
from trueline.world.facts import make_world

__all__ = ["work"]

KINDS = 3  # of what the relearning probe asks for


@work.register
def _(recipe: Blank, known: Known) -> Work:
    like = model_of(recipe.like, known.models)
    if like.size is None or like.codec is None:
        return Work(reads=(recipe.like,), model=Model(None, note=f"takes its size from {recipe.like}"))
    with weightless():
        made = recipe.sized(
            like.codec.tokenizer, like.size.width, like.size.layers, recipe.heads or 1
        )  # their number costs nothing
    return Work(reads=(recipe.like,), model=Model(Size.of(made.model), like.codec), steps=0, tokens=0)


@work.register
def _(recipe: Repair, known: Known) -> Work:
    start = model_of(recipe.start, known.models)
    return unread(replace(recipe.train, start=recipe.start, data=recipe.benign), start)


@work.register
def _(recipe: Examine, known: Known) -> Work:
    model = model_of(recipe.model, known.models)
    base = Work(reads=recipe.reads(), model=model, note=model.note)
    if not recipe.ask.world:
        return replace(base, note="how many goals a file has is not known before it is read")
    found = of_prompts("world/training", model.codec, recipe.ask.max_tokens or WORDS)
    return decoded(base, found, _asked(recipe.ask.sizes), 1)


@work.register
def _(recipe: Relearn, known: Known) -> Work:
    """A few steps on a few answers, and questions before, between and after."""
    model = model_of(recipe.model, known.models)
    found = of_prompts("world/training", model.codec, recipe.max_tokens or WORDS)
    trained = recipe.steps * recipe.k * found.mean
    base = Work(reads=recipe.reads(), model=model, steps=recipe.steps, tokens=round(trained))
    if model.size is None:
        return base
    done = decoded(base, found, KINDS * recipe.n, 1)
    times = len(MARKS) + 2
    return replace(
        done,
        flops=times * done.flops + 3 * model.size.forward(trained, found.mean, trained),
        turns=times * done.turns,
        decoding=times * done.decoding,
        records=times * done.records,
        memory=max(done.memory, model.size.training(recipe.optim.muon > 0, 0)),
    )


@work.register
def _(recipe: Inherit | Examined, known: Known) -> Work:
    return Work(reads=recipe.reads(), steps=0, tokens=0, note="compares answers: nothing is trained or sampled")


@cache
def _asked(sizes: Slices) -> int:
    """How many questions the world is asked."""
    return len(world_questions(make_world(0), 0, sizes))
