"""The small transformer as a graph of ONNX operators: which tensors it has, and what is done with them, as plain data.

One input, `rows` (T, C): the buckets of each word and of its place (words.py). One output, `out` (1,): the score. Blocks take
their products with weights in whole numbers: weights of 7 bits, one scale a column, and what they are multiplied with in 8
bits, one scale for the window (DynamicQuantizeLinear). 7 bits, since two products of 8 by 8 do not fit the 16 bits in which
processors without VNNI add them up: so the sums are exact on every machine. Norms, softmax, gates and the head are float32.

    size = Size(buckets=32_769, width=64, layers=2, heads=4, places=129)
    tensors(size)["layer0.query"]     # ("int8", (64, 64))
    nodes(size)[0]                    # Node(op="Gather", inputs=("embed", "rows"), output="gathered", ...)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

OPSET = 17
EPSILON = 1e-6  # under the root of a norm
Kind = str  # float32, int8, int64
Value = int | tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Size:
    """Of a transformer over rows of buckets. Raises ValueError where it makes no sense, or is no small one."""

    buckets: int  # of words and their parts; bucket 0 is nothing
    width: int
    layers: int
    heads: int
    places: int  # rows of the longest window, the first of which is empty
    pools: int = 4  # weighted means over the words, that the score is read off

    def __post_init__(self) -> None:
        for name, most in {"buckets": 2**20, "width": 512, "layers": 12, "heads": 64, "places": 4_096, "pools": 64}.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                raise ValueError(f"{name}: expected a whole number from 1 to {most:,}, got {value!r}")
        if self.width % self.heads:
            raise ValueError(f"width: expected a multiple of heads {self.heads}, got {self.width}")

    @property
    def inner(self) -> int:
        """Width of the feed-forward part."""
        return 2 * self.width


class Tensor(NamedTuple):
    """The kind and shape of a weight."""

    kind: Kind
    shape: tuple[int, ...]


class Node(NamedTuple):
    """One operator."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Mapping[str, Value] = {}


def matrices(size: Size) -> dict[str, tuple[int, int]]:
    """The matrices whose products are in whole numbers, each (in, out)."""
    wide, inner = size.width, size.inner
    shapes = {"query": (wide, wide), "key": (wide, wide), "value": (wide, wide), "out": (wide, wide)}
    shapes |= {"gate": (wide, inner), "down": (inner, wide)}
    return {f"layer{i}.{name}": shape for i in range(size.layers) for name, shape in shapes.items()}


def norms(size: Size) -> list[str]:
    """The gains of norms, each (width,)."""
    return [*(f"layer{i}.{name}" for i in range(size.layers) for name in ("norm_in", "norm_on")), "norm_out"]


def tensors(size: Size) -> dict[str, Tensor]:
    """Every weight of the file, in its order."""
    count = size.buckets + size.places
    found = {"embed": Tensor("int8", (count, size.width)), "embed.scale": Tensor("float32", (count, 1))}
    for name, shape in matrices(size).items():
        found |= {name: Tensor("int8", shape), f"{name}.scale": Tensor("float32", shape[1:])}
    found |= {name: Tensor("float32", (size.width,)) for name in norms(size)}
    found |= {"pool": Tensor("float32", (size.width, size.pools)), "score": Tensor("float32", (size.pools * size.width, 1))}
    return found | {"score.bias": Tensor("float32", (1,))}


def constants(size: Size) -> dict[str, tuple[Kind, tuple[int, ...], tuple[float, ...]]]:
    """Numbers that no training changes: kind, shape, values."""
    heads, each = size.heads, size.width // size.heads
    return {
        "zero": ("int8", (), (0,)),
        "axis1": ("int64", (1,), (1,)),
        "epsilon": ("float32", (), (EPSILON,)),
        "cool": ("float32", (), (each**-0.5,)),
        "by_head": ("int64", (3,), (-1, heads, each)),
        "joined": ("int64", (2,), (-1, size.width)),
        "one_row": ("int64", (2,), (1, size.pools * size.width)),
        "flat": ("int64", (1,), (1,)),
    }


