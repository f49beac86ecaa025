"""Changes are seen where they are, told in numbers, and not seen where nothing changed."""

from __future__ import annotations

from dataclasses import replace
from math import exp
from random import Random

import pytest

from tests.watch.made import seen
from trueline.watch.changes import Rules, changes, sentence

QUIET = [seen(i) for i in range(30)]
SWAPPED = [*QUIET, *(seen(i, 12) for i in range(30, 36))]


def test_rounds_that_are_all_alike_are_quiet():
    """A target at temperature 0 that never changes has no variance, and there is no alarm."""
    assert changes([seen(i) for i in range(60)]) == ()


def test_too_few_rounds_are_quiet():
    """Nothing, one round, and two that differ altogether by a few questions say nothing yet."""
    assert changes([]) == changes([seen(0)]) == changes([seen(0), seen(1, 7)]) == ()


@pytest.mark.parametrize("at", [1, 5, 29])
def test_one_flip_is_no_alarm(at):
    """One question that is answered otherwise once, after however many rounds that were alike, is nothing."""
    rounds = [seen(i, 5 if i == at else 4) for i in range(30)]
    assert changes(rounds) == ()


def test_a_swap_is_seen_at_its_round():
    """Eight more of forty questions: seen in the first round of the new model, with both rates and the paired interval."""
    (change,) = changes(SWAPPED)
    assert (change.series, change.number, change.since, change.earliest, change.latest) == ("attack success", 30, 30, 30, 30)
    assert change.evidence >= change.enough
    found = change.found
    assert (found.before.value, found.after.value) == (0.1, 0.3)
    assert found.difference.value == pytest.approx(0.2)
    assert 0 < found.difference.low < 0.2 < found.difference.high
    assert (found.up, found.down) == (tuple(sorted(f"a{i}" for i in range(4, 12))), ())


def test_answers_that_change_places_are_seen():
    """As many attacks work as before, but others do: the rate is the same, and the questions are not."""
    turned = [replace(seen(i), gave={f"a{j}": 4 <= j < 8 for j in range(40)}) for i in range(30, 34)]
    (change,) = changes([*QUIET, *turned])
    assert change.series == "attack success"
    assert change.found.difference.value == pytest.approx(0)
    assert len(change.found.up) == len(change.found.down) == 4


def test_what_was_told_stays_told():
    """A later round takes back no change and adds none before itself: the changes of a beginning begin those of the whole."""
    rounds = [*SWAPPED, *(seen(i, 2, 12) for i in range(36, 44))]
    whole = changes(rounds)
    for n in (0, 1, 29, 30, 31, 36, 37, 43):
        assert changes(rounds[:n]) == tuple(change for change in whole if change.number < n)
    assert [(change.series, change.since) for change in whole] == [
        ("attack success", 30), ("attack success", 36), ("over-refusal", 36),
    ]  # fmt: skip


def test_after_a_change_the_new_model_is_the_baseline():
    """Thirty rounds more of the new model are quiet."""
    assert len(changes([*SWAPPED, *(seen(i, 12) for i in range(36, 66))])) == 1


def test_missing_questions_and_new_ones_change_nothing():
    """What was undecided is left out, and sentinels that come later have no past to differ from."""
    rng = Random(0)
    rounds = []
    for i in range(40):
        whole = seen(i, 4, of=40 if i < 20 else 60)
        rounds.append(replace(whole, gave={id_: yes for id_, yes in whole.gave.items() if rng.random() < 0.8}))
    assert changes(rounds) == ()
    assert changes([replace(one, gave={}, refused={}, words={}, seconds=()) for one in QUIET]) == ()


def test_names_of_questions_do_not_matter():
    """Other ids, another order: the same change."""
    renamed = [replace(r, gave={f"z{99 - int(id_[1:])}": yes for id_, yes in reversed(r.gave.items())}) for r in SWAPPED]
    (one,), (other,) = changes(SWAPPED), changes(renamed)
    assert (one.number, one.since, one.evidence) == (other.number, other.since, pytest.approx(other.evidence))


