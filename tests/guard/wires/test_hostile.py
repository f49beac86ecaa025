"""Whatever comes, from a client or an upstream, is read or refused: nothing else is raised, and nothing passes unread."""

import copy
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guard.wires import samples
from trueline.guard.wires import WireError, wire_of

NAMES = st.sampled_from(
    [
        "role", "content", "type", "text", "index", "delta", "tool_calls", "function", "name", "id", "choices", "message",
        "item", "part", "response", "output", "output_index", "content_index", "content_block", "usage", "input", "source",
        "image_url", "finish_reason", "error", "x",
    ]
)  # fmt: skip
VALUES = st.recursive(
    st.sampled_from(
        [None, True, 0, -1, 5, 1.5, 10**7, "", "x", "user", "message", "message_start", "error", "tool_result", "url"]
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
REQUESTS = {
    "/v1/chat/completions": samples.CHAT,
    "/v1/responses": samples.RESPONSES,
    "/v1/messages": samples.MESSAGES,
    "/v1/embeddings": samples.EMBEDDINGS,
    "/v1/completions": samples.COMPLETIONS,
}
REPLIES = {
    "/v1/chat/completions": samples.CHAT_REPLY,
    "/v1/responses": samples.RESPONSES_REPLY,
    "/v1/messages": samples.MESSAGES_REPLY,
    "/v1/embeddings": samples.EMBEDDINGS_REPLY,
    "/v1/completions": samples.COMPLETIONS_REPLY,
}
STREAMS = {
    "/v1/chat/completions": samples.chat_stream(["a", "b"], ["{", "}"]),
    "/v1/responses": samples.responses_stream(["a", "b"], ["{", "}"]),
    "/v1/messages": samples.messages_stream(["a", "b"], ["{", "}"]),
}


def changed(data, tree):
    """A tree in which something at some depth is another thing, or missing."""
    tree = copy.deepcopy(tree)
    node = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return tree
        key = data.draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and data.draw(st.integers(0, 3)):
            node = node[key]
            continue
        if isinstance(node, dict) and data.draw(st.booleans()):
            del node[key]
        else:
            node[key] = data.draw(VALUES)
        return tree


@pytest.mark.parametrize("path", REQUESTS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_broken_body_is_read_or_refused(path, data):
    """A request or a reply with anything anywhere raises WireError or nothing, and what is read has every text in it."""
    wire = wire_of("POST", path)
    tree = changed(data, REQUESTS[path])
    with suppress(WireError):
        exchange = wire.read_request(samples.written(tree))
        assert exchange.conversation.messages is not None
        with suppress(WireError):
            wire.read_reply(exchange, samples.written(changed(data, REPLIES[path])))


@pytest.mark.parametrize("path", STREAMS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_broken_stream_is_read_or_refused(path, data):
    """An event with anything anywhere raises WireError or nothing; then too, no text leaves that was not told and released."""
    wire = wire_of("POST", path)
    lines = STREAMS[path].decode().split("\n")
    events = [number for number, line in enumerate(lines) if line.startswith("data: {")]
    number = data.draw(st.sampled_from(events))
    event = changed(data, json.loads(lines[number][6:]))
    lines[number] = "data: " + json.dumps(event)
    stream = wire.stream(wire.read_request(samples.written({"model": "m", "messages": [], "stream": True})))
    told = set()
    with suppress(WireError):
        for delta in stream.feed("\n".join(lines).encode()):
            told.add(delta.text)
            if data.draw(st.integers(0, 9)):
                stream.release(delta.path, delta.start + len(delta.text))
    sent = stream.take()
    stream.end()
    assert isinstance(stream.exchange.calls, tuple)
    assert b"event: \n" not in sent
    ending = stream.abort("Not here.") if data.draw(st.booleans()) else stream.close()
    for line in (sent + ending).split(b"\n"):
        if line.startswith(b"data: {"):
            json.loads(line[6:])
