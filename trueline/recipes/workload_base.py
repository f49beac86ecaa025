"""What the arithmetic of every recipe's stage is made of: `Work`, what earlier stages leave, and the decoding of replies.

    @work.register
    def _(recipe: MyRecipe, known: Known) -> Work:
        model = model_of(recipe.start, known.models)
        return decoded(Work(reads=(recipe.start,), model=model), of_prompts(recipe.prompts, model.codec, 60), rows=64, count=1)

Used by workload.py and its siblings; plan.py makes a table of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import singledispatch

from trueline.recipes.feedback import Feedback
from trueline.recipes.lengths import Lengths
from trueline.recipes.online import Judged
from trueline.recipes.reward import Rank
from trueline.recipes.size import FLOAT, Model, Size

DECODED = 768  # rows that `models.generate` decodes together
BLOCK = 2**25  # bytes: the C library gives a larger block back at once, and each use of it begins with page faults
PAGING = 1.8  # what that costs a training pass: measured 1.6 to 2.0
VERDICT = 3.0  # texts that are rendered in the time of one verdict of the oracle


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one stage asks for. Steps and tokens of None are not known before the data is read."""

    reads: tuple[str, ...] = ()
    model: Model = Model(None)
    steps: int | None = None  # of the optimiser
    tokens: int | None = None  # trained on (decoded, where nothing is trained), padding not counted
    flops: float = 0.0  # of whole rows, padding counted: a training pass is three forward passes
    turns: float = 0.0  # decoding steps: each makes one token for every row of a batch
    decoding: float = 0.0  # FLOPs of these
    records: float = 0.0  # texts that are rendered and tokenised
    memory: float = 0.0  # bytes, beside those of the process
    learned: float = 0.0  # bytes of a gradient, which every process that shares a step has for itself
    note: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What the earlier stages of a plan leave: their models, and the rankings that are made."""

    models: Mapping[str, Model] = field(default_factory=dict)
    rankings: Mapping[str, Rank | Judged | Feedback] = field(default_factory=dict)


@singledispatch
def work(recipe: object, known: Known) -> Work:
    """What a recipe asks for."""
    return Work(model=Model(None, note=f"{type(recipe).__name__} says nothing about its cost"))


def decoded(base: Work, found: Lengths, rows: int, count: int) -> Work:
    """Sampling `rows` replies, `count` for each prompt: prompts sorted by length, in batches padded to the longest of each.

    A batch lasts until its longest reply ends.
    """
    size = base.model.size
    mean = sum(found.said) / len(found.said)
    base = replace(base, steps=base.steps or 0, tokens=base.tokens or round(rows * mean))
    if size is None:
        return base
    heads = sorted(whole - said for whole, said in zip(found.whole, found.said, strict=True))
    prompts = [heads[i * len(heads) * count // rows] for i in range(rows // count)]  # the sample, as many as are asked
    each = max(1, DECODED // count)
    batches = [prompts[i : i + each] for i in range(0, len(prompts), each)]
    lasts = max(found.said)
    flops = decoding = peak = 0.0
    for batch in batches:
        tokens, drawn = len(batch) * batch[-1], len(batch) * count
        flops += size.forward(tokens, 2 * batch[-1], len(batch)) * paging(size, tokens)  # padded: all of T^2 is computed
        decoding += size.forward(drawn * mean, 2 * batch[-1] + lasts, drawn * mean)
        peak = max(peak, size.passing(tokens) + size.cache(drawn, batch[-1] + lasts))
    return replace(
        base,
        flops=flops,
        turns=len(batches) * lasts,
        decoding=decoding,
        records=rows * (1 + VERDICT),
        memory=size.frozen() + peak + 5 * FLOAT * min(rows, DECODED) * size.vocabulary,
    )


def paging(size: Size, tokens: float) -> float:
    """How much slower a pass over so many tokens at once is on a CPU than one that the allocator can keep memory for."""
    return PAGING if FLOAT * tokens * 2 * size.inner > BLOCK else 1.0
