"""The .onnx file: read as it was written, and nothing else is read."""

from __future__ import annotations

import numpy as np
import pytest

from trueline.guard.learned.graph import Size, nodes, tensors
from trueline.guard.learned.onnx_file import file_size, onnx_bytes, weights_in

SIZE = Size(buckets=40, width=8, layers=1, heads=2, places=9, pools=2)


def _weights(size=SIZE):
    rng = np.random.Generator(np.random.PCG64(1))
    return {name: (20 * rng.normal(size=shape)).astype(kind) for name, (kind, shape) in tensors(size).items()}


def test_weights_are_read_as_they_were_written():
    """Each by its name, and the file is as long as its size says."""
    data = onnx_bytes(SIZE, _weights())
    assert len(data) == file_size(SIZE)
    found = weights_in(SIZE, data)
    assert found.keys() == _weights().keys()
    for name, one in _weights().items():
        assert (found[name] == one).all()


def test_all_but_the_weights_stands_there_in_one_way_only():
    """A file with any other byte outside of its weights is refused: no operator, and no name of another file, is read."""
    data = onnx_bytes(SIZE, _weights())
    zeros = onnx_bytes(SIZE, {name: np.zeros_like(one) for name, one in _weights().items()})
    ones = onnx_bytes(SIZE, {name: np.full_like(one, 1.1 if one.dtype.kind == "f" else 85) for name, one in _weights().items()})
    fixed = [at for at, (a, b, c) in enumerate(zip(data, zeros, ones, strict=True)) if a == b == c]
    assert len(fixed) > 2_000
    for at in fixed[::7]:
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(ValueError, match="expected the graph"):
            weights_in(SIZE, bytes(changed))


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data + b"\0", lambda data: b"", lambda data: data[:900]]
)
def test_a_file_of_another_length_is_refused(change):
    """Cut off, or with something behind."""
    with pytest.raises(ValueError, match="expected"):
        weights_in(SIZE, change(onnx_bytes(SIZE, _weights())))


def test_the_graph_of_another_size_is_refused():
    """The size is said in rail.json, and the file must be of it."""
    other = Size(buckets=40, width=8, layers=2, heads=2, places=9, pools=2)
    with pytest.raises(ValueError, match="expected"):
        weights_in(SIZE, onnx_bytes(other, _weights(other)))


@pytest.mark.parametrize("given", [{"width": 9}, {"layers": 0}, {"layers": True}, {"buckets": 2**30}, {"heads": "2"}])
def test_a_size_that_makes_no_sense_is_refused(given):
    """Before anything is made of it."""
    with pytest.raises(ValueError, match=next(iter(given))):
        Size(**{"buckets": 40, "width": 8, "layers": 1, "heads": 2, "places": 9, **given})


def test_every_operator_reads_what_was_written_before_it():
    """The graph is in order, and the score is written last."""
    known = {"rows", "zero", "axis1", "epsilon", "cool", "by_head", "joined", "one_row", "flat", *tensors(SIZE)}
    for node in nodes(SIZE):
        assert set(node.inputs) <= known
        assert not set(node.outputs) & known
        known |= set(node.outputs)
    assert nodes(SIZE)[-1].outputs == ("out",)


def test_weights_of_another_shape_are_not_written():
    """The name, what was expected and what came."""
    with pytest.raises(ValueError, match="score: expected float32"):
        onnx_bytes(SIZE, {**_weights(), "score": np.zeros((3, 1), np.float32)})
