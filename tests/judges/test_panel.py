"""A panel decides by its members, survives them, and says how far they agree."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.judges.say import judged, prompt
from trueline.core.types import Judgement
from trueline.judges.panel import Panel, agreement


@dataclass(frozen=True)
class Says:
    """Always says the same; without a score it fails."""

    score: float | None
    name: str = "says"
    stance: str = "refuse"
    disclosure: float | None = None

    async def judge(self, prompt, completion):
        if self.score is None:
            raise OSError("no answer")
        return Judgement(judge=self.name, score=self.score, stance=self.stance, disclosure=self.disclosure)


def test_the_majority_decides_and_a_tie_abstains():
    """Two of three win; one against one is no verdict, for score and stance alike."""
    assert judged(Panel(judges=(Says(1.0), Says(1.0), Says(0.0, stance="comply"))), prompt(), "x").score == 1.0
    tie = judged(Panel(judges=(Says(1.0), Says(0.0, stance="comply"))), prompt(), "x")
    assert (tie.score, tie.stance) == (None, "none")


def test_the_mean_is_over_those_that_answer():
    """By mean, an abstaining judge is left out of score and disclosure."""
    panel = Panel(judges=(Says(1.0, disclosure=0.2), Says(0.5), Says(None)), by="mean")
    judgement = judged(panel, prompt(), "x")
    assert (judgement.score, judgement.disclosure) == (0.75, 0.2)


def test_a_judge_that_fails_ends_nothing():
    """Its error stands in why, and the others decide; where all fail, the panel abstains."""
    judgement = judged(Panel(judges=(Says(None, name="broken"), Says(1.0))), prompt(), "x")
    assert judgement.score == 1.0
    assert "broken: abstains, for it failed: OSError: no answer" in judgement.why
    assert judged(Panel(judges=(Says(None),)), prompt(), "x").score is None
    assert judged(Panel(judges=()), prompt(), "x").score is None


def test_agreement_equals_krippendorffs_examples():
    """Krippendorff (2011): B, two observers of ten units, 0.095; C, four observers with missing values, 0.743."""
    first, second = "0100000000", "1110010010"
    assert agreement(list(zip(first, second, strict=True))) == pytest.approx(0.095, abs=5e-4)
    table = ("1 2 3 3 2 1 4 1 2 * * *", "1 2 3 3 2 2 4 1 2 5 * 3", "* 3 3 3 2 3 4 2 2 5 1 *", "1 2 3 3 2 4 4 1 2 5 1 *")
    units = list(zip(*[[None if v == "*" else v for v in row.split()] for row in table], strict=True))
    assert agreement(units) == pytest.approx(0.743, abs=5e-4)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("ab"), st.none() | st.sampled_from("ab")), max_size=12))
def test_agreement_does_not_depend_on_order_or_names(units):
    """Shuffling judges or units, or renaming values, changes nothing; it is at most 1."""
    alpha = agreement(units)
    renamed = [tuple({"a": 7, "b": 9, None: None}[v] for v in reversed(unit)) for unit in reversed(units)]
    assert agreement(renamed) == (None if alpha is None else pytest.approx(alpha))
    assert alpha is None or alpha <= 1 + 1e-12


def test_agreement_of_copies_is_one_and_of_one_value_unknown():
    """Judges that always agree on something that varies have 1; where nothing varies there is none."""
    assert agreement([("a", "a"), ("b", "b")]) == pytest.approx(1.0)
    assert agreement([("a", "a"), ("a", "a")]) is None
    assert agreement([]) is None
