"""What further recipes ask of a machine: `kto`, `online_dpo`, `iterative_dpo`, `process`, `distil`, `demonstrate`, `feedback`,
`frontier`, and the measurements of `align`.

The arithmetic is that of workload.py; importing this file registers them with its `work`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trueline.attack.goals import WORLD
from trueline.core.types import Conversation
from trueline.data.formats import Labelled
from trueline.data.recognise import describe
from trueline.data.rows import read_rows
from trueline.evaluate.channels import world_questions
from trueline.evaluate.ladder import DOMAINS
from trueline.recipes.distil import Demonstrate, Distil
from trueline.recipes.feedback import Feedback
from trueline.recipes.frontier import Frontier
from trueline.recipes.kto import Kto
from trueline.recipes.lengths import Lengths, of_demonstrations, of_labelled, of_measurement, of_prompts, of_steps
from trueline.recipes.measure import Measure
from trueline.recipes.online import Judged, OnlineDpo
from trueline.recipes.prevention import Outcome
from trueline.recipes.process import Process
from trueline.recipes.reading import TRAINING
from trueline.recipes.rewards import models_of
from trueline.recipes.size import FLOAT, Model, model_of
from trueline.recipes.two_by_two import TwoByTwo
from trueline.recipes.workload import by_examples, compared, comparisons_of, rolled_out, unread, work
from trueline.recipes.workload_base import Known, Work, decoded
from trueline.targets.naming import kind_of
from trueline.world.facts import make_world

__all__ = ["work"]


@work.register
def _(recipe: Measure, known: Known) -> Work:
    model, gates = model_of(recipe.model, known.models), recipe.what == "gates"
    found = of_measurement(recipe.sizes, gates, model.codec)
    base = Work(reads=(recipe.model,), model=model, note=found.note)
    done = decoded(base, found, len(found.whole), 1)
    if model.size is None or gates or recipe.model == recipe.base:
        return done
    gold = recipe.sizes.domain * len(DOMAINS) * found.mean  # tokens whose divergence from the base is taken
    return replace(done, flops=done.flops + 2 * model.size.forward(gold, found.mean, gold))


@work.register
def _(recipe: Kto, known: Known) -> Work:
    model = model_of(recipe.start, known.models)
    if recipe.data not in known.rankings and describe(recipe.data).kind is Labelled:
        found = of_labelled(recipe.data, recipe.n, model.codec)
    else:
        both = comparisons_of(recipe, known, pairs=False)
        found = replace(both, group=1, count=None if both.count is None else 2 * both.count)  # the best and the worst of each
    return compared(recipe, known, found, recipe.rows, measured=2, remembered=2, again=1)  # answers of others, for z0


@work.register
def _(recipe: OnlineDpo, known: Known) -> Work:
    done = rolled_out(recipe, known, "model", epochs=1, minibatches=1, reads=1, share=2 / recipe.group)
    return replace(done, note="; ".join(filter(None, (done.note, "takes no samples of a prompt to tie"))))


@work.register
def _(recipe: Judged, known: Known) -> Work:
    done = _sampled(recipe.start, recipe.prompts, recipe.n, recipe.k, recipe.max_tokens, known)
    scorers = [size for name in models_of(recipe.reward) if (size := model_of(name, known.models).size) is not None]
    read = recipe.n * recipe.k * of_prompts(recipe.prompts, done.model.codec, recipe.max_tokens).mean
    return replace(
        done,
        flops=done.flops + sum(scorer.forward(read, read / (recipe.n * recipe.k), 0.0) for scorer in scorers),
        memory=done.memory + sum(scorer.frozen() for scorer in scorers),
    )


@work.register
def _(recipe: Demonstrate, known: Known) -> Work:
    model = model_of(recipe.start, known.models)
    asked = _count(of_prompts(recipe.prompts, model.codec, recipe.max_tokens), recipe.n)
    return _sampled(recipe.start, recipe.prompts, asked, recipe.count, recipe.max_tokens, known)


@work.register
def _(recipe: TwoByTwo, known: Known) -> Work:
    """Samples of the model. One before it that this recipe has asked already is not asked again; another takes as long."""
    if recipe.model not in known.models and kind_of(recipe.model) != "local":
        return Work(reads=recipe.reads(), model=Model(None, note="asks a target that is not in this process"))
    files = [name for name in (recipe.data, recipe.benign) if name and recipe.data != WORLD]
    asked = sum(min(recipe.n, sum(1 for _ in read_rows(name))) for name in files) or len(
        world_questions(make_world(0), recipe.n, 0)
    )
    done = _sampled(recipe.model, TRAINING, asked, 1, recipe.max_tokens, known)
    return replace(done, reads=recipe.reads())


@work.register
def _(recipe: Outcome, known: Known) -> Work:
    return Work(reads=recipe.reads(), note="reads what was measured")


@work.register
def _(recipe: Process, known: Known) -> Work:
    model = model_of(recipe.start, known.models)
    return by_examples(recipe, model, of_steps(recipe.data, recipe.n, model.codec), recipe.held_out, scores=True)


@work.register
def _(recipe: Distil, known: Known) -> Work:
    """Fine-tuning, a reading by the teacher of all that is trained on, and samples of the student for a share of the steps."""
    model, master = (model_of(name, known.models) for name in (recipe.start, recipe.teacher))
    if recipe.data in known.models:
        return unread(recipe, model)
    found = _shown(recipe, model)
    done = by_examples(recipe, model, found, 0.0 if recipe.data.startswith("world/") else recipe.held_out)
    done = replace(done, reads=(recipe.start, recipe.teacher, recipe.data))
    if done.tokens is None or done.steps is None or model.size is None or master.size is None:
        return done if master.size is not None else replace(done, model=master)
    said = sum(found.said) / sum(found.whole)
    told = master.size.forward(done.tokens, found.mean, done.tokens * said)
    kept = (recipe.top or model.size.vocabulary) * min(recipe.batch, done.tokens) * said * (recipe.by == "divergence")
    done = replace(done, flops=done.flops + told, memory=done.memory + master.size.frozen() + FLOAT * kept)
    if not recipe.on_policy:
        return done
    drawing = decoded(done, found, max(1, round(recipe.on_policy * done.tokens / found.mean)), 1)
    return replace(
        done,
        flops=done.flops + drawing.flops,
        turns=recipe.on_policy * done.steps * min(recipe.max_tokens, max(found.said)),  # each step decodes its own rows
        decoding=drawing.decoding,
        note="; ".join(filter(None, (done.note, "takes the student's samples to be as long as the replies"))),
    )


@work.register
def _(recipe: Feedback, known: Known) -> Work:
    done = _answered(recipe.models, recipe.prompts, recipe.n, recipe.k, recipe.max_tokens, known)
    return replace(done, note="; ".join(filter(None, (done.note, "what the critic reads and says is not counted"))))


@work.register
def _(recipe: Frontier, known: Known) -> Work:
    prompts = "world/training" if recipe.benign == "world" else recipe.benign
    done = _answered(recipe.models, prompts, 2 * recipe.n, 1, recipe.max_tokens, known)
    return replace(done, note="; ".join(filter(None, (done.note, "what a judge asks is not counted"))))


def _answered(models: Sequence[str], prompts: str, asked: int, count: int, max_tokens: int, known: Known) -> Work:
    """Several models answer the same prompts: those in this process are taken to be as large as the first of them."""
    local = [name for name in models if name in known.models or kind_of(name) == "local"]
    if not local:
        return Work(reads=tuple(models), note="answers of targets elsewhere are not counted")
    return replace(_sampled(local[0], prompts, asked, count * len(local), max_tokens, known), reads=(*models, prompts))


def _shown(recipe: Distil, model: Model) -> Lengths:
    """Conversations, or prompts with the replies that the student will sample."""
    alone = recipe.data == "world/training"
    if alone or (not recipe.data.startswith("world/") and describe(recipe.data).kind is not Conversation):
        found = of_prompts(recipe.data, model.codec, recipe.max_tokens)
        return replace(found, count=_count(found, recipe.n))
    return of_demonstrations(recipe.data, recipe.n, model.codec, "last")


def _sampled(start: str, prompts: str, asked: int | None, count: int, max_tokens: int, known: Known) -> Work:
    """Sampling alone: `count` replies to each of the prompts that are asked, if it is known how many these are."""
    model = model_of(start, known.models)
    found = of_prompts(prompts, model.codec, max_tokens)
    base = Work(reads=(start, prompts), model=model, note=found.note)
    return base if asked is None else decoded(base, found, asked * count, count)


def _count(found: Lengths, n: int) -> int | None:
    """How many prompts are asked: `n` of the world, or at most `n` of a file."""
    return n or None if found.count is None else min(n or found.count, found.count)
