"""Tests of core/records.py: out and back is the same record, and a wrong row is named exactly."""

import gzip
import json
import math
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.core import types
from trueline.core.records import (
    RecordError,
    from_dict,
    from_json,
    json_line,
    read_jsonl,
    to_dict,
    to_json,
    write_jsonl,
)
from trueline.core.types import Attempt, Completion, Conversation, Judgement, Message, Preference, Prompt, Run, ToolCall

CALL = ToolCall(name="search", arguments='{"q": 1}', id="c1")
TALK = Conversation(tools=(types.Tool(name="search"),), id="t").say("user", "hé\u2028llo\n").say("assistant", "", (CALL,))
PROMPT = Prompt(conversation=TALK, expected="refuse", category="keys", source="here", id="p1", about={"who": "Ana"})
COMPLETION = Completion(prompt=PROMPT, text="no", ids=(1, 2), logprobs=(-0.1, float("-inf")), finish="length")
JUDGEMENT = Judgement(judge="rules", score=None, stance="refuse", disclosure=0.25, facets={"fluent": 1.0})
ATTEMPT = Attempt(goal=PROMPT, attack="ask", conversation=TALK, completion=COMPLETION, judgement=JUDGEMENT, query=3)
RECORDS = [
    CALL,
    TALK.messages[0],
    TALK.tools[0],
    TALK,
    PROMPT,
    COMPLETION,
    JUDGEMENT,
    Preference(prompt=PROMPT, chosen=COMPLETION, rejected=COMPLETION, margin=0.5),
    types.Ranking(prompt=PROMPT, completions=(COMPLETION, COMPLETION), ranks=(1, 1)),
    types.Ranking(prompt=PROMPT, completions=(COMPLETION, COMPLETION), ranks=(1, 2), preference=0.75),
    ATTEMPT,
    types.Decision(action="block", status="timeout", why="late"),
    types.Finding(key="k", attempts=(ATTEMPT,), severity="high"),
    Run(id="r", recipe="dpo", spec={"beta": 0.1, "names": ["a"], "start": None, "deep": {"on": True}}, parents=("a", "b")),
    types.Sampling(temperature=0.0),
    types.Rate(value=0.5, n=10, low=0.2, high=0.8),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_out_and_back_is_the_same_record(record):
    """Every record comes back equal and of the same types: tuples as tuples, None as None, infinities as they were."""
    again = from_json(type(record), to_json(record))
    assert again == record
    assert repr(again) == repr(record)
    assert "\n" not in to_json(record)


def test_every_record_of_the_house_is_tried():
    """A record that is added to core/types.py must be added to this file's round trip."""
    assert {type(record).__name__ for record in RECORDS} == {
        name for name, kind in vars(types).items() if hasattr(kind, "__dataclass_fields__") and isinstance(kind, type)
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(), json_values, max_size=4), st.text(), st.lists(st.floats(allow_nan=False)))
def test_any_text_number_and_open_value_comes_back(spec, text, numbers):
    """Whatever the text, the floats and the open values are, they come back as they went."""
    run = Run(id=text, recipe=text, spec=spec)
    assert from_json(Run, to_json(run)) == run
    completion = Completion(prompt=PROMPT, text=text, logprobs=tuple(numbers))
    assert from_json(Completion, to_json(completion)) == completion


def test_nan_comes_back_as_nan_in_strict_json():
    """A float that is not a number is written as text, so that every JSON reader takes the line, and comes back."""
    line = to_json(Judgement(judge="j", score=0.5, facets={"loss": math.nan}))
    json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert math.isnan(from_json(Judgement, line).facets["loss"])


def test_a_lone_surrogate_can_be_written():
    """A text that UTF-8 cannot hold is escaped; any other letter is written as it is."""
    assert json_line("é") == '"é"'
    assert json.loads(json_line("\ud800").encode()) == "\ud800"


