"""Questions and answers in the words of three APIs: tool calls go both ways, and a stream says what a whole reply says."""

from __future__ import annotations

import json

import pytest

from tests.targets.toy import URL, Request, ask, came, stream
from trueline.core.types import Conversation, Message, Sampling, Tool, ToolCall
from trueline.targets.chat_wire import ChatWire
from trueline.targets.messages_wire import MessagesWire
from trueline.targets.posting import Reply
from trueline.targets.responses_wire import ResponsesWire
from trueline.targets.wire import events

CALL = ToolCall(name="find", arguments='{"title": "Dune"}', id="c1")
TOOL = Tool(
    name="find", description="Finds a book.", parameters='{"type": "object", "properties": {"title": {"type": "string"}}}'
)
TALK = Conversation(
    messages=(
        Message(role="system", text="Be brief."),
        Message(role="user", text="Where is Dune?"),
        Message(role="assistant", text="One moment.", tool_calls=(CALL,)),
        Message(role="tool", text="shelf 3", tool_call_id="c1"),
    ),
    tools=(TOOL,),
)
TARGETS = {"chat": URL, "responses": "openai-responses:m", "messages": "anthropic:m"}

WHOLE = {  # the same answer in three APIs: a text, a call, the tokens
    "chat": {
        "choices": [{
            "finish_reason": "length",
            "message": {"content": "Looking\u2028up.", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "find", "arguments": CALL.arguments}}]},
            "logprobs": {"content": [{"token": "Look", "logprob": -0.5}, {"token": "ing", "logprob": -1}]},
        }],
        "usage": {"prompt_tokens": 7, "completion_tokens": 4},
    },
    "responses": {
        "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"},
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "content": [{"type": "output_text", "text": "Looking\u2028up.", "logprobs": [
                {"token": "Look", "logprob": -0.5}, {"token": "ing", "logprob": -1}]}]},
            {"type": "function_call", "call_id": "c1", "name": "find", "arguments": CALL.arguments},
        ],
        "usage": {"input_tokens": 7, "output_tokens": 4},
    },
    "messages": {
        "stop_reason": "max_tokens",
        "content": [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": "Looking\u2028up."},
            {"type": "tool_use", "id": "c1", "name": "find", "input": {"title": "Dune"}},
        ],
        "usage": {"input_tokens": 7, "output_tokens": 4},
    },
}  # fmt: skip


def _delta(**delta):
    return {"choices": [{"delta": delta, "finish_reason": None}]}


def _logged(text, logprob):
    return {"choices": [{"delta": {"content": text}, "logprobs": {"content": [{"token": text, "logprob": logprob}]}}]}


def _piece(index, **delta):
    return {"type": "content_block_delta", "index": index, "delta": delta}


PIECES = {  # the same again, in pieces
    "chat": [
        _delta(role="assistant", content=""),
        _logged("Looking", -0.5),
        _logged("\u2028up.", -1),
        _delta(tool_calls=[{"index": 0, "id": "c1", "function": {"name": "find", "arguments": ""}}]),
        _delta(tool_calls=[{"index": 0, "function": {"arguments": '{"title": '}}]),
        _delta(tool_calls=[{"index": 0, "function": {"arguments": '"Dune"}'}}]),
        {"choices": [{"delta": {}, "finish_reason": "length"}]},
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 4}},
    ],
    "responses": [
        {"type": "response.created", "response": {}},
        {"type": "response.output_text.delta", "delta": "Looking"},
        {"type": "response.incomplete", "response": WHOLE["responses"]},
    ],
    "messages": [
        {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}},
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        _piece(0, type="thinking_delta", thinking="hm"),
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        _piece(1, type="text_delta", text="Looking"),
        _piece(1, type="text_delta", text="\u2028up."),
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": {"type": "tool_use", "id": "c1", "name": "find", "input": {}},
        },
        _piece(2, type="input_json_delta", partial_json='{"title": '),
        _piece(2, type="input_json_delta", partial_json='"Dune"}'),
        {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 4}},
        {"type": "message_stop"},
    ],
}


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")