def nodes(size: Size) -> list[Node]:
    """The operators, each after what it reads."""
    made = [
        Node("Gather", ("embed", "rows"), ("gathered",)),  # (T, C, D)
        Node("Cast", ("gathered",), ("gathered.f",), {"to": 1}),
        Node("Gather", ("embed.scale", "rows"), ("gathered.scale",)),
        Node("Mul", ("gathered.f", "gathered.scale"), ("parts",)),
        Node("ReduceSum", ("parts", "axis1"), ("x",), {"keepdims": 0}),  # (T, D)
    ]
    state = "x"
    for i in range(size.layers):
        more, state = _layer(f"layer{i}", state)
        made += more
    made += _norm("norm_out", state, "h")
    made += [
        Node("MatMul", ("h", "pool"), ("pool.odds",)),  # (T, P)
        Node("Transpose", ("pool.odds",), ("pool.across",), {"perm": (1, 0)}),
        Node("Softmax", ("pool.across",), ("pool.shares",), {"axis": -1}),
        Node("MatMul", ("pool.shares", "h"), ("pooled",)),  # (P, D)
        Node("Reshape", ("pooled", "one_row"), ("pooled.row",)),
        Node("MatMul", ("pooled.row", "score"), ("score.odds",)),
        Node("Add", ("score.odds", "score.bias"), ("score.sum",)),
        Node("Reshape", ("score.sum", "flat"), ("out",)),
    ]
    return made


def _layer(name: str, state: str) -> tuple[list[Node], str]:
    read, on, end = f"{name}.read", f"{name}.on", f"{name}.end"
    made = [*_norm(f"{name}.norm_in", state, read), *_whole(read)]
    for part, order in (("query", (1, 0, 2)), ("key", (1, 2, 0)), ("value", (1, 0, 2))):
        own = f"{name}.{part}"
        made += _product(own, read)
        made += [
            Node("Reshape", (f"{own}.y", "by_head"), (f"{own}.split",)),
            Node("Transpose", (f"{own}.split",), (f"{own}.heads",), {"perm": order}),
        ]
    made += [
        Node("MatMul", (f"{name}.query.heads", f"{name}.key.heads"), (f"{name}.odds",)),  # (H, T, T)
        Node("Mul", (f"{name}.odds", "cool"), (f"{name}.cooled",)),
        Node("Softmax", (f"{name}.cooled",), (f"{name}.shares",), {"axis": -1}),
        Node("MatMul", (f"{name}.shares", f"{name}.value.heads"), (f"{name}.seen",)),
        Node("Transpose", (f"{name}.seen",), (f"{name}.seen.rows",), {"perm": (1, 0, 2)}),
        Node("Reshape", (f"{name}.seen.rows", "joined"), (f"{name}.seen.joined",)),
        *_whole(f"{name}.seen.joined"),
        *_product(f"{name}.out", f"{name}.seen.joined"),
        Node("Add", (state, f"{name}.out.y"), (on,)),
        *_norm(f"{name}.norm_on", on, f"{name}.thought"),
        *_whole(f"{name}.thought"),
        *_product(f"{name}.gate", f"{name}.thought"),
        Node("Sigmoid", (f"{name}.gate.y",), (f"{name}.open",)),
        Node("Mul", (f"{name}.gate.y", f"{name}.open"), (f"{name}.inner",)),  # SiLU
        *_whole(f"{name}.inner"),
        *_product(f"{name}.down", f"{name}.inner"),
        Node("Add", (on, f"{name}.down.y"), (end,)),
    ]
    return made, end


def _norm(gain: str, read: str, written: str) -> list[Node]:
    """Root mean square (Zhang and Sennrich 2019, 1910.07467, eq. 4)."""
    return [
        Node("Mul", (read, read), (f"{gain}.square",)),
        Node("ReduceMean", (f"{gain}.square",), (f"{gain}.mean",), {"axes": (-1,), "keepdims": 1}),
        Node("Add", (f"{gain}.mean", "epsilon"), (f"{gain}.above",)),
        Node("Sqrt", (f"{gain}.above",), (f"{gain}.root",)),
        Node("Div", (read, f"{gain}.root"), (f"{gain}.unit",)),
        Node("Mul", (f"{gain}.unit", gain), (written,)),
    ]


def _whole(read: str) -> list[Node]:
    """What products are taken of, in whole numbers of 8 bits."""
    return [Node("DynamicQuantizeLinear", (read,), (f"{read}.q", f"{read}.step", f"{read}.zero"))]


def _product(matrix: str, read: str) -> list[Node]:
    return [
        Node("MatMulInteger", (f"{read}.q", matrix, f"{read}.zero", "zero"), (f"{matrix}.sum",)),
        Node("Cast", (f"{matrix}.sum",), (f"{matrix}.f",), {"to": 1}),
        Node("Mul", (f"{matrix}.scale", f"{read}.step"), (f"{matrix}.both",)),
        Node("Mul", (f"{matrix}.f", f"{matrix}.both"), (f"{matrix}.y",)),
    ]
