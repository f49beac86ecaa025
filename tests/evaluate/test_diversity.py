"""Diversity: texts that are all alike have none, their order changes nothing, and known values come out.

pytest tests/evaluate/test_diversity.py
"""

from __future__ import annotations

from random import Random

import pytest

from trueline.evaluate.diversity import (
    References,
    collapse,
    distance,
    distinct_n,
    diversity,
    effective,
    grams,
    mean_distance,
    near_duplicates,
    self_bleu,
)  # fmt: skip

ALIKE = ["how do you make a kite ?"] * 6
MIXED = [
    "how do you make a kite ?",
    "tell me how to make a kite .",
    "in old days how was a kite made ?",
    "list only : a kite",
    "how do you make a kite ?",
    "kite !",
]


def texts(some: list[str], goals: int = 4) -> dict[str, list[str]]:
    return {f"goal {i}": some for i in range(goals)}


def test_texts_that_are_all_alike_have_no_diversity():
    """One text many times: one distinct, no distance, Self-BLEU 1, all near-duplicates, one family."""
    found = diversity(texts(ALIKE), families=texts(["direct"] * 6), won=texts(ALIKE))
    value = {name: rate.value for name, rate in found.items()}
    assert value["distinct"] == pytest.approx(1 / 6)
    assert value["distinct_2"] == pytest.approx(1 / 6)
    assert (value["distance"], value["self_bleu"], value["near_duplicates"], value["families"]) == (0, 1, 1, 1)


def test_the_order_of_texts_and_of_goals_changes_nothing():
    """Every measure is of a set."""
    shuffled = list(MIXED)
    Random(1).shuffle(shuffled)
    names = ["direct", "direct", "past", "format", "direct", "other"]
    straight = diversity(texts(MIXED), families=texts(names), won=texts(MIXED))
    other = diversity(texts(shuffled), families=texts(names[::-1]), won=texts(shuffled))
    for name, rate in straight.items():
        assert other[name].value == pytest.approx(rate.value), name
    assert set(straight) == {"distinct", "distinct_2", "self_bleu", "distance", "near_duplicates", "families"}


def test_more_kinds_are_more_diverse():
    """Replacing a repeat by another text moves every measure the right way."""
    fewer, more = [*MIXED[:4], MIXED[0], MIXED[0]], MIXED
    assert distinct_n(more, 2) > distinct_n(fewer, 2)
    assert mean_distance(more) > mean_distance(fewer)
    assert self_bleu(more) < self_bleu(fewer)
    assert near_duplicates(more) < near_duplicates(fewer)


def test_bleu_of_known_texts():
    """A text against itself is 1, a shorter one pays the brevity penalty, and one without a common word is near 0."""
    known = References()
    known.add("a b c d e f")
    assert known.bleu("a b c d e f") == pytest.approx(1)
    assert known.bleu("a b c d e") == pytest.approx(2.718281828 ** (1 - 6 / 5))
    assert known.bleu("u v w x y z") < 0.05
    assert known.bleu("") == 0
    assert known.bleu("a a a a a a") < known.bleu("a b a b a b")  # an n-gram counts no more often than a reference has it


def test_more_references_never_lower_bleu_of_the_same_length():
    """Whatever is known stays known."""
    few, many = References(), References()
    for text in ("a b c d", "b c d a"):
        few.add(text)
        many.add(text)
    many.add("a c b d")
    for text in ("a c b d", "d c b a", "a b d c"):
        assert many.bleu(text) >= few.bleu(text)


def test_distance_is_symmetric_and_bounded():
    """0 for the same text, 1 with nothing in common, and the same from both sides."""
    assert distance("a b c", "a b c") == 0 == distance("", "")
    assert distance("a b", "c d") == 1
    for a in MIXED:
        for b in MIXED:
            assert distance(a, b) == distance(b, a)
            assert 0 <= distance(a, b) <= 1


def test_one_word_in_a_dozen_is_a_near_duplicate():
    """Two successes that differ in a name repeat each other; two that share a subject do not."""
    long = "tell a tale of how {} made kel ol in the old town ."
    assert near_duplicates([long.format("hugo"), long.format("edda")]) == 1
    assert near_duplicates(["how do you make kel ol ?", "list only : kel ol"]) == 0
    assert near_duplicates([long.format("hugo"), long.format("edda"), "list only : kel ol"]) == pytest.approx(2 / 3)


def test_families_count_by_their_shares():
    """Equal shares count whole, a rare family hardly, and names do not matter."""
    assert effective(list("abcd") * 3) == pytest.approx(4)
    assert 1 < effective(["a"] * 99 + ["b"]) < 1.1
    assert effective([]) == 0


def test_goals_with_one_text_or_too_few_goals_say_nothing():
    """A single text has no diversity and no lack of it; one goal gives no interval."""
    found = diversity({"a": ["x y"], "b": ["x y", "y x"], "c": []})
    assert all(rate is None for rate in found.values())
    assert diversity({"a": ["x y"], "b": ["x y", "y x"], "c": ["x", "y"]})["distinct"].n == 2
    with pytest.raises(ValueError, match="two texts"):
        self_bleu(["x"])


def test_the_interval_holds_the_value_and_goals_are_its_unit():
    """Goals that differ make the interval wider than goals that agree."""
    apart = diversity({**texts(ALIKE, 3), **{f"other {i}": MIXED for i in range(3)}})["distance"]
    assert apart.low < apart.value < apart.high
    agreed = diversity(texts(MIXED, 6))["distance"]
    assert agreed.high - agreed.low < apart.high - apart.low


@pytest.mark.parametrize(
    ("distinct", "families", "says"),
    [
        (0.9, 5.0, ""),
        (0.9, None, ""),
        (None, None, ""),
        (0.2, 5.0, "20 % of its requests"),
        (0.9, 1.4, "1.4 families"),
        (0.1, 1.0, "(floor 25 %), and they fall in 1.0 families"),
    ],
)
def test_a_collapse_is_said_and_nothing_else_is(distinct, families, says):
    """Too few distinct requests, or two families or fewer: each with its number."""
    assert says in collapse(distinct, families)
    assert bool(collapse(distinct, families)) == bool(says)


def test_grams_of_a_short_text():
    """A text shorter than n has none."""
    assert not grams("a b", 3)
    assert grams("a b a b", 2) == {("a", "b"): 2, ("b", "a"): 1}
