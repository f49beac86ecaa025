"""Whether pushed weights are those that a server samples with: every way of being stale is told from being right."""

from __future__ import annotations

import pytest
import torch

from tests.contract_server import contract_server
from tests.models.small import tiny_policy
from tests.models.test_pushes import moved
from trueline.models.arrival import Arrival, Probed
from trueline.models.pushes import Reload
from trueline.models.remote import Remote, StaleError

HEADS = [[1, 4, 8 + i, 9, 5] for i in range(4)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start") / "model"
    tiny_policy().save(folder)
    with contract_server(folder) as url:
        yield url


@pytest.fixture
def remote(server):
    found = Remote.at(server, tiny_policy().codec)
    yield found
    found.wire.post("/fault", {"name": "free"})


def probed(remote, tmp_path, **options):
    return Probed(Reload(remote.wire, tmp_path / "pushed"), remote, HEADS, **options)


def test_weights_that_arrived_pass(remote, tmp_path):
    """Push after push the gap is rounding, at any temperature, and the policy is left in the mode it was in."""
    policy, pushes = tiny_policy(), probed(remote, tmp_path, temperature=0.7)
    for version, training in enumerate((True, False, True)):
        policy.train(training)
        assert pushes.push(moved(policy, by=0.01, seed=version), version).gap < 1e-5
        assert policy.training is training


@pytest.mark.parametrize("by", [1e-4, 1e-2])
def test_a_server_that_kept_its_weights_is_refused(remote, tmp_path, by):
    """However small the update, a server that says yes and keeps what it had is told apart, and both versions are named."""
    policy, pushes = tiny_policy(), probed(remote, tmp_path)
    pushes.push(policy, 6)
    remote.wire.post("/fault", {"name": "stale"})
    with pytest.raises(StaleError, match=r"should hold version 7 \(7-[0-9a-f]{16}\): it answers as with version 6"):
        pushes.push(moved(policy, by=by), 7)


def test_other_weights_are_refused_at_the_first_push(remote, tmp_path):
    """With nothing to compare with, the bound alone refuses."""
    pushes = probed(remote, tmp_path)
    remote.wire.post("/fault", {"name": "stale"})
    with pytest.raises(StaleError, match=r"are \d.* nats a token from the trainer's, expected at most 0\.1"):
        pushes.push(moved(tiny_policy(), by=0.3), 0)


def test_a_cache_of_older_weights_is_seen_where_scores_are_right(remote, tmp_path):
    """vLLM scores past its prefix cache and samples through it: both are looked at."""
    policy, pushes = tiny_policy(), probed(remote, tmp_path)
    pushes.push(policy, 0)
    remote.wire.post("/fault", {"name": "cached"})
    with pytest.raises(StaleError, match="scores texts as the trainer does, but its samples"):
        pushes.push(moved(policy, by=0.2), 1)


def test_log_probabilities_from_before_the_temperature_are_seen(remote, tmp_path):
    """vLLM's default (raw_logprobs) is told by its numbers, and the message says which option changes it."""
    remote.wire.post("/fault", {"name": "raw"})
    with pytest.raises(StaleError, match="--logprobs-mode processed_logprobs"):
        probed(remote, tmp_path, temperature=0.4).push(tiny_policy(), 0)


def test_an_update_is_found_under_rounding_that_is_larger():
    """Of 256 tokens that bfloat16 moves by .02, an update of .01 is seen to be there or not; one of .0005 leaves it open."""
    noise = torch.Generator().manual_seed(0)

    def draw(scale):
        return scale * torch.randn(256, generator=noise)

    for _ in range(200):
        before = draw(1.0)
        now, rounding = before + draw(0.01), draw(0.02)
        assert not Arrival.of(before, now, now + rounding).missing
        assert Arrival.of(before, now, before + rounding).share < 0.5
        assert not Arrival.of(before, before + draw(0.0005), before + rounding).missing
    missed = [Arrival.of(b, b + draw(0.02), b + draw(0.02)).missing for b in (draw(1.0) for _ in range(200))]
    assert sum(missed) > 190
    assert Arrival.of(before, before, before) == Arrival(1.0, 0.0)
