"""Rates are measured for every choice, nothing is left changed, and what is chosen comes with its why."""

import importlib
import json

import pytest
import torch
from click.testing import CliRunner

from tests.models.small import tiny_policy
from trueline.cli import cli
from trueline.models import bench
from trueline.models.bench import Rate, rates, reasons


def test_every_choice_is_measured_and_nothing_stays_changed(monkeypatch):
    """Both types of number at each number of threads, all rates positive; threads and weights are as they were."""
    monkeypatch.setattr(bench, "SIDE", 64)
    policy, before = tiny_policy(), torch.get_num_threads()
    weights = [p.clone() for p in policy.parameters()]
    found = rates(policy, (1, 1), seconds=0.0)
    assert [(r.threads, r.dtype) for r in found] == [(1, "float32"), (1, "bfloat16")]
    assert all(min(r.ceiling, r.product, r.step) > 0 for r in found)
    assert torch.get_num_threads() == before
    assert all(p.dtype == torch.float32 and p.grad is None for p in policy.parameters())
    assert all(torch.equal(p, w) for p, w in zip(policy.parameters(), weights, strict=True))


def test_a_rate_is_work_over_the_shortest_time():
    """On a clock where the calls take 3, 1 and 2 seconds, the shortest counts, and the first is not timed."""
    ticks = iter([0, 0, 3, 3, 3, 4, 4, 4, 6, 6])
    calls = []
    assert bench._least(lambda: calls.append(1), 5.5, lambda: next(ticks)) == 1
    assert len(calls) == 4


def test_what_is_chosen_comes_with_its_why():
    """The threads that a run takes, with both times; float32 for weights, with what bfloat16 would take."""
    found = [
        Rate(threads=n, dtype=kind, ceiling=1.0, product=1.0, step=step)
        for n, kind, step in ((1, "float32", 0.2), (1, "bfloat16", 0.1), (2, "float32", 0.15), (2, "bfloat16", 0.09))
    ]
    why = dict(reasons(found, chosen=2))
    assert why["threads"].endswith("a training step takes 150 ms, 200 ms on 1")
    assert why["weights"].startswith("float32")
    assert why["weights"].endswith("a step in bfloat16 would take 90 ms")
    assert set(why) == {"threads", "weights", "Muon's products", "float32 products"}


@pytest.mark.parametrize("words", [["--json"], []])
def test_the_doctor_prints_them(monkeypatch, words):
    """`doctor --bench` has the rates and the reasons, as a table or as JSON."""
    rate = Rate(threads=1, dtype="float32", ceiling=123.0, product=45.0, step=0.0678)
    command = importlib.import_module("trueline.cli.doctor")  # the package's own name for it is the command
    monkeypatch.setattr(command, "_bench", lambda usable: ([rate], [("threads", "1, because")]))
    said = CliRunner().invoke(cli, ["doctor", "--bench", *words]).output
    if words:
        assert json.loads(said)["bench"] == {
            "rates": [{"threads": 1, "dtype": "float32", "ceiling": 123.0, "product": 45.0, "step": 0.0678}],
            "chosen": {"threads": "1, because"},
        }
    else:
        assert all(word in said for word in ("123 GFLOP/s", "45 GFLOP/s", "67.8 ms", "threads: 1, because"))
