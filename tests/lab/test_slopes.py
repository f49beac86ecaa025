"""Slopes per doubling are least squares, clustered by what is asked; a jump is told from a steady climb.

pytest tests/lab/test_slopes.py
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from trueline.lab.slopes import jump, per_doubling

SIZES = (4e5, 9e5, 2.8e6, 4.8e6)


def values(of, n: int = 60, noise: float = 0.1) -> dict[float, list[float]]:
    """`of(log2 of the size)` with noise, one value a prompt."""
    rng = Random(0)
    return {size: [of(np.log2(size)) + rng.gauss(0, noise) for _ in range(n)] for size in SIZES}


def test_a_slope_is_that_of_least_squares_on_the_means():
    """The mean of the prompts' slopes is the slope of the means, by another road."""
    found = values(lambda x: 0.3 * x)
    slope = per_doubling(found, range(60), "a")
    assert slope is not None
    expected = np.polyfit(np.log2(SIZES), [np.mean(found[size]) for size in SIZES], 1)[0]
    assert slope.value == pytest.approx(expected)
    assert slope.low < 0.3 < slope.high
    assert slope.high - slope.low < 0.1


def test_what_hangs_together_widens_the_interval():
    """Sixty prompts about three things are three, where things differ."""
    found = {size: [i % 3 * np.log2(size) for i in range(60)] for size in SIZES}
    apart, together = per_doubling(found, range(60), "a"), per_doubling(found, [i % 3 for i in range(60)], "a")
    assert apart is not None
    assert together is not None
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_nothing_at_any_size_is_no_certainty():
    """Where nothing ever happened the slope is 0, with the width of the rates that it is made of."""
    found = per_doubling(dict.fromkeys(SIZES, [0.0] * 50), range(50), "a")
    assert found is not None
    assert found.value == 0
    assert found.low < -0.01 < 0.01 < found.high
    wider = per_doubling(dict.fromkeys(SIZES, [0.0] * 50), [i % 5 for i in range(50)], "a")
    assert wider is not None
    assert wider.high > found.high


def test_two_sizes_have_no_slope():
    """A difference is no trend."""
    two = {size: [0.0, 1.0] for size in SIZES[:2]}
    assert per_doubling(two, range(2), "a") is None
    assert jump(two, "a") is None


def test_a_step_is_told_from_a_steady_climb():
    """All of a rise in one place lies far above the average step; a straight line does not."""
    step, line = jump(values(lambda x: 2.0 * (x > 20.5)), "a"), jump(values(lambda x: 0.5 * x), "a")
    assert step is not None
    assert line is not None
    assert step.low > 0.5
    assert line.high < 0.3
    assert line.value >= 0
