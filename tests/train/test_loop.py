"""The loop learns, resumes, and refuses to go on when the start is wrong."""

import signal
from dataclasses import replace

import pytest
import torch

from tests.models.small import tiny_policy
from trueline.core import stopping
from trueline.models.checkpoint import latest_checkpoint
from trueline.models.tokens import Example
from trueline.train import annotate
from trueline.train.loop import InvariantError, Loop, train
from trueline.train.objectives.likelihood import NextToken
from trueline.train.objectives.preference import DPO
from trueline.train.optim import Optim, Optimizer, orthogonal
from trueline.train.sources import Examples, Groups

EXAMPLES = [
    Example((1, 4, a, 5, b, 2), (False, False, False, False, True, True))
    for a, b in zip(range(8, 28), range(27, 7, -1), strict=True)
]
OPTIM = Optim(lr=5e-3, muon=0.02)


class KilledError(Exception):
    pass


def source(epochs=4):
    return Examples(examples=EXAMPLES, epochs=epochs, tokens=48, seed=1)


def weights(policy):
    return {n: p.detach().clone() for n, p in policy.named_parameters()}


@pytest.mark.parametrize("optim", [OPTIM, Optim(lr=1e-2, muon=0.0, schedule="cosine")], ids=["muon", "adamw"])
def test_training_memorises_a_small_set(optim):
    """Forty epochs on twenty pairs take the loss from log V to near zero."""
    policy, seen = tiny_policy(), []
    train(policy, NextToken(), source(40), optim, Loop(observe=lambda step, m: seen.append(m["loss"])))
    assert seen[0] > 3
    assert seen[-1] < 0.1


@pytest.mark.parametrize("kill_at", [1, 5, 9])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path, kill_at):
    """Killed after any step and started again, a run ends with bit-identical weights and the same metrics."""
    straight, log = tiny_policy(), {}
    train(straight, NextToken(), source(), OPTIM, Loop(observe=lambda s, m: log.__setitem__(s, m["loss"])))

    def die(step, metrics):
        if step > kill_at:
            raise KilledError

    keep = Loop(checkpoints=tmp_path, save_every=0)
    again = {}
    with pytest.raises(KilledError):
        train(tiny_policy(), NextToken(), source(), OPTIM, replace(keep, observe=die))
    assert latest_checkpoint(tmp_path).step == kill_at
    resumed = tiny_policy(seed=9)  # whatever it was, the checkpoint decides
    train(resumed, NextToken(), source(), OPTIM, replace(keep, observe=lambda s, m: again.__setitem__(s, m["loss"])))
    for name, weight in weights(straight).items():
        assert torch.equal(weight, weights(resumed)[name]), name
    assert again == {s: v for s, v in log.items() if s > kill_at}


class Paired(Examples):
    """A source that can be taken up after every third step only."""

    def resumable(self, step):
        return step % 3 == 0


@pytest.mark.parametrize(("kind", "told", "saved"), [(Examples, 4, 4), (Paired, 4, 6), (Paired, 6, 6)])
def test_sigterm_ends_the_loop_where_it_can_be_taken_up(tmp_path, kind, told, saved):
    """The step under way is saved and is the last; where no run can be taken up, the loop says so and goes on."""
    steps, said = [], []

    def observe(step, metrics):
        steps.append(step)
        if step == told:
            signal.raise_signal(signal.SIGTERM)

    loop = Loop(checkpoints=tmp_path, observe=observe, say=said.append)
    made = kind(examples=EXAMPLES, epochs=4, tokens=48, seed=1)
    with stopping.listening(), pytest.raises(stopping.Preempted, match=f"step {saved} of {len(made)} is saved in {tmp_path}"):
        train(tiny_policy(), NextToken(), made, OPTIM, loop)
    assert steps[-1] == latest_checkpoint(tmp_path).step == saved
    assert len(said) == (told != saved)


def test_sigterm_is_not_put_off_by_a_loop_that_saves_nothing():
    """Where there is nothing to take up, the step under way is not waited for."""
    steps = []

    def observe(step, metrics):
        signal.raise_signal(signal.SIGTERM)
        steps.append(step)

    with stopping.listening(), pytest.raises(stopping.Preempted):
        train(tiny_policy(), NextToken(), source(), OPTIM, Loop(observe=observe))
    assert not steps


def test_a_torn_checkpoint_is_passed_over(tmp_path):
    """If the newest checkpoint's bytes are damaged, the one before it is used."""
    train(tiny_policy(), NextToken(), source(), OPTIM, Loop(checkpoints=tmp_path, save_every=0))
    older, newest = sorted(tmp_path.iterdir())
    data = bytearray(newest.read_bytes())
    data[-5] ^= 0xFF
    newest.write_bytes(data)
    assert latest_checkpoint(tmp_path).step == int(older.stem.split("-")[1])
    newest.write_bytes(data[: len(data) // 2])
    assert latest_checkpoint(tmp_path).step == int(older.stem.split("-")[1])


def test_a_wrong_start_stops_the_run_before_any_update():
    """DPO against a reference that is another model raises, and no weight has moved."""
    policy = tiny_policy()
    before = weights(policy)
    pairs = Groups(
        rows=[EXAMPLES[i : i + 2] for i in range(0, 20, 2)], groups=5, annotate=annotate.reference(tiny_policy(seed=4))
    )
    with pytest.raises(InvariantError, match="one model"):
        train(policy, DPO(), pairs, OPTIM)
    assert all(torch.equal(w, before[n]) for n, w in weights(policy).items())


def test_a_missing_annotation_is_named():
    """An objective that needs a column which nothing wrote says which."""
    with pytest.raises(ValueError, match=r"DPO requires the columns \['ref_logp'\]"):
        train(tiny_policy(), DPO(), Groups(rows=[EXAMPLES[:2]], groups=1), OPTIM)


def test_a_gradient_that_is_not_a_number_changes_nothing():
    """Infinite gradients raise with advice, and leave the weights alone."""
    policy = tiny_policy()
    optimizer = Optimizer(policy, OPTIM)
    before = weights(policy)
    for parameter in policy.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    with pytest.raises(FloatingPointError, match=r"lower optim\.lr"):
        optimizer.step(1.0)
    assert all(torch.equal(w, before[n]) for n, w in weights(policy).items())


def test_muon_updates_are_orthogonal():
    """Newton-Schulz brings all singular values near one, for wide, tall and square matrices."""
    for shape in [(3, 32, 32), (2, 16, 48), (2, 48, 16)]:
        singular = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
        assert singular.min() > 0.4
        assert singular.max() < 1.35


def test_schedules_warm_up_and_come_down():
    """Every schedule stays in (0, 1]; wsd and cosine end low, constant does not."""
    for kind, end in [("wsd", 0.1), ("cosine", 0.1), ("constant", 1.0)]:
        scales = [Optim(schedule=kind).scale(s, 200) for s in range(200)]
        assert all(0 < s <= 1 for s in scales)
        assert scales[0] < 0.5
        assert scales[-1] <= end
        assert max(scales) == 1.0


@pytest.mark.parametrize("field", [{"warmup": 2.0}, {"decay": -0.1}, {"lr": 0.0}, {"muon": -1.0}])
def test_settings_out_of_range_are_refused(field):
    """A share beyond one or a step size that is not positive never starts a run."""
    with pytest.raises(ValueError, match="optim"):
        Optim(**field)
