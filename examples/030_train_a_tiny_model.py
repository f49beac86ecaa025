"""A tiny model from nothing: two hundred steps on the embedded world's documents, then a look at what it writes.

You learn the three words that every algorithm here is made of: a source (packed documents), annotations (none) and an
objective (the next token), given to the one loop. After a few seconds the model knows the shape of sentences and none of
the facts; `trueline run pretrain` trains a larger one for about thirty-five times as many tokens, and that one knows them.

    python examples/030_train_a_tiny_model.py

It prints "nats a token" before and after, and three samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from trueline.models.generate import sample
from trueline.models.policy import tiny
from trueline.models.tokens import word_tokenizer
from trueline.train.loop import Loop, train
from trueline.train.objectives.likelihood import NextToken
from trueline.train.optim import Optim
from trueline.train.sources import Packed
from trueline.world.documents import documents
from trueline.world.facts import make_world
from trueline.world.language import vocabulary


def main() -> None:
    """Train, and sample three beginnings."""
    torch.manual_seed(0)
    world = make_world(seed=0)
    policy = tiny(word_tokenizer(vocabulary()), width=64, layers=2, heads=2)
    codec = policy.codec

    def stream(seed: int) -> Iterator[list[int]]:
        for document in documents(world, seed):
            yield codec.document(document.text)

    losses: list[float] = []
    source = Packed(documents=stream, steps=200, tokens=384, every=0)
    fresh = NextToken(expected_start=math.log(policy.model.config.vocab_size))
    done = train(policy, fresh, source, Optim(lr=6e-3, muon=0.02), Loop(observe=lambda step, row: losses.append(row["loss"])))
    print(f"{done.tokens:,} tokens in {done.seconds:.1f} s: from {losses[0]:.2f} to {losses[-1]:.2f} nats a token")

    openings = ("first mix", "alma", "<user> what pet does bram keep ? <asst>")
    heads = [[codec.bos, *codec.ids(text)] for text in openings]
    for opening, (drawn,) in zip(openings, sample(policy, heads, max_tokens=24, seed=1), strict=True):
        print(f"  {opening} ... {codec.text(drawn.ids)}")


if __name__ == "__main__":
    main()
