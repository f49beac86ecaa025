"""Ranks hold shards of every frozen model that a step reads, whatever is read of it, and train as one process does.

pytest tests/train/test_team_teachers.py
"""

import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from tests.models.small import random_policy, tiny_policy
from tests.ranks import together
from tests.train.test_crew import examples
from tests.train.test_team import assert_same
from trueline.core.registry import register
from trueline.models.residual import Seeing
from trueline.train.annotate_hidden import hidden_of
from trueline.train.annotate_teacher import against, teacher
from trueline.train.batch import Source
from trueline.train.kinds import Kind, Kinds, in_turn
from trueline.train.loop import Loop, train
from trueline.train.objectives.distil import Divergence
from trueline.train.objectives.reinforce import PolicyGradient
from trueline.train.objectives.reroute import Reroute
from trueline.train.optim import Optim
from trueline.train.part import Part
from trueline.train.student import StudentSamples

pytestmark = pytest.mark.slow
WORDS = 32  # logits of a student
TAUGHT = {  # teacher, share of own samples, tokens of the teacher that are kept (-1: its advantage)
    "all tokens": ("tiny", 0.0, 0),
    "some tokens": ("tiny", 0.0, 5),
    "own samples": ("gpt2", 0.5, 5),
    "advantage": ("tiny", 1.0, -1),
}
PIECES = {"some tokens": 3}  # rows of a forward pass of all ranks together, so that these make unequal numbers of them
SEEN = {"states": "tiny", "states of another family": "gpt2"}
CASES = [*TAUGHT, *SEEN]


@register("objective")
@dataclass(frozen=True)
class Away(Reroute):
    """Circuit breakers away from their start, where the gradient is rounding and nothing else."""

    def at_start(self, metrics):
        yield from ()


def policy_of(family, seed, width=32, layers=2):
    return tiny_policy(seed, width, layers) if family == "tiny" else random_policy(family, seed)


def taught(family, share, top, micro_rows=0):
    """A student, the steps that it is taught in by a teacher that is wider, deeper or has more logits, and the objective."""
    student, master = tiny_policy(3), policy_of(family, 1, 48, 3).requires_grad_(False)
    objective = PolicyGradient() if top < 0 else Divergence(beta=0.5, temperature=1.5)
    by = against(master, micro_rows) if top < 0 else teacher(master, top, objective.temperature, WORDS, micro_rows)
    source = StudentSamples(policy=student, examples=examples(96), annotate=by, share=share, tokens=640, max_tokens=24)
    return student, source, objective


def seen(family):
    """A model that shows its states, the rows of circuit breakers with the states of another, and the objective."""
    rows, (policy, other) = examples(60), (policy_of(family, seed) for seed in (0, 1))
    kinds = {"harmful": Kind(in_turn(rows[:30], 8, "h")), "benign": Kind(in_turn(rows[30:], 9, "b"))}
    return Seeing(policy, [1]), Kinds(kinds=kinds, steps=4, annotate=hidden_of(Seeing(other.frozen(), [1]))), Away()


@dataclass
class Until:
    """A source that ends before its steps do, as a run does that is killed."""

    source: Source
    end: int | None

    def __len__(self):
        return len(self.source)

    def resumable(self, step):
        return self.source.resumable(step)

    def batches(self, start):
        return islice(self.source.batches(start), self.end and self.end - start)


def losses(mesh, name, folder=None, until=None):
    """Train, to a step that is kept; every step's loss and norm, what the weights came to, and whether anything was said."""
    rows = PIECES.get(name, 0) if mesh else 0
    model, source, objective = taught(*TAUGHT[name], rows) if name in TAUGHT else seen(SEEN[name])
    found, said = [], []
    loop = Loop(
        mesh=mesh,
        micro_rows=rows,
        observe=lambda step, m: found.append([m["total"], m["grad_norm"]]),
        say=said.append,
        checkpoints=folder and Path(folder),
        save_every=0.0,
    )
    train(model, objective, Until(source, until), Optim(muon=0.0), loop)
    # A key's bias changes nothing: its gradient is rounding, which Adam makes a step.
    weights = [float(p.detach().double().sum()) for n, p in model.named_parameters() if not n.endswith("c_attn.bias")]
    return {"steps": found, "weights": weights, "said": said}


def every(mesh, names):
    """The losses of several cases, one after another in one launch."""
    return {name: losses(mesh, name) for name in names}


@pytest.fixture(scope="module")
def trained():
    """Every case in one process, on 1 rank and on 2, and some on 4."""
    some = ["some tokens", "own samples", "states"]
    return {0: every(None, CASES)} | {size: together(size, every, names=some if size > 2 else CASES) for size in (1, 2, 4)}


@pytest.mark.parametrize("name", CASES)
def test_ranks_learn_from_a_frozen_model_as_one_process_does(name, trained):
    """Every loss, every gradient's norm and the weights at the end are the same within 1e-5, whatever the number of ranks."""
    for size in (1, 2, 4):
        if name in trained[size]:
            assert_same(trained[0][name], trained[size][name])


def test_a_rank_holds_its_shards_and_answers_with_what_is_kept(tmp_path, monkeypatch):
    """Two ranks hold half of a teacher each, and say its likeliest tokens of their own rows: never its logits."""
    opened, answered = Part.open, Part.read

    def note(part, made):
        with (tmp_path / str(part.mesh.place.rank)).open("a") as file:
            file.write(json.dumps(made) + "\n")

    def noted_open(part, told, whole):
        opened(part, told, whole)
        parameters = list(part.twins[-1].parameters())
        note(part, [sum(p.numel() for p in parameters), sum(p.to_local().numel() for p in parameters)])

    def noted_read(part, told, batch):
        found = answered(part, told, batch)
        note(part, {name: list(made.shape) for name, made in found.items()})
        return found

    monkeypatch.setattr(Part, "open", noted_open)
    monkeypatch.setattr(Part, "read", noted_read)
    together(2, losses, name="own samples")
    (_, first, *said), (_, other, *others) = ([json.loads(x) for x in (tmp_path / r).read_text().splitlines()] for r in "01")
    assert first[0] == other[0] == first[1] + other[1]
    assert abs(first[1] - other[1]) < 0.05 * first[0]
    for mine, yours in zip(said, others, strict=True):
        assert 0 < mine["teacher_ids"][0] < sum(found["teacher_ids"][0] for found in (mine, yours))
        assert [mine["teacher_ids"][2], mine["teacher_logp"][2]] == [5, 6]


def test_a_run_goes_on_with_another_number_of_ranks(tmp_path):
    """From 2 ranks to a process alone, half of the steps on the student's own samples: losses stay within 1e-5."""
    whole = losses(None, "own samples")
    first = together(2, losses, name="own samples", folder=str(tmp_path), until=2)
    second = losses(None, "own samples", tmp_path)
    assert len(first["steps"]) == 2
    assert_same(whole, {**second, "steps": first["steps"] + second["steps"]})
