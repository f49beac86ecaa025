"""`limits`, `language` and `media`: how much, in which script, and what nobody can read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.guard.rails.fakes import asked, check, said
from trueline.core.config import ConfigError
from trueline.core.types import Conversation, Tool
from trueline.guard.exchange import Exchange, Piece
from trueline.guard.rails import Language, Limits, Media
from trueline.guard.rails.language import scripts_of


@pytest.mark.parametrize(
    ("limit", "under", "over"),
    [
        ({"characters": 10}, asked("12345", "12345"), asked("12345", "123456")),
        ({"tokens": 4}, asked("four" * 4), asked("four" * 4 + "s")),
        ({"tokens": 4}, asked("é" * 8), asked("é" * 9)),
        ({"piece": 5}, asked("12345", "12345"), asked("123456")),
        ({"messages": 2}, asked("a", "b"), asked("a", "b", "c")),
        ({"depth": 4}, asked("a"), Exchange(endpoint="chat", conversation=Conversation(),
                                            asked=(Piece(side="input", place="other", text="a", path=("x",) * 5),))),
        ({"tools": 1}, replace(asked("a"), tools=(Tool(name="t"),)), replace(asked("a"), tools=(Tool(name="t"),) * 2)),
    ],
)  # fmt: skip
def test_a_limit_holds_to_the_last_unit(limit, under, over):
    """As much as the limit passes, one more does not; the reason says how much there was."""
    rail = Limits(**limit)
    assert check(rail, under).action == "allow"
    ruling = check(rail, over)
    assert (ruling.action, " of at most " in ruling.decision.why) == ("block", True)


def test_choices_are_counted_in_replies():
    """Each index of choices is one."""
    pieces = tuple(Piece(side="output", place="assistant", text="a", path=("choices", n, "text")) for n in (0, 0, 1))
    exchange = Exchange(endpoint="completions", conversation=Conversation(), asked=(), said=pieces)
    assert check(Limits(choices=2), exchange, "output").action == "allow"
    assert check(Limits(choices=1), exchange, "output").action == "block"


def test_nought_is_no_limit_and_less_is_refused():
    """0 turns a limit off."""
    assert check(Limits(characters=0, tokens=0, piece=0), asked("a" * 500_000)).action == "allow"
    with pytest.raises(ConfigError, match="tokens"):
        Limits(tokens=-1)


@pytest.mark.parametrize(
    "text", ["plain", "naïve Ærøskøbing 東京", "日本" * 5, "42 ½ 🙂 → €", "\N{FULLWIDTH LATIN SMALL LETTER F}" * 20]
)
def test_latin_text_with_a_few_other_letters_passes(text):
    """Names, symbols and emoji are no other script."""
    assert check(Language(), asked(text)).action == "allow"


@pytest.mark.parametrize("text", ["Привет, как твои дела сегодня", "こんにちは、元気ですか、今日は", "مرحبا كيف حالك اليوم"])
def test_another_script_is_blocked_on_both_sides(text):
    """More of it than the share allows does not pass, unless it is named."""
    assert check(Language(), asked(text)).action == "block"
    assert check(Language(), said(text), "output").action == "block"
    named = Language(scripts=("latin", "cyrillic", "arabic", "han", "hiragana", "katakana"))
    assert check(named, asked(text)).action == "allow"


def test_the_share_counts_letters():
    """Eleven of a hundred and ten letters are a tenth."""
    text = "ж" * 11 + "a" * 99
    assert check(Language(share=0.1), asked(text)).action == "allow"
    assert check(Language(share=0.09), asked(text)).action == "block"


def test_letters_are_counted_by_script():
    """Digits, blanks and marks belong to none."""
    assert scripts_of("aя1 ग, 漢") == {"latin": 1, "cyrillic": 1, "devanagari": 1, "han": 1}


def test_a_script_that_is_none_is_refused():
    """English is no script."""
    with pytest.raises(ConfigError, match="scripts"):
        Language(scripts=("english",))
    with pytest.raises(ConfigError, match="share"):
        Language(share=1.0)


def test_what_nobody_reads_does_not_pass():
    """Media are blocked by default, on both sides, and the reason says where they stand."""
    exchange = replace(asked("look"), unread=("messages.0.content.1",))
    for side in ("input", "output"):
        assert check(Media(), exchange, side).action == "block"
    assert "content.1" in check(Media(), exchange).decision.why
    assert check(Media(action="flag"), exchange).action == "flag"
    assert check(Media(), asked("look")).action == "allow"
