"""Forked children do their part of the work with the weights of the moment, and nothing depends on how many there are."""

import os
import signal

import numpy as np
import pytest
import torch

from tests.models.small import random_policy
from trueline.models import generate
from trueline.models.forked import Worker, share, shared_array, workers_for
from trueline.models.generate import sample


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_every_part_is_done_once_and_seen_here(parts):
    """Each part writes its own place; the first is done by this process, the others are not."""
    done = shared_array((parts,), np.int64)
    share(lambda part, of: done.__setitem__(part, os.getpid()), parts)
    assert (done > 0).all()
    assert len(set(done.tolist())) == parts
    assert done[0] == os.getpid()


def test_the_number_of_threads_is_put_back():
    """Parts run on one thread each; afterwards this process has its own number again."""
    before = torch.get_num_threads()
    seen = shared_array((2,), np.int64)
    share(lambda part, parts: seen.__setitem__(part, torch.get_num_threads()), 2)
    assert seen.tolist() == [1, 1]
    assert torch.get_num_threads() == before


def test_a_child_that_dies_is_replaced_by_its_parent(capfd):
    """Work that fails in a child is done here; if it fails here too, its error is ours."""
    parent, done = os.getpid(), shared_array((2,), np.int64)

    def only_here(part, parts):
        if os.getpid() != parent:
            os._exit(9)
        done[part] = 1

    share(only_here, 2)
    assert done.tolist() == [1, 1]

    def never(part, parts):
        if part == 1:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        share(never, 2)
    assert "ValueError" in capfd.readouterr().err


def test_a_child_whose_parent_is_gone_does_nothing(monkeypatch):
    """Who was killed between the fork and the child's first step is outlived by no work: here it is all done by us."""
    done = shared_array((2,), np.int64)
    monkeypatch.setattr(os, "getppid", lambda: 1)
    share(lambda part, parts: done.__setitem__(part, os.getpid()), 2)
    assert done.tolist() == [os.getpid()] * 2


def test_an_error_here_leaves_no_child_behind(monkeypatch):
    """The children of work that is given up are ended and waited for."""
    fork, children = os.fork, []

    def noted():
        children.append(fork())
        return children[-1]

    def work(part, parts):
        if part == 0:
            raise KeyboardInterrupt
        while True:
            pass

    monkeypatch.setattr(os, "fork", noted)
    with pytest.raises(KeyboardInterrupt):
        share(work, 2)
    assert len(children) == 1
    with pytest.raises(ChildProcessError):  # not of any child: other tests of this process may have their own
        os.waitpid(children[0], os.WNOHANG)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_helper_leaves_signals_of_a_group_to_who_forked_it(number):
    """Ctrl-C and SIGTERM come to every process of a group: a helper answers as before, and ends when it is told to."""
    worker = Worker(lambda message: message * 2)
    try:
        os.kill(worker.process, number)
        worker.send(b"ab")
        assert worker.receive() == b"abab"
    finally:
        worker.end()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_samples_do_not_depend_on_the_number_of_processes(temperature, monkeypatch):
    """The same prompts and seed give the same tokens from one process and from three, progress included."""
    policy = random_policy("qwen3")
    prompts = [[5, 6, 7, 8 + i] for i in range(7)] + [[9, 10]]
    found, told = [], []
    for workers in (1, 3):
        monkeypatch.setattr(generate, "workers_for", lambda *_, n=workers: n)
        steps = []
        found.append(sample(policy, prompts, count=3, max_tokens=9, temperature=temperature, seed=4, progress=steps.append))
        told.append(steps[-1])
    assert [[s.ids for s in group] for group in found[0]] == [[s.ids for s in group] for group in found[1]]
    assert told == [len(prompts)] * 2


def test_small_requests_stay_in_one_process(monkeypatch):
    """Few tokens, one prompt, one thread or another device: nothing is forked."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    cpu = torch.device("cpu")
    assert workers_for(8, 10**6, cpu) == 2
    assert workers_for(8, 100, cpu) == workers_for(1, 10**6, cpu) == workers_for(8, 10**6, torch.device("cuda")) == 1
