"""Forms of over-optimisation are fitted and read off as they were made.

pytest tests/lab/test_forms.py
"""

from __future__ import annotations

import numpy as np
import pytest

from trueline.lab.forms import FORMS, at, fit, hump
from trueline.lab.twin import Point

D = np.linspace(0.1, 3.0, 25)


@pytest.mark.parametrize(
    ("form", "gold"),
    [
        ("null", 0.8 * D),
        ("best-of-n", D * (1.1 - 0.4 * D)),
        ("RL", D * (0.9 - 0.5 * np.log(D))),
        ("quadratic", 0.3 + 1.1 * D - 0.4 * D**2),
    ],
)
def test_the_form_that_made_a_curve_is_the_one_that_aic_prefers(form, gold):
    """With noise of a hundredth the true form has the lowest AIC, and its coefficients come back."""
    noisy = gold + np.random.default_rng(1).normal(0, 0.01, len(D))
    fits = {name: fit(name, D, noisy) for name in FORMS}
    assert min(fits.values(), key=lambda f: f.aic).form == form
    assert fits[form].explained > 0.99


def test_coefficients_are_in_the_order_of_the_paper():
    """a first, then b, with the sign that makes b of a hump positive."""
    assert fit("best-of-n", D, D * (1.1 - 0.4 * D)).coefficients == pytest.approx((1.1, 0.4))
    assert fit("RL", D, D * (0.9 - 0.5 * np.log(D))).coefficients == pytest.approx((0.9, 0.5))


def test_too_few_points_or_the_start_itself_are_refused():
    """The logarithm of no distance is not a number."""
    with pytest.raises(ValueError, match="d above 0"):
        fit("RL", [0.0, 1.0, 2.0], [0.0, 1.0, 1.0])


def test_a_hump_is_read_off_its_path():
    """The peak's place and gain, and what is lost behind it; a path that ends at its peak loses nothing."""
    path = [Point(kl=k * k, proxy=float(k), gold=g, strength=2.0**k) for k, g in enumerate((0.5, 0.9, 1.3, 0.2))]
    found = hump(path)
    assert (found.distance, found.strength) == (2.0, 4.0)
    assert (found.gain, found.drop) == pytest.approx((0.8, 1.1))
    assert hump(path[:3]).drop == 0.0
    assert at(path, [0.5, 2.5, 4.0]) == [pytest.approx(0.7), pytest.approx(0.75), None]
