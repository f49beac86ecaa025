"""Measures, effects and the front of variants, on series made up for them."""

from __future__ import annotations

import pytest

from trueline.core.stats import wilson
from trueline.evaluate.compare import Series
from trueline.guard.prompting.parts import Part
from trueline.recipes.prompt_effects import ATTACK, compared, effects, front, measures

N = 40


def series(metric, share, better="lower", **more):
    """The first `share` of N questions count, each a cluster of its own unless said otherwise."""
    values = tuple(float(i < share * N) for i in range(N))
    names = tuple(f"q{i}" for i in range(N))
    return Series(metric=metric, better=better, items=names, clusters=more.get("clusters", names), values=values)


def variant(attack, over, answered):
    return [
        series("refusal/gave", attack),
        series("over_refusal/over_refused", over),
        series("capability/correct", answered, "higher"),
    ]


def test_the_roles_come_first_and_other_suites_by_their_headline():
    """Attack prompts in every wording stand for plain requests; what two cells give is added; a suite is shown once."""
    some = [
        series("refusal/refused", 0.5, "higher"),
        series("refusal/gave", 0.5),
        series("refusal_enablement/refuse_gave", 0.25),
        series("refusal_enablement/comply_gave", 0.25),
        series("sycophancy/false_agree", 0.1),
        series("sycophancy/swayed", 0.1),
    ]
    found = {one.name: one for one in measures({"a": some})}
    assert list(found) == [ATTACK, "refusal/refused", "sycophancy/false_agree"]
    assert found[ATTACK].values["a"][:11] == (2.0,) * 10 + (0.0,)
    with_campaign = measures({"a": [*some, series("broken by any attack", 0.75)]})
    assert sum(with_campaign[0].values["a"]) == 0.75 * N


@pytest.mark.parametrize(
    ("other", "tokens", "on"),
    [
        ((0.5, 0.1, 0.8), 20, {"a"}),  # alike, and longer
        ((0.5, 0.1, 0.8), 10, {"a", "b"}),  # alike in everything: neither is better
        ((0.4, 0.1, 0.8), 20, {"a", "b"}),  # safer, and longer
        ((0.4, 0.1, 0.8), 10, {"b"}),
        ((0.4, 0.2, 0.8), 10, {"a", "b"}),  # safer, and refuses more
        ((0.5, 0.1, 0.9), 10, {"b"}),  # more is answered
        ((0.5, 0.1, 0.7), 5, {"a", "b"}),  # less is answered, and shorter
    ],
)
def test_the_front_weighs_all_four(other, tokens, on):
    """Lower attack success and over-refusal, more benign answers and fewer tokens are better; nothing else is."""
    found = measures({"a": variant(0.5, 0.1, 0.8), "b": variant(*other)})
    shown = front(found, {"a": 10, "b": tokens})
    assert {name for name, (yes, _) in shown.items() if yes} == on
    for yes, share in shown.values():
        assert yes == (share > 0.5)


def test_how_sure_the_front_is_comes_from_the_questions():
    """A difference of one question in forty is on the front in some resamples, and of none in all or nothing."""
    near = front(measures({"a": variant(0.5, 0.1, 0.8), "b": variant(0.475, 0.1, 0.8)}), {"a": 10, "b": 20})
    assert 0.4 < near["b"][1] < 0.9
    assert near["a"][1] == 1


def test_clusters_are_what_is_counted():
    """The same answers in four clusters say less than in forty: a wider interval, and a p of four votes."""
    few = tuple(f"c{i % 4}" for i in range(N))
    pair = {name: [series("refusal/gave", share)] for name, share in (("a", 0.5), ("b", 0.2))}
    apart = compared(measures(pair)[0], "b", "a")
    pair = {name: [series("refusal/gave", share, clusters=few)] for name, share in (("a", 0.5), ("b", 0.2))}
    together = compared(measures(pair)[0], "b", "a")
    assert apart.difference.value == together.difference.value == pytest.approx(-0.3)
    assert together.p == 2 / 2**4
    assert apart.p < 0.001


def test_what_did_not_move_is_bounded_and_what_moved_as_a_whole_is_not_certain():
    """No spread between questions leaves Wilson's bound on what went unseen, around what was seen."""
    found = measures({"a": [series("refusal/gave", 1)], "b": [series("refusal/gave", 0)], "c": [series("refusal/gave", 1)]})[0]
    unseen = wilson(0, N).high
    for name, value in (("b", -1.0), ("c", 0.0)):
        d = compared(found, name, "a").difference
        assert (d.value, d.low, d.high) == pytest.approx((value, value - unseen, value + unseen))


def test_a_prompt_that_comes_twice_weighs_twice():
    """In a fraction two runs may be one prompt; the effect is the mean over runs, as the design needs it."""
    found = measures(
        {"a": [series("refusal/gave", 0.5)], "b": [series("refusal/gave", 0.3)], "c": [series("refusal/gave", 0.2)]}
    )
    part = Part(name="p", wordings=(("out", ""), ("in", "x")))
    (one,) = effects(found, ["a", "b", "b", "c"], [(0,), (1,), (1,), (1,)], [part])
    assert one.difference.value == pytest.approx((0.3 + 0.3 + 0.2) / 3 - 0.5)
    assert (one.part, one.wording, one.against, one.measure, one.adjusted) == ("p", "in", "out", ATTACK, one.p)
