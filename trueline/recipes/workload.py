"""What each recipe asks of a machine, before it runs: steps, tokens, FLOPs, decoding, bytes.

Padding is counted, since padded tokens are computed too. What can only be known by doing is assumed, and the note of a stage
says so: how many prompts give a ranking, how long replies are. A missing file or model is the same error here as in the run.
A recipe of another package says nothing until it registers a function with `work`. More: workload_more.py.
"""

from __future__ import annotations

import math
from dataclasses import replace

from trueline.data.rows import read_rows
from trueline.recipes.distil import Distil
from trueline.recipes.feedback import Feedback
from trueline.recipes.kto import Kto
from trueline.recipes.lengths import Lengths, of_comparisons, of_demonstrations, of_labelled, of_prompts
from trueline.recipes.online import OnlineDpo
from trueline.recipes.prefer import Dpo
from trueline.recipes.pretrain import Pretrain
from trueline.recipes.process import Process
from trueline.recipes.reinforce import Ppo, Reinforce
from trueline.recipes.reward import Rank, Reward
from trueline.recipes.rewards import models_of
from trueline.recipes.sft import Sft
from trueline.recipes.size import Model, fresh, model_of
from trueline.recipes.workload_base import Known, Work, decoded, paging, work
from trueline.train.annotate import ROWS
from trueline.train.annotate_preference import MATCHED
from trueline.train.sources import by_length

KEPT = 0.75  # share of the prompts whose completions differ and get a strict ranking


@work.register
def _(recipe: Pretrain, known: Known) -> Work:
    world = recipe.text == "world"
    if not world:
        next(iter(read_rows(recipe.text)))  # a file that is missing or empty is said now
    model = model_of(recipe.start, known.models) if recipe.start else fresh(recipe)
    steps = recipe.tokens // recipe.batch
    base = Work(
        reads=(recipe.start, "world documents" if world else recipe.text),
        model=model,
        steps=steps,
        tokens=steps * recipe.batch,
        note="" if world else "reading and tokenising the text comes on top",
    )
    if model.size is None:
        return base
    tokens = float(steps * recipe.batch)
    row = (3 * recipe.row + recipe.long_row) / 4 if recipe.long_row > recipe.row else recipe.row
    micro = min(recipe.batch, recipe.micro_rows * max(recipe.row, recipe.long_row) or recipe.batch)
    return replace(
        base,
        flops=3 * model.size.forward(tokens, row, tokens),
        memory=model.size.training(recipe.optim.muon > 0) + model.size.activations(micro, micro),
        learned=model.size.gradient(),
    )


@work.register
def _(recipe: Sft, known: Known) -> Work:
    model, world = model_of(recipe.start, known.models), recipe.data.startswith("world/")
    if recipe.data in known.models:
        return unread(recipe, model)
    if recipe.unlikelihood:
        found = of_labelled(recipe.data, recipe.n, model.codec)
    else:
        found = of_demonstrations(recipe.data, recipe.n, model.codec, recipe.turns)
    return by_examples(recipe, model, found, 0.0 if world else recipe.held_out, rank=recipe.adapter.rank)


def unread(recipe: Sft | Distil, model: Model) -> Work:
    """Training on what an earlier stage of the plan will have made."""
    return Work(reads=(recipe.start, recipe.data), model=model, note=f"its data is not there before {recipe.data} has run")


def by_examples(
    recipe: Sft | Distil | Process, model: Model, found: Lengths, held_out: float, rank: int = 0, scores: bool = False
) -> Work:
    """Training on single examples, batches of like length. `scores`: what is learned is a score, which needs no logits."""
    found = fitting(found, model, recipe.context)
    base = Work(reads=(recipe.start, recipe.data), model=model, note=found.note)
    if found.count is None:
        return base
    kept = found.count * (1 - held_out)
    batches = by_length(found.whole, recipe.batch, "plan")
    scale = recipe.epochs * kept / len(found.whole)  # the sample's batches stand for all
    base = replace(base, steps=math.ceil(scale * len(batches)), tokens=round(scale * sum(found.whole)))
    if model.size is None:
        return base
    padded = scale * sum(len(rows) * max(found.whole[i] for i in rows) for rows in batches)
    said = 0.0 if scores else sum(found.said) / sum(found.whole)
    passes = 3 * padded + (1 if scores else 2) * (found.count - kept) * found.mean  # held out: before and after, a score after
    longest = max(found.whole)
    largest = min(max(recipe.batch, longest), recipe.micro_rows * longest or math.inf)
    return replace(
        base,
        flops=model.size.forward(passes, found.mean, passes * said),
        records=found.count,
        memory=model.size.training(recipe.optim.muon > 0, rank)
        + model.size.frozen() * scores  # what a reward model was made from
        + model.size.activations(largest, largest * said),
        learned=model.size.gradient(rank),
    )


@work.register
def _(recipe: Rank, known: Known) -> Work:
    model = model_of(recipe.start, known.models)
    found = of_prompts("world/training", model.codec, recipe.max_tokens)
    base = Work(reads=(recipe.start, "world prompts"), model=model, note=found.note)
    return decoded(base, found, recipe.n * recipe.k, recipe.k)


@work.register
def _(recipe: Reward, known: Known) -> Work:
    return compared(recipe, known, comparisons_of(recipe, known, pairs=False), recipe.groups, measured=1)


@work.register
def _(recipe: Dpo, known: Known) -> Work:
    found, needs = comparisons_of(recipe, known, pairs=True), recipe.objective.requires
    told, again = int("ref_logp" in needs), len(needs & {*MATCHED, "delta"})
    return compared(recipe, known, found, recipe.groups, measured=2, remembered=told, again=again)


