"""Editing is byte-exact: what an edit does not touch stays as it was written."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.guard.exchange import KEY, Edit, apply_edits
from trueline.guard.wires import edit_reply, edit_request
from trueline.guard.wires.shapes import ANY, walk
from trueline.guard.wires.spans import edit_body, find_spans

TEXTS = st.text(alphabet=st.sampled_from('ab"\\/{}[]:,é\n\u2028😀 '), max_size=8)
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False), TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=16,
)
OBJECTS = st.dictionaries(TEXTS, TREES, max_size=5)
SPACING = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n\t", " :\r\n ")])


@settings(max_examples=60, deadline=None)
@given(tree=OBJECTS, spacing=SPACING, ascii_only=st.booleans(), data=st.data())
def test_edits_land_and_all_other_bytes_stay(tree, spacing, ascii_only, data):
    """The edited body is the tree with those strings replaced, and between the literals that changed no byte differs."""
    body = json.dumps(tree, ensure_ascii=ascii_only, separators=spacing).encode()
    assert edit_request(body, []) is body
    assert edit_reply(body, []) is body
    pieces = [piece for piece in walk(tree, ANY["other"], "input").pieces if -2 not in piece.path and piece.path[-1] != KEY]
    some = st.lists(st.sampled_from(pieces or [None]), unique_by=lambda piece: piece.path, max_size=4 if pieces else 0)
    chosen = data.draw(some)
    edits = [Edit(path=piece.path, start=0, end=data.draw(st.integers(0, len(piece.text))), text="<é>") for piece in chosen]
    edited = edit_body(body, edits)
    expected = orjson.loads(body)
    for piece, edit in zip(chosen, edits, strict=True):
        node = expected
        for word in piece.path[:-1]:
            node = node[word]
        node[piece.path[-1]] = apply_edits(piece.text, [edit])
    assert orjson.loads(edited) == expected
    spans = find_spans(body, [piece.path for piece in chosen])
    at = 0
    for start, end in sorted(spans.values()):
        kept = body[at:start]
        assert edited.startswith(kept)
        edited, at = edited[len(kept) :], end
        edited = edited[literal_end(edited) :]
    assert edited == body[at:]


def literal_end(text: bytes) -> int:
    """How many bytes the JSON string is that a text begins with."""
    _, end = json.JSONDecoder().raw_decode(text.decode())
    return len(text.decode()[:end].encode())


@settings(max_examples=40, deadline=None)
@given(tree=OBJECTS, spacing=SPACING)
def test_every_path_is_found_where_it_is(tree, spacing):
    """The span of each path holds the very value that the path leads to, keys included."""
    body = json.dumps(tree, separators=spacing).encode()
    pieces = [piece for piece in walk(tree, ANY["other"], "input").pieces if -2 not in piece.path]
    for piece in pieces:
        (start, end) = find_spans(body, [piece.path])[piece.path]
        value = orjson.loads(body[start:end])
        assert (value if isinstance(value, str) else str(value)) == piece.text


def test_keys_and_numbers_can_be_edited():
    """The path of a key renames it; a number that is edited becomes text."""
    body = b'{"tool": {"secret name" :1}, "card":4111111111111111, "n": 1.50}'
    edits = [
        Edit(path=("tool", "secret name", KEY), start=0, end=6, text="[x]"),
        Edit(path=("card",), start=0, end=12, text="****"),
    ]
    assert edit_request(body, edits) == b'{"tool": {"[x] name" :1}, "card":"****1111", "n": 1.50}'


def test_an_edit_is_never_lost():
    """A path that leads nowhere is an error."""
    for path in (("b",), ("a", 0), ("a", KEY, KEY), ()):
        if path:
            with pytest.raises(KeyError):
                edit_request(b'{"a": "x"}', [Edit(path=path, start=0, end=1, text="")])


def test_finding_is_linear():
    """A body of nested lists and of many quotes is scanned in one pass: four times the size takes no more than about that."""
    import time

    def cost(size: int) -> float:
        body = b'{"a": [' + b'["\\"\\"", "x"], ' * size + b'"end"]}'
        begun = time.thread_time()
        edit_request(body, [Edit(path=("a", size), start=0, end=1, text="E")])
        return time.thread_time() - begun

    cost(500)
    assert cost(8000) < 16 * max(cost(2000), 1e-3)


def test_what_spells_an_edited_text_goes():
    """Log-probabilities and annotations beside an edited text are emptied, those beside others stay."""
    body = (
        b'{"choices": [{"message": {"content": "secret", "annotations": [{"a": 1}]},'
        b' "logprobs": {"content": [{"token": "secret"}]}},'
        b' {"message": {"content": "fine"}, "logprobs": {"content": [{"token": "fine"}]}}]}'
    )
    edited = edit_reply(body, [Edit(path=("choices", 0, "message", "content"), start=0, end=6, text="[x]")])
    assert edited == (
        b'{"choices": [{"message": {"content": "[x]", "annotations": []}, "logprobs": null},'
        b' {"message": {"content": "fine"}, "logprobs": {"content": [{"token": "fine"}]}}]}'
    )
    both = [
        Edit(path=("choices", 0, "message", "content"), start=0, end=6, text="[x]"),
        Edit(path=("choices", 0, "logprobs", "content", 0, "token"), start=0, end=6, text="[x]"),
    ]
    assert edit_reply(body, both) == edited