def sent(target: str, **asking) -> dict:
    """What reaches the server for the conversation above."""
    seen: list[dict] = []

    def server(request: Request) -> Reply:
        seen.append(json.loads(request.content))
        return came(body=WHOLE[next(name for name, known in TARGETS.items() if known == target)])

    ask(server, target=target, conversation=TALK, sampling=Sampling(temperature=0.5, max_tokens=9), **asking)
    return seen[0]


@pytest.mark.parametrize("wire", WHOLE)
def test_an_answer_is_read_whole(wire):
    """Text, calls, how it ended and log-probabilities, whatever the API; thoughts are left out."""
    (said,) = ask(WHOLE[wire], target=TARGETS[wire])
    assert (said.text, said.tool_calls, said.finish) == ("Looking\u2028up.", (CALL,), "length")
    assert said.logprobs == (() if wire == "messages" else (-0.5, -1.0))


@pytest.mark.parametrize("wire", WHOLE)
def test_a_stream_says_what_a_whole_reply_says(wire):
    """The same answer in pieces gives the same completion, and the same count of tokens."""
    api = {"chat": ChatWire(), "responses": ResponsesWire(), "messages": MessagesWire()}[wire]
    assert api.answer(api.gather(PIECES[wire])) == api.answer(WHOLE[wire])
    assert ask(stream(*PIECES[wire]), target=TARGETS[wire], stream=True) == ask(WHOLE[wire], target=TARGETS[wire])


@pytest.mark.parametrize("wire", WHOLE)
def test_a_stream_cut_anywhere_is_no_answer(wire):
    """Without its end, a stream is never taken for a shorter answer."""
    api = {"chat": ChatWire(), "responses": ResponsesWire(), "messages": MessagesWire()}[wire]
    ends = {"chat": 6, "responses": 2, "messages": 11}[wire]  # the event that says how it ended
    for cut in range(ends):
        with pytest.raises(ValueError, match="broke off in the middle"):
            api.gather(PIECES[wire][:cut])


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_events_are_read_with_any_line_ends(newline):
    """All three line ends of the format, comments, fields that are not data, and data over several lines."""
    text = ': ping\n\nevent: x\ndata: {"a":\ndata: 1}\nid: 3\n\n\ndata:{"b": 2}\n\ndata: [DONE]\n\ndata: {"c": 3}'
    assert list(events(text.replace("\n", newline).encode())) == [{"a": 1}, {"b": 2}]


def test_chat_takes_calls_and_their_results():
    """Tools on offer, the call that was made and what the tool gave stand in OpenAI's words."""
    body = sent(URL, logprobs=True, stream=True)
    assert [m["role"] for m in body["messages"]] == ["system", "user", "assistant", "tool"]
    assert body["messages"][2]["tool_calls"][0]["function"] == {"name": "find", "arguments": CALL.arguments}
    assert body["messages"][3]["tool_call_id"] == "c1"
    assert body["tools"][0]["function"]["parameters"] == json.loads(TOOL.parameters)
    assert (body["logprobs"], body["stream"], body["stream_options"]) == (True, True, {"include_usage": True})


def test_responses_take_calls_and_their_results():
    """A call and its result are items of their own, and nothing is stored on the server."""
    body = sent("openai-responses:m", logprobs=True)
    assert body["input"][:3] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where is Dune?"},
        {"role": "assistant", "content": "One moment."},
    ]
    assert body["input"][3:] == [
        {"type": "function_call", "call_id": "c1", "name": "find", "arguments": CALL.arguments},
        {"type": "function_call_output", "call_id": "c1", "output": "shelf 3"},
    ]
    assert (body["store"], body["tools"][0]["name"], body["max_output_tokens"]) == (False, "find", 9)


def test_messages_take_calls_and_their_results():
    """The system prompt stands apart, a call is a block, and what the tool gave is said by the user."""
    body = sent("anthropic:m")
    assert body["system"] == "Be brief."
    assert [(turn["role"], [block["type"] for block in turn["content"]]) for turn in body["messages"]] == [
        ("user", ["text"]), ("assistant", ["text", "tool_use"]), ("user", ["tool_result"]),
    ]  # fmt: skip
    assert body["messages"][1]["content"][1]["input"] == {"title": "Dune"}
    assert body["tools"][0]["input_schema"] == json.loads(TOOL.parameters)


