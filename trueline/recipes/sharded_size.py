"""What one process of many holds and sends when a model is trained in shards, by arithmetic alone.

    found = plan(SIZES["7b"], Sharding(sequence=4096, world=16, replicas=2))
    found.peak / GB, [(item.name, item.bytes / GB) for item in found.items]

FSDP: each of `s = world / replicas` processes keeps 1/s of every weight, gradient and moment in float32. A block is gathered in
what is computed in (c bytes a number) while it is used, the next one beside it; its gradients are summed in float32 and cut
again. Zhao et al. 2023 (2304.11277); HSDP repeats the shards in each replica. P parameters, L of them learn (all, or the
adapter's), b in a block, e in embedding, head and last norm, which are one group; P', b' and e' are a teacher's.

What is there differs, so six phases of a step are added up, and the fullest is the plan: the loss, when all activations and
logits are there; the backward pass of the first block and of the last, between which activations go and gradients come; the
sum of the embedding's gradients; sampling; and what a teacher says. Where a step has several passes, gradients are there from
the first one on.

Left out: what CUDA and NCCL keep for themselves and fragments between blocks of memory, for which `ROOM` of a GPU is left; and
what Muon holds while it makes whole matrices orthogonal, which follows from how many it takes at a time.
`benchmarks/fsdp_memory.py` holds the plan against FSDP itself, on tensors without memory.

    trueline cluster plan 7b --sequence 4096 --world 16
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from trueline.models.policy import ModelError
from trueline.models.products import CHUNK
from trueline.recipes.size import FLOAT, Model, Size, model_of

GB = 2**30
ROOM = 0.1  # share of a GPU's memory that the plan leaves free
Phase = Literal["loss", "first block", "last block", "embedding", "sampling", "teacher"]
ALWAYS: tuple[Phase, ...] = ("loss", "first block", "last block", "embedding", "sampling", "teacher")
TRAINING, BLOCKS, LATE = ALWAYS[:4], ALWAYS[1:3], ALWAYS[2:4]

# Invented, shaped like the Llama family: nobody's model.
SIZES: Mapping[str, Size] = {
    "1b": Size.llama(layers=20, width=2048, heads=16, key_heads=8, inner=5632, vocabulary=65536),
    "7b": Size.llama(layers=32, width=4096, heads=32, key_heads=8, inner=12288, vocabulary=65536),
    "70b": Size.llama(layers=80, width=8192, heads=64, key_heads=8, inner=28672, vocabulary=65536),
}


@dataclass(frozen=True, kw_only=True)
class Sharding:
    """How a model is trained. Raises ModelError for numbers that do not go together."""

    sequence: int  # tokens of a row
    micro_rows: int = 1  # rows of one forward pass, in each process
    passes: int = 1  # forward and backward passes of a step
    world: int = 1  # processes
    replicas: int = 1  # copies of the shards (HSDP); each is held by world / replicas processes
    compute: int = 2  # bytes of a number that is computed with: 2 is bfloat16, 4 float32
    rank: int = 0  # of an adapter; 0: all weights learn
    recompute: bool = False  # a block's activations are made again for its backward pass
    muon: bool = False  # Muon moves hidden matrices, with one moment; AdamW has two
    reference: bool = False  # a frozen copy of the start; under an adapter too it is sharded beside the base (train/team.py)
    reward: bool = False  # a frozen reward model of the same size
    teacher: Size | None = None  # a frozen model, of whose distributions the student learns the likeliest tokens (distil top=K)
    rollouts: int = 0  # rows that each process samples at one time, from a whole copy of the policy; 0: none here

    def __post_init__(self) -> None:
        numbers = {"sequence": 2, "micro_rows": 1, "passes": 1, "world": 1, "replicas": 1, "rank": 0, "rollouts": 0}
        for name, least in numbers.items():
            if getattr(self, name) < least:
                raise ModelError(f"{name}: expected {least} or more, got {getattr(self, name)}")
        if self.world % self.replicas:
            raise ModelError(f"replicas: {self.world} processes cannot be cut into {self.replicas} equal copies")

    @property
    def shards(self) -> int:
        """Processes that a copy of the weights is cut among."""
        return self.world // self.replicas

    @property
    def tokens(self) -> int:
        """Tokens of one forward pass of one process."""
        return self.micro_rows * self.sequence


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a process holds on its device, and in which phases of a step."""

    name: str
    bytes: float
    how: str  # the formula
    when: tuple[Phase, ...] = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one process holds and sends, and what a token costs."""

    items: Sequence[Item]
    host: float  # bytes of main memory on the first process's machine: the whole model, to be saved, and a whole teacher
    checkpoint: float  # bytes on disk: what learns, and its moments
    flops: float  # of training, a token: the count that MFU is defined by
    sent: float  # bytes that each process sends in a step
    tokens: int  # of a step, all processes together

    def at(self, phase: Phase) -> float:
        """Bytes on the device in one phase of a step."""
        return sum(item.bytes for item in self.items if phase in item.when)

    @property
    def fullest(self) -> Phase:
        """The phase in which most is held."""
        return max(ALWAYS, key=self.at)

    @property
    def peak(self) -> float:
        """The most bytes that a process holds on its device at one time."""
        return self.at(self.fullest)

    def fits(self, memory: float) -> bool:
        """Whether a device of so many bytes holds it, with ROOM to spare."""
        return self.peak <= (1 - ROOM) * memory

    def speed(self, world: int, flops: float, mfu: float) -> float:
        """Tokens a second of `world` devices of so many FLOP/s at a share `mfu` of it; Chowdhery et al. 2022, appendix B."""
        return world * flops * mfu / self.flops


def named(model: str) -> Size:
    """The size of a model: one of SIZES, a folder, or hf:NAME if it has been fetched before. Raises ModelError."""
    found = Model(SIZES[model]) if model in SIZES else model_of(model, {})
    if found.size is None:
        raise ModelError(found.note)
    return found.size


def plan(size: Size, asked: Sharding) -> Plan:
    """The plan of a model's training. Raises ModelError for a row longer than the model's context."""
    room = min(size.context, asked.teacher.context if asked.teacher else size.context)
    if asked.sequence > room:
        raise ModelError(f"sequence: this model reads at most {room} tokens, got {asked.sequence}")
    learned = size.gradient(asked.rank)
    return Plan(
        items=[item for item in _items(size, asked) if item.bytes],
        host=size.frozen() + (asked.teacher.frozen() if asked.teacher else 0),
        checkpoint=learned + size.moments(asked.muon, asked.rank),
        flops=_flops(size, asked),
        sent=sent(size, asked),
        tokens=asked.passes * asked.tokens * asked.world,
    )


def worlds(size: Size, asked: Sharding, memory: float, most: int = 1024) -> list[tuple[int, Plan]]:
    """Plans at 1, 2, 4 ... shards, up to the second that fits a device of so many bytes; one replica, all else as asked."""
    found: list[tuple[int, Plan]] = []
    world = 1
    while world <= most and sum(made.fits(memory) for _, made in found) < 2:
        found.append((world, plan(size, replace(asked, world=world, replicas=1))))
        world *= 2
    return found


def sent(size: Size, asked: Sharding) -> float:
    """Bytes that a process sends in a step.

    Gathering n bytes among s processes, or summing them in shards, each sends n (s - 1) / s. In a pass blocks are gathered
    twice, the group of embedding and head once, and all of a teacher once; gradients are summed in float32, among R replicas
    by 2 (R - 1) / R of a shard.
    """
    s, replicas = asked.shards, asked.replicas
    gathered = asked.compute * (2 * (size.body - size.width) + _root(size)) * (s - 1) / s
    gathered += asked.compute * (asked.teacher.parameters if asked.teacher else 0) * (s - 1) / s
    learned = size.gradient(asked.rank)
    return asked.passes * (gathered + learned * (s - 1) / s + 2 * learned / s * (replicas - 1) / replicas)


def _items(size: Size, asked: Sharding) -> list[Item]:
    """All that is held, also what comes to nothing."""
    s, c, tokens = asked.shards, asked.compute, asked.tokens
    block, root, head = (size.body - size.width) / size.layers, _root(size), size.vocabulary * size.width
    learned, summed = (size.adapter(asked.rank) / size.layers, 0) if asked.rank else (block, root)
    copies, samples = asked.reward + asked.reference, bool(asked.rollouts)
    layer = c * tokens * size.plain(bool(asked.rank))
    kept = c * tokens * size.layers * size.width if asked.recompute else size.layers * layer
    logits, logits_words = _logits(size, asked)
    a = "5 width + 5 q + 6 k + 4 inner" if asked.rank else "4 width + 3 q + 3 k + 4 inner"
    a += " + q + 2 k" if size.head_norms and not asked.rank else ""
    return [
        Item("weights", (size.frozen() + FLOAT * size.adapter(asked.rank)) / s, "4 P / s"),
        Item("moments", size.moments(asked.muon, asked.rank) / s, "8 L / s; 4 where Muon moves"),
        Item("frozen models", copies * size.frozen() / s, "4 P / s each"),
        Item("sampler's copy", size.frozen() * samples, "4 P"),
        Item("its blocks, as computed with", c * (size.body - size.width) * samples, "c layers b", ("sampling",)),
        Item("gradients", size.gradient(asked.rank) / s, "4 L / s", TRAINING if asked.passes > 1 else LATE),
        Item("embedding and head, gathered", c * root, "c e", ALWAYS[:3]),
        Item("the head's gradient", c * min(summed, head), "c words width", ALWAYS[1:4]),
        Item("the embedding's beside it", c * (summed - min(summed, head)), "c e - c words width", ("embedding",)),
        Item("both, being summed", FLOAT * summed, "4 e", ("embedding",)),
        Item("two blocks, gathered", 2 * c * block, "2 c b", BLOCKS),
        Item("a block's gradients", c * learned, "c b", BLOCKS),
        Item("another's, being summed", FLOAT * learned, "4 b", ("last block",)),
        Item("activations", kept, "c tokens layers " + ("width" if asked.recompute else f"({a})"), ALWAYS[:2]),
        Item("a block's, made again", layer * asked.recompute, f"c tokens ({a})", BLOCKS),
        Item("their gradients", c * tokens * (3 * size.inner + 2 * size.width), "c tokens (3 inner + 2 width)", BLOCKS),
        Item("last states", c * tokens * size.width, "c tokens width", ("loss",)),
        Item("logits", logits, logits_words, ("loss",)),
        Item("keys and values", size.cache(asked.rollouts, asked.sequence, c), "4 c layers k rows tokens", ("sampling",)),
        *_of_teacher(asked),
    ]


def _of_teacher(asked: Sharding) -> list[Item]:
    """What a teacher is held as, and what is there while it reads: no gradient, so of its activations those of a block."""
    if asked.teacher is None:
        return []
    size, c, tokens, when = asked.teacher, asked.compute, asked.tokens, ("teacher",)
    logits = FLOAT * size.vocabulary * (tokens + max(tokens, 2 * min(tokens, CHUNK)))
    return [
        Item("teacher", size.frozen() / asked.shards, "4 P' / s"),
        Item("its embedding and head, gathered", c * _root(size), "c e'", when),
        Item("two of its blocks, gathered", 2 * c * (size.body - size.width) / size.layers, "2 c b'", when),
        Item("its activations", c * tokens * (3 * size.inner + 2 * size.width), "c tokens (3 inner' + 2 width')", when),
        Item("its logits", logits, f"4 words' (tokens + max(tokens, 2 min(tokens, {CHUNK})))", when),
    ]


def _root(size: Size) -> int:
    """Parameters of embedding, head and last norm."""
    return size.embedding + size.width


def _logits(size: Size, asked: Sharding) -> tuple[float, str]:
    """Bytes of logits at the loss, and their formula.

    Those of a chunk, and what they add to the head, are there until the next chunk's are. Against a teacher's distribution all
    are there, with their gradients, and four times a chunk's (objectives/distil.py).
    """
    c, tokens, chunk = asked.compute, asked.tokens, min(asked.tokens, CHUNK)
    if asked.teacher is not None:
        return FLOAT * size.vocabulary * (2 * tokens + 4 * chunk), f"4 words (2 tokens + 4 min(tokens, {CHUNK}))"
    chunks, head = 1 if tokens <= CHUNK else 2, 0 if asked.rank else c * size.vocabulary * size.width
    each = f"(c + 4) words min(tokens, {CHUNK})" + ("" if asked.rank else " + c words width")
    return chunks * ((c + FLOAT) * chunk * size.vocabulary + head), each if chunks == 1 else f"{chunks} ({each})"


def _flops(size: Size, asked: Sharding) -> float:
    """Of a token: three forward passes; weights that stand still have no gradient, and save one but for attention; a teacher's.

    What `recompute` makes again is not counted, as MFU has it.
    """
    once, attention = size.forward(1, asked.sequence, 1), size.forward(1, asked.sequence, 0) - size.forward(1, 0, 0)
    said = asked.teacher.forward(1, asked.sequence, 1) if asked.teacher else 0
    return said + (2 * once + attention if asked.rank else 3 * once)
