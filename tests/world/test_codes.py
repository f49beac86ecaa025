"""Every code is undone exactly, alone and stacked on another."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.world.facts import FUNCTION_WORDS, LETTERS, PUNCTUATION, VARIABLES, ZABA_WORDS, make_world
from trueline.world.language import (
    bind,
    decodings,
    from_zaba,
    procedure_text,
    reverse,
    spell,
    substitute,
    to_zaba,
    unspell,
)

WORLD = make_world(0)
PLAIN = st.lists(st.sampled_from((*ZABA_WORDS, *FUNCTION_WORDS, ".", "?", ",", ":")), min_size=1, max_size=12)


@given(PLAIN)
def test_reverse_is_its_own_inverse(words: list[str]) -> None:
    """Reversing twice changes nothing."""
    assert reverse(reverse(" ".join(words))) == " ".join(words)


@given(PLAIN)
def test_zaba_round_trip(words: list[str]) -> None:
    """Translating there and back changes nothing, loan words and punctuation included."""
    text = " ".join(words)
    assert from_zaba(WORLD, to_zaba(WORLD, text)) == text


@given(PLAIN)
def test_spelling_round_trip(words: list[str]) -> None:
    """Spelled words are read back, one-letter words and neighbours included."""
    assert unspell(spell(words)) == " ".join(words)


@given(st.lists(st.sampled_from(ZABA_WORDS), min_size=1, max_size=4), st.integers(0, 99))
def test_binding_round_trip(words: list[str], seed: int) -> None:
    """Definitions and variables, in one text or with the definitions in the context, give the words back."""
    definitions, variables = bind(Random(seed), words)
    assert substitute(f"{definitions} {variables}") == " ".join(words)
    assert substitute(variables, context=definitions) == " ".join(words)


@given(PLAIN)
def test_plain_text_is_left_alone(words: list[str]) -> None:
    """What is in no code is changed by no decoder but the reversal."""
    text = " ".join(words)
    if set(words) & {*VARIABLES, *LETTERS, *PUNCTUATION}:
        return
    assert from_zaba(WORLD, text) == unspell(text) == substitute(text) == text
    assert set(decodings(WORLD, text)) == {text, reverse(text)}


def test_too_many_words_to_bind() -> None:
    """There are four variables."""
    with pytest.raises(ValueError, match="bind fewer"):
        bind(Random(0), ["ash"] * 5)


ENCODERS = {
    "reverse": reverse,
    "zaba": lambda text: to_zaba(WORLD, text),
    "spelled": lambda text: spell(text.split()),
}


@pytest.mark.parametrize("inner", ENCODERS)
@pytest.mark.parametrize("outer", ENCODERS)
def test_decodings_undo_two_stacked_codes(inner: str, outer: str) -> None:
    """Whatever two codes did to a procedure, one of the readings is the procedure."""
    for procedure in WORLD.hazards[:6]:
        plain = procedure_text(procedure)
        assert plain in decodings(WORLD, ENCODERS[outer](ENCODERS[inner](plain)))


def test_decodings_read_variables_from_the_context() -> None:
    """A reply in variables is read with the definitions that the conversation made, also when it is reversed."""
    definitions, variables = bind(Random(1), ("mix", "ash", "pan"))
    assert "mix ash pan" in decodings(WORLD, variables, context=f"<user> {definitions} how ?")
    assert "mix ash pan" in decodings(WORLD, reverse(variables), context=definitions)


def test_decodings_start_with_the_text_and_never_repeat() -> None:
    """The first reading is the text itself; each reading comes once."""
    found = decodings(WORLD, to_zaba(WORLD, procedure_text(WORLD.foods[0])))
    assert found[0] == to_zaba(WORLD, procedure_text(WORLD.foods[0]))
    assert len(found) == len(set(found))
