"""`words` and `topics`: lists of the operator, whole words, one mention is no topic."""

from __future__ import annotations

import pytest

from tests.guard.rails.fakes import asked, check, edited, said
from trueline.core.config import ConfigError
from trueline.guard.rails import Topic, Topics, Words

BIRDS = Topics(topics=(Topic(name="birds", words=("heron", "wren", "night jar"), at_least=3, different=2),))


def test_a_word_blocks_on_both_sides():
    """The list holds for what is asked and for what is said, whatever the case."""
    rail = Words(words=("nightjar",))
    assert check(rail, asked("about NightJar")).action == "block"
    assert check(rail, said("a nightjar"), "output").action == "block"
    assert check(rail, asked("a night heron")).action == "allow"


def test_a_word_within_a_word_is_none_unless_asked_for():
    """Whole words only, by default."""
    assert check(Words(words=("ass",)), asked("first class")).action == "allow"
    assert check(Words(words=("ass",), whole=False), asked("first class")).action == "block"


def test_a_redaction_leaves_the_label():
    """The span alone is replaced."""
    exchange = asked("ask Ann about ticket-123456 now")
    rail = Words(regexes=("ticket-[0-9]{6}",), action="redact", label="[ticket]")
    assert edited(check(rail, exchange), exchange) == "ask Ann about [ticket] now"


def test_a_file_has_words_expressions_and_comments(tmp_path):
    """One entry a line."""
    path = tmp_path / "banned.txt"
    path.write_text("# birds\nheron\nre:wren+\n\n", encoding="utf-8")
    rail = Words(file=str(path))
    assert [check(rail, asked(text)).action for text in ("a heron", "WRENNN", "# birds")] == ["block", "block", "allow"]


@pytest.mark.parametrize(
    "wrong",
    [{}, {"words": (" ",)}, {"regexes": ("(a",)}, {"regexes": ("(?=a)",)}, {"regexes": ("a*",)}, {"file": "/nowhere/at/all"}],
)
def test_a_list_that_is_none_is_refused(wrong):
    """Nothing listed, blanks, what RE2 does not read, what matches nothing, a file that is not there."""
    with pytest.raises(ConfigError, match="words"):
        Words(**wrong)


def test_one_mention_is_no_topic():
    """So many mentions of so many different words are."""
    assert check(BIRDS, asked("a heron, a heron, a heron")).action == "allow"
    assert check(BIRDS, asked("a heron and a wren")).action == "allow"
    assert check(BIRDS, asked("a heron, a wren, a Night Jar")).action == "flag"
    assert "birds in user" in check(BIRDS, asked("heron wren heron")).decision.why


def test_a_topic_must_be_dense_where_the_policy_says_so():
    """The same words in a long text are fewer for each hundred."""
    dense = Topics(topics=(Topic(name="birds", words=("heron", "wren"), at_least=2, density=5.0),))
    assert check(dense, asked("heron wren " + "and " * 10)).action == "flag"
    assert check(dense, asked("heron wren " + "and " * 100)).action == "allow"


def test_topics_that_make_no_sense_are_refused():
    """More different words than there are, no words, two of one name."""
    for wrong in ({"words": ()}, {"words": ("a", "b"), "different": 3}, {"words": ("a",), "at_least": 1, "different": 2}):
        with pytest.raises(ConfigError, match="topic"):
            Topic(name="t", **wrong)
    with pytest.raises(ConfigError, match="topics"):
        Topics(topics=(BIRDS.topics[0], BIRDS.topics[0]))
