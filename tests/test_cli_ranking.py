"""`trueline ranking`: a project is made, shown, exported and closed; hostile names stay text, and mistakes are one line."""

import json

import pytest

from tests.calling import trueline
from tests.store.ranked import START
from trueline.store.opening import open_database
from trueline.store.ranking import named
from trueline.store.ranking_records import Given
from trueline.store.ranking_work import next_item, submit

ROWS = [
    {"prompt": f"question {i}", "completion": f"{said} {i}", "model": said, "label": True} for i in range(6) for said in "xyz"
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a file of completions, and a database of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUELINE_DATABASE", str(tmp_path / "a.db"))
    (tmp_path / "said.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path


def answer_all(folder, *people):
    engine = open_database(folder / "a.db")
    project = named(engine, "first")
    for person in people:
        while (offer := next_item(engine, project.id, person, START)).assignment:
            submit(engine, offer.assignment.id, person, Given(helpful=(1, 2, 3), seconds=3), START)


def test_from_outputs_to_training_data(here):
    """New, list, show, export and close work one after the other, for people and for machines."""
    made = json.loads(trueline("ranking", "new", "first", "said.jsonl", "--overlap", 2, "-k", 3, "--json").out)
    assert (made["items"], made["gold"], made["alone"]) == (6, 0, 0)
    assert "0 of 6 items" in trueline("ranking", "list").out
    answer_all(here, "ann", "bob")
    shown = trueline("ranking", "show", "first")
    assert shown.code == 0
    for words in ("6 of 6 items", "Krippendorff", "ann", "board (12 votes)"):
        assert words in shown.out
    found = json.loads(trueline("ranking", "show", "first", "--json").out)
    assert found["asked"]["helpful"]["agreement"]["pairwise"]["value"] == 1.0
    assert found["progress"]["complete"] == 6
    board = found["asked"]["helpful"]["board"]["models"]
    assert [one["model"] for one in board] == ["x", "y", "z"]
    for form, rows in (("dpo", 18), ("kto", 12), ("kwise", 6), ("margin", 18), ("records", 12)):
        written = json.loads(trueline("ranking", "export", "first", f"{form}.jsonl", "--to", form, "--json").out)
        assert written["rows"] == rows == len((here / f"{form}.jsonl").read_text().splitlines())
    assert json.loads(trueline("ranking", "close", "first", "--json").out)["state"] == "closed"
    assert json.loads(trueline("ranking", "list", "--json").out)[0]["state"] == "closed"
    assert trueline("ranking", "close", "first", "--reopen").out == "first: open\n"


def test_mistakes_are_one_line_and_exit_with_two(here):
    """A name that is taken or unknown, a source that is none, and an export of nothing say what to do."""
    trueline("ranking", "new", "first", "said.jsonl")
    for words, says in (
        (("new", "first", "said.jsonl"), "choose another name"),
        (("new", "a:b", "said.jsonl"), "without a colon"),
        (("new", "other", "nowhere"), "expected a run"),
        (("new", "other", "audit"), "retention: {text: true"),
        (("show", "second"), "it has first"),
        (("export", "first", "x.jsonl", "--to", "dpo"), "nothing to export"),
    ):
        shown = trueline("ranking", *words)
        assert (shown.code, shown.out, shown.err.count("\n")) == (2, "", 1)
        assert says in shown.err


def test_gold_and_both_questions_are_settings(here):
    """Gold from a file of pairs is counted apart, and both questions are asked where both are named."""
    (here / "gold.jsonl").write_text('{"prompt": "known", "chosen": "good", "rejected": "bad"}\n')
    words = ("--gold", "gold.jsonl", "--ask", "helpful", "--ask", "harmless", "--gold-share", "0.5")
    assert json.loads(trueline("ranking", "new", "first", "said.jsonl", *words, "--json").out)["gold"] == 1
    found = named(open_database(here / "a.db"), "first")
    assert (found.gold_share, found.questions) == (0.5, ("helpful", "harmless"))


def test_a_model_with_a_hostile_name_is_shown_as_text(here):
    """Escape codes and markup in a model's name are spelt out and not carried out."""
    rows = [row | {"model": "\x1b[31m[bold]x" if row["model"] == "x" else row["model"]} for row in ROWS]
    (here / "said.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    trueline("ranking", "new", "first", "said.jsonl")
    answer_all(here, "ann")
    shown = trueline("ranking", "show", "first")
    assert "\x1b" not in shown.out
    assert "[bold]x" in shown.out


def test_help_shows_an_example_for_every_verb():
    """Whoever asks how a verb is called sees it called."""
    for verb in ("new", "list", "show", "export", "close"):
        assert f"Example:  trueline ranking {verb}" in trueline("ranking", verb, "--help").out
