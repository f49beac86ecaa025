"""The expected number of rounds is that of the detector: where nothing is left to chance, it is exact."""

from __future__ import annotations

import pytest

from tests.watch.made import seen
from trueline.watch.changes import Rules, changes
from trueline.watch.expected import rounds_for_answers, rounds_for_latency, rounds_for_wording


@pytest.mark.parametrize(("more", "baseline"), [(1, 30), (2, 30), (4, 30), (8, 30), (3, 8), (2, 60)])
def test_where_answers_are_fixed_the_expectation_is_exact(more, baseline):
    """At temperature 0 the swap is noticed in the very round that was computed."""
    expected = rounds_for_answers([0.0] * 40, [1.0] * more + [0.0] * (40 - more), baseline=baseline)
    rounds = [seen(i, 0 if i < baseline else more) for i in range(baseline + 30)]
    assert changes(rounds)[0].number - baseline + 1 == expected


def test_a_larger_change_takes_fewer_rounds():
    """Of answers, of wording, of latency; and fewer false alarms cost rounds."""
    answers = [rounds_for_answers([0.1] * 40, [rate] * 40, baseline=30) for rate in (0.2, 0.3, 0.6)]
    assert answers == sorted(answers, reverse=True)
    words = [rounds_for_wording({"a": 1.0}, {"a": 1 - s, "b": s}, refusals=40, baseline=30) for s in (0.05, 0.2, 0.8)]
    assert words == sorted(words, reverse=True)
    slow = [rounds_for_latency(ratio, spread=0.2, baseline=40) for ratio in (1.5, 3.0)]
    assert slow == sorted(slow, reverse=True)
    rare = rounds_for_answers([0.1] * 40, [0.3] * 40, baseline=30, rules=Rules(quiet=1_000_000))
    assert rare > answers[1]


def test_what_does_not_change_is_never_expected():
    """The same rates, and a ratio that is too small to be told."""
    assert rounds_for_answers([0.3] * 40, [0.3] * 40, baseline=30) is None
    assert rounds_for_latency(1.1, spread=0.01, baseline=30) is None
