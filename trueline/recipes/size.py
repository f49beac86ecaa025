"""The size of a model, and the FLOPs and bytes that follow from it; no weights are made or read.

Counted are the matrix products (two FLOPs for each weight and token) and causal attention. Norms, softmax and the optimiser are
left out of the FLOPs: the speed of the machine is measured by the same count, so what is left out is paid for there.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from trueline.models.adapters import base_of
from trueline.models.decoder import Causal, Decoder, blank, weightless
from trueline.models.folders import model_folder
from trueline.models.policy import ModelError, tiny
from trueline.models.tokens import Codec, word_tokenizer
from trueline.recipes.pretrain import Pretrain
from trueline.targets.naming import kind_of
from trueline.world.language import vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FLOAT = 4  # bytes of a number: weights are kept in float32


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The numbers of an architecture that time and memory follow from."""

    body: int  # parameters of the layers
    embedding: int  # parameters of the embedding, and of the head where it is another matrix
    vocabulary: int
    layers: int
    width: int
    inner: int  # width of the feed-forward
    queries: int  # width of all query heads together
    keys: int  # width of all key heads together; values are as wide
    context: int  # longest row, tokens
    head_norms: bool = False  # queries and keys have norms of their own

    @classmethod
    def of(cls, model: PreTrainedModel | Decoder) -> Size:
        """Read a model's size; it may live on the meta device, without weights."""
        config, counts = model.config, {n: p.numel() for n, p in model.named_parameters()}
        embedding = sum(c for n, c in counts.items() if any(part in n for part in ("embed", "lm_head", "wte", "wpe")))
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return cls(
            body=sum(counts.values()) - embedding,
            embedding=embedding,
            vocabulary=config.vocab_size,
            layers=config.num_hidden_layers,
            width=config.hidden_size,
            inner=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
            queries=head * config.num_attention_heads,
            context=getattr(config, "max_position_embeddings", None) or sys.maxsize,
            keys=head * (getattr(config, "num_key_value_heads", None) or config.num_attention_heads),
            head_norms=any("q_norm" in name for name in counts),
        )

    @classmethod
    def llama(
        cls, *, layers: int, width: int, heads: int, inner: int, vocabulary: int, key_heads: int = 0, tied: bool = False,
        context: int = sys.maxsize,
    ) -> Size:  # fmt: skip
        """The size of a Llama with these numbers; `key_heads` of 0: as many as heads. Raises ModelError."""
        keys, numbers = key_heads or heads, (layers, width, heads, inner, vocabulary)
        if min(numbers) < 1 or width % heads or heads % keys:
            raise ModelError(
                f"layers, width, heads, inner and vocabulary: expected numbers above 0, a width that the heads divide and "
                f"heads that the key heads divide, got {', '.join(map(str, numbers))} and {keys} key heads"
            )
        k = width // heads * keys
        block = 2 * width * width + 2 * width * k + 3 * width * inner + 2 * width
        return cls(
            body=layers * block + width,
            embedding=(1 if tied else 2) * vocabulary * width,
            vocabulary=vocabulary,
            layers=layers,
            width=width,
            inner=inner,
            queries=width,
            keys=k,
            context=context,
        )

    @property
    def parameters(self) -> int:
        return self.body + self.embedding

    def forward(self, tokens: float, row: float, predicted: float) -> float:
        """FLOPs of a forward pass over `tokens` in rows of `row`, with logits for `predicted` of them."""
        attention = 2 * self.layers * self.queries * row * tokens  # half of 4 T^2: causal
        return 2 * self.body * tokens + attention + 2 * self.vocabulary * self.width * predicted

    def training(self, muon: bool, rank: int = 0) -> int:
        """Bytes of weights, gradients and moments: two moments under AdamW, one for the matrices that Muon moves.

        Under an adapter of that rank the weights stand still, and only the adapter has the rest.
        """
        return self.frozen() + FLOAT * self.adapter(rank) + self.gradient(rank) + self.moments(muon, rank)

    def gradient(self, rank: int = 0) -> int:
        """Bytes of one gradient of all that learns."""
        return FLOAT * (self.adapter(rank) if rank else self.parameters)

    def moments(self, muon: bool, rank: int = 0) -> int:
        """Bytes of the optimiser's moments: two under AdamW, one for the matrices that Muon moves."""
        each = 1 if muon else 2
        return FLOAT * (each * self.adapter(rank) if rank else each * self.body + 2 * self.embedding)

    def adapter(self, rank: int) -> int:
        """Parameters of an adapter on every linear layer of the body: `rank` for each input and each output."""
        ends = (self.width + self.queries, self.width + self.keys, self.width + self.inner)  # q and o, k and v, gate up down
        return self.layers * rank * sum(n * e for n, e in zip((2, 2, 3), ends, strict=True))

    def frozen(self) -> int:
        """Bytes of a copy that does not learn."""
        return FLOAT * self.parameters

    def kept(self, tokens: float, predicted: float, adapted: bool = False) -> float:
        """Bytes that a forward pass keeps for its backward pass: what `models.fast` saves in a layer, and the log-softmax.

        Under an adapter the layers are those of `transformers`, which keep more.
        """
        if adapted:
            return FLOAT * (self.layers * tokens * self.plain(adapted=True) + predicted * (self.vocabulary + self.width))
        attended, after = self._layer()
        last = (
            after + 2 * self.width + self.queries + self.vocabulary
        )  # from its last layer on, what is predicted goes on alone
        return FLOAT * (tokens * (self.layers * attended + (self.layers - 1) * after) + predicted * last)

    def activations(self, tokens: float, predicted: float) -> float:
        """Bytes of activations at the worst moment: all that is kept, and the gradients of one layer."""
        return self.kept(tokens, predicted) + FLOAT * tokens * sum(self._layer())

    def plain(self, adapted: bool = False) -> int:
        """Numbers that a token leaves in one layer for the backward pass in plain torch, in what is computed in.

        Two inputs of norms and what they give; q, k, v in one piece, q and k rotated, and what was gathered (q, k, v again
        where q and k are normed); gate and up, silu of the gate, and the product. A norm keeps its input alone, as on a GPU.
        Under an adapter a token goes through the layers of `transformers`.
        """
        if adapted:
            return 5 * self.width + 5 * self.queries + 6 * self.keys + 4 * self.inner
        heads = 3 * (self.queries + self.keys) + (self.queries + 2 * self.keys) * self.head_norms
        return 4 * self.width + heads + 4 * self.inner

    def passing(self, tokens: float) -> float:
        """Bytes that a forward pass without gradient uses at one time: the widest place of one layer."""
        return FLOAT * tokens * (2 * self.width + 4 * self.inner)

    def cache(self, rows: float, length: float, each: int = FLOAT) -> float:
        """Bytes of the keys and values of `rows` sequences, twice: dropping finished rows copies those that stay."""
        return 2 * each * 2 * self.layers * self.keys * rows * length

    def _layer(self) -> tuple[int, int]:
        """Numbers that a token leaves in one layer: its input, q, k, v and what it gathered; then a sum, gate and up.

        What models/fused.py and models/native.py save; plain torch saves about twice as much.
        """
        return self.width + 2 * self.queries + 2 * self.keys, self.width + 2 * self.inner


