"""Several processes give the gradient that one gives."""

import multiprocessing
import os
import signal

import pytest
import torch

from tests.models.small import random_policy
from trueline.models import awaited
from trueline.models.forked import helpers_of, most_beside
from trueline.models.generate import sample
from trueline.models.noise import Noisy
from trueline.models.tokens import Example
from trueline.recipes.memory import peak, start_counting
from trueline.train import annotate
from trueline.train.batch import pad_rows
from trueline.train.crew import Crew, accumulate
from trueline.train.loop import Loop, gradients, train
from trueline.train.objectives.likelihood import NextToken
from trueline.train.objectives.preference import DPO
from trueline.train.objectives.reinforce import PolicyGradient
from trueline.train.optim import Optim, Optimizer
from trueline.train.sources import Examples


@pytest.fixture
def two_threads():
    """Torch has two threads, so that a crew has two processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def batch(rows=12, group=1, seed=0):
    """Rows of many lengths, prompts untrained, with every column that the objectives below require."""
    rng = torch.Generator().manual_seed(seed)
    sizes = torch.randint(8, 40, (rows,), generator=rng).tolist()
    ids = [torch.randint(8, 27, (n,), generator=rng).tolist() for n in sizes]
    found = pad_rows(ids, [[False] * 4 + [True] * (n - 4) for n in sizes], 0, group)
    wide = {k: torch.randn(found.tokens.shape, generator=rng) * found.mask for k in ("ref_logp", "old_logp", "advantage")}
    return found.having(**wide)


OBJECTIVES = {"likelihood": (NextToken(), 1), "pairs": (DPO(), 2), "policy gradient": (PolicyGradient(), 4)}


@pytest.mark.parametrize("micro_rows", [0, 4])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_two_processes_give_the_gradient_of_one(name, micro_rows, two_threads):
    """Metrics and every gradient are those of one process but for rounding, whatever the micro-batch."""
    objective, group = OBJECTIVES[name]
    policy, given = random_policy("qwen3"), batch(12, group)
    expected = gradients(policy, objective, given)
    alone = {n: p.grad.clone() for n, p in policy.named_parameters()}
    policy.zero_grad()
    with Crew(policy, {"": (objective, 1.0)}, Optimizer(policy, Optim())) as crew:
        assert len(crew.helpers) == 1
        found = crew.gradients({"": given}, step=0, micro_rows=micro_rows)[""]
        assert sorted(name for share in crew.shares for name in share) == sorted(alone)
        joined = {n: sum(part[n] for part in crew.gradient) for n in alone}
    for key, value in {**found.sums, **found.largest}.items():
        assert value == pytest.approx(expected[key], rel=1e-5, abs=1e-6)
    for parameter, gradient in alone.items():
        torch.testing.assert_close(joined[parameter], gradient, atol=2e-5, rtol=1e-4, msg=parameter)


def examples(count=40):
    rng = torch.Generator().manual_seed(1)
    rows = [torch.randint(8, 27, (int(n),), generator=rng).tolist() for n in torch.randint(8, 30, (count,), generator=rng)]
    return [Example(tuple(r), (False, *([True] * (len(r) - 1)))) for r in rows]


def trained(model, policy, source, observe=lambda step, metrics: None):
    train(model, NextToken(), source, Optim(lr=1e-3, muon=0.01), Loop(observe=observe))
    return {n: p.detach().clone() for n, p in policy.named_parameters()}


def losses(model, policy, source):
    found = []
    trained(model, policy, source, lambda step, metrics: found.append(metrics["loss"]))
    return found


def test_losses_are_those_of_one_process_step_by_step(two_threads):
    """Helpers see every update of both optimisers, or the losses would soon be others."""
    found = []
    for threads in (2, 1):
        torch.set_num_threads(threads)
        policy = random_policy("qwen3")
        found.append(losses(policy, policy, Examples(examples=examples(), epochs=2, tokens=200)))
    assert found[0] == pytest.approx(found[1], abs=2e-3)
    assert found[0][-1] < found[0][0] - 0.05


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_helper_that_is_lost_changes_nothing(number, two_threads, monkeypatch):
    """Killed, or living and without an answer: its part is done again, another takes its place, and no bit is different."""
    monkeypatch.setattr(awaited, "SLICE", 0.05)
    found = []
    fork, helpers = os.fork, []

    def noted():
        helpers.append(fork())
        return helpers[-1]

    monkeypatch.setattr(os, "fork", noted)
    for kill in (False, True):
        policy = random_policy("qwen3")
        helpers.clear()

        def observe(step, metrics, kill=kill):
            if kill and step == 2:
                os.kill(helpers[0], number)

        found.append(trained(policy, policy, Examples(examples=examples(), epochs=2, tokens=200), observe))
    for name, weight in found[0].items():
        assert torch.equal(weight, found[1][name]), name
    assert len(helpers) == 2  # the one that was killed, and the one in its place


def test_a_helper_that_dies_while_weights_move_ends_the_run(two_threads):
    """Some weights may have moved and others not: the run says so, and what to do."""
    policy = random_policy("qwen3")
    with Crew(policy, {"": (NextToken(), 1.0)}, Optimizer(policy, Optim())) as crew:
        crew.gradients({"": batch()}, step=0)
        os.kill(crew.helpers[0].process, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="takes the run up at its last checkpoint"):
            crew.step(1.0)


def test_a_helper_that_dies_leaves_the_sum_of_two_objectives_as_it_was(two_threads):
    """Both pieces of work of the dead are done again, in the order in which it would have done them."""
    found = []
    for kill in (False, True):
        policy = random_policy("qwen3")
        work = {"": (NextToken(), 1.0), "replay": (NextToken(), 0.5)}
        with Crew(policy, work, Optimizer(policy, Optim())) as crew:
            if kill:
                os.kill(crew.helpers[0].process, signal.SIGKILL)
            crew.gradients({"": batch(), "replay": batch(8, seed=1)}, step=0)
            norm = crew.step(1.0)
        found.append({n: p.detach().clone() for n, p in policy.named_parameters()} | {"norm": torch.tensor(norm)})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize("kill", [False, True])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_helpers_draw_what_one_process_draws(temperature, kill, two_threads):
    """Samples do not depend on who draws them, nor on a helper's death, and are those of the weights as they are now."""
    policy = random_policy("qwen3")
    prompts = [list(range(8, 8 + n)) for n in (3, 17, 5, 9, 2)]

    def drawn():
        return sample(policy, prompts, count=4, max_tokens=16, temperature=temperature, seed=1)

    with Crew(policy, {"": (NextToken(), 1.0)}, Optimizer(policy, Optim(lr=0.1))) as crew:
        before = drawn()
        crew.gradients({"": batch()}, step=0)
        crew.step(1.0)
        if kill:
            os.kill(crew.helpers[0].process, signal.SIGKILL)
        after, again = drawn(), drawn()
    assert policy not in helpers_of
    torch.set_num_threads(1)
    assert after == again == drawn()
    assert after != before


