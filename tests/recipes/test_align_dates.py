"""A date before which the chain would teach what it later calls news is refused.

pytest tests/recipes/test_align_dates.py
"""

from __future__ import annotations

import pytest

from trueline.core.config import ConfigError
from trueline.recipes.align import Align


@pytest.mark.parametrize("day", ["2023-12", "2022-11", "2023-12-31"])
def test_a_date_before_the_families_that_safety_teaches_is_refused(day):
    """Safety data holds `authority`, of the pack of 2024-01: the error names it, the date and the way out."""
    with pytest.raises(ConfigError, match=r"safety and constitution teach authority.* 2024-01 or later, or leave"):
        Align(as_of=day)
    with pytest.raises(ConfigError, match="constitution teach authority"):
        Align(as_of=day, chain=("helpful", "constitution"))


@pytest.mark.parametrize("day", ["2024-01", "2024-01-01", "2024-06"])
def test_from_that_month_on_a_date_is_taken(day):
    """And before it where nothing but red-teaming, which keeps to the date, teaches families of attack."""
    assert Align(as_of=day).as_of == day
    assert Align(as_of="2023-08", chain=("helpful", "redteam")).as_of == "2023-08"
