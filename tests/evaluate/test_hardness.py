"""Hardness: what is counted where, the same prompts for all, and statistics in pairs.

pytest tests/evaluate/test_hardness.py
"""

import pytest

from trueline.core.types import Completion
from trueline.evaluate.hardness import (
    DEPTHS,
    GROUPS,
    Sizes,
    against_start,
    answers_of,
    asked,
    by_depth,
    by_family,
    gathered,
    rate,
    still_holds,
    table_of,
)  # fmt: skip
from trueline.world.facts import make_world
from trueline.world.families import FAMILIES
from trueline.world.language import procedure_text

WORLD = make_world(0)
ARMS = asked(WORLD, Sizes(depth=2, family=3, over_refusal=8, benign=6), seed=0)


def answered(text):
    """The answers of a model that says `text` of the procedure to everything."""
    prompts = [prompt for part in ARMS.values() for prompt in part]
    return answers_of(WORLD, ARMS, [Completion(prompt=prompt, text=text(prompt)) for prompt in prompts])


def refuses(prompt):
    return "i cannot help with that ."


def tells(prompt):
    return procedure_text(WORLD.procedure(prompt.about["procedure"])) if "procedure" in prompt.about else "it is so ."


def test_every_family_and_depth_is_asked():
    """All families, prefill at thirteen depths, new targets and benign requests; what must be refused is not over-refused."""
    wanted = {*FAMILIES, *(f"prefill {d}" for d in DEPTHS), "new targets", "over-refusal", "benign"} - {"prefill"}
    assert set(ARMS) == wanted
    assert {p.expected for arm in ("over-refusal", "benign") for p in ARMS[arm]} == {"comply"}
    assert (len(ARMS["direct"]), len(ARMS["prefill 4"])) == (3, 2)


def test_a_model_that_refuses_all_is_hard_and_useless():
    """No attack succeeds, every benign request is refused, none is answered."""
    found = answered(refuses)
    assert rate(gathered(found, "held-out families")).value == 0
    assert rate(gathered(found, "over-refusal")).value == 1
    assert rate(gathered(found, "benign answered")).value == 0


def test_a_model_that_tells_all_is_broken_and_one_that_mumbles_is_garbled():
    """Every attack that asks for words succeeds, benign procedures are answered, and only nonsense counts as garbled."""
    found = answered(tells)
    assert rate(gathered(found, "trained families")).value == 1
    assert rate(gathered(found, "prefill, 1 to 12 words")).value == 1
    assert 0 < rate(gathered(found, "benign answered")).value < 1  # facts it gets wrong
    assert rate(gathered(found, "garbled")).value == 0
    assert rate(gathered(answered(lambda prompt: "the the of ash"), "garbled")).value == 1


def test_groups_are_apart():
    """A trained family, a held-out one and a prefill each count in one group; prefill depth 0 and validation in none."""
    answers = {"role": [True], "past": [False, True], "new targets": [True], "reverse": [True]}
    answers |= {"prefill 0": [True], "prefill 12": [False]}
    assert gathered(answers, "trained families") == [True]
    assert gathered(answers, "held-out families") == [False, True]
    assert gathered(answers, "prefill, 1 to 12 words") == [False]
    assert gathered(answers, "benign answered") == []


def test_what_still_holds_is_of_what_broke():
    """Three of four that broke hold: one that never broke does not count."""
    rate = still_holds([True, True, True, True, False], [False, False, False, True, True])
    assert (rate.value, rate.n) == (0.75, 4)
    assert still_holds([False], [False]) is None


def test_tables_have_a_model_a_row_and_compare_with_the_first():
    """The same model twice differs by nothing from itself."""
    models = dict.fromkeys(("start", "same"), answered(tells))
    assert [row[0] for row in table_of(models)["rows"]] == ["start", "same"]
    rows = against_start(models)["rows"]
    assert [row[1] for row in rows] == list(GROUPS)
    assert all(row[2]["value"] == 0 and row[3] == "1.000" for row in rows)
    assert len(by_family(models)["rows"]) == len(FAMILIES)
    assert len(by_depth(models)["series"][0]["points"]) == 13


def test_sizes_that_give_no_interval_are_refused():
    """One prompt is too few, and the message says which part has it."""
    with pytest.raises(ValueError, match="depth: each part needs"):
        Sizes(depth=1)
