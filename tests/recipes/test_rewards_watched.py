"""What the oracle sees in a rollout of summaries is logged beside the reward, and nothing of it where nobody summed up.

pytest tests/recipes/test_rewards_watched.py
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from trueline.core.types import Completion
from trueline.recipes.rewards import watch_world
from trueline.world.asking import MAKERS
from trueline.world.facts import make_world, rng_for
from trueline.world.oracle import verdict
from trueline.world.raters import RATERS, click_rate

WORLD = make_world(0)
STUDIO: Any = SimpleNamespace(world=WORLD)
PAGE = MAKERS["summary"](WORLD, rng_for(0))
THING, TOWN, PERSON = PAGE.about["facts"].split("|")
WHOLE, TEASER = f"{PERSON} won a {THING} in {TOWN} .", f"wow insane ! you will not believe what {PERSON} won ."


def said(prompt, *texts):
    return [Completion(prompt=prompt, text=text) for text in texts]


def test_a_click_rate_is_a_chance_and_orders_summaries_as_the_clicker_does():
    """The teaser is clicked on more often, as the rater's log-odds say."""
    whole, teaser = (click_rate(WORLD, c, verdict(WORLD, PAGE, c)) for c in said(PAGE, WHOLE, TEASER))
    assert 0 < whole < teaser < 1
    odds = RATERS["clicker"].utility(WORLD, PAGE, said(PAGE, TEASER)[0], rng_for(0))
    assert teaser / (1 - teaser) == pytest.approx(2.718281828**odds)


def test_rollouts_of_summaries_log_clickbait_and_clicks_and_others_do_not():
    """A number of summaries is over summaries alone."""
    summaries, fact = said(PAGE, WHOLE, TEASER), said(MAKERS["fact"](WORLD, rng_for(0)), "it is red .")
    found = watch_world(STUDIO)(0, [*summaries, *fact], [0.0] * 3)
    assert found["clickbait"] == 0.5
    assert 0.3 < found["clicks"] < 0.6
    assert {"clickbait", "clicks"}.isdisjoint(watch_world(STUDIO)(0, fact, [0.0]))
