"""Rollouts from a server: what is sampled ahead, by which weights, what is kept, and that staleness 0 is sampling here."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.contract_server import contract_server
from tests.models.small import tiny_policy
from tests.ranks import together
from trueline.core.types import Conversation, Prompt
from trueline.models.arrival import Probed
from trueline.models.generate import Sample
from trueline.models.pushes import Pushed, Reload
from trueline.models.remote import Remote, StaleError
from trueline.train import advantages, annotate
from trueline.train.ahead import Ahead, Asked
from trueline.train.loop import InvariantError, Loop, train
from trueline.train.objectives.reinforce import PolicyGradient
from trueline.train.optim import Optim
from trueline.train.rollout import Rollouts

PROMPTS = [Prompt(conversation=Conversation().say("user", f"{a} {b}"), id=a + b) for a in "abcdefgh" for b in "ijkl"]
OPTIM = Optim(lr=1e-2, muon=0.02, schedule="constant", warmup=0.0)


class Toy:
    """A server in a few lines: a sample's first token tells the version that was asked of it; seed `shut` waits for `gate`."""

    def __init__(self, shut=-1):
        self.wire = SimpleNamespace(url="toy")
        self.asked, self.pushed, self.shut, self.gate, self.error = [], [], shut, threading.Event(), None

    def sample(self, heads, *, count, max_tokens, temperature, seed, label):
        self.asked.append((seed, label))
        if seed == self.shut:
            assert self.gate.wait(20)
        if self.error is not None:
            raise self.error
        return [[Sample((8 + int(label[0]), 2), (-1.0, -seed / 7), "stop")] * count for _ in heads]

    def push(self, policy, version):
        self.pushed.append(version)
        return Pushed(version, f"{version}" * 64, gap=0.25)


def asked(seed, index=None):
    return Asked(heads=[[1], [1, 4]], count=2, max_tokens=3, temperature=1.0, seed=seed, index=index)


def ahead(toy, staleness=1):
    return Ahead(toy, toy, tiny_policy(), staleness=staleness)


def test_the_server_samples_while_this_process_works():
    """With staleness 1 the next rollout is on its way before this one is trained on, by the weights that this starts from."""
    toy = Toy(shut=1)
    source = ahead(toy)
    assert source.at(0, lambda: asked(1, 1)) == {"probe_gap": 0.25}
    assert source.draw(asked(0, 0)).version == 0, "given while rollout 1 is held back at the server"
    assert not source._coming[1].done()
    toy.gate.set()
    source.at(1, lambda: asked(2, 2))
    drawn = source.draw(asked(1, 1))
    assert (drawn.version, drawn.groups[0][0].ids) == (0, (8, 2))
    assert source.draw(asked(9)).version == 1, "what belongs to no rollout ahead is sampled with the newest weights"
    source.at(2, None)
    assert source.draw(asked(2, 2)).version == 1
    assert toy.pushed == [0, 1, 2]
    assert sorted(toy.asked) == [(0, "0-" + "0" * 16), (1, "0-" + "0" * 16), (2, "1-" + "1" * 16), (9, "1-" + "1" * 16)]


def test_without_staleness_nothing_is_asked_ahead():
    """Every rollout is sampled with the weights that it trains."""
    toy = Toy()
    source = ahead(toy, staleness=0)
    for index in range(3):
        source.at(index, lambda: pytest.fail("nothing is asked for before its turn"))
        assert source.draw(asked(index, index)).version == index


def test_rows_older_than_the_bound_are_refused():
    """The age of rows is told, and what is older than asked for, or newer than can be, is an error that names the versions."""
    source = ahead(Toy())
    assert source.age(5, [5, 5, 4, 4]) == 0.5
    with pytest.raises(StaleError, match=r"rollout 5 has samples of version 3, not 4 to 5, as sampler\.staleness=1"):
        source.age(5, [5, 3])
    with pytest.raises(StaleError, match="version 6, not 4 to 5"):
        source.age(5, [5, 6])
    with pytest.raises(StaleError, match="version 4, not 5 to 5"):
        ahead(Toy(), staleness=0).age(5, [4])


def test_what_is_on_its_way_is_kept():
    """A checkpoint waits for the rollout ahead and holds it to the bit; who is taken up there does not ask for it again."""
    toy = Toy(shut=1)
    source = ahead(toy)
    source.at(0, lambda: asked(1, 1))
    toy.gate.set()
    state = source.state()
    later = Toy()
    again = ahead(later)
    again.restore(state)
    again.at(1, None)
    assert again.draw(asked(1, 1)) == source._there[1]
    assert later.asked == []
    assert later.pushed == [1]
    fresh = ahead(Toy())
    fresh.restore({})
    assert fresh.state() == {}


def test_a_failure_at_the_server_ends_the_run_at_its_turn():
    """What went wrong in the background is raised where its samples are wanted, and where a checkpoint would take them."""
    for turn in (lambda source: source.at(1, None), lambda source: source.state()):
        toy = Toy(shut=1)
        source = ahead(toy)
        source.at(0, lambda: asked(1, 1))
        toy.error = StaleError("other weights")
        toy.gate.set()
        with pytest.raises(StaleError, match="other weights"):
            turn(source)


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


def by(remote, policy, folder, **options):
    heads = [policy.codec.prompt(p.conversation) for p in PROMPTS[:4]]
    pushes = Probed(Reload(remote.wire, folder), remote, heads)
    return Ahead(remote, pushes, policy, **({"mismatch_most": 1.0} | options))


