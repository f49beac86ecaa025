"""How success grows with tries: exact expectations, exponents, and what a spread of chances foretells.

pytest tests/lab/test_law.py
"""

from __future__ import annotations

import numpy as np
import pytest

from trueline.lab import law
from trueline.lab.tries import told

RNG = np.random.default_rng(1)


def drawn(alpha: float, beta: float, goals: int = 60, tries: int = 128) -> law.Hits:
    """Goals whose chances a try come from a Beta."""
    return RNG.random((goals, tries)) < RNG.beta(alpha, beta, size=(goals, 1))


def test_success_over_all_choices_of_tries_is_exact():
    """One success among four tries: half of the pairs hold it; all four do, and none does not."""
    hits = np.array([[True, False, False, False], [False] * 4])
    assert law.success(hits, 1) == pytest.approx(1 / 8)
    assert law.success(hits, 2) == pytest.approx(1 / 4)
    assert law.success(hits, 4) == pytest.approx(1 / 2)
    assert law.success(hits, 0) == 0


def test_the_order_of_tries_changes_no_success():
    """Only how often a goal gave in counts."""
    hits = drawn(0.5, 5)
    assert law.success(hits, 16) == pytest.approx(law.success(hits[:, ::-1], 16))


def test_a_power_law_gives_its_exponent_back():
    """-log ASR = a N^-b with b = 0.4; a flat line has none where fewer than three points lie inside."""
    assert law.exponent(law.COUNTS, [np.exp(-2 * n**-0.4) for n in law.COUNTS]) == pytest.approx(0.4)
    assert law.exponent((1, 2, 4), (0.0, 0.0, 0.5)) is None


def test_the_exponent_is_read_off_the_left_tail():
    """With many tries, E[(1 - p)^N] of a Beta falls as N^-alpha (Schaeffer et al. 2025)."""
    far = [2**k for k in range(10, 16)]
    spread = law.Spread(0.3, 6.0)
    assert law.exponent(far, [spread.success(n) for n in far]) == pytest.approx(0.3, abs=0.03)


def test_a_spread_is_found_again_and_equal_chances_have_none():
    """Moments of many goals give the Beta back; goals that are all alike give a spread that is all but a point."""
    found = law.Spread.of(drawn(0.6, 6.0, goals=4000))
    assert (found.alpha, found.beta) == (pytest.approx(0.6, rel=0.1), pytest.approx(6.0, rel=0.1))
    same = law.Spread.of(np.tile(np.arange(64) % 16 == 0, (40, 1)))
    assert same.success(1) == pytest.approx(1 / 16, rel=0.02)
    assert same.alpha + same.beta >= law.ALIKE * 0.99


def test_half_of_the_tries_foretells_the_other_half_where_chances_are_a_beta():
    """The error's interval holds zero, and is not empty."""
    hits = drawn(0.5, 8.0, goals=300)
    found = law.foretold_error(hits, [str(i) for i in range(len(hits))])
    assert found is not None
    assert found.low < 0 < found.high
    assert abs(found.value) < 0.1


def test_what_tries_come_to_says_so_where_no_law_can_be_told():
    """No goal broke: no law, no exponent, and a reason in the table."""
    found = told(np.zeros((8, 16), dtype=bool), [str(i) for i in range(8)])
    assert found["values"] == {"law": None, "exponent": None}
    assert "none of 8 goals broke" in str(found["tables"][0]["rows"])
