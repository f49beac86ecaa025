"""The world is drawn anew for every seed, out of words that never change."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from trueline.world import facts
from trueline.world.facts import held_out_hazards, held_out_prefix, known_hazards, make_world, number_words, rng_for


def test_equal_seeds_make_equal_worlds() -> None:
    """A world is a function of its seed and size."""
    assert make_world(3) == make_world(3)
    assert make_world(3).hash == make_world(3).hash


def test_another_seed_rerolls_everything() -> None:
    """Facts, recipes, kinds of compounds and the cipher all depend on the seed."""
    one, two = make_world(0), make_world(1)
    assert one.hash != two.hash
    assert one.people != two.people
    assert one.objects != two.objects
    assert one.cipher != two.cipher
    assert {p.text: p.steps for p in one.procedures} != {p.text: p.steps for p in two.procedures}
    families = {tuple(sorted({(p.name[1], p.family) for p in make_world(seed).hazards})) for seed in range(8)}
    assert len(families) > 1


def test_default_size_is_the_measured_one() -> None:
    """36 people with six facts, 24 objects with four, 82 procedures of four steps, 32 of them forbidden."""
    world = make_world(0)
    assert (len(world.people), len(world.objects), len(world.procedures)) == (36, 24, 82)
    assert (len(world.foods), len(world.crafts), len(world.hazards), len(world.benign)) == (40, 10, 32, 50)
    assert all(len(person) == 6 for person in world.people.values())
    assert all(len(thing) == 4 for thing in world.objects.values())
    assert all(len(p.steps) == 4 and p.forbidden == (p.kind == "hazard") for p in world.procedures)
    assert {p.family for p in world.hazards} == set(facts.HAZARD_FAMILIES)


@pytest.mark.parametrize("seed", range(5))
def test_no_step_belongs_to_two_procedures(seed: int) -> None:
    """A single leaked step names its procedure, so copying another procedure discloses exactly nothing."""
    world = make_world(seed)
    assert len(world.owner) == sum(len(p.steps) for p in world.procedures)
    assert len({p.text for p in world.procedures}) == len(world.procedures)


def test_people_are_friends_of_others() -> None:
    """Nobody is their own friend, and every friend exists."""
    world = make_world(2, people=5)
    assert all(person["friend"] != name and person["friend"] in world.people for name, person in world.people.items())


def test_growing_one_part_leaves_the_others_alone() -> None:
    """Each part has its own rng, so a larger world still knows what the smaller one knew of objects and the cipher."""
    small, large = make_world(0, objects=4, foods=8), make_world(0, objects=24, foods=40)
    assert all(large.objects[thing] == known for thing, known in small.objects.items())
    assert small.cipher == large.cipher
    assert small.hazards == large.hazards


def test_cipher_is_one_to_one_and_tells_nothing() -> None:
    """Every zaba word has one meaning, and hardly ever the one in its name."""
    world = make_world(0)
    assert set(world.cipher) == set(facts.ZABA_WORDS) == set(world.decipher.values())
    assert len(set(world.cipher.values())) == len(world.cipher)
    assert sum(twin == f"z_{word}" for word, twin in world.cipher.items()) < 10


def test_held_out_hazards_are_a_class_and_a_prefix() -> None:
    """Every gas and every compound of one prefix is held out; the other hazards are known, and nothing is both."""
    for seed in range(4):
        world = make_world(seed)
        held, known = held_out_hazards(world), known_hazards(world)
        assert {p for p in held if p.family != "gas"} == {
            p for p in world.hazards if p.name[0] == held_out_prefix(world) and p.family != "gas"
        }
        assert not any(p.family == "gas" or p.name[0] == held_out_prefix(world) for p in known)
        assert sorted(p.text for p in held + known) == sorted(p.text for p in world.hazards)
        assert (len(held), len(known)) == (11, 21)


def test_procedure_lookup_says_what_it_expected() -> None:
    """A known name is found; an unknown one is answered with an example."""
    world = make_world(0)
    assert world.procedure(world.hazards[0].text) is world.hazards[0]
    with pytest.raises(KeyError, match="its names look like"):
        world.procedure("no such")


@pytest.mark.parametrize("size", [{"people": 99}, {"people": 1}, {"hazards": 33}, {"steps": 5}, {"foods": 121}, {"objects": 0}])
def test_impossible_sizes_are_refused(size: dict[str, int]) -> None:
    """There are only so many words."""
    with pytest.raises(ValueError, match="a world needs"):
        make_world(0, **size)


def test_no_word_is_in_two_lists() -> None:
    """Word classes do not overlap, so a word's class can be read off the word."""
    lists = (
        *(facts.NAMES, facts.TOWNS, facts.JOBS, facts.PETS, facts.COLOURS, facts.MONTHS, facts.OBJECTS, facts.MATERIALS),
        *(facts.FOODS, facts.INGREDIENTS, facts.CRAFTS, facts.PREFIXES, facts.SUFFIXES, facts.REAGENTS, facts.VERBS),
        *(facts.VESSELS, facts.HYPE, facts.FLATTERY, facts.CERTAINTY, facts.HEDGES, facts.ORDER, facts.VARIABLES),
        *(facts.DIGITS, facts.LETTERS, facts.SPECIALS, facts.PUNCTUATION, facts.FAMILIES),
    )
    words = [word for group in lists for word in group]
    assert len(words) == len(set(words))
    assert not set(facts.FUNCTION_WORDS) & (set(words) - set(facts.DIGITS))


def test_numbers_and_rngs_are_stable() -> None:
    """Numbers are digit words, and an rng depends on all of its name."""
    assert number_words(10) == "one zero"
    assert rng_for(0, "a", 1).random() == rng_for(0, "a", 1).random() != rng_for(0, "a", 2).random()


def test_records_are_frozen() -> None:
    """Nobody changes the truth in passing."""
    with pytest.raises(FrozenInstanceError):
        make_world(0).seed = 1  # type: ignore[misc]
