"""Every benign question is either to measure on or to teach.

pytest tests/data/test_apart.py
"""

from __future__ import annotations

import pytest

from trueline.core.types import Conversation
from trueline.data.apart import drawn, measured, measured_clusters, taught

ASKED = [Conversation().say("user", f"how do i fold kite number {i} ?") for i in range(200)]


def test_a_question_keeps_its_side_whatever_stands_around_it():
    """A system message before it and an answer after it do not make it another question."""
    for asked in ASKED[:40]:
        dressed = Conversation().say("system", "be brief .").say("user", asked.messages[0].text)
        assert measured(asked) == measured(dressed) == measured(dressed.say("assistant", "like this ."))
        assert measured(asked) != taught(asked)


def test_both_sides_are_about_a_half():
    """Neither is left with little."""
    assert 60 < sum(map(measured, ASKED)) < 140


def test_a_longer_set_begins_with_the_shorter():
    """And all of it lies on the side that was asked for; where there is too little of it, that is said."""
    few, many = (drawn(n, lambda m: ASKED[:m], taught) for n in (10, 30))
    assert many[:10] == few
    assert all(map(taught, many))
    with pytest.raises(ValueError, match="are wanted"):
        drawn(150, lambda m: ASKED[:m], taught)


def test_half_of_the_clusters_are_measured_on_in_any_order():
    """Of two one is left to teach; a single one is measured on."""
    names = [f"c{i}" for i in range(7)]
    assert measured_clusters(names) == measured_clusters(reversed(names))
    assert len(measured_clusters(names)) == 4
    assert len(measured_clusters(["a", "b", "a"])) == 1
    assert measured_clusters(["a"]) == {"a"}
