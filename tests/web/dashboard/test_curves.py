"""Tests of web/dashboard/curves.py: what is drawn of a growing file is what its whole lines say, however it was read."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.web.dashboard.planted import metrics
from trueline.web.dashboard import curves as module
from trueline.web.dashboard.curves import POINTS, Thinned, all_curves, curves, metrics_of


def read(folder, stage="sft", metric="loss"):
    """The points of one metric, as far as the file is read."""
    found = metrics_of(folder).stages.get(stage, {}).get(metric)
    return found.points if found else ()


def test_a_growing_file_is_read_line_by_line(tmp_path):
    """Whatever pieces the file grows by, the points are those of its whole lines; half a line counts once it is whole."""
    lines, path = "".join(metrics("sft", "", 50)).encode(), tmp_path / "metrics.jsonl"
    for end in (10, 11, 200, 201, 900, len(lines) - 1, len(lines)):
        path.write_bytes(lines[:end])
        whole = [json.loads(line) for line in lines[:end].split(b"\n")[:-1]]
        assert read(tmp_path) == tuple((row["step"], row["loss"]) for row in whole)
    assert metrics_of(tmp_path).passed_over == 0


def test_a_file_that_was_cut_or_replaced_is_read_anew(tmp_path):
    """A resumed run drops rows and writes them again: the old ones are gone from the curve too."""
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(metrics("sft", "", 9)))
    assert len(read(tmp_path)) == 9
    path.write_text("".join(metrics("sft", "", 4)))
    assert len(read(tmp_path)) == 4
    (tmp_path / "new").write_text("".join(metrics("sft", "", 30)))
    (tmp_path / "new").replace(path)
    assert [step for step, _ in read(tmp_path)] == list(range(30))


def test_lines_that_are_no_metrics_are_counted_and_passed_over(tmp_path):
    """Text, lists, rows without a step, numbers beyond floats, words for nan: nothing of them is drawn, and nothing breaks."""
    strange = [
        "no json", "[1]", "{}", '{"stage": 3, "step": 1}', '{"stage": "sft", "step": "x"}', '{"stage": "sft", "step": 1e999}',
        "[" * 3000,
    ]  # fmt: skip
    good = {"stage": "sft", "step": 1, "loss": 1.0, "word": "nan", "flag": True, "huge": 10**400, "deep": {"a": 1}}
    (tmp_path / "metrics.jsonl").write_text("\n".join([*strange, json.dumps(good)]) + "\n")
    found = metrics_of(tmp_path)
    assert found.passed_over == len(strange)
    assert {stage: list(names) for stage, names in found.stages.items()} == {"sft": ["loss"]}


def test_one_endless_line_ends(tmp_path, monkeypatch):
    """A file without an end of line is read on piece by piece, and what follows it is found."""
    monkeypatch.setattr(module, "BYTES", 100)
    (tmp_path / "metrics.jsonl").write_text("x" * 250 + "\n" + "".join(metrics("sft", "", 1)))
    for _ in range(6):
        found = metrics_of(tmp_path)
    assert not found.behind
    assert len(read(tmp_path)) == 1


@given(st.integers(1, 20_000))
@settings(max_examples=25, deadline=None)
def test_a_long_series_is_thinned_and_keeps_its_ends(n):
    """At most so many points, in order, evenly apart, the first and the last among them."""
    series = Thinned()
    for step in range(n):
        series.add(float(step), float(step) ** 0.5)
    steps = [int(step) for step, _ in series.points]
    assert len(steps) <= POINTS + 1
    assert (steps[0], steps[-1]) == (0, n - 1)
    assert len({b - a for a, b in pairwise(steps[:-1])}) <= 1
    assert all(value == step**0.5 for step, value in series.points)


def test_what_is_worth_seeing_comes_first(tmp_path):
    """Each stage gives one curve, its loss; a stage by itself gives all of its own, seconds last."""
    (tmp_path / "metrics.jsonl").write_text("".join([*metrics("sft", ""), *metrics("dpo", "")]))
    found = metrics_of(tmp_path)
    assert [(one["title"], one["series"][0]["name"]) for one in curves(found)] == [("sft", "loss"), ("dpo", "loss")]
    assert [one["title"] for one in all_curves(found, "sft")] == ["loss", "other", "seconds"]
