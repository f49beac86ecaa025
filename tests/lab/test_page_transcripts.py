"""Transcripts are drawn at random, and never chosen.

pytest tests/lab/test_page_transcripts.py
"""

from __future__ import annotations

import json

from tests.lab.made_up import pooled, put, text
from trueline.lab.page_transcripts import drawn
from trueline.lab.registration import read


def folders(tmp_path, **how):
    put(tmp_path, pooled(read(text("E91"), "E91")), **how)
    return {seed: tmp_path / "full" / "E91" / "0123" / f"seed{seed}" for seed in (100, 101, 102)}


def test_the_same_runs_show_the_same_exchanges_of_all_seeds(tmp_path):
    """The draw depends on the experiment's name alone, and reaches every seed's samples."""
    there = folders(tmp_path)
    once, again, other = drawn(there, "E91"), drawn(there, "E91"), drawn(there, "E12")
    assert once == again
    assert once != other
    assert (len(once.exchanges), once.of) == (10, 27)
    assert len(set(once.exchanges)) == 10
    assert {one.seed for one in drawn(there, "E91", 27).exchanges} == {100, 101, 102}


def test_turns_and_calls_are_read_and_hidden_characters_are_spelled_out(tmp_path):
    """A reply shows its tool calls; what would turn the text round is written as its code."""
    one = drawn(folders(tmp_path, said="turn\u202eround"), "E91").exchanges[0]
    assert one.turns == (("user", "what are the steps ? turn⟨U+202E⟩round"),)
    assert one.reply.splitlines()[1] == "calls open(turn⟨U+202E⟩round)"


def test_attempts_are_exchanges_and_other_records_are_not(tmp_path):
    """An attempt holds a completion; a ranking has nothing to be read as one reply."""
    there = folders(tmp_path)
    file = there[100] / "samples.jsonl"
    row = json.loads(file.read_text().splitlines()[0])
    attempt = row | {"record": {"goal": {}, "completion": row["record"]}}
    ranking = row | {"record": {"completions": [], "ranks": []}}
    file.write_text("".join(json.dumps(one) + "\n" for one in (attempt, ranking)))
    assert drawn({100: there[100]}, "E91").of == 1


def test_an_experiment_without_language_has_none(tmp_path):
    """No samples, or no run at all, is no error."""
    assert drawn({0: tmp_path, 1: tmp_path / "missing"}, "E5").of == 0
