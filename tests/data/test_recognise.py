"""Tests of data/recognise.py and data/formats.py: a format is told by its fields, and nothing is guessed."""

import json
import os
from pathlib import Path

import pytest

from trueline.core.types import Conversation, Message, Preference, Prompt, Ranking
from trueline.data import DataError, Labelled, describe, read, split_by_prompt, write

HI, HELLO, GO = (
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "hello"},
    {"role": "assistant", "content": "go"},
)
HH = {"chosen": "\n\nHuman: hi\n\nAssistant: hello", "rejected": "\n\nHuman: hi\n\nAssistant: go"}
ASKED = (Message(role="user", text="hi"),)
SAMPLES = {
    "messages": (Conversation, {"messages": [HI, HELLO]}),
    "sharegpt": (Conversation, {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]}),
    "alpaca": (Conversation, {"instruction": "hi", "input": "", "output": "hello"}),
    "prompt-completion": (Conversation, {"prompt": "hi", "completion": "hello"}),
    "preference": (Preference, {"prompt": "hi", "chosen": "hello", "rejected": "go"}),
    "conversations": (Preference, {"chosen": [HI, HELLO], "rejected": [HI, GO]}),
    "hh-rlhf": (Preference, HH),
    "kto": (Labelled, {"prompt": [HI], "completion": [HELLO], "label": True}),
    "ranks": (Ranking, {"prompt": "hi", "completions": ["hello", "go"], "ranks": [1, 2]}),
    "scores": (Ranking, {"prompt": "hi", "completions": [[HELLO], [GO]], "scores": [0.5, -1]}),
    "prompt": (Prompt, {"prompt": "hi"}),
}


def save(folder: Path, *rows: dict) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def one(kind, folder: Path, row: dict, **how):
    (record,) = read(kind, save(folder, row), **how)
    return record


@pytest.mark.parametrize("name", SAMPLES)
def test_each_format_is_told_by_its_fields(tmp_path, name):
    """A row of each format is recognised as that format, with notes of its own beside it or not."""
    kind, row = SAMPLES[name]
    for noted in (row, {**row, "id": "r1", "source": "s", "note": [1]}):
        found = describe(save(tmp_path, noted))
        assert (found.format, found.kind, found.fields) == (name, kind, tuple(noted))


def test_every_format_of_a_kind_gives_the_same_record(tmp_path):
    """The same talk, pair or ranking is equal, whichever format it came in."""
    for kind in (Conversation, Preference, Ranking):
        rows = [row for sample, row in SAMPLES.values() if sample is kind]
        records = [one(kind, tmp_path, row) for row in rows]
        assert len(records) > 1
        assert records == [records[0]] * len(records)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_format_gives_its_prompts(tmp_path, name):
    """The prompts of any source can be read: what was asked before the last answer."""
    assert one(Prompt, tmp_path, SAMPLES[name][1]).conversation.messages == ASKED


def test_the_records_are_what_the_rows_say(tmp_path):
    """Texts, labels, ranks, margins, raters and notes land in their fields."""
    notes = {"id": 7, "source": "s", "category": "c", "expected": "refuse"}
    pair = one(
        Preference,
        tmp_path,
        {**SAMPLES["preference"][1], **notes, "margin": "0.5", "annotator": "human", "chosen_model": "m"},
    )
    asked = pair.prompt
    assert (asked.id, asked.source, asked.category, asked.expected) == ("7", "s", "c", "refuse")
    assert (pair.chosen.text, pair.rejected.text, pair.margin, pair.by, pair.chosen.model) == ("hello", "go", 0.5, "human", "m")
    assert pair.chosen.prompt == pair.rejected.prompt == asked
    assert one(Labelled, tmp_path, SAMPLES["kto"][1]).label is True
    ranking = one(Ranking, tmp_path, {"prompt": "p", "completions": ["a", "b", "c", "d"], "scores": [2, 5, 2, 1]})
    assert ranking.ranks == (2, 1, 2, 3)
    talk = one(Conversation, tmp_path, {"instruction": "Add.", "input": "1 2", "output": "3", "system": "Be kind."})
    assert [message.text for message in talk.messages] == ["Be kind.", "Add.\n\n1 2", "3"]


