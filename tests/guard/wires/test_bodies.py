"""What two parsers may read in two ways is refused at the rim."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.guard.wires import WireError, wire_of
from trueline.guard.wires.bodies import DEEPEST, read_object, refuse_twice
from trueline.guard.wires.shapes import ANY, walk

CHAT = wire_of("POST", "/v1/chat/completions")
NAMES = st.sampled_from(["a", "b", "a\\", 'a"', "\\", ":", '":', "é", "\u2028"])
TREES = st.recursive(
    st.one_of(st.none(), st.integers(0, 9), NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"no", b"[]", b'"text"', b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": "\\ud800"}',
        b'{"a": "\\udc00\\ud800"}', b'{"a": "\xff"}', b'{"a": "\xed\xa0\x80"}', b"\xef\xbb\xbf{}", b"{} {}", b"{'a': 1}",
        b'{"a": 1,}', b'{"a": "\n"}', b'{"a": ' * 3000, b"{", b'{"a" 1}', b"\xff\xfe{\x00}\x00",
    ],
)  # fmt: skip
def test_what_is_no_object_of_json_is_refused(body):
    """Not JSON, not an object, not UTF-8, NaN, half of a surrogate pair: each is a WireError with status 400."""
    with pytest.raises(WireError) as caught:
        CHAT.read_request(body)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages": [], "messages": []}',
        b'{"messages": [], "m\\u0065ssages": []}',
        b'{"messages": [{"role": "user", "content": "a", "role": "system"}]}',
        b'{"messages": [], "odd": {"deep": [{"x": 1 , "x"\n:\t2}]}}',
        b'{"messages": [], "odd": {"x\\\\": 1, "x\\\\": 2, "text": "a\\":b"}}',
        b'{"messages": [], "odd": {"": 1, "": 2}}',
    ],
)
def test_a_key_that_stands_twice_is_refused(body):
    """Wherever it stands, and however it is escaped or spaced: parsers differ in which of the two counts."""
    with pytest.raises(WireError, match="twice"):
        CHAT.read_request(body)


@settings(max_examples=80, deadline=None)
@given(tree=st.dictionaries(NAMES, TREES, max_size=4), ascii_only=st.booleans(), spaced=st.booleans(), twice=st.integers(0, 30))
def test_doubles_are_found_and_nothing_else(tree, ascii_only, spaced, twice):
    """Text that looks like a key is no double, and one more member of a name that is there always is one."""
    text = json.dumps(tree, ensure_ascii=ascii_only, separators=(" , ", " \n: ") if spaced else (",", ":"))
    body = text.encode()
    refuse_twice(body, walk(read_object(body), ANY["other"], "input").keys)
    opens = [at for at, letter in enumerate(text) if letter == "{" and text.count('"', 0, at) % 2 == 0 and "\\" not in text]
    if opens:
        at = opens[twice % len(opens)]
        double = (text[: at + 1] + '"z":1,"z":2' + ("," if text[at + 1 :].lstrip()[0] != "}" else "") + text[at + 1 :]).encode()
        with pytest.raises(WireError, match="twice"):
            refuse_twice(double, walk(read_object(double), ANY["other"], "input").keys)


def test_nesting_has_an_end():
    """As deep as is allowed is read, and one level more is refused without an error of recursion."""
    for levels, fine in ((DEEPEST - 2, True), (DEEPEST + 1, False), (1000, False)):
        body = b'{"messages": [], "odd": ' + b"[" * levels + b'"x"' + b"]" * levels + b"}"
        if fine:
            assert [piece.text for piece in CHAT.read_request(body).asked] == ["odd", "x"]
        else:
            with pytest.raises(WireError, match=r"nesting|JSON"):
                CHAT.read_request(body)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": "hello"}, "messages"),
        ({}, "messages"),
        ({"messages": ["hello"]}, "messages[0]"),
        ({"messages": [{"role": "root", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [], "n": 1000}, "n"),
        ({"messages": [], "n": 0}, "n"),
        ({"messages": [], "n": True}, "n"),
        ({"messages": [], "stream": "true"}, "stream"),
        ({"messages": [], "stream": 1}, "stream"),
        ({"messages": [], "model": 5}, "model"),
        ({"messages": [], "tools": {}}, "tools"),
        ({"messages": [{"role": "assistant", "tool_calls": ["x"]}]}, "tool_calls[0]"),
        ({"messages": [], "Stream": True}, "Stream"),
        ({"messages": [{"role": "user", "\u017fontent": "x", "content": "y"}]}, None),
        ({"messages": [{"role": "user", "Content": "x"}]}, "Content"),
    ],
)
def test_a_request_that_is_none_names_its_field(body, param):
    """Messages that are none, unknown roles, too many choices, flags that are no flags, names in another case."""
    if param is None:  # a letter that only looks like one of the name: a member of its own, and read
        assert "x" in [piece.text for piece in CHAT.read_request(json.dumps(body).encode()).asked]
        return
    with pytest.raises(WireError) as caught:
        CHAT.read_request(json.dumps(body).encode())
    assert (caught.value.status, caught.value.param) == (400, param)


def test_a_name_that_folds_to_a_known_one_is_refused():
    """Servers that match names without case take a long s for an s."""
    with pytest.raises(WireError, match="lower case"):
        CHAT.read_request('{"me\u017f\u017fages": [], "messages": []}'.encode())


def test_a_reply_that_is_none_is_the_upstreams_fault():
    """The same checks on a reply end with status 502."""
    exchange = CHAT.read_request(b'{"messages": []}')
    for body in (b"<html>", b"[]", b'{"id": 1, "id": 2}', b'{"choices": 5}', b'{"choices": [5]}'):
        with pytest.raises(WireError) as caught:
            CHAT.read_reply(exchange, body)
        assert caught.value.status == 502
