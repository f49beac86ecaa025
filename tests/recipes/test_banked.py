"""The bank beside its baseline: what worked is asked of the model that it worked on too, as often and with the same seeds.

pytest tests/recipes/test_banked.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.attack.findings import HAZARDS, attempt
from tests.recipes import staged
from trueline.attack.bank import KEY, read_bank
from trueline.core.config import ConfigError
from trueline.recipes import banked
from trueline.recipes.banked import BANK, Bank, shares
from trueline.recipes.campaigns import ATTEMPTS

STRONG, WEAK = "strong", "weak"  # the one gives nothing; the other everything in half of the tries


@pytest.fixture
def asked(monkeypatch):
    """What is put to which model, with which draw; answers come from `STRONG` and `WEAK`."""
    calls = []

    def put(asking, studio, room, rounds):
        ((_, goals),) = rounds
        calls.append((asking.target, asking.draw, [goal.about[KEY] for goal in goals]))
        gave = asking.target != STRONG and asking.draw % 2 == 0
        return [replace(attempt(HAZARDS[0], gave=gave), goal=goal) for goal in goals], None

    monkeypatch.setattr(banked, "put", put)
    return calls


def found(where, name, goals, gave=True):
    staged.stage(where, name, ATTEMPTS, [attempt(goal, gave=gave) for goal in goals])


def test_what_training_changed_is_the_difference_to_the_model_of_origin(tmp_path, asked):
    """What works in half of the tries on either model has not changed; on one that gives nothing it lost that half."""
    where = staged.studio(tmp_path)
    found(where, "attack0", HAZARDS[:6])
    found(where, "attack1", [])
    same = where.make("same", Bank(target=WEAK, origin=WEAK, found="attack0", latest="attack1")).result
    assert (same["worked"]["value"], same["works"]["value"], same["change"]["value"]) == (0.5, 0.5, 0.0)
    mended = where.make("mended", Bank(target=STRONG, origin=WEAK, found="attack0", latest="attack1")).result
    assert (mended["works"]["value"], mended["change"]["value"]) == (0.0, -0.5)
    assert mended["change"]["high"] < 0
    by_model = {model: [draw for target, draw, _ in asked[-8:] if target == model] for model in (WEAK, STRONG)}
    assert by_model == {WEAK: [0, 1, 2, 3], STRONG: [0, 1, 2, 3]}


def test_an_entry_is_fixed_only_where_no_try_works(tmp_path, asked):
    """Half of the tries work: it is open, where one sample would have said fixed half of the time."""
    where = staged.studio(tmp_path)
    found(where, "attack0", HAZARDS[:2])
    found(where, "attack1", [])
    statuses = {}
    for target in (WEAK, STRONG):
        made = where.make(target, Bank(target=target, origin=WEAK, found="attack0", latest="attack1"))
        statuses[target] = {entry.status for entry in read_bank(str(made.folder / BANK))}
    assert statuses == {WEAK: {"open"}, STRONG: {"fixed"}}


def test_an_attack_that_worked_once_and_never_again_is_counted_as_luck(tmp_path, asked):
    """On the very model that it was found on; it is no merit of the training after."""
    where = staged.studio(tmp_path)
    found(where, "attack0", HAZARDS[:3])
    found(where, "attack1", [])
    result = where.make("bank1", Bank(target=STRONG, origin=STRONG, found="attack0", latest="attack1")).result
    assert (result["lucky"], result["change"]["value"]) == (3, 0.0)


def test_what_the_last_campaign_found_is_in_the_last_bank_and_each_origin_is_asked_once(tmp_path, asked):
    """Open and unasked there; the next bank asks it of the model that it was found on, and no other entry of it again."""
    where = staged.studio(tmp_path)
    found(where, "attack0", HAZARDS[:2])
    found(where, "attack1", HAZARDS[1:4])
    found(where, "attack2", HAZARDS[5:6])
    first = where.make("bank1", Bank(target=STRONG, origin=WEAK, found="attack0", latest="attack1"))
    assert (first.result["asked"], first.result["entries"]) == (2, 4)
    assert [entry.status for entry in read_bank(str(first.folder / BANK))] == ["fixed", "fixed", "open", "open"]
    del asked[:]
    last = where.make("bank2", Bank(target=WEAK, origin=STRONG, found="attack1", latest="attack2", before="bank1", tries=1))
    assert {(target, len(keys)) for target, _, keys in asked} == {(STRONG, 2), (WEAK, 4)}
    assert (last.result["asked"], last.result["entries"]) == (4, 5)
    assert last.result["worked"]["value"] == pytest.approx(0.25)  # two that the weak one gave in half of the tries, two never


def test_tries_that_decide_nothing_are_no_share():
    """A try that ended in an error counts on neither side."""
    one = attempt(HAZARDS[0])
    one = replace(one, goal=replace(one.goal, about={**one.goal.about, KEY: "k"}))
    broken = replace(one, completion=replace(one.completion, finish="error"))
    assert shares([one, broken]) == {"k": 1.0}
    assert shares([broken]) == {}


def test_no_tries_are_refused():
    """Before any work."""
    with pytest.raises(ConfigError, match="at least 1"):
        Bank(target="m", origin="m", found="a", latest="b", tries=0)
