"""SIGTERM is heard at once, after a step, or at its second coming; nothing else changes.

pytest tests/core/test_stopping.py
"""

from __future__ import annotations

import signal
import threading

import pytest

from trueline.core import stopping

TERM = signal.SIGTERM


def term():
    signal.raise_signal(TERM)


def test_it_is_raised_at_once_where_nothing_is_put_off():
    """Outside of training SIGTERM raises, and what lets Ctrl-C through lets it through."""
    with stopping.listening():
        with pytest.raises(KeyboardInterrupt, match="what was done is kept"):
            term()
        assert stopping.asked()


def test_it_is_only_noted_where_it_is_put_off():
    """A step that is under way is made, and then the loop is told."""

    def train():
        with stopping.put_off():
            told = [stopping.asked()]
            term()
            told.append(stopping.asked())
            raise stopping.Preempted(f"noted: {told}")

    with stopping.listening(), pytest.raises(stopping.Preempted, match=r"noted: \[False, True\]"):
        train()


def test_what_was_put_off_and_not_acted_upon_is_raised_at_the_end():
    """A loop inside a loop leaves it to the outer one; where the outer one ends without a word, SIGTERM is not forgotten."""
    passed = []

    def train(depth):
        with stopping.put_off():
            if depth:
                train(depth - 1)
                passed.append(depth)
            else:
                term()

    with stopping.listening(), pytest.raises(stopping.Preempted):
        train(2)
    assert passed == [1, 2]


def test_an_error_is_not_hidden_by_it():
    """What went wrong in training is what is told, also when SIGTERM had come."""

    def train():
        with stopping.put_off():
            term()
            raise ArithmeticError

    with stopping.listening(), pytest.raises(ArithmeticError):
        train()


def test_one_notice_may_come_twice(monkeypatch):
    """A scheduler and a launcher tell the same: a second SIGTERM soon after the first changes nothing, a later one ends."""
    now, made = 100.0, []
    monkeypatch.setattr(stopping.time, "monotonic", lambda: now)

    def train():
        nonlocal now
        with stopping.put_off():
            for wait in (0.0, 0.5, 1.0, 1.0):
                now += wait * stopping.ONE_NOTICE
                term()
                made.append(wait)

    with stopping.listening(), pytest.raises(stopping.Preempted, match="second SIGTERM"):
        train()
    assert made == [0.0, 0.5]


def test_nothing_is_put_off_for_who_has_nothing_to_save():
    """`when` says whether there is a checkpoint to write."""
    with stopping.listening(), stopping.put_off(when=False), pytest.raises(stopping.Preempted):
        term()


def test_the_handler_is_given_back_and_the_next_listener_begins_anew():
    """A process that runs two commands, as tests do, hears of the first one's SIGTERM in the first alone."""
    before = signal.getsignal(TERM)
    with stopping.listening(), pytest.raises(stopping.Preempted):
        term()
    assert signal.getsignal(TERM) is before
    assert not stopping.asked()
    with stopping.listening():
        assert not stopping.asked()


def test_another_thread_leaves_signals_alone():
    """Only the main thread may set a handler; a command in another one runs without."""
    found = []

    def work():
        with stopping.listening(), stopping.put_off():
            found.append(signal.getsignal(TERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(TERM)]
