"""What hardening asks of a machine: training on pairs beside benign rows, and the attacks inside of it.

The arithmetic is that of workload.py and workload_base.py; importing this file registers the recipes with its `work`.

    trueline run harden start=runs/demo/stages/safety/model --dry-run
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from trueline.models.tokens import Codec
from trueline.recipes.harden import Compare, Hardness
from trueline.recipes.hardening import BENIGN, HARMFUL, CircuitBreakers, Hardening, LatentAdversarial
from trueline.recipes.lengths import SAMPLE, Lengths, of_comparisons, of_demonstrations, of_prompts
from trueline.recipes.online_adversarial import OnlineAdversarial
from trueline.recipes.size import Size, model_of
from trueline.recipes.workload import work
from trueline.recipes.workload_base import Known, Work, decoded
from trueline.world.facts import make_world
from trueline.world.harmful import harmful_pairs
from trueline.world.prompts import FAMILIES

__all__ = ["work"]


@work.register
def _(recipe: Hardening, known: Known) -> Work:
    """A training pass over every kind of row, and what the way does beside it."""
    model = model_of(recipe.start, known.models)
    harmful = _harmful(recipe, model.codec)
    answered = of_demonstrations("world/safety" if recipe.benign == BENIGN else recipe.benign, SAMPLE, model.codec, "last")
    kinds = 1 if not isinstance(recipe, CircuitBreakers) and not getattr(recipe, "away", 0.0) else 2
    pushed, kept = kinds * recipe.rows * harmful.mean, recipe.benign_rows * answered.mean  # tokens a step
    base = Work(
        reads=(recipe.start, recipe.data, recipe.benign),
        model=model,
        steps=recipe.steps,
        tokens=round(recipe.steps * (pushed + kept)),
        note="; ".join(dict.fromkeys(filter(None, (harmful.note, answered.note)))),
    )
    if model.size is None:
        return base
    size, longest = model.size, max(harmful.longest(recipe.rows), answered.longest(recipe.benign_rows))
    padded = (kinds * recipe.rows + recipe.benign_rows) * longest
    said = sum(answered.said) / sum(answered.whole)
    passes = size.forward(3 * padded, longest, 3 * padded * said) + _beside(recipe, size, harmful, padded)
    micro = min(padded, recipe.micro_rows * longest or padded)
    return replace(
        base,
        flops=recipe.steps * passes,
        records=2 * recipe.n + recipe.benign_n,
        memory=size.training(recipe.optim.muon > 0, recipe.adapter.rank)
        + size.frozen() * (isinstance(recipe, CircuitBreakers) and not recipe.adapter.rank)
        + size.activations(micro, micro * said),
        learned=size.gradient(recipe.adapter.rank),
    )


@work.register
def _(recipe: Hardness, known: Known) -> Work:
    model, sizes = model_of(recipe.model, known.models), recipe.sizes
    found = of_prompts("world/training", model.codec, sizes.max_tokens)
    asked = sizes.depth * 13 + sizes.family * len(FAMILIES) + sizes.over_refusal + sizes.benign
    return decoded(Work(reads=(recipe.model,), model=model, note=found.note), found, asked, 1)


@work.register
def _(recipe: Compare, known: Known) -> Work:
    first = next(iter(recipe.measured.values()))
    return Work(reads=recipe.reads(), model=known.models[first], steps=0, tokens=0)


def _beside(recipe: Hardening, size: Size, harmful: Lengths, padded: float) -> float:
    """FLOPs of a step beside training: the reference's reading, or the attack."""
    rows = recipe.rows * harmful.longest(recipe.rows)
    if isinstance(recipe, CircuitBreakers):
        return size.forward(padded, harmful.mean, 0.0)
    if isinstance(recipe, LatentAdversarial):
        return size.forward((1 + 3 * recipe.attack_steps) * rows, harmful.mean, rows) if recipe.radius else 0.0
    if isinstance(recipe, OnlineAdversarial):
        scored = recipe.suffix.steps * (3 + recipe.suffix.candidates) * (rows + recipe.rows * recipe.suffix.length)
        return size.forward(scored, harmful.mean, recipe.suffix.words * scored / harmful.mean)
    return 0.0


def _harmful(recipe: Hardening, codec: Codec | None) -> Lengths:
    """The replies of the pairs, refusals and harmful ones in turn."""
    if recipe.data != HARMFUL:
        return of_comparisons(recipe.data, SAMPLE, codec, pairs=True)
    pairs = harmful_pairs(make_world(0), 0, min(recipe.n, SAMPLE))
    texts = list(chain.from_iterable((p.chosen, p.rejected) for p in pairs))
    said = [c.prompt.conversation.say("assistant", c.text) for c in texts]
    if codec is None:
        return Lengths([len(" ".join(m.text for m in c.messages)) // 3 for c in said], [8] * len(said), len(pairs))
    examples = [codec.example(c, "last") for c in said]
    return Lengths([len(e.ids) for e in examples], [sum(e.mask) for e in examples], len(pairs))
