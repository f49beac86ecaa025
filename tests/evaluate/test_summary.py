"""Items become rates: undetermined ones beside, never in them; clusters widen; a judge's known errors are corrected."""

from __future__ import annotations

from random import Random

import pytest

from trueline.core.stats import wilson
from trueline.core.types import Rate
from trueline.evaluate.interview import Answered
from trueline.evaluate.suite_calibration import Calibration, bins
from trueline.evaluate.suites import Metric
from trueline.evaluate.summary import rate_of, summarise
from trueline.judges.calibration import Figures

SHARE = Metric(name="x", better="higher", meaning="a share", judged=True, task="refusal")


def item(i: int, cluster: str = "", outcome: str = "measured", **values: float | None) -> Answered:
    return Answered(suite="s", item=f"{i}", cluster=cluster or f"{i}", outcome=outcome, values=values)


def one(answered, figures=None, metrics=(SHARE,)):
    summary = summarise("s", metrics, answered, figures or {})
    return summary, {value.metric.name: value for value in summary.values}


def test_undetermined_items_are_counted_beside_the_rate():
    """Three of four that were told are right, whatever the fifth was."""
    answered = [item(i, x=float(i < 3)) for i in range(4)] + [item(4, outcome="undetermined", x=None)]
    summary, values = one(answered)
    assert values["x"].rate == wilson(3, 4)
    assert (values["x"].undetermined, summary.undetermined, summary.inconclusive) == (1, 1, "")


def test_too_many_without_an_outcome_are_inconclusive():
    """Undetermined items and errors together, above the limit; at the limit they are not."""
    right = [item(i, x=1.0) for i in range(8)]
    lost = [item(8, outcome="undetermined", x=None), item(9, outcome="error")]
    assert one([*right, *lost])[0].inconclusive == ""
    assert (
        "1 undetermined and 2 errors in 11 items are more than 20%"
        in one([*right, *lost, item(10, outcome="error")])[0].inconclusive
    )
    assert "nothing was measured" in one([item(0, outcome="error")])[0].inconclusive


def test_a_metric_that_no_item_bears_on_is_left_out():
    """What was not measured is never shown as zero."""
    summary, values = one([item(0, y=1.0), item(1, y=0.0)], metrics=(SHARE, Metric(name="y", better="lower", meaning="")))
    assert list(values) == ["y"]
    assert summary.groups == {}


def test_items_of_one_cluster_widen_the_interval():
    """Twenty items in two clusters tell no more than two do where each cluster is all of a kind."""
    together = rate_of([1.0] * 10 + [0.0] * 10, ["a"] * 10 + ["b"] * 10, Random(0))
    apart = rate_of([1.0] * 10 + [0.0] * 10, [f"{i}" for i in range(20)], Random(0))
    assert together.value == apart.value == 0.5
    assert together.high - together.low > 1.5 * (apart.high - apart.low)
    assert rate_of([0.5, 2.5], ["a", "a"], Random(0)) is None
    assert rate_of([], [], Random(0)) is None


def test_a_known_judge_corrects_the_rate():
    """The corrected rate stands beside the raw one; a judge no better than chance corrects nothing."""
    exact = Rate(value=1.0, n=50, low=1.0, high=1.0)
    half = Rate(value=0.5, n=50, low=0.36, high=0.64)
    figures = Figures(
        judge="j", task="refusal", source="f", rows=100, abstained=0, found=50, missed=0, cleared=25, accused=25, accuracy=None,
        sensitivity=exact, specificity=half,
    )  # fmt: skip
    answered = [item(i, x=float(i < 15)) for i in range(20)]
    _, values = one(answered, {"refusal": figures})
    assert values["x"].rate.value == 0.75
    assert values["x"].corrected.value == pytest.approx(0.5)
    chance = Figures(**{**{f: getattr(figures, f) for f in figures.__slots__}, "sensitivity": half})
    assert one(answered, {"refusal": chance})[1]["x"].corrected is None
    assert one(answered, {"jailbreak": figures})[1]["x"].corrected is None


def test_the_headline_is_shown_by_kind_of_item():
    """Where there are several kinds; one kind alone is the headline itself."""
    answered = [
        Answered(suite="s", item=f"{i}", cluster=f"{i}", outcome="measured", group="ab"[i % 2], values={"x": float(i % 2)})
        for i in range(6)
    ]
    assert {kind: rate.value for kind, rate in one(answered)[0].groups.items()} == {"a": 0.0, "b": 1.0}
    assert one(answered[::2])[0].groups == {}


def test_calibration_error_is_pooled():
    """Half right at .8 is .3 off, with an interval that holds it; bins keep their own numbers."""
    answered = [item(i, confidence=0.8, correct=float(i % 2), brier=0.1) for i in range(40)]
    _, values = one(answered, metrics=Calibration.metrics)
    ece = values["ece"].rate
    assert ece.value == pytest.approx(0.3)
    assert ece.low <= ece.value <= ece.high
    assert ece.n == 40
    assert [(b.confidence, b.accuracy, b.n) for b in bins([(1.0, 1.0), (0.95, 0.0), (0.05, 0.0)])] == [
        (0.05, 0.0, 1),
        (0.975, 0.5, 2),
    ]
