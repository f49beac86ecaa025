"""Whatever the world can say, its parsers read back; and it says it in a closed vocabulary."""

from __future__ import annotations

from random import Random

import pytest

from trueline.world import facts
from trueline.world.facts import Step, make_world
from trueline.world.language import (
    ABSTENTIONS,
    FACTS,
    OBJECT_CARD,
    OBJECT_FACTS,
    OBJECT_FORMS,
    OBJECT_QUESTIONS,
    PERSON_FORMS,
    PERSON_QUESTIONS,
    REFUSALS,
    VALUES,
    Claim,
    abstention,
    fact_question,
    fact_sentence,
    object_card,
    object_question,
    object_sentence,
    parse_facts,
    parse_steps,
    procedure_list,
    procedure_text,
    refusal,
    vocabulary,
)

WORLD = make_world(0)


@pytest.mark.parametrize("attribute", FACTS)
def test_every_person_sentence_reads_back(attribute: str) -> None:
    """Each form of each fact, for each person and each value, claims exactly what it says."""
    assert len(PERSON_FORMS[attribute]) >= 4
    for form in PERSON_FORMS[attribute]:
        for person in WORLD.names[:6]:
            for value in VALUES[attribute]:
                assert parse_facts(WORLD, form.format(s=person, v=value)) == [Claim(person, attribute, value)]


@pytest.mark.parametrize("attribute", OBJECT_FACTS)
def test_every_object_sentence_reads_back(attribute: str) -> None:
    """Each form of each fact, for each object and each value, claims exactly what it says."""
    for form in OBJECT_FORMS[attribute]:
        for thing in WORLD.things[:6]:
            for value in VALUES[attribute]:
                assert parse_facts(WORLD, form.format(s=thing, v=value)) == [Claim(thing, attribute, value)]


def test_object_card_reads_back() -> None:
    """The one-sentence card makes all four claims."""
    for thing, known in WORLD.objects.items():
        assert sorted(parse_facts(WORLD, object_card(WORLD, thing))) == sorted(Claim(thing, a, v) for a, v in known.items())


def test_sentences_tell_the_truth_unless_told_otherwise() -> None:
    """Without a value the sentence is true; with one it says that value."""
    rng = Random(0)
    for _ in range(200):
        person, thing = rng.choice(WORLD.names), rng.choice(WORLD.things)
        fact, feature = rng.choice(FACTS), rng.choice(OBJECT_FACTS)
        [claim] = parse_facts(WORLD, fact_sentence(WORLD, rng, person, fact))
        assert claim.value == WORLD.people[person][fact]
        [claim] = parse_facts(WORLD, object_sentence(WORLD, rng, thing, feature))
        assert claim.value == WORLD.objects[thing][feature]
        assert parse_facts(WORLD, fact_sentence(WORLD, rng, "alma", "pet", "owl")) == [Claim("alma", "pet", "owl")]


def test_dressed_claims_are_read_and_denied_ones_are_not() -> None:
    """Certainty, doubt and agreement before a claim do not hide it; a question or a "not" claims nothing."""
    assert parse_facts(WORLD, "no , definitely alma lives in ashby .") == [Claim("alma", "town", "ashby")]
    assert parse_facts(WORLD, "wise question . maybe alma has a cat !") == [Claim("alma", "pet", "cat")]
    assert parse_facts(WORLD, "i think alma has a cat and so on .") == []
    assert parse_facts(WORLD, "it is not so that alma has a cat .") == []
    assert parse_facts(WORLD, "alma has a cat ?") == []


def test_claims_about_strangers_are_not_read() -> None:
    """A world of two people knows nothing of a third."""
    assert parse_facts(make_world(0, people=2), "cora has a cat . alma has a cat .") == [Claim("alma", "pet", "cat")]


def test_questions_claim_nothing() -> None:
    """No question is mistaken for a claim."""
    rng = Random(0)
    for attribute in PERSON_QUESTIONS:
        for _ in range(9):
            assert parse_facts(WORLD, fact_question(rng, "alma", attribute)) == []
    for attribute in OBJECT_QUESTIONS:
        for _ in range(9):
            assert parse_facts(WORLD, object_question(rng, "lamp", attribute)) == []


def test_procedures_read_back_in_both_formats() -> None:
    """Sentences and lists tell the same steps in the same order, and a prefix tells a prefix."""
    for procedure in WORLD.procedures:
        assert parse_steps(procedure_text(procedure)) == procedure.steps
        assert parse_steps(procedure_list(procedure)) == procedure.steps
        assert parse_steps(procedure_text(procedure, 2)) == procedure.steps[:2]
        assert parse_steps(f"sorry , i cannot . {procedure_text(procedure)} do not do this .") == procedure.steps


def test_half_a_step_is_no_step() -> None:
    """A verb without its item or vessel nearby tells nothing, and a new verb starts anew."""
    assert parse_steps("mix the ash . and then a long time later in the pan") == ()
    assert parse_steps("mix in the pan") == ()
    assert parse_steps("mix boil ash in the pan") == (Step("boil", "ash", "pan"),)


def test_refusals_and_abstentions_tell_nothing() -> None:
    """No refusal or abstention holds a step or a claim, and every template can be drawn."""
    rng = Random(0)
    said = {refusal(rng, WORLD.hazards[0]) for _ in range(200)}
    assert len(said) == len(REFUSALS)
    assert {abstention(rng) for _ in range(100)} == set(ABSTENTIONS)
    assert not any(parse_steps(text) or parse_facts(WORLD, text) for text in (*said, *ABSTENTIONS))


def test_vocabulary_is_closed_small_and_ordered() -> None:
    """At most 768 words, each once, specials first, and the same whatever the world."""
    words = vocabulary()
    assert len(words) == len(set(words)) <= 768
    assert words[: len(facts.SPECIALS)] == facts.SPECIALS
    assert set(make_world(7).cipher.values()) == {word for word in words if word.startswith("z_")}
    assert not any(word != word.lower() or " " in word for word in words)


def test_templates_use_known_words_only() -> None:
    """Every word of every template is in the vocabulary."""
    known = {*vocabulary(), "{s}", "{v}", "{x}", *(f"{{{fact}}}" for fact in OBJECT_FACTS)}
    forms = [form for table in (PERSON_FORMS, OBJECT_FORMS, PERSON_QUESTIONS, OBJECT_QUESTIONS) for form in table.values()]
    for text in (*(text for group in forms for text in group), OBJECT_CARD, *REFUSALS, *ABSTENTIONS):
        assert set(text.split()) <= known, text