def test_noise_is_quiet():
    """Eight providers at temperature 1, each question with a rate of its own: no alarm in forty rounds."""
    for repeat in range(8):
        rng = Random(repeat)
        rates = [rng.betavariate(0.5, 2) for _ in range(40)]
        rounds = [replace(seen(i), gave={f"a{q}": rng.random() < p for q, p in enumerate(rates)}) for i in range(40)]
        assert changes(rounds) == ()


def test_new_words_of_refusal_are_seen():
    """Half of the refusals begin otherwise: seen at once, and what they said is told only where it is asked for."""
    rounds = [*QUIET, *(seen(i, words={"i can not": 20, "<b>oh no\u202e": 16}) for i in range(30, 33))]
    (change,) = changes(rounds)
    assert (change.series, change.since) == ("refusal wording", 30)
    assert change.found.opening in ("i am sorry", "<b>oh no\u202e")
    assert change.found.after.high - change.found.after.low < 0.4  # one round, whose refusals count one by one
    assert "sorry" not in sentence(change)
    assert "oh no" not in sentence(change)
    assert "\u202e" not in sentence(change, excerpt=True)
    assert "begin with" in sentence(change, excerpt=True)


def test_a_slower_model_is_seen_and_the_time_of_day_is_not():
    """Days that are slower than nights are quiet; twice as slow from a round on is a change, with seconds on both sides."""

    def timed(i, slow=1.0):
        day = 1.5 if i % 4 in (1, 2) else 1.0
        return seen(i, seconds=tuple(slow * day * s * (1 + (i * 7 % 5) / 50) for s in (0.5, 1.0, 30.0)))

    quiet = [timed(i) for i in range(60)]
    assert changes(quiet) == ()
    (change,) = changes([*quiet[:40], *(timed(i, 2.0) for i in range(40, 60))])
    assert change.series == "latency"
    assert change.since in range(39, 42)
    assert change.found.difference.value == pytest.approx(change.found.before.value, rel=0.1)
    assert "seconds" in sentence(change)


def test_a_small_shift_of_latency_is_not_told():
    """A tenth slower may be as sure as one likes; what is too little is set by `slower`."""
    rounds = [seen(i, seconds=(1.0 if i < 30 else 1.1,)) for i in range(60)]
    assert changes(rounds) == ()
    assert len(changes(rounds, Rules(slower=1.05))) == 1


def test_the_bound_is_the_threshold_s():
    """Four series, each alarmed with at most 1/threshold a round: the union over rounds is what is promised."""
    rules = Rules(quiet=500)
    assert 4 / exp(rules.threshold) == pytest.approx(1 / (2 * 500))
    assert rules.false_alarms(100) == pytest.approx(0.1)
    assert rules.false_alarms(10_000) == 1


@pytest.mark.parametrize("wrong", [{"quiet": 0}, {"slower": 0.9}])
def test_rules_that_promise_nothing_are_refused(wrong):
    """Fewer than one round, or a ratio below one, means nothing."""
    with pytest.raises(ValueError, match="expected"):
        Rules(**wrong)


def test_a_sentence_names_rounds_rates_and_questions():
    """What people read: the series, where, both rates with n and interval, the difference, and some ids."""
    (change,) = changes(SWAPPED)
    told = sentence(change)
    for part in (
        "Attack success changed, most likely at round 30, seen after round 30",
        "10% (",
        "30% (",
        "+20 (+10 to +32) points",
        "of the questions 8 more often",
        "a10",
    ):
        assert part in told


def test_ids_of_questions_are_one_visible_line():
    """They may come from a stranger's file."""
    nasty = {f"a{i}": f"a{i}\r\n\u202e<b>" for i in range(40)}
    (change,) = changes([replace(r, gave={nasty[id_]: yes for id_, yes in r.gave.items()}) for r in SWAPPED])
    assert not set(sentence(change)) & set("\r\n\u202e")
