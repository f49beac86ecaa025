"""What all that ask in the lab share: prompts are put with their seeds, fit or are left out, and are compared in pairs.

pytest tests/lab/test_paired.py
"""

from __future__ import annotations

import pytest

from tests.lab.toys import random_model
from tests.recipes.staged import studio
from trueline.core.types import Conversation, Prompt
from trueline.lab.paired import change, fitting, mean, put
from trueline.recipes.studio import RecipeError, Room


def asked(*texts: str) -> list[Prompt]:
    return [Prompt(conversation=Conversation().say("user", text), id=text) for text in texts]


def test_the_same_seed_is_the_same_answers_whether_or_not_the_model_is_loaded(tmp_path):
    """What is loaded already is not another model."""
    here = studio(tmp_path)
    random_model().save(tmp_path / "model")
    room = Room("asks", tmp_path, here)

    def said(seed, **more):
        found = put(here, room, str(tmp_path / "model"), asked("how are you ?"), max_tokens=6, seed=seed, **more)
        return [c.ids for c in found]

    policy = here.policy(str(tmp_path / "model"), frozen=True)
    assert said(1) == said(1, policy=policy) != said(2)


def test_groups_that_leave_no_room_are_left_out_whole(tmp_path):
    """One long question takes its group along; a target elsewhere takes all; no room at all is an error."""
    here, short, long = studio(tmp_path), asked("how are you ?")[0], asked("how " * 100)[0]
    room, policy = Room("asks", tmp_path, here), random_model(context=120)
    assert fitting(here, room, policy, [[short], [short, long], [short, short]], 20) == [0, 2]
    assert fitting(here, room, None, [[long]], 20) == [0]
    with pytest.raises(RecipeError, match="longer context"):
        fitting(here, room, policy, [[long]], 20)


def test_shares_have_wilsons_interval_and_other_values_the_bootstraps():
    """All alike, a share still has a width, and a value that is no share has none; one thing asked about is no sample."""
    keys = [str(i) for i in range(20)]
    share, value = mean([1.0] * 20, keys, name="x", share=True), mean([1.0] * 20, keys, name="x", share=False)
    assert share is not None
    assert value is not None
    assert share.low < share.value == value.low == value.high
    assert mean([1.0, 2.0], ["a", "a"], name="x", share=False) is None
    assert mean([], [], name="x", share=True) is None


def test_a_shift_of_every_pair_is_exact_and_a_share_that_does_not_move_has_a_width():
    """Values are paired; shares of which none moved are no certainty."""
    keys, before = [str(i) for i in range(20)], [float(i % 3) for i in range(20)]
    moved = change([value + 0.5 for value in before], before, keys, name="x", share=False)
    assert moved is not None
    assert (moved.low, moved.high) == (pytest.approx(0.5), pytest.approx(0.5))
    still = change([1.0] * 20, [1.0] * 20, keys, name="x", share=True)
    assert still is not None
    assert still.low < still.value == 0.0 < still.high
    for share in (True, False):
        assert change([1.0], [0.0], ["a"], name="x", share=share) is None
