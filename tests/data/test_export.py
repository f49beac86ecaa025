"""Tests of data/export.py: what is written in TRL's formats reads back equal."""

import json

import pytest

from trueline.core.types import Completion, Conversation, Message, Preference, Prompt, Ranking, Tool, ToolCall
from trueline.data import DataError, Labelled, describe, read, write

TOOLS = (Tool(name="find", description="Finds.", parameters='{"type": "object"}'),)
TALK = Conversation(tools=TOOLS).say("system", "Be kind.").say("user", "hé?\u2028")
PROMPT = Prompt(conversation=TALK, expected="refuse", category="c", source="s", id="p1")
CALL = (ToolCall(name="find", arguments='{"q": 1}', id="c1"),)
GOOD = Completion(prompt=PROMPT, text="no", model="m1")
BAD = Completion(prompt=PROMPT, text="", tool_calls=CALL)
LONG = Conversation(
    messages=(*TALK.messages, Message(role="assistant", tool_calls=CALL), Message(role="tool", text="42", tool_call_id="c1")),
    tools=TOOLS,
    id="t1",
)
RECORDS = [
    LONG.say("assistant", "42."),
    PROMPT,
    Preference(prompt=PROMPT, chosen=GOOD, rejected=BAD, by="human", margin=0.25),
    Labelled(prompt=PROMPT, completion=GOOD, label=False),
    Ranking(prompt=PROMPT, completions=(BAD, Completion(prompt=PROMPT, text="no")), ranks=(2, 1), by="judge"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_out_and_back_is_the_same_record(tmp_path, record, name):
    """Every kind is recognised in its own file and comes back equal."""
    assert write([record, record], tmp_path / name) == 2
    assert describe(tmp_path / name).kind is type(record)
    assert list(read(type(record), tmp_path / name)) == [record, record]


def test_what_a_judge_looks_for_goes_out_and_comes_back(tmp_path):
    """A canary, a forbidden tool and a goal are kept; whatever else a prompt's `about` holds is the world's own."""
    asked = Prompt(conversation=Conversation().say("user", "a"), about={"canary": "plum", "goal": "b", "kind": "fact"})
    write([asked], tmp_path / "prompts.jsonl")
    (back,) = read(Prompt, tmp_path / "prompts.jsonl")
    assert back.about == {"canary": "plum", "goal": "b"}


def test_the_rows_are_trls(tmp_path):
    """A pair without notes is exactly the three columns of TRL's conversational preference format."""
    prompt = Prompt(conversation=Conversation().say("user", "hi"))
    answers = [Completion(prompt=prompt, text=text) for text in ("a", "b")]
    write([Preference(prompt=prompt, chosen=answers[0], rejected=answers[1])], tmp_path / "a.jsonl")
    row = json.loads((tmp_path / "a.jsonl").read_text())
    assert row.pop("expected") == "comply"
    assert row == {
        "prompt": [{"role": "user", "content": "hi"}],
        "chosen": [{"role": "assistant", "content": "a"}],
        "rejected": [{"role": "assistant", "content": "b"}],
    }


def test_kinds_are_not_mixed(tmp_path):
    """One file holds one kind; another kind, or another file name, is refused and nothing is left."""
    with pytest.raises(DataError, match=r"a\.jsonl:2: expected records of one kind .*got Conversation after Prompt"):
        write([PROMPT, LONG], tmp_path / "a.jsonl")
    with pytest.raises(DataError, match="got ToolCall"):
        write([CALL[0]], tmp_path / "a.jsonl")
    with pytest.raises(DataError, match=r"ends in \.jsonl or \.jsonl\.gz"):
        write([PROMPT], tmp_path / "a.csv")
    odd = Conversation(messages=LONG.messages, tools=(Tool(name="t", parameters="none"),))
    with pytest.raises(DataError, match="parameters that are a JSON Schema"):
        write([odd], tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []
