"""What a large model costs is arithmetic: each figure follows from its assumptions as the docstring says."""

from dataclasses import replace

import pytest

from benchmarks.scaling_cost import Assumed, cost
from trueline.recipes.sharded_size import SIZES

SIZE = SIZES["70b"]


def test_a_campaign_costs_its_attempts_over_a_replicas_rate():
    """GPU-hours are attempts times tokens over tokens a second, for each GPU of a replica; money is hours times a price."""
    assumed = Assumed(attempts=3600, answer_tokens=100, replica_tokens=1000.0, replica_gpus=4, gpu_hour=3.0)
    found = cost(SIZE, assumed)
    assert found.attempts_per_second == pytest.approx(10)
    assert found.campaign_gpu_hours == pytest.approx(0.4)
    assert found.campaign_cost == pytest.approx(1.2)
    assert cost(SIZE, replace(assumed, attempts=7200)).campaign_gpu_hours == pytest.approx(0.8)


def test_a_training_costs_its_flops_over_those_of_a_gpu():
    """Twice the tokens, or half the MFU, are twice the hours; an attempt's FLOPs are those of a forward pass."""
    assumed = Assumed()
    found = cost(SIZE, assumed)
    assert found.training_gpu_hours * 3600 * 900e12 * 0.4 == pytest.approx(1e9 * found.training_flops_per_token)
    for other in (replace(assumed, training_tokens=2e9), replace(assumed, mfu=0.2)):
        assert cost(SIZE, other).training_cost == pytest.approx(2 * found.training_cost)
    assert found.attempt_flops == SIZE.forward(556, 556, 256)
