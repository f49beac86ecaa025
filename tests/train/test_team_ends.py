"""What ranks keep is taken up by any number of them; and what happens when one dies, hangs, or cannot be told of a model.

pytest tests/train/test_team_ends.py
"""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from tests.models.small import codec
from tests.ranks import begin, ended, together
from tests.train.test_team import STEPS, Steps, model_of
from trueline.cluster.watchdog import CODE
from trueline.core.registry import register
from trueline.models.perturbed import Perturbed
from trueline.models.policy import tiny
from trueline.train.kept import latest, tensors_of
from trueline.train.loop import Loop, train
from trueline.train.objectives.likelihood import NextToken
from trueline.train.optim import Optim, Optimizer

pytestmark = pytest.mark.slow


@register("objective")
@dataclass(frozen=True)
class Fatal(NextToken):
    """Kills rank `rank` in the middle of its pass over a step of so many."""

    rank: int = 1
    step: int = 0
    flag: str = ""

    def __call__(self, out, given):
        made = Path(self.flag).with_suffix(f".{os.environ['RANK']}")
        made.write_text(made.read_text() + "." if made.exists() else ".")
        if os.environ["RANK"] == str(self.rank) and len(made.read_text()) > self.step:
            os.kill(os.getpid(), signal.SIGKILL)
        yield from NextToken.__call__(self, out, given)


@register("objective")
@dataclass(frozen=True)
class Stuck(NextToken):
    """Never ends on rank 1."""

    def __call__(self, out, given):
        if os.environ["RANK"] == "1":
            time.sleep(60)
        yield from NextToken.__call__(self, out, given)


def some(mesh, folder, until, optim=None):
    """Train to step `until` of STEPS, keeping a checkpoint of every step; the losses of the steps that were made here."""
    model, found = model_of("tiny")[0], {}

    class Cut(Steps):
        def batches(self, start):
            for step, given in enumerate(super().batches(start), start):
                if step == until:
                    return
                yield given

    def observe(step, metrics):
        found[step] = [metrics["total"], metrics["grad_norm"]]

    loop = Loop(mesh=mesh, observe=observe, checkpoints=Path(folder), save_every=0.0)
    train(model, NextToken(), Cut(1, model), Optim(**(optim or {})), loop)
    (kept,) = sorted(Path(folder).glob("step-*"))[-1:] or [None]
    named = sorted(load_shards(kept)) if kept is not None and kept.is_dir() else None
    assert named is None or named == sorted(tensors_of(model, Optimizer(model, Optim(**(optim or {})))))
    return {"steps": found, "weights": [p.detach().flatten().tolist() for p in model.parameters()]}


def load_shards(folder):
    """The names of all tensors that ranks wrote."""
    names = set()
    for path in folder.glob("shard*.safetensors"):
        with safe_open(path, "pt") as file:
            names |= set(file.keys())
    return names


def test_a_run_goes_on_with_other_numbers_of_ranks(tmp_path):
    """From 2 ranks to 4, to 1 and to a process alone: what is read is bit for bit what was written, and losses stay the same.

    Bit-exact: weights and momenta at every hand-over, and all that follows with the same number of ranks. Within 1e-5: what
    follows with another, since sums of gradients are rounded in another order.
    """
    optim = {"muon": 0.0}
    whole = together(2, some, folder=str(tmp_path / "whole"), until=6, optim=optim)
    parts = [
        together(size, some, folder=str(tmp_path / "parts"), until=until, optim=optim)
        for size, until in ((2, 2), (2, 3), (4, 4), (1, 5))
    ]
    assert parts[0]["steps"] | parts[1]["steps"] == {k: whole["steps"][k] for k in "123"}
    parts.append(some(None, tmp_path / "parts", 6, optim))
    made = {str(k): v for part in parts for k, v in part["steps"].items()}
    assert list(made) == list(whole["steps"])
    torch.testing.assert_close(
        torch.tensor(list(made.values())), torch.tensor(list(whole["steps"].values())), atol=1e-5, rtol=1e-5
    )
    handed = latest(tmp_path / "parts")
    assert handed is not None
    assert handed.step == 6


@pytest.mark.parametrize(("wrote", "reads"), [(2, 4), (4, 2), (2, 1), (2, 0), (0, 2)])
def test_weights_and_momenta_are_read_bit_for_bit(wrote, reads, tmp_path):
    """A checkpoint of any number of ranks (0: a process alone) gives any other exactly the same numbers, in either format."""

    def sitting(size, until):
        given = {"folder": str(tmp_path), "until": until}
        return together(size, some, **given) if size else some(None, **given)

    written = sitting(wrote, 3)
    assert sitting(reads, 3) == {"steps": {}, "weights": written["weights"]}


def fatal(mesh, folder, flag):
    """Train, a checkpoint after every step, until a rank is killed in the middle of the fourth."""
    model = model_of("tiny")[0]
    loop = Loop(mesh=mesh, checkpoints=Path(folder), save_every=0.0)
    train(model, Fatal(rank=1, step=3, flag=flag), Steps(1, model), Optim(), loop)
    return "not reached"


def test_a_rank_that_is_killed_ends_the_run_and_the_run_goes_on(tmp_path):
    """kill -9 of a rank amid a step: the others end and say so, and the last checkpoint is taken up bit for bit."""
    started = begin(2, fatal, folder=str(tmp_path / "kept"), flag=str(tmp_path / "flag"))
    assert ended(started) == [1, -signal.SIGKILL]
    assert "of the processes that train together is gone" in started[0].said
    handed = latest(tmp_path / "kept")
    assert handed is not None
    assert handed.step == 3
    again = together(2, some, folder=str(tmp_path / "kept"), until=6)
    whole = together(2, some, folder=str(tmp_path / "whole"), until=6)
    assert again["steps"] == {k: whole["steps"][k] for k in "456"}
    assert again["weights"] == whole["weights"]


def stuck(mesh):
    """Train with an objective that never ends on another rank."""
    model = model_of("tiny")[0]
    train(model, Stuck(), Steps(1, model), Optim(), Loop(mesh=mesh))


def test_a_rank_that_hangs_ends_the_run_with_its_stacks():
    """Within the patience that was asked for, both ranks end with 200, and what is said names the step and the function."""
    started = begin(2, stuck, {"timeout": 2.0})
    assert ended(started) == [CODE, CODE]
    assert "gradients of step 0" in started[0].said
    assert "time.sleep(60)" in started[1].said or "in __call__" in started[1].said


def alone_with(mesh):
    """Train what other ranks cannot be told of; what was said, and the losses."""
    found, said = [], []
    policy = tiny(codec().tokenizer, 32, 2, 4, 128)
    model = Perturbed(policy, layers=[1], radius=0.1, steps=1, targets={})
    loop = Loop(mesh=mesh, observe=lambda step, m: found.append(m["total"]), say=said.append)
    train(model, NextToken(), Steps(1, model), Optim(muon=0.0), loop)
    return {"said": said, "steps": found}


def test_what_cannot_be_told_trains_on_rank_0_and_says_so():
    """Nothing hangs, and the run is the run of one process."""
    torch.manual_seed(0)
    found = together(2, alone_with)
    assert found["said"] == ["a Perturbed is trained by one process; the other ranks wait"]
    assert len(found["steps"]) == STEPS
