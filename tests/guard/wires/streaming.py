"""The formats that stream, how a stream of each is started, and what is read from its bytes."""

import json

from tests.guard.wires import samples
from trueline.guard.wires import wire_of
from trueline.targets.chat_wire import ChatWire
from trueline.targets.messages_wire import MessagesWire
from trueline.targets.responses_wire import ResponsesWire

# Of each format: where it is asked, the bytes of its stream, who reads it, and where its text and its arguments stand.
FORMATS = {
    "chat": (
        "/v1/chat/completions", samples.chat_stream, ChatWire(), ("choices", 0, "message", "content"),
        ("choices", 0, "message", "tool_calls", 0, "function", "arguments"),
    ),
    "messages": ("/v1/messages", samples.messages_stream, MessagesWire(), ("content", 0, "text"), ("content", 1, "input")),
    "responses": (
        "/v1/responses", samples.responses_stream, ResponsesWire(), ("output", 0, "content", 0, "text"),
        ("output", 1, "arguments"),
    ),
}  # fmt: skip


def started(name, **more):
    """A stream of a format, to which nothing was said yet."""
    path = FORMATS[name][0]
    return wire_of("POST", path).stream(wire_of("POST", path).read_request(samples.written(request(name) | more)))


def request(name):
    """A small request of a format."""
    asked = [{"role": "user", "content": "hello"}]
    return {"model": "m", "stream": True, ("input" if name == "responses" else "messages"): asked}


def all_released(stream, body, edits=None):
    """What the client gets where each text is released as soon as it comes."""
    sent = b""
    for delta in stream.feed(body):
        stream.release(delta.path, delta.start + len(delta.text))
    sent = stream.take()
    for delta in stream.end():
        stream.release(delta.path, delta.start + len(delta.text))
    return sent + stream.close()


def data_lines(body):
    """The data of a stream's events, in order."""
    return [line for line in body.split(b"\n") if line.startswith(b"data: ")]


def said(name, sent):
    """What the deltas in some bytes add up to."""
    text = ""
    for line in data_lines(sent):
        event = {} if b"[DONE]" in line else json.loads(line[6:])
        if name == "chat":
            text += "".join(choice["delta"].get("content") or "" for choice in event.get("choices", ()))
        elif event.get("type") == "response.output_text.delta":
            text += event["delta"]
        elif event.get("type") == "content_block_delta":
            text += event["delta"].get("text", "")
    return text