def test_fields_with_a_default_may_be_absent():
    """A row written before a field existed still reads."""
    assert from_dict(Message, {"role": "user"}) == Message(role="user")


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        (Message, {"role": "user", "txt": "a"}, "field 'txt': .*no such field in Message .*did you mean 'text'"),
        (Message, {"text": "a"}, "expected the field 'role' of Message"),
        (Message, {"role": "bot"}, r"field 'role': expected one of 'system', .*, got 'bot' \(str\)"),
        (Message, ["user"], r"expected an object \(Message\), got \['user'\] \(list\)"),
        (Conversation, {"messages": [{"role": "user", "text": 3}]}, r"'messages\[0\].text': expected text, got 3 \(int\)"),
        (Completion, {**to_dict(COMPLETION), "ids": [1, True]}, r"'ids\[1\]': expected a whole number, got True"),
        (Completion, {**to_dict(COMPLETION), "logprobs": [10**400]}, "a number that a float can hold"),
        (Judgement, {"judge": "j", "score": "high"}, r"'score': expected a number, got 'high' \(str\)"),
        (Judgement, {"judge": "j", "score": 1, "facets": {"a": None}}, r"\"facets\['a'\]\": expected a number, got None"),
        (types.Ranking, {"prompt": to_dict(PROMPT), "completions": [], "ranks": []}, "one rank for each of two or more"),
        (
            types.Ranking,
            {"prompt": to_dict(PROMPT), "completions": [to_dict(COMPLETION)] * 3, "ranks": [1, 2, 3], "preference": 0.5},
            "the first of two completions is the better one",
        ),
    ],
)
def test_a_wrong_value_is_named(kind, values, words):
    """The error says which field, what was expected and what came, in one line."""
    with pytest.raises(RecordError, match=words) as caught:
        from_dict(kind, values)
    assert "\n" not in str(caught.value)


def test_a_value_that_would_not_come_back_is_refused():
    """An open value that JSON cannot hold is refused when it is written, not when it is read."""
    with pytest.raises(RecordError, match=r"spec\['f'\].*plain JSON value"):
        to_json(Run(id="r", recipe="x", spec={"f": print}))
    with pytest.raises(RecordError, match="text as every key"):
        to_json(Run(id="r", recipe="x", spec={"f": {1: 2}}))
    with pytest.raises(RecordError, match=r"field .text.: expected text"):
        to_json(Message(role="user", text=None))


def test_a_record_of_another_room_travels_too():
    """Any frozen dataclass of plain fields has a codec; a field without a JSON form is refused by name."""

    @dataclass(frozen=True)
    class Labelled:
        prompt: Prompt
        good: bool

    @dataclass(frozen=True)
    class Odd:
        when: complex

    assert from_json(Labelled, to_json(Labelled(PROMPT, True))) == Labelled(PROMPT, True)
    with pytest.raises(TypeError, match=r"no JSON form for .*complex"):
        to_json(Odd(1j))


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_files_come_back_whole(tmp_path, name):
    """What is written to a file is read from it, plain or compressed; blank lines do not count."""
    path = tmp_path / "new" / name
    assert write_jsonl(path, [PROMPT, PROMPT]) == 2
    assert list(read_jsonl(path, Prompt)) == [PROMPT, PROMPT]
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(b"\n" + gzip.decompress(path.read_bytes()) + b"\n"))
        assert len(list(read_jsonl(path, Prompt))) == 2


def test_a_bad_line_is_named_by_file_and_line(tmp_path):
    """The error opens with FILE:LINE, for broken JSON, broken text and a wrong field alike."""
    path = tmp_path / "a.jsonl"
    good = to_json(CALL) + "\n"
    for bad, words in [("{oops\n", "expected one JSON object"), ('{"nam": "x"}\n', "did you mean 'name'"), ("[]\n", "list")]:
        path.write_text(good + bad)
        with pytest.raises(RecordError, match=rf"a\.jsonl:2: .*{words}"):
            list(read_jsonl(path, ToolCall))
    path.write_bytes(good.encode() + b"\xff\n")
    with pytest.raises(RecordError, match=r"a\.jsonl:2: expected UTF-8"):
        list(read_jsonl(path, ToolCall))


def test_a_missing_file_is_said_at_once(tmp_path):
    """A wrong name is an error when the file is asked for, not when its first row is taken."""
    with pytest.raises(RecordError, match="no such file; check the name"):
        read_jsonl(tmp_path / "none.jsonl", Prompt)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    """If a record cannot be written, the file keeps its old rows and no temporary file stays behind."""
    path = tmp_path / "a.jsonl"
    write_jsonl(path, [CALL])
    with pytest.raises(RecordError):
        write_jsonl(path, [CALL, ToolCall(name=3)])
    assert list(read_jsonl(path, ToolCall)) == [CALL]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.jsonl"]