@pytest.mark.parametrize(("text", "label"), [("true", True), (" False", False), ("1", True), (0, False), (1, True)])
def test_labels_may_be_words_or_numbers(tmp_path, text, label):
    """A CSV file has no booleans: the usual words for them are read, and only these."""
    row = {"prompt": "p", "completion": "c", "label": text}
    assert one(Labelled, tmp_path, row).label is label
    for wrong in ("good", 2, [1], None):
        with pytest.raises(DataError, match=r"label|no format|are 'prompt-completion'"):
            one(Labelled, tmp_path, {**row, "label": wrong})


def test_two_conversations_part_at_the_last_answer(tmp_path):
    """What both sides share is the prompt, also where the answers are equal; sides that part earlier are refused."""
    row = {"chosen": [HI, HELLO, HI, GO], "rejected": [HI, HELLO, HI, GO]}
    pair = one(Preference, tmp_path, row)
    assert len(pair.prompt.conversation.messages) == 3
    assert pair.chosen.text == pair.rejected.text == "go"
    with pytest.raises(
        DataError, match=r"rows\.jsonl:1: field 'chosen': expected conversations that are the same up to the last"
    ):
        one(Preference, tmp_path, {"chosen": [HI, HELLO, HI, GO], "rejected": [HI, GO, HI, GO]})


def test_other_names_are_given_by_columns(tmp_path):
    """`columns` says which column is which field; what it names counts as nothing else."""
    row = {"question": "hi", "answer": "hello", "prompt_note": "x"}
    columns = {"prompt": "question", "completion": "answer"}
    assert one(Conversation, tmp_path, row, columns=columns) == one(Conversation, tmp_path, SAMPLES["messages"][1])
    renamed = {"prompt": "instruction", "completion": "output"}
    assert describe(save(tmp_path, SAMPLES["alpaca"][1]), columns=renamed).format == "prompt-completion"
    with pytest.raises(DataError, match=r"expected the column 'qestion', found .*; did you mean 'question'"):
        read(Prompt, save(tmp_path, row), columns={"prompt": "qestion"})
    with pytest.raises(DataError, match=r"'promt' is no field of ours; did you mean 'prompt'"):
        read(Prompt, save(tmp_path, row), columns={"promt": "question"})


@pytest.mark.parametrize(
    ("kind", "row", "words"),
    [
        (
            Preference,
            {"promt": "hi", "chosen": "a", "rejected": "b"},
            r"'promt' is 'prompt', say columns=\{'prompt': 'promt'\}",
        ),
        (
            Preference,
            {"label": "yes", "text": "hi"},
            r"no format fits the fields label, text.*Preference need: preference \(prompt",
        ),
        (Conversation, {"text": "once upon a time"}, r"documents have no prompt and no answer"),
        (
            Conversation,
            SAMPLES["kto"][1],
            r"expected Conversation records, these are 'kto' \(Labelled\); read them as Labelled",
        ),
        (Ranking, SAMPLES["preference"][1], r"these are 'preference' \(Preference\).*Ranking need: ranks"),
        (Conversation, SAMPLES["messages"][1] | SAMPLES["alpaca"][1], r"fit 'messages' and 'alpaca'; say which with format="),
        (Prompt, SAMPLES["messages"][1] | HH, r"fit 'messages' and 'hh-rlhf'; say which"),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path, kind, row, words):
    """Unknown, other and ambiguous fields are an error that lists what was found and what to do."""
    with pytest.raises(DataError, match=words) as caught:
        read(kind, save(tmp_path, row))
    assert "\n" not in str(caught.value)


def test_a_format_can_be_said(tmp_path):
    """format= decides between two, and reads labelled completions as conversations for one who means it."""
    both = SAMPLES["messages"][1] | {"instruction": "x", "output": "y"}
    assert one(Conversation, tmp_path, both, format="alpaca").messages[0].text == "x"
    assert one(Conversation, tmp_path, SAMPLES["kto"][1], format="prompt-completion").messages[-1].text == "hello"
    with pytest.raises(DataError, match="'alpacca' is not known; did you mean 'alpaca'"):
        one(Conversation, tmp_path, both, format="alpacca")
    with pytest.raises(DataError, match="holds Preference records, not Conversation"):
        one(Conversation, tmp_path, both, format="preference")
    with pytest.raises(DataError, match="int: expected one of Conversation"):
        read(int, save(tmp_path, both))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            {"prompt": "p", "chosen": 3, "rejected": "b"},
            r"rows\.jsonl:2: field 'chosen': expected a list of messages, got 3 \(int\)",
        ),
        ({"prompt": "p", "chosn": "a", "rejected": "b"}, r":2: field 'chosen': expected a value .*did you mean 'chosn'"),
        ({"prompt": "p", "chosen": "a", "rejected": "b", "margin": "big"}, r":2: field 'margin': expected a number, got 'big'"),
        ({"prompt": 1, "chosen": "a", "rejected": "b"}, r":2: field 'prompt': expected text or a list of messages, got 1"),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_field(tmp_path, row, words):
    """The rows before it are read; then the error says where, what was expected and what came."""
    records = read(Preference, save(tmp_path, SAMPLES["preference"][1], row))
    next(records)
    with pytest.raises(DataError, match=words):
        next(records)


