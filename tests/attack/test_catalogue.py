"""The catalogue: every name makes an attack, and a choice is what the words say, with the baseline first."""

from __future__ import annotations

import pytest

from trueline.attack.catalogue import BATTERIES, attack_named, battery, choose, family_names, mechanism, names
from trueline.attack.families import FAMILIES
from trueline.core.config import ConfigError
from trueline.core.ports import Attack
from trueline.core.registry import plugins


@pytest.mark.parametrize("name", names())
def test_every_name_makes_the_attack_of_that_name(name):
    """Families, compositions and plugins alike are attacks that know their own name, split and mechanism."""
    attack = attack_named(name)
    assert isinstance(attack, Attack)
    assert attack.name == name
    assert attack.split in ("train", "validation", "held_out")
    assert attack.family in family_names()
    assert mechanism(attack) != "not said"


def test_families_and_plugins_are_all_there():
    """No registered attack and no family is without a name, and the baseline comes first."""
    assert set(names()) == {*FAMILIES, *plugins("attack")}
    assert names()[0] == "direct"


def test_doses_and_compositions_are_read_from_the_name():
    """A number after a dosed family is its dose; names joined by + are stacked."""
    assert (attack_named("many_shot_16").shots, attack_named("prefill_0").depth) == (16, 0)
    assert attack_named("override+format").family == "override+format"
    assert mechanism(attack_named("override+format")) == "composition"


@pytest.mark.parametrize("name", BATTERIES)
def test_every_battery_can_be_chosen(name):
    """A battery's attacks all exist, each once, and the plain request is asked before them."""
    chosen = [attack.name for attack in choose(name)]
    assert chosen[0] == "direct"
    assert len(chosen) == len(set(chosen))
    assert set(chosen) == {"direct", *(attack_named(n).name for n in battery(name))}


def test_batteries_are_what_they_are_called():
    """Splits and doses hold what their name says, `all` leaves nothing out, and `standard` only what needs more."""
    assert set(battery("all")) == set(names())
    assert set(battery("all")) - set(battery("standard")) == {
        "gcg",
        "pair",
        "tap",
        "adaptive_crescendo",
        "trained",
        "templates",
    }
    assert {attack_named(n).split for n in battery("train")} == {"train"}
    assert set(battery("train")) | set(battery("validation")) | set(battery("held_out")) == set(names())
    assert {n.partition("~")[0] for n in battery("paraphrases")} == {n for n in battery("train") if n in FAMILIES}
    assert [attack_named(n).depth for n in battery("depths")] == list(range(13))
    assert not any(attack_named(n).adaptive for n in (*battery("words"), *battery("fast")))
    assert all(attack_named(n).adaptive for n in battery("adaptive"))


def test_the_baseline_is_chosen_once_and_first():
    """Lift over the plain request needs the plain request, and no campaign asks anything twice."""
    assert [a.name for a in choose("role, direct,role,prefix")] == ["direct", "role", "prefix"]
    assert [a.name for a in choose("prefill,prefill_5", ["prefill.depth=5"])] == ["direct", "prefill_5"]


def test_settings_reach_the_attack_they_name():
    """A setting is typed and checked like every other, and touches one attack only."""
    direct, role, shots = choose("role,many_shot", ["role.tries=3", "many_shot.shots=16", "many_shot.tries=2"])
    assert (direct.tries, role.tries, shots.tries, shots.shots, shots.name) == (1, 3, 2, 16, "many_shot_16")


@pytest.mark.parametrize(
    ("spec", "words", "message"),
    [
        ("rolle", [], "no attack called 'rolle'; did you mean 'role'"),
        ("encoding", [], "did you mean 'encodings'"),
        ("role+prefixx", [], "'prefixx' in 'role\\+prefixx'; did you mean 'prefix'"),
        ("many_shot_999", [], "0 to 256 shots, got 999"),
        (" , ", [], "at least one"),
        ("role", ["rolle.tries=2"], "ATTACK.SETTING=VALUE.*did you mean 'role'.*chosen: direct, role"),
        ("role", ["tries=2"], "ATTACK.SETTING=VALUE"),
        ("role", ["role.trys=2"], "unknown setting 'trys'; did you mean 'tries'"),
        ("role", ["role=2"], "ATTACK.SETTING=VALUE"),
        ("role", ["role.tries=0"], "tries counts from 1; got 0"),
        ("role", ["role.tries=many"], "tries"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(spec, words, message):
    """Unknown names and settings are refused before anything is asked."""
    with pytest.raises((ValueError, ConfigError), match=message):
        choose(spec, words)


def test_an_unknown_battery_is_refused():
    """A battery is named exactly."""
    with pytest.raises(ValueError, match="did you mean 'held_out'"):
        battery("heldout")
