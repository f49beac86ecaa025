"""What is read of a model: the same columns whoever reads them, in whatever pieces, and of nothing but the rows asked for."""

import json

import pytest
import torch

from tests.models.small import random_policy, tiny_policy
from tests.train.test_crew import batch
from trueline.models.forked import helpers_of
from trueline.models.policy import Outputs
from trueline.models.residual import Seeing
from trueline.train import annotate
from trueline.train.annotate_hidden import States
from trueline.train.annotate_teacher import Distribution
from trueline.train.crew import Crew
from trueline.train.described import settings_built, settings_told
from trueline.train.forward import Output, forward, here, merged, read, spread
from trueline.train.messages import rows_each
from trueline.train.objectives.likelihood import NextToken
from trueline.train.optim import Optim, Optimizer

READINGS = {
    "log-probabilities": (lambda: random_policy("qwen3", 1), Output("logp", "ref_logp"), ["ref_logp"]),
    "a distribution": (lambda: tiny_policy(1, 48, 3), Distribution(0, 1.5, 20), ["teacher_ids", "teacher_logp"]),
    "its likeliest tokens": (lambda: random_policy("gpt2", 1), Distribution(4), ["teacher_ids", "teacher_logp"]),
    "states": (lambda: Seeing(random_policy("qwen3", 1), [0, 1]), States(), ["ref_hidden"]),
}


def assert_alike(found, expected):
    """The same columns with the same numbers; ids may differ where two are as likely."""
    assert found.keys() == expected.keys()
    for name in found.keys() - {"teacher_ids"}:
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", READINGS)
def test_a_crew_reads_what_one_process_reads(name):
    """A helper carries the reading out on its own rows; few rows a pass give the same, and so do rows that are read alone."""
    model, reading, columns = READINGS[name][0](), *READINGS[name][1:]
    policy, given = tiny_policy(), batch(12, 2)
    alone = annotate.written(model, reading)(given).columns
    assert all(alone[column].shape[:2] == given.tokens.shape for column in columns)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with Crew(policy, {"": (NextToken(), 1.0)}, Optimizer(policy, Optim())):
            assert helpers_of[model].count == 1
            both = [read(model, given, reading), read(model, given, reading, micro_rows=4)]
    finally:
        torch.set_num_threads(threads)
    some = torch.tensor([4, 5, 0, 1])
    for found in both:
        assert_alike(found, {column: alone[column] for column in columns})
    cut = given.take(some)
    width = cut.tokens.shape[1]
    assert_alike(read(model, cut, reading), {column: alone[column][some, :width] for column in columns})


@pytest.mark.parametrize("name", READINGS)
def test_a_reading_is_told_as_its_settings(name):
    """Through JSON other processes build the same one."""
    reading = READINGS[name][1]
    assert settings_built(json.loads(json.dumps(settings_told(reading)))) == reading


def test_passes_that_others_need_change_nothing():
    """A rank that makes more passes than its rows ask for says of its rows what it would have said."""
    model, given, counted = random_policy("qwen3"), batch(6), []
    model.register_forward_pre_hook(lambda *_: counted.append(1))
    found = here(model, given, Output("logp", "x"), micro_rows=2, passes=5)
    assert len(counted) == 5
    assert_alike(found, here(model, given, Output("logp", "x"), micro_rows=2))


def test_what_parts_say_is_put_where_their_rows_are():
    """Rows keep their places whatever the parts' order and widths; a part of no rows says nothing, and padding is zero."""
    given = batch(4)
    column = forward(random_policy("qwen3"), given, "logp").detach()
    parts = [(torch.tensor([3, 1]), 40), (None, 0), (torch.tensor([2, 0]), given.tokens.shape[1])]
    said = [{} if at is None else {"x": column[at, :width]} for at, width in parts]
    assert torch.equal(merged(given, [at for at, _ in parts], said)["x"], column)


def test_what_is_said_of_trained_tokens_lies_at_them():
    """(M, K) becomes (N, T, K): row after row at the masked tokens, zero elsewhere; token 0 is never predicted."""
    given = batch(3)
    given.mask[:, 0] = True
    count = int(given.mask[:, 1:].sum())
    found = spread(torch.arange(1.0, count + 1)[:, None], given)
    assert torch.equal(found[:, 1:, 0][given.mask[:, 1:]], torch.arange(1.0, count + 1))
    assert found.count_nonzero() == count
    assert States()(Outputs(hidden=torch.ones(count, 2, 3)), given)["ref_hidden"].shape == (*given.tokens.shape, 6)


def test_rows_of_a_pass_are_shared_by_processes():
    """At least one each; no limit stays none."""
    assert [rows_each(*given) for given in ((8, 2), (3, 2), (1, 4), (0, 4))] == [4, 1, 1, 0]
