"""Tests of data/messages.py: the same talk is the same turns, whoever wrote it."""

import json

import pytest

from trueline.core.types import Message, Tool, ToolCall
from trueline.data.messages import (
    FieldError,
    read_completion,
    read_messages,
    read_prompt,
    read_tools,
    write_message,
    write_tool,
)

TALK = (
    Message(role="system", text="Be kind."),
    Message(role="user", text="hi"),
    Message(role="assistant", text="hello"),
)


@pytest.mark.parametrize(
    "turns",
    [
        [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
        ],
        [{"from": "system", "value": "Be kind."}, {"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}],
        [
            {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "kind."}]},
            {"role": "user", "content": "hi", "tool_calls": None, "tool_call_id": None},
            {"role": "assistant", "content": "hello", "tool_calls": []},
        ],
    ],
)
def test_the_same_talk_is_the_same_turns(turns):
    """TRL, ShareGPT and OpenAI's parts give equal messages; so does their JSON text."""
    assert read_messages(turns, "messages") == TALK
    assert read_messages(json.dumps(turns), "messages") == TALK


def test_tool_calls_come_in_two_ways():
    """OpenAI puts the call into a turn, LLaMA-Factory makes it a turn: the name and the arguments are the same."""
    call = {"name": "find", "arguments": {"q": "é"}}
    openai = [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": call}]},
        {"role": "tool", "content": "42", "tool_call_id": "c1"},
    ]
    factory = [{"from": "function_call", "value": json.dumps(call)}, {"from": "observation", "value": "42"}]
    asked, answered = read_messages(openai, "messages")
    assert asked == Message(role="assistant", tool_calls=(ToolCall(name="find", arguments='{"q": "é"}', id="c1"),))
    assert answered == Message(role="tool", text="42", tool_call_id="c1")
    asked, answered = read_messages(factory, "conversations")
    assert asked.tool_calls == (ToolCall(name="find", arguments='{"q": "é"}'),)
    assert answered == Message(role="tool", text="42")


def test_turns_and_tools_survive_writing():
    """What is written in OpenAI's form reads back equal, arguments as the model wrote them."""
    messages = (
        *TALK,
        Message(role="assistant", text="", tool_calls=(ToolCall(name="find", arguments="q = kes", id="c1"),)),
        Message(role="tool", text="42", tool_call_id="c1"),
    )
    assert read_messages([write_message(message) for message in messages], "m") == messages
    tool = Tool(name="find", description="Finds.", parameters='{"type": "object"}')
    assert read_tools([write_tool(tool)]) == (tool,)


def test_tools_come_bare_wrapped_or_as_text():
    """A tool is read from the function alone, from OpenAI's wrapper, and from JSON text; no tools are no tools."""
    bare = {"name": "find", "description": "d", "parameters": {"type": "object"}}
    expected = (Tool(name="find", description="d", parameters='{"type": "object"}'),)
    for value in ([bare], json.dumps([bare]), [{"type": "function", "function": bare}]):
        assert read_tools(value) == expected
    assert read_tools(None) == read_tools("") == read_tools("[]") == ()


def test_a_prompt_is_text_messages_or_a_dialogue():
    """Plain text is one turn of the user; HH-RLHF's text is its turns, and its open 'Assistant:' is no turn."""
    assert read_prompt("[1] hi", "prompt") == (Message(role="user", text="[1] hi"),)
    turns = (TALK[1], TALK[2], Message(role="user", text="why?"))
    assert read_prompt("\n\nHuman: hi\n\nAssistant: hello\n\nHuman: why?\n\nAssistant:", "prompt") == turns


def test_a_completion_may_repeat_its_prompt():
    """Text, a message, a list of one, and a whole conversation that begins with the prompt are the same answer."""
    answer = {"role": "assistant", "content": "hello"}
    whole = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}, answer]
    for value in ("hello", answer, [answer], whole):
        assert read_completion(value, "chosen", TALK[:2]) == TALK[2]
    with pytest.raises(FieldError, match="one assistant message after the prompt, got 'turns of user'"):
        read_completion([{"role": "user", "content": "hi"}], "chosen")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, r"field 'm': expected a list of messages, got 3 \(int\)"),
        ([], "at least one message"),
        (["hi"], r"'m\[0\]': expected a message with role and content, got 'hi'"),
        ([{"role": "usr", "content": "x"}], r"'m\[0\]\.role': .*got 'usr' \(str\); did you mean 'user'"),
        ([{"from": "gpt"}], r"'m\[0\]\.value': expected text, got nothing"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], r"m\[0\]\.content\[0\].*pictures and sound"),
        ([{"role": "tool_call", "content": "find it"}], r"m\[0\]\.content.*a tool call as JSON"),
        ([{"role": "assistant", "content": "", "tool_calls": [{"id": "c"}]}], r"tool_calls\[0\].*name and arguments"),
        ("[oops", "a list of messages, as JSON"),
    ],
)
def test_a_wrong_turn_is_named(value, words):
    """The error names the turn and the field, what was expected and what came."""
    with pytest.raises(FieldError, match=words):
        read_messages(value, "m")
