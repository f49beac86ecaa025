"""Pre-training: a model from text, from nothing or from a checkpoint.

The embedded default makes a 0.89 M-parameter Qwen3 and feeds it the world's documents: small batches (about 1k tokens) and
Muon are what make four million tokens enough, and an early, long decay of the step size is what makes facts stick.
Text is measured in bits per byte, which does not depend on the tokenizer.

    trueline run pretrain
    trueline run pretrain text=stories.txt.gz vocabulary=1024 tokens=3e6
    trueline run pretrain start=MODEL_FOLDER text=stories.txt.gz
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from random import Random
from typing import Any

import torch

from trueline.core.registry import register
from trueline.core.stats import mean
from trueline.data.rows import DataError, Row, read_rows
from trueline.models.policy import Policy, tiny
from trueline.models.tokens import Codec, train_tokenizer, word_tokenizer
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.train.batch import pad_rows
from trueline.train.loop import train
from trueline.train.objectives.likelihood import NextToken
from trueline.train.optim import Optim
from trueline.train.sources import Packed
from trueline.world.documents import documents
from trueline.world.language import vocabulary


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Pretrain:
    """Next-token prediction on documents."""

    text: str = "world"  # the embedded world, or a file of text (or with a field `text`)
    start: str = ""  # a model to go on from (folder, hf:NAME); empty: a new, small one
    stream: bool = False  # text is one stream, cut every `width` tokens; otherwise blank lines divide documents
    vocabulary: int = 1024  # tokens of a new byte-level tokenizer, for text
    width: int = 128  # width of a new model; the rest of its shape follows
    layers: int = 4  # layers of a new model
    heads: int = 4  # attention heads of a new model
    context: int = 640  # longest sequence of a new model, tokens
    tokens: int = 4_000_000  # tokens to train on, in all
    batch: int = 1024  # tokens a step
    row: int = 128  # tokens a row
    long_row: int = 384  # tokens a row of every fourth step; equal to row: none
    micro_rows: int = 0  # rows per forward pass; 0: all of a step
    held_out: float = 0.05  # share of a text's documents that is kept to measure on
    optim: Optim = Optim(lr=6e-3, muon=0.02, decay=0.75)

    def __post_init__(self) -> None:
        if self.tokens < self.batch or self.batch < self.row:
            raise ValueError(f"tokens >= batch >= row is needed, got {self.tokens}, {self.batch} and {self.row}")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out is a share between 0 and 1, got {self.held_out}")

    def reads(self) -> tuple[str, ...]:
        return (self.start, "" if self.text == "world" else self.text)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        held: list[str] = []
        if self.text == "world":
            if self.start:
                raise RecipeError("the world's words need the world's own tokenizer; leave start empty, or give text=FILE")
            policy = tiny(word_tokenizer(vocabulary()), self.width, self.layers, self.heads, self.context)
            index = {word: i for i, word in enumerate(vocabulary())}

            def stream(seed: int) -> Iterator[list[int]]:
                bos, eos = index["<bos>"], index["<eos>"]
                for document in documents(studio.world, seed):
                    ids = [index[word] for word in document.text.split()]
                    yield [bos, *ids] if ids[-1] == eos else [bos, *ids, eos]
        else:
            texts = [_text_of(row) for row in read_rows(self.text)]
            kept, held = self._split(["\n\n".join(texts)] if self.stream else texts)
            policy = studio.policy(self.start) if self.start else self._fresh(kept)
            encoded = self._encode(policy.codec, kept)

            def stream(seed: int) -> Iterator[list[int]]:
                rng = Random(f"pretrain/{seed}")
                while True:
                    order = list(range(len(encoded)))
                    rng.shuffle(order)
                    yield from (encoded[i] for i in order)

        studio.ready(policy)
        size = policy.model.config.vocab_size
        before = bits_per_byte(policy, held, self.row) if held else None
        source = Packed(
            documents=stream,
            steps=self.tokens // self.batch,
            tokens=self.batch,
            width=self.row,
            long_width=self.long_row,
            every=4 if self.long_row > self.row else 0,
            pad=policy.codec.pad,
            seed=studio.seed,
        )
        studio.show.steps(room.name, len(source))
        objective = NextToken(expected_start=0.0 if self.start else math.log(size))
        done = train(policy, objective, source, self.optim, room.loop(micro_rows=self.micro_rows))
        policy.save(room.folder / "model")
        losses = [row["loss"] for row in room.curve()][-50:]
        result: dict[str, Any] = {"loss": sum(losses) / len(losses), "tokens": done.tokens, "seconds": done.seconds}
        if held:
            result |= {"bits_per_byte_before": before, "bits_per_byte": bits_per_byte(policy, held, self.row)}
        return result

    def _fresh(self, texts: list[str]) -> Policy:
        return tiny(
            train_tokenizer(texts, self.vocabulary), self.width, self.layers, self.heads, max(self.context, self.long_row + 1)
        )

    def _split(self, texts: list[str]) -> tuple[list[str], list[str]]:
        """Training and held-out text: whole documents by a fixed draw, or the end of a stream."""
        if self.stream:
            cut = int(len(texts[0]) * (1 - self.held_out))
            return [texts[0][:cut]], [texts[0][cut:]]
        rng = Random("held out")
        draws = [rng.random() < self.held_out for _ in texts]
        held = [t for t, out in zip(texts, draws, strict=True) if out]
        kept = [t for t, out in zip(texts, draws, strict=True) if not out]
        if not held or not kept:
            raise RecipeError(
                f"{self.text} has {len(texts)} documents, too few to hold {self.held_out:.0%} out; try stream=true"
            )
        return kept, held

    def _encode(self, codec: Codec, texts: list[str]) -> list[list[int]]:
        """Documents as ids; a stream is cut into rows that each begin with bos."""
        if not self.stream:
            return [codec.document(t) for t in texts]
        head = [] if codec.bos is None else [codec.bos]
        ids = list(chain.from_iterable(codec.ids(t) for t in texts))
        step = self.row - len(head)
        return [head + ids[i : i + step] for i in range(0, len(ids) - 1, step)]


def _text_of(row: Row) -> str:
    """The text of a row. Raises DataError naming the row."""
    text = row.values.get("text")
    if not isinstance(text, str):
        has = ", ".join(map(str, row.values)) or "nothing"
        raise DataError(f"{row.file}:{row.line}: field 'text': expected text, got {text!r}; the row has {has}")
    return text


@torch.no_grad()
def bits_per_byte(policy: Policy, texts: list[str], row: int) -> dict[str, float]:
    """Bits the model needs for each byte of held-out text (UTF-8), each row of `row` tokens read afresh; mean over rows, 95 %.

    A row's first token is paid for too, given bos; without a bos token it is free, and so is its share of the bytes.
    """
    codec = policy.codec
    head = [] if codec.bos is None else [codec.bos]
    rows, sizes = [], []
    for text in texts:
        ids = codec.ids(text)
        for i in range(0, len(ids), row):
            piece = ids[i : i + row]
            if len(head) + len(piece) > 1:
                rows.append(head + piece)
                sizes.append(len(codec.tokenizer.decode(piece).encode()))
    total = sum(len(t.encode()) for t in texts)
    nats: list[float] = []
    for i in range(0, len(rows), 64):
        batch = pad_rows(rows[i : i + 64], [[True] * len(r) for r in rows[i : i + 64]], codec.pad).to(policy.device)
        out = policy(batch.tokens, batch.mask, frozenset({"logp"}))
        assert out.logp is not None
        nats += (-out.logp.sum(-1)).tolist()
    scale = len(rows) / total / math.log(2)  # so that the mean over rows is total bits over total bytes
    rate = mean([n * scale for n in nats], rng=Random("bits per byte"))
    return {"value": rate.value, "n": rate.n, "low": rate.low, "high": rate.high}
