"""The .onnx file of a transformer of a given size, written and read without any library for it.

A file is the protocol buffer of `onnx.proto3` (github.com/onnx/onnx, ModelProto) with the graph of graph.py and the weights in
it, in one order, so that there is one file for given weights. Reading is writing again: the weights are taken from where they
must lie, and all else must be what this module writes around them, byte for byte. So no operator, no reference to another file
and no code is ever taken from a file.

    data = onnx_bytes(size, weights)
    weights = weights_in(size, data)      # ValueError for any other graph than that of this size
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from trueline.guard.learned.graph import OPSET, Kind, Node, Size, Value, constants, nodes, tensors

Weights = Mapping[str, NDArray[np.generic]]
KINDS: Mapping[Kind, tuple[int, str]] = {"float32": (1, "<f4"), "int8": (3, "<i1"), "int64": (7, "<i8")}  # TensorProto.DataType
IR_VERSION = 8
INT, INTS = 2, 7  # AttributeProto.AttributeType


def onnx_bytes(size: Size, weights: Weights) -> bytes:
    """The file of these weights. Raises ValueError where one is missing or has another shape."""
    parts = []
    for part in _parts(size):
        if isinstance(part, bytes):
            parts.append(part)
            continue
        kind, shape = tensors(size)[part]
        found = weights.get(part)
        if found is None or found.shape != shape or found.dtype != np.dtype(kind):
            got = "nothing" if found is None else f"{found.dtype} {found.shape}"
            raise ValueError(f"{part}: expected {kind} {shape}, got {got}")
        parts.append(found.astype(KINDS[kind][1]).tobytes())
    return b"".join(parts)


def weights_in(size: Size, data: bytes) -> dict[str, NDArray[np.generic]]:
    """The weights of a file. Raises ValueError where it is not what `onnx_bytes` writes for this size."""
    found, at = {}, 0
    for part in _parts(size):
        if isinstance(part, bytes):
            if not data.startswith(part, at):
                raise ValueError(f"expected the graph of {size}, found something else near byte {at:,}")
            at += len(part)
            continue
        kind, shape = tensors(size)[part]
        length = _bytes_of(kind, shape)
        if at + length > len(data):
            raise ValueError(f"expected {length:,} bytes of {part} at byte {at:,}, found {len(data) - at:,}")
        found[part] = np.frombuffer(data, KINDS[kind][1], length // np.dtype(kind).itemsize, at).reshape(shape)
        at += length
    if at != len(data):
        raise ValueError(f"expected {at:,} bytes, found {len(data):,}")
    return found


def file_size(size: Size) -> int:
    """Bytes of the file of any weights of this size."""
    return sum(len(part) if isinstance(part, bytes) else _bytes_of(*tensors(size)[part]) for part in _parts(size))


def _parts(size: Size) -> Iterator[bytes | str]:
    """The file from its beginning: what always stands there, and the names of weights."""
    graph: list[bytes | str] = [*(_field(1, _node(node)) for node in nodes(size)), _text(2, "trueline")]
    for name, (kind, shape, values) in constants(size).items():
        raw = np.array(values, KINDS[kind][1]).tobytes()
        graph.append(_field(5, _tensor_head(name, kind, shape) + _field(9, raw)))
    for name, (kind, shape) in tensors(size).items():
        length = _bytes_of(kind, shape)
        head = _tensor_head(name, kind, shape) + _tag(9, 2) + _varint(length)
        graph += [_tag(5, 2) + _varint(len(head) + length) + head, name]
    graph += [_field(11, _value("rows", "int64", ("words", "columns"))), _field(12, _value("out", "float32", (1,)))]
    total = sum(len(part) if isinstance(part, bytes) else _bytes_of(*tensors(size)[part]) for part in graph)
    yield _number(1, IR_VERSION) + _text(2, "trueline") + _field(8, _text(1, "") + _number(2, OPSET))
    yield _tag(7, 2) + _varint(total)
    yield from graph


def _node(node: Node) -> bytes:
    inputs, outputs = (b"".join(_text(field, name) for name in names) for field, names in ((1, node.inputs), (2, node.outputs)))
    settings = b"".join(_field(5, _attribute(name, value)) for name, value in sorted(node.settings.items()))
    return inputs + outputs + _text(3, node.outputs[0]) + _text(4, node.op) + settings


def _attribute(name: str, value: Value) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, INT)
    return _text(1, name) + b"".join(_number(8, one) for one in value) + _number(20, INTS)


def _tensor_head(name: str, kind: Kind, shape: tuple[int, ...]) -> bytes:
    return b"".join(_number(1, one) for one in shape) + _number(2, KINDS[kind][0]) + _text(8, name)


def _value(name: str, kind: Kind, shape: tuple[int | str, ...]) -> bytes:
    """A ValueInfoProto: the name, the kind, and each axis as a length or the name of one."""
    axes = b"".join(_field(1, _number(1, one) if isinstance(one, int) else _text(2, one)) for one in shape)
    return _text(1, name) + _field(2, _field(1, _number(1, KINDS[kind][0]) + _field(2, axes)))


def _bytes_of(kind: Kind, shape: tuple[int, ...]) -> int:
    return int(np.prod(shape)) * np.dtype(kind).itemsize


def _tag(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _field(field: int, data: bytes) -> bytes:
    return _tag(field, 2) + _varint(len(data)) + data


def _text(field: int, text: str) -> bytes:
    return _field(field, text.encode())


def _number(field: int, value: int) -> bytes:
    return _tag(field, 0) + _varint(value)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; a negative number as its 64 bits (protobuf.dev/programming-guides/encoding)."""
    value &= 2**64 - 1
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
