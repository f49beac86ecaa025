"""What was written down before a run binds what is said after it.

pytest tests/lab/test_registration.py
"""

from __future__ import annotations

import pytest

from trueline.core.config import ConfigError
from trueline.core.stats import wilson
from trueline.lab.experiment import experiments
from trueline.lab.registration import read, registered

FILE = """
id = "E99"
title = "A test"
sentence = "that something holds"
seeds = 6
mind = "the opposite"

[[expectation]]
id = "a"
claim = "a is at least a half"
metric = "a"
control = "b"
least = 0.5
test = "Wilson"
n = 100
level = "C2"
if_fails = "no a"
written = 2026-11-28

[[expectation]]
id = "b"
claim = "b is near zero"
metric = "b"
control = "a"
least = -0.05
most = 0.05
test = "Wilson"
n = 100
level = "C3"
if_fails = "some b"
written = 2026-11-28
"""


def test_every_expectation_has_its_row_whatever_was_measured():
    """An entry without a value is N/A with its reason, and rows come in the order of the file."""
    rows = read(FILE, "E99").expectations({"a": wilson(90, 100)}, {"b": "b could not be had"})
    assert [(row["name"], row["status"], row["why"]) for row in rows] == [
        ("E99.a", "PASS", ""),
        ("E99.b", "N/A", "b could not be had"),
    ]


def test_a_value_that_nobody_expected_is_an_error():
    """What is measured was written down first."""
    with pytest.raises(ValueError, match="not registered: c"):
        read(FILE, "E99").expectations({"c": wilson(1, 2)})


def test_a_moved_bound_changes_the_hash():
    """Results carry the hash, so that a bound cannot be moved unseen."""
    assert read(FILE, "E99").hash != read(FILE.replace("least = 0.5", "least = 0.4"), "E99").hash
    assert read(FILE, "E99").hash == read(FILE, "E99").hash


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('level = "C2"', 'level = "C9"', "C0, C1, C2, C3"),
        ("least = 0.5\n", "", "bound"),
        ('id = "b"', 'id = "a"', "different ids"),
        ('metric = "a"\n', "", "metric"),
        ("seeds = 6", "seeds = ", "cannot be read"),
    ],
)
def test_a_file_that_binds_nothing_is_refused(old, new, said):
    """The message names what is missing or wrong."""
    with pytest.raises(ConfigError, match=said):
        read(FILE.replace(old, new, 1), "E99")


def test_every_experiment_is_registered_and_every_registration_is_an_experiment():
    """Neither an experiment without expectations nor expectations that nothing measures."""
    from importlib.resources import files

    names = {file.name.removesuffix(".toml").upper() for file in (files("trueline.lab") / "expectations").iterdir()}
    assert names == set(experiments())
    for name in names:
        assert registered(name).entries
