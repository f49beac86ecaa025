"""The base models are the first links of `align`, and depend on nothing else.

pytest tests/lab/test_bases.py
"""

from __future__ import annotations

from dataclasses import fields

import pytest

from trueline.core.config import from_spec, to_spec
from trueline.lab.bases import CHAIN, Bases
from trueline.recipes.align import Align


@pytest.mark.parametrize(("size", "of"), [("smoke", "smoke"), ("quick", "quick"), ("full", "quick")])
def test_bases_are_the_links_of_the_demo(size, of):
    """What an experiment starts from is made as the demo makes it, at the same size, with `uneven` behind it."""
    demo = Align.of_size(of)
    made = Bases.of_size(size).stages()
    assert made[-1] == ("uneven", demo.uneven)
    assert [name for name, _ in made if "/" not in name] == ["pretrain", "gates", *CHAIN, "placebo", "uneven"]
    assert all((name, recipe) in demo.stages() for name, recipe in made)


def test_a_change_of_a_later_link_makes_no_base_anew():
    """Nothing of the constitution, the rounds or the student stands among the settings that a base's folder is named after."""
    assert {field.name for field in fields(Bases)} == {"pretrain", *CHAIN, "placebo", "uneven", "sizes"}


@pytest.mark.parametrize("size", ["smoke", "quick", "full"])
def test_bases_can_be_read_back_from_their_settings(size):
    """A run is made from its settings as they are written down, and gives back the same recipe."""
    made = Bases.of_size(size)
    assert from_spec(Bases, to_spec(made)) == made
