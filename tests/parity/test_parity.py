"""Every objective that TRL has too gives its loss and its gradient, or differs as its certificate says."""

import dataclasses
import importlib
import inspect
import pkgutil
import re

import pytest
import torch

trl = pytest.importorskip("trl", minversion="1.16", reason="TRL is not installed: pip install -e '.[dev,parity]'")

from trl.experimental.cpo import CPOTrainer  # noqa: E402

import trueline.train.objectives as room  # noqa: E402  (only where there is TRL)
from tests.parity.case import BOTH, SEEDS, measured  # noqa: E402
from tests.parity.cases import CASES, ONLY_OURS, ONLY_THEIRS  # noqa: E402
from tests.parity.cases_reinforce import groups, scored  # noqa: E402
from tests.parity.sides import Side, gap  # noqa: E402
from tests.parity.tensors import Stage  # noqa: E402
from trueline.train.objectives.preference import LINKS  # noqa: E402


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.ours} beside {case.trl}")
def test_an_objective_is_trls_or_differs_as_its_certificate_says(case):
    """Without a certificate both are equal; with one they are not, and are after the change that it names, if it names one."""
    assert measured(case).verdict == case.expected


def test_every_case_has_a_place_of_its_own():
    """No two rows of the page have the same two names."""
    assert len({(case.ours, case.trl) for case in CASES}) == len(CASES)


def test_every_objective_of_ours_is_in_the_table_or_has_no_counterpart():
    """A new objective needs a row, or a reason."""
    said = " ".join([*(case.ours for case in CASES), *ONLY_OURS])
    modules = [importlib.import_module(f"{room.__name__}.{found.name}") for found in pkgutil.iter_modules(room.__path__)]
    objectives = {
        name
        for module in modules
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__ and dataclasses.is_dataclass(kind) and hasattr(kind, "at_start")
    }
    assert {"DPO", "PPO", "NextToken"} <= objectives
    assert {name for name in objectives if not re.search(rf"\b{name}\b", said)} == set()
    assert {link for link in LINKS if not re.search(rf"link={link}\b", said)} == set()


@pytest.mark.parametrize(
    ("trainer", "method"),
    [
        (trl.DPOTrainer, "_compute_loss"),
        (trl.KTOTrainer, "_compute_loss"),
        (trl.SFTTrainer, "compute_loss"),
        (trl.GRPOTrainer, "_compute_loss"),
        (CPOTrainer, "cpo_loss"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_loss_type_of_trl_is_in_the_table_or_is_named_as_missing(trainer, method):
    """The names that TRL's own code compares its loss type with are all accounted for."""
    source = inspect.getsource(getattr(trainer, method))
    compared = re.findall(r'loss_type (?:==|in) (\[[^\]]*\]|"\w+")', source)
    types = {name for words in compared for name in re.findall(r'"(\w+)"', words)}
    said = " ".join([*(case.trl for case in CASES), *ONLY_THEIRS])
    assert types
    usual = {"nll", "sigmoid", "kto"}  # a trainer's own, which its settings need not name
    assert {name for name in types - usual if not re.search(rf"\b{name}\b", said)} == set()


def test_trl_has_nothing_to_put_beside_ppo_and_process_rewards():
    """What the page says has no counterpart has none: no trainer of that name, stable or experimental."""
    names = {*dir(trl), *(found.name for found in pkgutil.iter_modules(importlib.import_module("trl.experimental").__path__))}
    assert not [name for name in names if re.search(r"PPO|PRM|^ppo$|^prm$", name)]


def test_sides_without_a_gradient_are_not_equal_but_a_mistake():
    """A measurement in which nothing is differentiated must not pass for parity."""

    for nothing in (torch.zeros(3), torch.tensor([1.0, torch.nan])):
        with pytest.raises(ValueError, match="nothing to compare"):
            gap(Side(1.0, nothing), Side(1.0, nothing))


@pytest.mark.parametrize("precision", BOTH)
def test_the_draws_reach_what_is_compared(precision):
    """In every draw ratios are clipped at both ends and beyond the dual bound, or equal losses would not have met there."""
    for seed in SEEDS:
        stage = Stage(precision, seed, tuple(groups(seed)))
        batch = scored(stage)
        said = stage.policy.ours(batch.tokens, batch.mask, frozenset({"logp"})).logp
        ratio, up = (said - batch.columns["old_logp"])[batch.mask].exp(), batch.columns["advantage"][batch.mask] > 0
        assert ((ratio < 0.8) & ~up).any()
        assert ((ratio > 1.28) & up).any()
        assert ((ratio > 1.5) & ~up).any()
