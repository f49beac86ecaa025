"""What a principle contributes to labels: the ensemble by weight, agreement, wins, and what leaving it out turns round.

pytest tests/evaluate/test_principles.py
"""

from __future__ import annotations

import pytest

from trueline.evaluate.principles import Labelled, accuracy, agreement, ensemble, flips, leans, principles_table, wins

WEIGHTS = {"kind": 1.0, "brief": 3.0}


def pair(i: int, models: tuple[str, str] = ("", ""), truths: dict[str, float] | None = None, **labels: float) -> Labelled:
    return Labelled(prompt=f"p{i}", labels=labels, models=models, truths=truths or {})


def test_the_ensemble_is_the_mean_by_weight_of_what_was_said() -> None:
    """A principle that said nothing has no weight, equal weights give the mean, and nothing said is no label."""
    assert ensemble({"kind": 1.0, "brief": 0.2}, WEIGHTS) == pytest.approx(0.4)
    assert ensemble({"kind": 0.9}, WEIGHTS) == pytest.approx(0.9)
    assert ensemble({"kind": 1.0, "brief": 0.2}, {"kind": 2.0, "brief": 2.0}) == pytest.approx(0.6)
    assert ensemble({}, WEIGHTS) is None


def test_one_principle_alone_agrees_with_itself_and_turns_nothing() -> None:
    """Of a constitution with one principle the ensemble is its label: agreement is whole, and no pair is left to ablate."""
    pairs = [pair(i, kind=label) for i, label in enumerate((0.9, 0.1, 0.5, 1.0))]
    found = agreement(pairs, WEIGHTS, "kind")
    assert found is not None
    assert (found.value, found.n) == (1.0, 3)
    assert flips(pairs, WEIGHTS, "kind") is None


def test_the_heavier_principle_decides() -> None:
    """Where two principles disagree the heavier one is followed, and only leaving that one out turns the label."""
    pairs = [pair(i, kind=1.0, brief=0.0) for i in range(4)]
    assert [agreement(pairs, WEIGHTS, name).value for name in WEIGHTS] == [0.0, 1.0]
    assert [flips(pairs, WEIGHTS, name).value for name in WEIGHTS] == [0.0, 1.0]


def test_a_label_that_loses_its_lean_is_turned() -> None:
    """Leaving out the only principle that leans leaves a tie, which is another label."""
    assert flips([pair(0, kind=1.0, brief=0.5)], {"kind": 1.0, "brief": 1.0}, "kind").value == 1.0


def test_accuracy_counts_a_label_without_a_lean_half() -> None:
    """Right, wrong and undecided on three pairs are one half; pairs on which the truth is silent do not count."""
    truths = {"kind": 1.0}
    pairs = [pair(i, kind=label, truths=truths) for i, label in enumerate((0.9, 0.1, 0.5))]
    found = accuracy([*pairs, pair(9, kind=0.9)], "kind")
    assert (found.value, found.n) == (0.5, 3)
    assert not leans(0.55)


def test_wins_are_told_from_either_side_and_of_other_models_alone() -> None:
    """What one model wins the other loses, whichever stood first; two replies of one model are nobody's win."""
    labels = ((("a", "b"), 0.9), (("b", "a"), 0.9), (("a", "b"), 0.8), (("a", "b"), 0.5), (("a", "a"), 1.0))
    pairs = [pair(i, models, kind=label) for i, (models, label) in enumerate(labels)]
    a, b = wins(pairs, "kind", "a"), wins(pairs, "kind", "b")
    assert (a.value, a.n) == (2.5 / 4, 4)
    assert a.value + b.value == 1.0


def test_the_table_has_a_row_a_principle_and_a_column_a_model() -> None:
    """Every principle has its row, in the constitution's order; models have columns where two of them met."""
    met = principles_table([pair(0, ("a", "b"), kind=1.0, brief=0.0)], WEIGHTS)
    alone = principles_table([pair(0, ("a", "a"), kind=1.0)], WEIGHTS)
    assert [row[0] for row in met["rows"]] == ["kind", "brief"]
    assert met["columns"][-2:] == ["a wins", "b wins"]
    assert alone["columns"][-1] == "flips without it"