def compared(
    recipe: Reward | Dpo | Kto, known: Known, found: Lengths, groups: int, *, measured: int, remembered: int = 0, again: int = 0
) -> Work:
    """Training on comparisons: batches in random order, so that each is padded to the longest completion in it.

    What is read before training is remembered, `remembered` readings of every completion; held-out ones are read `measured`
    times; `again` further passes without gradient are made over every step.
    """
    model, scores = model_of(recipe.start, known.models), isinstance(recipe, Reward)
    found = fitting(found, model, recipe.context)
    base = Work(reads=(recipe.start, recipe.data), model=model, note=found.note)
    if found.count is None:
        return base
    kept = round(found.count * (1 - recipe.held_out))
    steps = recipe.epochs * max(1, kept // groups)
    rows = min(groups, kept) * found.group
    base = replace(base, steps=steps, tokens=round(steps * rows * found.mean))
    if model.size is None:
        return base
    read = ((found.count - kept) * measured + kept * remembered) * found.group * found.mean + again * steps * rows * found.mean
    padded, said = found.longest(rows), sum(found.said) / sum(found.whole) * (not scores)  # a score needs no logits
    together = min(rows, recipe.micro_rows or rows)
    micro = together * found.longest(together)
    tokens = 3 * steps * rows * micro / together + read
    real = (3 * steps * rows * found.mean + read) * said
    return replace(
        base,
        flops=model.size.forward(tokens, padded, real) * paging(model.size, micro),
        records=found.count * found.group,
        memory=model.size.training(recipe.optim.muon > 0, recipe.adapter.rank)
        + model.size.frozen() * scores  # what a reward model was made from
        + model.size.activations(micro, micro * said),
        learned=model.size.gradient(recipe.adapter.rank),
    )


def fitting(found: Lengths, model: Model, context: int) -> Lengths:
    room = min([asked for asked in (context, 0 if model.size is None else model.size.context) if asked], default=0)
    return found.within(room) if room else found


def comparisons_of(recipe: Reward | Dpo | Kto, known: Known, pairs: bool) -> Lengths:
    made, model = known.rankings.get(recipe.data), model_of(recipe.start, known.models)
    if made is None:
        return of_comparisons(recipe.data, recipe.n, model.codec, pairs)
    found = of_prompts("world/training" if isinstance(made, Rank) else made.prompts, model.codec, made.max_tokens)
    each, group = (math.comb(made.k, 2), 2) if pairs else (1, made.k)
    rankings, note = KEPT * made.n, f"takes {KEPT:.0%} of the {made.n} prompts to give a ranking"
    if isinstance(made, Feedback):  # every pair is a ranking
        every, each, group = made.n * math.comb(made.k * len(made.models), 2), 1, 2
        rankings, note = KEPT * every, f"takes {KEPT:.0%} of {every} pairs to differ, and a principle to speak of each"
    count = round(min(rankings, recipe.n or math.inf)) * each
    return replace(found, count=count, group=group, note="; ".join(filter(None, (found.note, note))))


@work.register
def _(recipe: Reinforce, known: Known) -> Work:
    reads = 2 if isinstance(recipe, Ppo) else 1  # by the reference, by PPO also for the value
    return rolled_out(recipe, known, recipe.template, recipe.epochs, recipe.minibatches, reads)


def rolled_out(
    recipe: Reinforce | OnlineDpo, known: Known, template: str, epochs: int, minibatches: int, reads: int, share: float = 1.0
) -> Work:
    """Rollouts: decode, score, read `reads` times, train `epochs` times on a `share` of the rows, padded to the longest."""
    model = model_of(recipe.start, known.models)
    codec = None if model.codec is None else model.codec.with_template(template)
    found = of_prompts(recipe.prompts, codec, recipe.max_tokens)
    rows = recipe.batch * recipe.group
    drawn = recipe.iterations * rows
    server = recipe.sampler.server
    base = Work(
        reads=(recipe.start, recipe.reward, recipe.prompts),
        model=model,
        steps=recipe.iterations * epochs * minibatches,
        tokens=round(epochs * drawn * share * found.mean),
        note="; ".join(filter(None, (found.note, f"{server} samples, which is not counted" if server else ""))),
    )
    if model.size is None:
        return base
    drawing = Work() if server else decoded(base, found, rows, recipe.group)
    reads += bool(server)  # what the trainer itself gives the samples
    scorers = [size for name in models_of(recipe.reward) if (size := model_of(name, known.models).size) is not None]
    padded, said = found.longest(rows), sum(found.said) / sum(found.whole)
    passes, chunk = 3 * epochs * share, found.longest(min(rows, max(recipe.group, ROWS)))
    micro = min(rows * share, recipe.micro_rows or rows)
    real = drawn * found.mean * said  # tokens that need logits
    flops = model.size.forward(passes * drawn * padded, padded, passes * real) * paging(model.size, micro * padded)
    flops += reads * model.size.forward(drawn * chunk, chunk, real) * paging(model.size, min(rows, ROWS) * chunk)
    flops += recipe.iterations * drawing.flops
    for scorer in scorers:
        flops += scorer.forward(drawn * found.mean, found.mean, 0.0)  # sorted by length: hardly any padding
    held = model.size.frozen() * (recipe.adapter.rank == 0) + sum(scorer.frozen() for scorer in scorers)
    peak = model.size.activations(micro * padded, micro * found.mean * said)
    return replace(
        base,
        flops=flops,
        turns=recipe.iterations * drawing.turns,
        decoding=recipe.iterations * drawing.decoding,
        records=2 * drawn + recipe.iterations * drawing.records,
        memory=model.size.training(recipe.optim.muon > 0, recipe.adapter.rank) + held + max(peak, drawing.memory),
        learned=model.size.gradient(recipe.adapter.rank),
    )