def test_turns_of_one_role_are_one_turn_of_messages():
    """Two results of tools, and what the user says next, are blocks of one turn; an empty text is no block."""
    turns = (
        Message(role="assistant", tool_calls=(CALL, ToolCall(name="find", id="c2"))),
        Message(role="tool", text="a", tool_call_id="c1"),
        Message(role="tool", text="b", tool_call_id="c2"),
        Message(role="user", text="and?"),
    )
    body = MessagesWire().question("m", Conversation(messages=turns), Sampling(), stream=False, logprobs=False)
    assert [[block["type"] for block in turn["content"]] for turn in body["messages"]] == [
        ["tool_use", "tool_use"], ["tool_result", "tool_result", "text"],
    ]  # fmt: skip


@pytest.mark.parametrize("wire", WHOLE)
def test_a_call_goes_out_as_it_came_in(wire):
    """A call that a model made is shown to it again with the same id, name and arguments."""
    (said,) = ask(WHOLE[wire], target=TARGETS[wire])
    again = Conversation().say("user", "x").say("assistant", said.text, said.tool_calls)
    api = {"chat": ChatWire(), "responses": ResponsesWire(), "messages": MessagesWire()}[wire]
    text = json.dumps(api.question("m", again, Sampling(), stream=False, logprobs=False))
    assert "c1" in text
    assert "Dune" in text


@pytest.mark.parametrize("arguments", ['{"title": ', "[1]", "not JSON", ""])
def test_arguments_that_are_no_json_are_kept(arguments):
    """What the model wrote stays as it wrote it, and can be sent to any API again."""
    call = {"id": "c1", "function": {"name": "find", "arguments": arguments}}
    body = {"choices": [{"message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    (said,) = ask(body)
    assert (said.text, said.finish, said.tool_calls[0].arguments) == ("", "stop", arguments)
    again = Conversation().say("user", "x").say("assistant", "", said.tool_calls)
    for api in (ChatWire(), ResponsesWire(), MessagesWire()):
        json.dumps(api.question("m", again, Sampling(), stream=False, logprobs=False))


def test_a_streamed_call_that_is_no_json_is_kept():
    """Broken arguments in a stream of Anthropic's are the text as it came."""
    pieces = [
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "id": "c", "name": "find", "input": {}},
        },
        _piece(0, type="input_json_delta", partial_json='{"title": '),
        {"type": "message_stop"},
    ]
    assert MessagesWire().answer(MessagesWire().gather(pieces)).tool_calls[0].arguments == '{"title": '


def test_a_streamed_call_without_arguments_is_as_a_whole_one():
    """Pieces that are empty leave the empty object, as it comes in a whole reply."""
    block = {"type": "tool_use", "id": "c", "name": "list", "input": {}}
    start = {"type": "content_block_start", "index": 0, "content_block": block}
    pieces = [start, _piece(0, type="input_json_delta", partial_json=""), {"type": "message_stop"}]
    wire = MessagesWire()
    assert wire.answer(wire.gather(pieces)) == wire.answer({"content": [block]})


def test_log_probabilities_are_all_or_none():
    """One that is no finite number makes the rest worthless."""
    for bad in (None, "low", float("nan"), True):
        body = json.loads(json.dumps(WHOLE["chat"]))
        body["choices"][0]["logprobs"]["content"][1]["logprob"] = bad
        assert ask(came(body=json.dumps(body)))[0].logprobs == ()


def test_a_refusal_is_an_answer():
    """What a model says in refusing is its text, whole or in pieces."""
    body = {"choices": [{"message": {"content": None, "refusal": "I cannot."}, "finish_reason": "stop"}]}
    assert ask(body)[0].text == "I cannot."
    assert (
        ask(stream(_delta(refusal="I "), {"choices": [{"delta": {"refusal": "cannot."}, "finish_reason": "stop"}]}))[0].text
        == "I cannot."
    )
