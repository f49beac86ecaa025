"""Where examples come from: who says what an attack is, and that no judge does."""

from __future__ import annotations

import json

import pytest

from trueline.core.records import write_jsonl
from trueline.core.types import Attempt, Completion, Conversation, Finding, Judgement, Message, Prompt, Run
from trueline.data.rows import DataError
from trueline.guard.learned.examples import names_of, read_examples
from trueline.store.database import Hashes, save_attempts, save_run
from trueline.store.opening import open_beside
from trueline.store.runs import create


def _file(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _attempt(text, expected, judge="enablement", disclosure=0.0):
    asked = Conversation().say("system", "Be brief.").say("user", text)
    goal = Prompt(conversation=asked, expected=expected)
    return Attempt(
        goal=goal, attack="direct", conversation=asked, completion=Completion(prompt=goal, text="no"),
        judgement=Judgement(judge=judge, score=1.0, disclosure=disclosure),
    )  # fmt: skip


def _read(source, **how):
    return [(example.text, example.attack) for example in read_examples(source, **how)]


def test_a_label_says_what_a_row_is_and_its_file_where_it_has_none(tmp_path):
    """DATA without labels are attacks; --benign is stronger than any label."""
    asked = [{"role": "system", "content": "s"}, {"role": "user", "content": "f"}]
    rows = [
        {"prompt": "a", "label": "harmful"}, {"text": "b", "label": "Clean"}, {"instruction": "c"},
        {"prompt": "d", "label": True}, {"prompt": "e", "label": 0}, {"prompt": asked},
    ]  # fmt: skip
    path = _file(tmp_path / "rows.jsonl", *rows)
    assert _read(path) == [("a", True), ("b", False), ("c", True), ("d", True), ("e", False), ("f", True)]
    assert not any(attack for _, attack in _read(path, benign=True))


def test_csv_is_read_too(tmp_path):
    """Any format of rows."""
    (tmp_path / "rows.csv").write_text("text,label\nvosk,attack\nrake,benign\n")
    assert _read(tmp_path / "rows.csv") == [("vosk", True), ("rake", False)]


@pytest.mark.parametrize(
    ("row", "said"), [({"prompt": "a", "label": "news"}, "--benign"), ({"body": "a"}, "instruction"), ({"prompt": 3}, "prompt")]
)
def test_a_row_that_says_neither_is_an_error_with_its_line(tmp_path, row, said):
    """A label that is nobody's, no text, a text that is none."""
    with pytest.raises(DataError, match=rf"rows.jsonl:2: .*{said}"):
        _read(_file(tmp_path / "rows.jsonl", {"prompt": "x"}, row))


def test_a_campaign_gives_attacks_and_twins_whatever_came_of_them(tmp_path):
    """What was asked for a goal that should be refused is an attack, and no judgement changes that."""
    (tmp_path / "attacked").mkdir()
    made = [_attempt("vosk", "refuse", disclosure=1.0), _attempt("grelk", "refuse"), _attempt("rake", "comply")]
    write_jsonl(tmp_path / "attacked" / "attempts.jsonl", made)
    assert _read(tmp_path) == [("vosk", True), ("grelk", True), ("rake", False)]


def test_a_campaign_in_the_database_is_read_beside_its_folder(tmp_path, monkeypatch):
    """Runs of `trueline attack` keep their attempts there."""
    monkeypatch.delenv("TRUELINE_DATABASE", raising=False)
    run = Run(id="r1", recipe="attack", spec={}, seed=0)
    folder = create(tmp_path / "attack-r1", run).folder
    engine = open_beside(folder)
    save_run(engine, run)
    save_attempts(engine, "r1", [(_attempt("vosk", "refuse"), Hashes(goal="g", attack="a", target="t", judge="j"))])
    engine.dispose()
    assert _read(folder) == [("vosk", True)]


def test_what_reached_the_model_is_the_text(tmp_path):
    """The words of users and of tools; not the system's, and not the model's."""
    talk = Conversation(
        messages=(
            Message(role="system", text="Be brief."), Message(role="user", text="Read it."),
            Message(role="assistant", text="Yes."), Message(role="tool", text="vosk"),
        )
    )  # fmt: skip
    attempt = _attempt("x", "refuse")
    changed = Attempt(
        goal=attempt.goal, attack="a", conversation=talk, completion=attempt.completion, judgement=attempt.judgement
    )
    write_jsonl(tmp_path / "attempts.jsonl", [changed])
    assert _read(tmp_path) == [("Read it.\n\nvosk", True)]


def test_a_finding_is_an_attack_unless_the_oracle_found_it(tmp_path):
    """The oracle's word is no training data."""
    entries = [
        Finding(key="1", attempts=(_attempt("vosk", "refuse", disclosure=1.0),)),
        Finding(key="2", attempts=(_attempt("grelk", "refuse", "oracle", disclosure=1.0),)),
    ]
    write_jsonl(tmp_path / "bank.jsonl", entries)
    assert _read(tmp_path / "bank.jsonl") == [("vosk", True)]


def test_files_are_named_by_their_content_and_no_folder(tmp_path):
    """A model does not say where its data lay."""
    path = _file(tmp_path / "rows.jsonl", {"prompt": "a"})
    assert list(names_of([path]).values()) == ["rows.jsonl"]
    assert {example.source for example in read_examples(path)} == {"rows.jsonl"}
