"""Each format is read into the same words: places, the conversation, calls, tools, and what no rail can read."""

import json

import pytest

from tests.guard.wires import samples
from trueline.core.types import ToolCall
from trueline.guard.wires import WireError, wire_of

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
ASKED = {CHAT: samples.CHAT, RESPONSES: samples.RESPONSES, MESSAGES: samples.MESSAGES}
SAID = {CHAT: samples.CHAT_REPLY, RESPONSES: samples.RESPONSES_REPLY, MESSAGES: samples.MESSAGES_REPLY}


def read(path, body):
    """A request, read."""
    return wire_of("POST", path).read_request(samples.written(body))


@pytest.mark.parametrize("path", ASKED)
def test_the_same_conversation_is_read_from_each_format(path):
    """Words stand in the same places, whatever the format calls them."""
    exchange = read(path, ASKED[path])
    places = {piece.text: piece.place for piece in exchange.asked}
    assert {
        text: places[text] for text in ("You help.", "Weather?", "It rains.", "And Rome?", "rain", "weather", "I look it up.")
    } == {
        "You help.": "system",
        "Weather?": "user",
        "It rains.": "assistant",
        "And Rome?": "user",
        "rain": "tool_result",
        "weather": "tool_schema",
        "I look it up.": "reasoning",
    }
    assert places["Weather of a town"] == places["a town"] == places["city"] == places["Oslo"] == "tool_schema"
    turns = [(turn.role, turn.text) for turn in exchange.conversation.messages if turn.text and turn.text != "Be brief."]
    assert turns == [
        ("system", "You help."), ("user", "Weather?"), ("tool", "rain"), ("assistant", "It rains."), ("user", "And Rome?"),
    ]  # fmt: skip
    (call,) = [call for turn in exchange.conversation.messages for call in turn.tool_calls]
    assert (call.name, json.loads(call.arguments)["city"]) == ("weather", "Oslo")
    (tool,) = exchange.tools
    assert (tool.name, tool.description, json.loads(tool.parameters)) == ("weather", "Weather of a town", samples.SCHEMA)
    assert exchange.conversation.tools == exchange.tools
    assert (exchange.model, exchange.stream) == (ASKED[path]["model"], False)
    assert read(path, ASKED[path] | {"stream": True}).stream


@pytest.mark.parametrize("path", ASKED)
def test_calls_in_the_history_are_calls(path):
    """Name and arguments of an earlier call stand in the place tool_call."""
    calls = [piece.text for piece in read(path, ASKED[path]).asked if piece.place == "tool_call"]
    assert "weather" in calls
    assert any("Oslo" in text for text in calls)


@pytest.mark.parametrize("path", SAID)
def test_the_same_reply_is_read_from_each_format(path):
    """Text, thoughts and calls of a reply have the same places and records."""
    wire = wire_of("POST", path)
    exchange = wire.read_reply(read(path, ASKED[path]), samples.written(SAID[path]))
    places = {piece.text: piece.place for piece in exchange.said}
    assert places["call me at 555"] == "assistant"
    assert places["weather"] == "tool_call"
    (call,) = exchange.calls
    assert call == ToolCall(name="weather", arguments='{"city":"Rome"}', id="toolu_2" if path == MESSAGES else "call_2")
    assert places.get("Hm.", "reasoning") == "reasoning"


def test_media_stand_in_unread():
    """Where bytes are that no rail can read is told; the address of an image on the web is read as well."""
    asked = read(CHAT, samples.CHAT)
    assert asked.unread == (
        "messages.2.content.1.image_url.url",
        "messages.2.content.2.image_url.url",
        "messages.2.content.3.input_audio.data",
    )
    assert "https://pictures.test/a.png" in [piece.text for piece in asked.asked]
    assert read(RESPONSES, samples.RESPONSES).unread == ("input.0.content.1.image_url", "input.0.content.2.file_id")
    assert read(MESSAGES, samples.MESSAGES).unread == ("messages.0.content.1.source.data",)
    assert "a document" in [piece.text for piece in read(MESSAGES, samples.MESSAGES).asked]


