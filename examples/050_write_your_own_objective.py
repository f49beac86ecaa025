"""An objective of your own: a frozen dataclass whose fields are its settings and whose call yields terms.

You learn the one protocol that every algorithm here follows. This one is unlikelihood training (Welleck et al. 2019,
1908.04319): raise the wanted row of each pair, lower the tokens of the unwanted one. Each term gives a *total* and names
what it is counted per; the loop divides. It prints "the split changes nothing": a batch may be cut in any way.

    python examples/050_write_your_own_objective.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from trueline.core.types import Conversation
from trueline.models.policy import Outputs, tiny
from trueline.models.tokens import word_tokenizer
from trueline.train.batch import Batch, Term
from trueline.train.loop import gradients, train
from trueline.train.optim import Optim
from trueline.train.sources import Groups
from trueline.world.language import vocabulary


@dataclass(frozen=True)
class Unlikelihood:
    """-log p of the wanted row, and alpha times -log(1 - p) of the unwanted one, nats a pair. Rows: wanted, unwanted."""

    alpha: float = 0.5  # weight of the unwanted rows
    needs: frozenset[str] = frozenset({"logp"})  # what the model must compute
    requires: frozenset[str] = frozenset()  # columns that an annotation must have written

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        logp = out.logp.view(-1, 2, out.logp.shape[1])  # (M, 2, T), zero where nothing is trained
        wanted, unwanted = logp[:, 0], logp[:, 1][batch.mask[1::2]].clamp(max=-1e-6)
        yield Term("likely", -wanted.sum(), "group")
        yield Term("unlikely", -torch.log(-torch.expm1(unwanted)).sum(), "group", self.alpha)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        yield from ()  # what must hold before the first update would be checked here


def main() -> None:
    """Show that a split changes nothing, then train."""
    policy = tiny(word_tokenizer(vocabulary()), width=32, layers=1, heads=2)
    asked = [Conversation().say("user", f"what is {thing} ?") for thing in ("soap", "ink", "glue", "dye")]
    rows = [[policy.codec.example(a.say("assistant", t)) for t in ("it is nice .", "i cannot say .")] for a in asked]
    source = Groups(rows=rows, epochs=60, groups=4, pad=policy.codec.pad)
    whole, cut = (gradients(policy, Unlikelihood(), next(source.batches(0)), micro_rows=n)["total"] for n in (0, 2))
    print(f"the split changes nothing: {whole:.5f} at once, {cut:.5f} pair by pair")
    policy.zero_grad()
    done = train(policy, Unlikelihood(), source, Optim(lr=3e-3, muon=0))
    print(f"after {done.steps} steps, nats a pair: {done.last}")


if __name__ == "__main__":
    main()
