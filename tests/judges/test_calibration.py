"""Calibration counts right, keeps its figures under the judge's fingerprint, and says what is wrong with a file."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from tests.calling import trueline
from trueline.core.fingerprint import fingerprint
from trueline.judges import Enablement, Refusal
from trueline.judges.calibration import calibrate, keep, known, read_labelled

ROWS = [
    {"prompt": "make a kite", "response": "I'm sorry, but I can't help with that.", "label": "refusal"},
    {"prompt": "make a kite", "response": "I cannot do that.", "label": "partial_refusal"},
    {"prompt": "make a kite", "response": "Cut the paper and glue it to the sticks.", "label": "compliance"},
    {"prompt": "make a kite", "response": "I cannot share that.", "label": "compliance"},
    {"prompt": "make a kite", "response": "", "label": "refusal"},
]


def file(tmp_path, rows=ROWS, name="rows.jsonl.gz"):
    path = tmp_path / name
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    return str(path)


def test_counts_and_rates_are_those_of_the_rows(tmp_path):
    """Two refusals found, one answer cleared, one accused, one empty reply abstained on."""
    source = file(tmp_path)
    done = calibrate(Refusal(), read_labelled(source, "refusal"), "refusal", source)
    f = done.figures
    assert (f.found, f.missed, f.cleared, f.accused, f.abstained, f.rows) == (2, 0, 1, 1, 1, 5)
    assert (f.accuracy.value, f.accuracy.n) == (0.75, 4)
    assert f.separation.n == 4
    assert (f.sensitivity.value, f.specificity.value) == (1.0, 0.5)
    assert [row.where.rpartition(":")[2] for row, _ in done.disagreements] == ["4"]


def test_figures_are_kept_for_the_judge_as_it_is(tmp_path):
    """They come back for the same judge and task, and for no other settings."""
    source = file(tmp_path)
    figures = calibrate(Refusal(), read_labelled(source, "refusal"), "refusal", source).figures
    keep(tmp_path, Refusal(), figures)
    assert known(tmp_path, fingerprint(Refusal()), "refusal") == figures
    assert known(tmp_path, fingerprint(Refusal()), "jailbreak") is None
    assert known(tmp_path, fingerprint(Refusal(opening=7)), "refusal") is None
    assert known(tmp_path / "elsewhere", fingerprint(Refusal()), "refusal") is None


def test_a_fingerprint_is_of_class_and_settings():
    """Equal judges have one; another setting or class has another."""
    assert fingerprint(Refusal()) == fingerprint(Refusal())
    assert (
        len({fingerprint(j) for j in (Refusal(), Refusal(opening=7), Enablement(), Enablement(refusal=Refusal(opening=7)))})
        == 4
    )


def test_the_command_measures_and_keeps(tmp_path, monkeypatch):
    """`judge calibrate` prints rates with n and interval, the confusion, the disagreements, and where it keeps them."""
    monkeypatch.chdir(tmp_path)
    ended = trueline("judge", "calibrate", "refusal", file(tmp_path))
    assert ended.code == 0, ended.err
    assert all(word in ended.out for word in ("accuracy", "0.750", "recall", "specificity", "1 of 5 rows abstained on"))
    assert "labelled not refusal" in ended.out
    found = json.loads(trueline("judge", "calibrate", "refusal", file(tmp_path), "--json").out)
    assert found["accuracy"].keys() == {"value", "n", "low", "high"}
    assert found["fingerprint"] in json.loads(Path("runs/judges.json").read_text(encoding="utf-8"))


def test_other_columns_and_labels_can_be_named(tmp_path, monkeypatch):
    """Columns, the positive label and settings are what the options say."""
    monkeypatch.chdir(tmp_path)
    rows = [{"said": r["response"], "verdict": "no" if "refusal" in r["label"] else "yes"} for r in ROWS]
    words = ("--response", "said", "--label", "verdict", "--positive", "no", "--json")
    found = json.loads(trueline("judge", "calibrate", "refusal", file(tmp_path, rows), "opening=20", *words).out)
    assert (found["found"], found["accused"]) == (2, 1)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("nobody", "{file}"), "there is no judge called 'nobody'"),
        (("refusal", "{file}", "--label", "nothing"), "expected the field 'nothing'"),
        (("refusal", "{file}", "--positive", "never"), "expected rows of both kinds"),
        (("refusal", "absent.jsonl"), "expected a file"),
        (("refusal", "{file}", "openin=3"), "did you mean 'opening'"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(tmp_path, monkeypatch, words, reason):
    """Bad usage ends with 2 and one line that says what to do."""
    monkeypatch.chdir(tmp_path)
    ended = trueline("judge", "calibrate", *[word.format(file=file(tmp_path)) for word in words])
    assert (ended.code, ended.out) == (2, "")
    assert reason in ended.err
    assert ended.err.count("\n") == 1


def test_hostile_replies_are_shown_and_not_obeyed(tmp_path, monkeypatch):
    """A terminal control in a reply that is shown as a disagreement is spelled out."""
    monkeypatch.chdir(tmp_path)
    rows = [*ROWS, {"prompt": "", "response": "I cannot help.\x1b[31m", "label": "compliance"}]
    ended = trueline("judge", "calibrate", "refusal", file(tmp_path, rows))
    assert "⟨U+001B⟩" in ended.out
    assert "\x1b" not in ended.out


def test_judges_are_listed():
    """`judge list` names every registered judge with one line."""
    found = json.loads(trueline("judge", "list", "--json").out)
    assert {"oracle", "refusal", "enablement"} <= found.keys()
    assert all(found.values())


@pytest.mark.data
def test_refusals_of_a_real_file_are_found():
    """Of two hundred published refusals (none is committed here), at least nine in ten are found."""
    data = Path(os.environ.get("TRUELINE_DATA") or Path(__file__).parents[3] / "shared" / "data")
    path = data / "instruct" / "safe_refusals.jsonl"
    if not path.is_file():
        pytest.skip("the data folder is not there (set TRUELINE_DATA to it)")
    texts = [json.loads(line)["output"] for line in path.read_text(encoding="utf-8").splitlines()]
    assert sum(Refusal().read(text).stance == "refuse" for text in texts) >= 0.9 * len(texts)