def test_what_the_server_remembers_is_unread():
    """Earlier turns, prompts and items that go by their id reach the model and no rail."""
    body = {
        "previous_response_id": "resp_0",
        "conversation": {"id": "conv_0"},
        "prompt": {"id": "p_0", "variables": {"x": "hello"}},
    }
    exchange = read(RESPONSES, body | {"input": [{"type": "item_reference", "id": "msg_0"}]})
    assert set(exchange.unread) == {"previous_response_id", "conversation.id", "prompt.id", "input.0.id"}
    assert ("user", "hello") in [(piece.place, piece.text) for piece in exchange.asked]


@pytest.mark.parametrize(("path", "name"), [("/v1/embeddings", "input"), ("/v1/completions", "prompt")])
def test_numbers_of_tokens_are_unread(path, name):
    """A text that comes as tokens is one that no rail can read."""
    assert read(path, {"model": "m", name: [1, 2, 3]}).unread == (name,)
    assert read(path, {"model": "m", name: [[1, 2], [3]]}).unread == (name,)
    exchange = read(path, {"model": "m", name: ["a", "b"]})
    assert exchange.unread == ()
    assert [piece.text for piece in exchange.asked if piece.place == "user"] == ["a", "b"]
    assert exchange.conversation.messages[0].text == "a\nb"


def test_long_numbers_are_read():
    """A card that stands as a number in a tool's input is a piece; counts and times of the format are none."""
    texts = [piece.text for piece in read(MESSAGES, samples.MESSAGES).asked]
    assert "4111111111111111" in texts
    wire = wire_of("POST", CHAT)
    said = wire.read_reply(read(CHAT, samples.CHAT), samples.written(samples.CHAT_REPLY)).said
    assert "1700000000" not in [piece.text for piece in said]


def test_a_response_repeats_its_request_unread():
    """What it repeats at the same place was read there; what differs is read."""
    wire = wire_of("POST", RESPONSES)
    exchange = read(RESPONSES, samples.RESPONSES)
    assert "You help." not in [piece.text for piece in wire.read_reply(exchange, samples.written(samples.RESPONSES_REPLY)).said]
    other = samples.written(samples.RESPONSES_REPLY | {"instructions": "You do harm."})
    (piece,) = [piece for piece in wire.read_reply(exchange, other).said if piece.text == "You do harm."]
    assert piece.place == "other"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MESSAGES, {"messages": [{"role": "root", "content": "x"}]}),
        (MESSAGES, {"messages": {}}),
        (MESSAGES, {"messages": [], "stream": "yes"}),
        (RESPONSES, {"input": 5}),
        (RESPONSES, {"input": [{"role": "root", "content": "x"}]}),
        (RESPONSES, {"input": [{"type": "message", "content": "x"}]}),
        (RESPONSES, {"input": ["x"]}),
        (RESPONSES, {"input": "x", "Instructions": "y"}),
        ("/v1/completions", {"prompt": "x", "n": 129}),
        ("/v1/completions", {"prompt": "x", "best_of": 0}),
    ],
)
def test_other_formats_refuse_too(path, body):
    """Unknown roles, lists that are none, flags that are none, too many choices."""
    with pytest.raises(WireError) as caught:
        read(path, body)
    assert caught.value.status == 400


def test_every_endpoint_has_one_wire_and_others_have_none():
    """Paths match exactly, methods too; names of models are names."""
    names = {CHAT: "chat", RESPONSES: "responses", MESSAGES: "messages", "/v1/messages/count_tokens": "count_tokens"}
    for path, endpoint in (names | {"/v1/embeddings": "embeddings", "/v1/completions": "completions"}).items():
        assert wire_of("POST", path).endpoint == endpoint
        assert wire_of("GET", path) is wire_of("POST", path + "/") is None
    assert wire_of("GET", "/v1/models").endpoint == wire_of("GET", "/v1/models/org/model-1.5").endpoint == "models"
    for path in (
        "/v1/models/..",
        "/v1/models/../files",
        "/v1/models/a b",
        "/v1/models/",
        "/v1/files",
        "/v1//models",
        "/v1/models/a?b",
    ):
        assert wire_of("GET", path) is None


def test_models_pass():
    """A list of models is read like any other reply, and a body beside GET is refused."""
    wire = wire_of("GET", "/v1/models")
    body = {"object": "list", "data": [{"id": "m1", "object": "model", "created": 1700000000, "owned_by": "us"}]}
    exchange = wire.read_reply(wire.read_request(b""), samples.written(body))
    assert [piece.text for piece in exchange.said] == ["m1", "us"]
    with pytest.raises(WireError):
        wire.read_request(b"{}")
