"""Data of the world is named with its settings, and a name that says something else is refused with what it could say.

pytest tests/recipes/test_reading.py
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.recipes.staged import studio
from trueline.recipes.reading import conversations, demonstrated, prompts
from trueline.recipes.studio import RecipeError
from trueline.world import demonstrations
from trueline.world.facts import make_world


def test_a_set_without_settings_is_the_set_itself(tmp_path):
    """Settings are added to a name and change nothing where they are left out or say the default."""
    plain = demonstrations.mixed(make_world(0), 0, 40)
    assert tuple(conversations(studio(tmp_path), "world/mixed", 40)) == plain
    assert demonstrated("world/mixed:hedged=0.05")(make_world(0), 0, 40) == plain
    assert demonstrated("world/mixed:hedged=0.9")(make_world(0), 0, 40) != plain


def test_the_mix_of_training_prompts_can_be_named(tmp_path):
    """Shares need not sum to one; kinds that are not named are not asked."""
    kinds = Counter(p.category.partition("/")[0] for p in prompts(studio(tmp_path), "world/training:fact=3,deed=1", 200, 0))
    assert set(kinds) == {"fact", "hazard"}
    assert kinds["fact"] / 200 == pytest.approx(0.75, abs=0.1)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("world/mixd", "choose one of helpful"),
        ("world/mixed:hedge=0.2", "it has hedged, deeds"),
        ("world/mixed:hedged", "each a name and a number"),
        ("world/mixed:hedged=-1", "each a name and a number"),
        ("world/helpful:hedged=0.2", "it has none"),
    ],
)
def test_a_wrong_setting_is_refused(data, says):
    """The message names the settings that there are."""
    with pytest.raises(RecipeError, match=says):
        demonstrated(data)


def test_a_share_beyond_its_range_and_an_empty_mix_are_refused(tmp_path):
    """More than everything cannot be hedged, and nothing cannot be drawn from."""
    with pytest.raises(ValueError, match="shares from 0 to 1"):
        conversations(studio(tmp_path), "world/mixed:hedged=2", 1)
    with pytest.raises(RecipeError, match="must not all be 0"):
        prompts(studio(tmp_path), "world/training:fact=0", 1, 0)