def test_ranks_must_be_ranks(tmp_path):
    """A rank below 1, a score that is no number, and a missing rank are refused with their place."""
    for row, words in (
        ({"ranks": [0, 1]}, r"ranks\[0\].*from 1"),
        ({"ranks": [1]}, "one rank for each of two or more"),
        ({"scores": [1, "x"]}, r"scores\[1\].*a number"),
        ({"scores": [1, float("nan")]}, r"scores\[1\].*a number"),
    ):
        with pytest.raises(DataError, match=words):
            one(Ranking, tmp_path, {"prompt": "p", "completions": ["a", "b"], **row})


def _shared() -> Path:
    return Path(os.environ.get("TRUELINE_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "kind", "format_", "rows"),
    [
        ("instruct/alpaca_en.jsonl.gz", Conversation, "alpaca", 999),
        ("instruct/codealpaca.jsonl.gz", Conversation, "alpaca", 6544),
        ("instruct/safe_refusals.jsonl", Conversation, "alpaca", 200),
        ("instruct/self_instruct.jsonl", Conversation, "alpaca", 381),
        ("instruct/toolcall.jsonl.gz", Conversation, "messages", 300),
        ("preference/alpaca_eval.jsonl.gz", Preference, "preference", 15408),
        ("preference/dpo_en_demo.jsonl.gz", Preference, "preference", 300),
        ("preference/hh_harmless.jsonl.gz", Preference, "preference", 1704),
        ("preference/kto_en_demo.jsonl.gz", Labelled, "kto", 300),
    ],
)
def test_real_files_are_read_written_and_split(tmp_path, name, kind, format_, rows):
    """A real file gives all its rows; 500 of them come back equal from TRL's format; they split near the asked share."""
    path = _shared() / name
    if not path.is_file():
        pytest.skip(f"{name} is not there (set TRUELINE_DATA to the data folder)")
    assert describe(path).format == format_
    records = list(read(kind, path))
    assert len(records) == rows
    some = records[:500]
    write(some, tmp_path / "again.jsonl")
    assert list(read(kind, tmp_path / "again.jsonl")) == some
    split = split_by_prompt(records, 0.2)
    assert len(split.train) + len(split.held_out) == rows
    assert 0.1 < len(split.held_out) / rows < 0.3


@pytest.mark.data
def test_real_questions_are_read_by_columns():
    """GSM8K, which is in no format of ours, is read by naming its columns; its tool dialogues keep their tools."""
    if not (_shared() / "instruct").is_dir():
        pytest.skip("the data folder is not there (set TRUELINE_DATA)")
    columns = {"prompt": "question", "completion": "answer"}
    maths = list(read(Conversation, _shared() / "instruct" / "gsm8k_train.jsonl.gz", columns=columns))
    assert len(maths) == 7473
    talks = list(read(Conversation, _shared() / "instruct" / "toolcall.jsonl.gz"))
    called = sum(bool(message.tool_calls) for talk in talks for message in talk.messages)
    assert called == 211
    assert sum(len(talk.tools) for talk in talks) == 219
