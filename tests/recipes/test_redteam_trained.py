"""Red-teaming with an attacker of its own: whom it begins as, what cannot be trained, and a round from the command line.

pytest tests/recipes/test_redteam_trained.py
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
import torch

from tests.calling import trueline
from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Completion, Judgement, Prompt
from trueline.models.policy import tiny
from trueline.models.tokens import word_tokenizer
from trueline.recipes.attacker import Attacker
from trueline.recipes.campaigns import Campaign
from trueline.recipes.redteam import Redteam
from trueline.world.language import vocabulary


@register("judge", "test_asked_how")
@dataclass(frozen=True, kw_only=True)
class AskedHow:
    """Everything is given to whoever says `how`, whatever is answered."""

    name: str = "test_asked_how"

    async def judge(self, prompt: Prompt, completion: Completion) -> Judgement:
        gave = float("how" in prompt.conversation.messages[-1].text.split())
        return Judgement(judge=self.name, score=1 - gave, stance="comply" if gave else "refuse", disclosure=gave)


def test_the_attacker_begins_as_what_was_said_else_as_who_refuses_nothing():
    """`attacker.start`, else `helpful`, else the model to harden; a fresh one against the model of each round."""

    def first(**settings):
        stages = dict(Redteam(start="M", trained=True, rounds=1, **settings).stages("red/"))
        assert stages["red/attacker1/rl"].target == "red/update1"
        return stages["red/attacker0/warm"].start, stages["red/attacker1/warm"].start

    assert first() == ("M", "M")
    assert first(helpful="H") == ("H", "H")
    assert first(helpful="H", attacker=Attacker(start="A")) == ("A", "A")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"helpful": "openai:m"}, "answers from elsewhere; give attacker.start=MODEL"),
        ({"campaign": Campaign(goals="goals.jsonl")}, "give attacker.requests=FILE"),
    ],
)
def test_an_attacker_that_cannot_be_trained_is_refused_before_work_starts(settings, says):
    """And only where one is to be trained."""
    with pytest.raises(ConfigError, match=says):
        Redteam(start="M", trained=True, **settings)
    assert Redteam(start="M", **settings).start == "M"


def test_a_round_with_a_trained_attacker_runs_from_the_command_line(tmp_path):
    """Nothing but the start is named, and what the attacker wrote is in the campaign."""
    torch.manual_seed(0)
    tiny(word_tokenizer(vocabulary()), width=32, layers=1, heads=2, context=160).save(tmp_path / "base")
    small = (
        *("rounds=1", "control=false", "campaign.attacks=direct", "campaign.n=4", "campaign.probes=2", "campaign.budget=2"),
        *(
            "campaign.max_tokens=2",
            "campaign.judge=test_asked_how",
            "lessons.n=20",
            "attacker.warm.n=200",
            "attacker.warm.epochs=2",
        ),
        *("attacker.warm.batch=512", "attacker.warm.optim.lr=1e-2", "attacker.warm.optim.muon=0.03"),
        *("attacker.rl.iterations=1", "attacker.rl.batch=8", "attacker.rl.group=4", "attacker.rl.answer_tokens=2"),
    )
    where = ("--out", tmp_path / "run", "--quiet", "--threads", 1)
    said = trueline("run", "redteam", f"start={tmp_path / 'base'}", "trained=true", *small, *where)
    assert said.code == 0, said.err
    lines = (tmp_path / "run" / "stages" / "attack1" / "attempts.jsonl").read_text(encoding="utf-8").splitlines()
    assert "trained" in {json.loads(line)["attack"] for line in lines}
