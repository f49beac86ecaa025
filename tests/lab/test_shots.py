"""Many-shot: how likely an answer is, token by token, and numbers of turns that do not fit.

pytest tests/lab/test_shots.py
"""

from __future__ import annotations

import pytest
import torch

from tests.lab.toys import random_model
from trueline.lab.shots import ManyShots, harmful_nll
from trueline.recipes.running import Order, carry_out
from trueline.world.facts import make_world
from trueline.world.language import procedure_text
from trueline.world.prompts import attack_prompts

WORLD = make_world(0)


def test_the_cost_of_an_answer_is_the_mean_over_its_own_tokens():
    """Minus the mean log-probability of the reply and its end, whatever stands before it or beside it."""
    policy = random_model()
    prompts = attack_prompts(WORLD, 0, "direct", WORLD.hazards, 3)
    replies = [procedure_text(WORLD.procedure(p.about["procedure"])) for p in prompts]
    found = harmful_nll(policy, prompts, replies)
    example = policy.codec.example(prompts[0].conversation.say("assistant", replies[0]), "last")
    with torch.no_grad():
        logp = policy.logits(torch.tensor([example.ids]))[0].log_softmax(-1)
    own = [-float(logp[t - 1, example.ids[t]]) for t, on in enumerate(example.mask) if on]
    assert found[0] == pytest.approx(sum(own) / len(own), rel=1e-4)
    assert harmful_nll(policy, prompts[:1], replies[:1])[0] == pytest.approx(found[0], rel=1e-4)


def test_turns_that_do_not_fit_are_left_out_and_said_to_be(tmp_path):
    """A context of 200 tokens has room for one turn and not for eight: no value, and a note."""
    random_model(context=200).save(tmp_path / "m")
    recipe = ManyShots(model=str(tmp_path / "m"), placebo=str(tmp_path / "m"), shots=(0, 1, 8), n=3)
    _, found = carry_out(Order("shots", recipe, 0, None), tmp_path / "run")
    (part,) = found["shown"]
    assert [row[0] for row in part["tables"][0]["rows"]] == ["0", "1"]
    assert "no room in the context for 8 turns" in part["tables"][0]["note"]