def rollouts(policy, sampler=None, **options):
    steps = [annotate.kl_in_reward(0.0), advantages.rloo, annotate.truncated_importance(3.0, "token")]
    made = {
        "prompts": lambda i: [PROMPTS[(5 * i + k) % len(PROMPTS)] for k in range(3)],
        "reward": lambda cs: [float("a" in c.text.split()) + len(c.ids) / 10 for c in cs],
        "annotate": annotate.chain(annotate.mismatch(policy), *steps),
        "iterations": 4,
        "group": 4,
        "max_tokens": 6,
        "sampler": sampler,
    }
    return Rollouts(policy=policy, **(made | options))


def trained(policy, source, mesh=None):
    """What each step logged."""
    rows = []
    train(policy, PolicyGradient(), source, OPTIM, Loop(observe=lambda step, metrics: rows.append(metrics), mesh=mesh))
    return rows


def by_ranks(mesh, url, folder):
    """Train on rollouts of a server; what was told of the push, the mismatch and the reward."""
    policy = tiny_policy()
    rows = trained(policy, rollouts(policy, by(Remote.at(url, policy.codec), policy, Path(folder))), mesh)
    return [[row[name] for name in ("probe_gap", "mismatch_kl", "reward")] for row in rows]


@pytest.mark.slow
def test_ranks_push_the_weights_that_they_train(remote, server, tmp_path):
    """Where two ranks train, rank 0 pushes whole weights as they are after every update, and the server proves them."""
    alone = by_ranks(None, server, tmp_path / "alone")
    found = together(2, by_ranks, url=server, folder=str(tmp_path / "two"))
    assert len(found) == 4
    assert max(max(gap, abs(kl)) for gap, kl, _ in found) < 1e-4
    assert [reward for *_, reward in found] == pytest.approx([reward for *_, reward in alone], abs=1e-4)


@torch.no_grad()
def distance(one, other):
    """The largest difference between two policies' weights."""
    return max(float((p - q).abs().max()) for p, q in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("options", [{}, {"greedy": True}, {"refills": 2}, {"epochs": 2, "minibatches": 3}])
def test_a_server_without_staleness_trains_as_this_process_does(remote, tmp_path, options):
    """Losses, rewards and final weights are those of samples drawn here, up to rounding."""
    here, there = tiny_policy(), tiny_policy()
    alone = trained(here, rollouts(here, **options))
    served = trained(there, rollouts(there, by(remote, there, tmp_path), **options))
    assert len(alone) == len(served) == 4 * options.get("epochs", 1) * options.get("minibatches", 1)
    for a, b in zip(alone, served, strict=True):
        same = a.keys() - {n for n in a if n.startswith("seconds")}
        assert {n: b[n] for n in same} == pytest.approx({n: a[n] for n in same}, abs=2e-4)
    assert distance(there, here) < 0.01 * distance(there, tiny_policy())
    assert {b["staleness"] for b in served} == {0.0}
    assert max(abs(b["mismatch_kl"]) for b in served) < 1e-5


def test_rows_carry_the_version_that_they_were_sampled_with(remote, tmp_path):
    """One rollout behind after the first; refills of a rollout are by the newest weights."""
    policy = tiny_policy()
    flat = rollouts(policy, by(remote, policy, tmp_path, staleness=1), refills=1, reward=lambda cs: [len(c.ids) for c in cs])
    batches = [b for b in flat.batches(0) if len(b.tokens)]
    assert batches[0].columns["version"].tolist() == [0] * 12
    assert set(batches[2].columns["version"].tolist()) <= {1, 2}
    plain = list(rollouts(policy, by(remote, policy, tmp_path, staleness=1)).batches(0))
    assert [set(b.columns["version"].tolist()) for b in plain] == [{0}, {0}, {1}, {2}]
    assert [b.metrics["staleness"] for b in plain] == [0.0, 1.0, 1.0, 1.0]
    assert all(b.metrics["probe_gap"] < 1e-5 for b in plain)


def test_one_step_off_is_one_update_old(remote, tmp_path):
    """The samples of rollout k are what the weights before update k - 1 draw, and the trainer's log-probabilities differ."""
    policy = tiny_policy()
    batches = rollouts(policy, by(remote, policy, tmp_path, staleness=1)).batches(0)
    next(batches)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(1.1)
    second = next(batches)
    batches.close()
    again = tiny_policy()
    alone = rollouts(again, annotate=lambda b: b)
    want = alone._rollout(1)
    assert torch.equal(second.tokens, want.tokens)
    assert second.columns["sampler_logp"] == pytest.approx(want.columns["sampler_logp"], abs=1e-5)
    assert second.metrics["mismatch_kl"] > 1e-3


def test_a_mismatch_beyond_the_bound_stops_before_the_update(remote, tmp_path):
    """The limit of the first pass is the sampler's: no parity is asked for, and too large a distance says what to look at."""
    policy = tiny_policy()
    before = [p.clone() for p in policy.parameters()]
    source = rollouts(policy, by(remote, policy, tmp_path, mismatch_most=-1.0))
    with pytest.raises(InvariantError, match=r"mismatch_kl is .* sampler\.mismatch_most"):
        trained(policy, source)
    assert all(torch.equal(p, q) for p, q in zip(policy.parameters(), before, strict=True))
