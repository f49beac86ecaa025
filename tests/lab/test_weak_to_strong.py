"""E20 runs from end to end; PGR is 0 for the supervisor and 1 for the ceiling; N/A where there is nothing to recover.

pytest tests/lab/test_weak_to_strong.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.lab.wrapped import on_base, stages_of
from trueline.core.config import ConfigError
from trueline.lab.registration import registered
from trueline.lab.weak_to_strong import WeakToStrong
from trueline.lab.weak_to_strong_answers import Answer
from trueline.lab.weak_to_strong_outcome import Items, imitated
from trueline.recipes.running import Order, place
from trueline.recipes.studio import Studio


def items(**shares: float) -> Items:
    """Forty things with two items each; the first share of the things is right."""
    right = {name: [float(i // 2 < share * 40) for i in range(80)] for name, share in shares.items()}
    return Items(right, [f"{i // 2}" for i in range(80)])


def answers(*texts: str) -> list[Answer]:
    return [Answer(id=f"{i}", cluster=f"{i}", text=text, right=float(text == "true")) for i, text in enumerate(texts)]


def test_it_runs_and_every_expectation_has_its_row(tmp_path):
    """The smallest size on random models: a row for each entry, a reason where there is no value, a figure of two panels."""
    recipe = on_base(WeakToStrong, "smoke", tmp_path)
    stages_of(recipe, tmp_path)
    report = recipe.perform(Studio(place(Order("E20", recipe, 0, None), tmp_path / "run")))
    assert [e["name"] for e in report["expectations"]] == [f"E20.{entry.id}" for entry in registered("E20").entries]
    assert all(e["why"] for e in report["expectations"] if e["status"] == "N/A")
    spec = WeakToStrong.figure(report)
    assert spec is not None
    assert len(spec["hconcat"]) == 2
    assert WeakToStrong.figure({"shown": []}) is None


def test_the_gap_recovered_runs_from_the_supervisor_to_the_ceiling():
    """0 where the student is no better, 1 where it is the ceiling, a half midway, less than 0 below the supervisor."""
    found = items(weak=0.4, same=0.4, half=0.6, strong=0.8, worse=0.2)
    values = {name: found.recovered(name, "weak", "strong") for name in ("same", "half", "strong", "worse")}
    assert {name: rate and rate.value for name, rate in values.items()} == pytest.approx(
        {"same": 0.0, "half": 0.5, "strong": 1.0, "worse": -0.5}
    )
    assert all(rate and rate.low <= rate.value <= rate.high for rate in values.values())
    assert values["strong"].low < 1  # every one of 16 things is not all things


def test_where_the_supervisor_is_as_good_there_is_nothing_to_recover():
    """A gap that may be nothing is not divided by."""
    assert items(weak=0.8, student=0.7, strong=0.8).recovered("student", "weak", "strong") is None


def test_imitation_is_counted_on_errors_that_the_ceiling_does_not_make():
    """Of three such errors one is repeated in its words; an error of the student's own is none."""
    weak = answers("true", "a", "b", "c", "d")
    ceiling = answers("true", "true", "true", "true", "x")
    student = answers("true", "a", "true", "z", "d")
    found = imitated(student, weak, ceiling)
    assert found is not None
    assert (found.value, found.n) == (pytest.approx(1 / 3), 3)
    assert imitated(ceiling, ceiling, ceiling) is None
    with pytest.raises(ValueError, match="same questions"):
        imitated(student[:2], weak, ceiling)


def test_students_differ_in_their_labels_alone():
    """One strong start, one fine-tuning, one reward model's training; what they learn from differs."""
    stages = dict(WeakToStrong().stages())
    taught = [recipe for name, recipe in stages.items() if name.startswith("taught/") and "-" not in name]
    rewards = [recipe for name, recipe in stages.items() if name.startswith("reward/")]
    for some in (taught, rewards):
        assert len({replace(recipe, data="") for recipe in some}) == 1
        assert len({recipe.data for recipe in some}) == len(some) == 5
    assert {stages[f"taught/1.6M-{n}"].data for n in WeakToStrong().passes} == {stages["taught/1.6M"].data}
    supervised = {stages[name].part for name in stages if name.startswith(("questions/", "pairs/")) and "teach" not in name}
    assert supervised == {"label"}


def test_the_weak_model_that_is_read_at_is_among_the_sweep():
    """Registered values are read at a number of tokens that is trained."""
    with pytest.raises(ConfigError, match="at"):
        replace(WeakToStrong(), at=5)
    with pytest.raises(ConfigError, match="passes"):
        replace(WeakToStrong(), passes=(3,))
