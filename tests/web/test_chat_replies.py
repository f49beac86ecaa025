"""Answers on the wire: whole and streamed they say the same, calls have ids, and a stop text ends them."""

from __future__ import annotations

import json

import pytest

from tests.web.asking import HELLO, app_of, ask, events
from tests.web.test_endpoint import tiny
from trueline.core.types import Completion, Conversation, Message, Prompt, ToolCall
from trueline.targets.chat_wire import ChatWire
from trueline.targets.spelling import Token
from trueline.targets.wrappers import Scripted
from trueline.web.chat_replies import Choice

CALL = ToolCall(name="look", arguments="not json", id="c1")
SAID = {
    "words": "one  two\nthree ",
    "nothing": "",
    "a separator of lines": "a\u2028b\u0085c d",
    "half a pair": "x \ud800 y",
    "a call": Message(role="assistant", text="", tool_calls=(CALL,)),
    "words and calls": Message(role="assistant", text="well then", tool_calls=(CALL, ToolCall(name="go", arguments="{}"))),
}


def completion(text: str, **more) -> Completion:
    return Completion(prompt=Prompt(conversation=Conversation()), text=text, **more)


@pytest.mark.parametrize("case", SAID)
def test_streamed_and_whole_are_the_same(case):
    """Put together by our own reader of streams, the pieces are the whole reply."""
    whole, streamed = ask(app_of(Scripted(answers=(SAID[case],) * 2)), HELLO, {**HELLO, "stream": True})
    wire = ChatWire()
    told = [wire.answer(whole.json()), wire.answer(wire.gather(events(streamed)))]
    said = SAID[case] if isinstance(SAID[case], Message) else Message(role="assistant", text=SAID[case])
    for answer in told:
        assert answer.text == said.text
        assert [(call.name, call.arguments) for call in answer.tool_calls] == [(c.name, c.arguments) for c in said.tool_calls]
        assert answer.finish == "stop"


def test_choices_are_streamed_apart():
    """Each piece says whose it is; joined by index they are the choices of the whole reply."""
    body = {**HELLO, "n": 3, "seed": 1, "max_tokens": 8, "logprobs": True}
    whole, streamed = ask(app_of(tiny()), body, {**body, "stream": True})
    joined = {0: "", 1: "", 2: ""}
    logprobs = {0: [], 1: [], 2: []}
    for piece in events(streamed):
        (choice,) = piece["choices"]
        joined[choice["index"]] += choice["delta"].get("content", "")
        logprobs[choice["index"]] += (choice["logprobs"] or {}).get("content", [])
    for choice in whole.json()["choices"]:
        assert joined[choice["index"]] == choice["message"]["content"]
        assert logprobs[choice["index"]] == choice["logprobs"]["content"]


def test_a_call_has_an_id_and_its_arguments_as_written():
    """A client needs an id to answer a call; a model that writes none gets one. Arguments are text, JSON or not."""
    said = Message(role="assistant", tool_calls=(ToolCall(name="look", arguments="vex ite"), CALL))
    (response,) = ask(app_of(Scripted(answers=(said,))), HELLO)
    (choice,) = response.json()["choices"]
    first, second = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert first["function"] == {"name": "look", "arguments": "vex ite"}
    assert first["id"].startswith("call_")
    assert second["id"] == "c1"


@pytest.mark.parametrize(
    ("stop", "text", "finish"),
    [
        (("two",), "one ", "stop"),
        (("three", "two"), "one ", "stop"),
        (("one",), "", "stop"),
        (("four",), "one two three", "length"),
        ((), "one two three", "length"),
    ],
)
def test_a_stop_text_ends_an_answer(stop, text, finish):
    """It is cut before whichever comes first, which is how it ended then."""
    choice = Choice.of(completion("one two three", finish="length"), stop, None)
    assert (choice.text, choice.finish) == (text, finish)


def test_calls_behind_a_stop_text_are_cut_too():
    """What a model says after the stop text it has not said, and it calls nothing there."""
    assert Choice.of(completion("one # two", tool_calls=(CALL,)), ("#",), None).tool_calls == ()


@pytest.mark.parametrize("stop", ["two", "o", "ee", "wo t", "none"])
def test_tokens_spell_what_is_left(stop):
    """Whatever an answer is cut to, its tokens spell it."""
    tokens = [Token(text=text, logprob=-1.0) for text in ("one", " t", "wo", "", " three")]
    choice = Choice.of(completion("one two three"), (stop,), tokens)
    assert "".join(token.text for token in choice.tokens) == choice.text


@pytest.mark.parametrize(("finish", "told"), [("stop", "stop"), ("length", "length"), ("filtered", "content_filter")])
def test_how_it_ended_is_told(finish, told):
    """In OpenAI's words."""
    assert Choice.of(completion("yes", finish=finish), (), None).finish == told


def test_what_cannot_be_is_still_json():
    """A probability of nothing is sent as a number, as OpenAI does."""
    from trueline.web.chat_replies import Head, whole

    choice = Choice.of(completion("a"), (), [Token(text="a", logprob=float("-inf"))])
    told = whole(Head(id="i", created=0, model="m"), [choice], 1)
    assert json.loads(json.dumps(told, allow_nan=False))["choices"][0]["logprobs"]["content"][0]["logprob"] == -9999.0