@pytest.mark.parametrize("kill", [False, True])
def test_helpers_read_what_one_process_reads(kill, two_threads):
    """A frozen reference and the policy as it is now give their log-probabilities, whoever reads them and whoever dies."""
    policy, given = random_policy("qwen3"), batch(12, 2)
    reference = policy.frozen()
    read = {"ref_logp": annotate.reference(reference), "old_logp": annotate.column("old_logp", policy)}

    def found():
        policy.eval()
        return {name: annotation(given).columns[name] for name, annotation in read.items()}

    with Crew(policy, {"": (NextToken(), 1.0)}, Optimizer(policy, Optim(lr=0.1))) as crew:
        assert {policy, reference} <= set(crew.models)
        crew.gradients({"": given}, step=0)
        crew.step(1.0)
        if kill:
            os.kill(crew.helpers[0].process, signal.SIGKILL)
        together = found()
    assert reference not in helpers_of
    alone = found()
    for name in read:
        torch.testing.assert_close(together[name] * given.mask, alone[name] * given.mask)
    assert not torch.allclose(alone["ref_logp"], alone["old_logp"])


def test_a_model_that_drops_something_is_read_here(two_threads, monkeypatch):
    """While a model trains, its dropout draws from one stream: it is not shared out."""
    policy, given = random_policy("qwen3"), batch()
    read = annotate.column("old_logp", policy)
    with Crew(policy, {"": (NextToken(), 1.0)}, Optimizer(policy, Optim())):
        policy.train()
        monkeypatch.setattr(Crew, "together", None)
        assert read(given).columns["old_logp"].shape == given.tokens.shape


def test_an_error_in_a_helper_is_seen_here(two_threads):
    """What an objective raises on the other's rows is raised to the caller, not lost."""

    class Fails(NextToken):
        def __call__(self, out, batch):
            raise ValueError("no such thing")

    policy = random_policy("qwen3")
    with (
        pytest.raises(ValueError, match="no such thing"),
        Crew(policy, {"": (Fails(), 1.0)}, Optimizer(policy, Optim())) as crew,
    ):
        crew.gradients({"": batch()}, step=0)


def test_noise_is_of_the_step_in_every_process(two_threads):
    """NEFTune's noise follows the step in helpers too."""
    found = []
    for threads in (2, 1):
        torch.set_num_threads(threads)
        policy = random_policy("qwen3")
        noisy = Noisy(policy, alpha=50.0)
        found.append(losses(noisy, policy, noisy.following(Examples(examples=examples(), epochs=2, tokens=200))))
    assert found[0] == pytest.approx(found[1], abs=2e-3)


def _in_group(rank, folder):
    """One of two gloo processes: half of the groups, counts of the whole batch, gradients summed."""
    import torch.distributed as distributed

    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    given = batch(12, 2)
    counts = {per: given.count(per) for per in ("token", "row", "group")}
    policy = random_policy("qwen3")
    accumulate(policy, DPO(), given.take(torch.arange(12).view(6, 2)[rank::2].flatten()), counts)
    for parameter in policy.parameters():
        distributed.all_reduce(parameter.grad)
    if rank == 0:
        torch.save({n: p.grad for n, p in policy.named_parameters()}, folder / "summed")
    distributed.destroy_process_group()


def test_a_gloo_group_of_two_sums_to_the_same_gradient(tmp_path):
    """Rows shared between two processes of torch.distributed, in any order, give the gradient of all rows in one."""
    processes = [multiprocessing.get_context("fork").Process(target=_in_group, args=(rank, tmp_path)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    summed = torch.load(tmp_path / "summed")
    policy = random_policy("qwen3")
    gradients(policy, DPO(), batch(12, 2))
    for name, parameter in policy.named_parameters():
        torch.testing.assert_close(summed[name], parameter.grad, atol=2e-5, rtol=1e-4, msg=name)


def test_what_helpers_hold_is_counted(two_threads):
    """A stage's peak of memory has the helpers' own pages too."""
    start_counting()
    policy = random_policy("qwen3")
    with Crew(policy, {"": (NextToken(), 1.0)}, Optimizer(policy, Optim())) as crew:
        alone = peak()
        crew.gradients({"": batch()}, step=0)
    assert most_beside() > 2**20
    assert peak() >= alone + most_beside()
    start_counting()
    assert most_beside() == 0