@dataclass(frozen=True, slots=True)
class Model:
    """What is known of a stage's model before it exists. A size of None is not known, and the note says why."""

    size: Size | None
    codec: Codec | None = None
    note: str = ""


def fresh(recipe: Pretrain) -> Model:
    """The new model that a pre-training makes; a tokenizer that is trained on a text does not exist yet."""
    world = recipe.text == "world"
    words = vocabulary() if world else ("<pad>", "<bos>", "<eos>", *map(str, range(recipe.vocabulary - 4)))
    tokenizer = word_tokenizer(words)
    with weightless():
        policy = tiny(tokenizer, recipe.width, recipe.layers, recipe.heads, recipe.context)
    return Model(Size.of(policy.model), policy.codec if world else None)


def model_of(reference: str, stages: Mapping[str, Model]) -> Model:
    """The model that a reference names: a stage of the plan, a folder, or hf:NAME if it has been fetched before."""
    if reference in stages:
        return stages[reference]
    if kind_of(reference) != "local":
        return Model(None, note=f"{reference} answers elsewhere")
    try:
        folder = model_folder(reference)
    except ModelError:
        raise ModelError(
            f"no model at {reference!r}: it is neither an earlier stage of this plan nor a run or a folder with config.json; "
            f"set start to one of them, or to hf:NAME"
        ) from None
    return _read(folder.removeprefix("hf:"))


@cache
def _read(source: str) -> Model:
    if base := base_of(source):
        return replace(_read(base.removeprefix("hf:")), codec=Codec.load(source))
    try:
        model = blank(Path(source), Causal) or _shape(source)
    except (OSError, ValueError, KeyError) as error:
        if Path(source).is_dir():
            raise ModelError(f"{source!r} could not be read: {str(error).strip().splitlines()[0][:200]}") from error
        return Model(None, note=f"the size of hf:{source} is not known before it is fetched")
    try:
        return Model(Size.of(model), Codec.load(source))
    except OSError:
        return Model(Size.of(model))


def _shape(source: str) -> PreTrainedModel:
    """A model without weights, of any family."""
    from transformers import AutoConfig, AutoModelForCausalLM  # takes seconds to import

    config = AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)
