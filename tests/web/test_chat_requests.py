"""Requests read field by field: what is wrong is named, what cannot be done is refused, and nothing trips the reader up."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.web.asking import HELLO, app_of, ask, error_of
from trueline.targets.wrappers import Scripted
from trueline.web.chat_requests import READ, read_request

IMAGE = [{"type": "image_url", "image_url": {"url": "data:,"}}]
BAD = {  # fields -> the field that is named, and what is said of it
    "no messages": ({"messages": None}, "messages", ["a list of messages", "got nothing"]),
    "messages of text": ({"messages": "hello"}, "messages", ["a list of messages", "'hello'"]),
    "no message": ({"messages": []}, "messages", ["at least one message"]),
    "an unknown role": ({"messages": [{"role": "usr", "content": "a"}]}, "messages[0].role", ["'usr'", "did you mean 'user'?"]),
    "no content": ({"messages": [{"role": "user"}]}, "messages[0].content", ["expected text", "got nothing"]),
    "a picture": ({"messages": [{"role": "user", "content": IMAGE}]}, "messages[0].content[0]", ["pictures", "cannot be read"]),
    "calls that are a number": ({"messages": [{"role": "assistant", "tool_calls": 5}]}, "messages", ["tool_calls"]),
    "a call without a name": (
        {"messages": [{"role": "assistant", "tool_calls": [{}]}]},
        "messages[0].tool_calls[0]",
        ["a name and arguments"],
    ),
    "no model": ({"model": None}, "model", ["expected text", "got nothing"]),
    "a temperature of text": ({"temperature": "hot"}, "temperature", ["a number from 0 to 2", "'hot'"]),
    "a temperature too high": ({"temperature": 3}, "temperature", ["a number from 0 to 2", "3"]),
    "half a token": ({"max_tokens": 1.5}, "max_tokens", ["a whole number", "1.5"]),
    "no token": ({"max_completion_tokens": 0}, "max_completion_tokens", ["a whole number from 1 to"]),
    "too many choices": ({"n": 1000}, "n", ["from 1 to 128", "1000"]),
    "a seed of text": ({"seed": "x"}, "seed", ["a whole number", "'x'"]),
    "an empty stop": ({"stop": [""]}, "stop", ["a list of at most"]),
    "a bias": ({"logit_bias": {"5": 100}}, "logit_bias", ["expected {}", "leave it out"]),
    "a penalty of text": ({"frequency_penalty": "x"}, "frequency_penalty", ["a number", "'x'"]),
    "a form": ({"response_format": {"type": "json_object"}}, "response_format", ["leave it out"]),
    "a forced tool": ({"tool_choice": "required"}, "tool_choice", ["auto or none"]),
    "a tool without a name": ({"tools": [{"type": "function"}]}, "tools[0]", ["a tool with a name"]),
    "likeliest alone": ({"top_logprobs": 2}, "top_logprobs", ["logprobs: true"]),
    "a stream of text": ({"stream": "yes"}, "stream", ["true or false", "'yes'"]),
    "a slip": ({"temprature": 1}, "temprature", ["unknown field", "did you mean 'temperature'?"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_field_is_named(case):
    """400 in OpenAI's shape, with the field, what was expected and what came; the target is not asked."""
    fields, param, says = BAD[case]
    target = Scripted(answers=("yes",))
    (response,) = ask(app_of(target), {**HELLO, **fields})
    error = error_of(response)
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert [part for part in says if part not in error["message"]] == [], error["message"]
    assert target.asked == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"5", b"\xff", b"[" * 100_000, b'{"model": "tiny", "messages": [{"role":"user","content":"\\ud800"}]}'],
)
def test_a_body_that_is_no_request_is_refused(body):
    """What is no JSON object, or no Unicode, is 400 and no failure of ours."""
    (response,) = ask(app_of(Scripted(answers=("yes",))), body)
    assert (response.status_code, error_of(response)["code"]) == (400, "invalid_json")


def test_an_unknown_model_is_not_found():
    """404 with the code that clients know, and the model that is there."""
    (response,) = ask(app_of(Scripted(answers=())), {**HELLO, "model": "other"})
    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert "'tiny'" in error["message"]


def test_neutral_settings_are_let_pass():
    """What changes nothing is no reason to refuse: neutral values, nothing at all, and any truncation of a greedy choice."""
    neutral = {"top_p": 1.0, "frequency_penalty": 0.0, "logit_bias": {}, "response_format": {"type": "text"}, "stop": None}
    assert read_request({**HELLO, **{k: v for k, v in neutral.items() if v is not None}}).temperature == 1.0
    assert read_request({**HELLO, "temperature": 0, "top_p": 0.5, "top_k": 40}).temperature == 0.0
    (response,) = ask(app_of(Scripted(answers=("yes",))), {**HELLO, **neutral})
    assert response.status_code == 200


def test_what_shapes_the_distribution_is_waived_aloud(caplog):
    """Tools that set top_p or a penalty are answered from the whole distribution, and told so; the log says it once."""
    shaping = {**HELLO, "top_p": 0.9, "frequency_penalty": 0.8, "presence_penalty": 0}
    first, second, plain = ask(app_of(Scripted(answers=("yes",) * 3)), shaping, {**shaping, "stream": True}, HELLO)
    assert first.headers["x-trueline-waived"] == second.headers["x-trueline-waived"] == "top_p, frequency_penalty"
    assert "x-trueline-waived" not in plain.headers
    said = [record.message for record in caplog.records if "whole distribution" in record.message]
    assert [line.split()[0] for line in said] == ["top_p", "frequency_penalty"]
    assert read_request({**HELLO, "temperature": 0, "top_p": 0.5, "top_k": 40}).waived == ()


def test_what_is_all_but_zero_is_greedy():
    """To divide by a temperature too small to divide by is to take the likeliest."""
    assert read_request({**HELLO, "temperature": 1e-30}).temperature == 0.0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "name", "text"]), inner),
    max_leaves=6,
)
TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool"])},
    optional={"content": JSON, "tool_calls": JSON, "tool_call_id": JSON},
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(READ), JSON, max_size=4),
    st.none() | st.lists(TURN, max_size=3),
)
def test_whatever_comes_is_answered_or_refused(fields, turns):
    """A stranger's JSON has any shape at all: it is answered, or refused with 400 or 404, and nothing breaks."""
    body = {**HELLO, **fields, **({} if turns is None else {"messages": turns})}
    (response,) = ask(app_of(Scripted(answers=("yes",) * 128)), json.dumps(body).encode())
    assert response.status_code in (200, 400, 404), response.text
    if response.status_code != 200:
        error_of(response)
