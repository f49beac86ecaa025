"""E6: the chain is one line, models are compared on the same questions, and the figure has a row for each.

pytest tests/lab/test_stack.py
"""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from tests.recipes.staged import stage, studio
from trueline.attack.catalogue import attack_named, choose
from trueline.attack.levels import level
from trueline.core.types import Attempt, Completion, Conversation, Judgement, Prompt
from trueline.lab.asked import LOOKALIKE, SEEN, Seen
from trueline.lab.registration import registered
from trueline.lab.stack import ATTACKS, Stack
from trueline.lab.stack_figure import figure
from trueline.lab.stack_outcome import KINDS, LEVELS, Outcome, broken, less, success
from trueline.recipes.campaigns import ATTEMPTS

MODELS = ("pretrain", "helpful", "placebo", "safety", "rlhf", "constitution", "redteam", "dpo")
SAFE = {"safety", "rlhf", "constitution", "redteam", "dpo"}


def attempt(goal: int, where: str, through: bool, attack: str = "a", query: int = 1, expected: str = "refuse") -> Attempt:
    prompt = Prompt(conversation=Conversation().say("user", f"goal {goal}"), expected=expected, id=str(goal))
    return Attempt(
        goal=prompt,
        attack=attack,
        conversation=prompt.conversation,
        completion=Completion(prompt=prompt, text="x", finish="stop"),
        judgement=Judgement(judge="oracle", score=0.0, stance="comply", disclosure=float(through)),
        query=query,
        level=where,
    )


def asked(model: str) -> list[Seen]:
    """Every kind, ten prompts each; a safe model refuses hazards, and gold says so."""
    safe, rng = model in SAFE, Random(model)
    return [
        Seen(
            id=f"{kind}{i}",
            kind=kind,
            cluster=f"{kind}{i}",
            gold=(1.0 if safe else -1.0) + 0.1 * rng.random() if kind == "hazard" else 1.0 + 0.01 * i,
            refused=float(safe and kind == "hazard"),
            gave=float(not safe and kind == "hazard"),
            right=float(i != 0),
        )
        for kind in (*KINDS, LOOKALIKE)
        for i in range(10)
    ]


def attacked(model: str) -> list[Attempt]:
    """Safe models hold at L0 alone; the others hold nowhere."""
    return [attempt(goal, where, model not in SAFE or where != "L0") for where in LEVELS for goal in range(12)]


def test_every_link_starts_from_the_one_before_and_reads_what_was_made():
    """One line from safety to dpo; every model on the ladder is asked and attacked in the same way."""
    recipe = Stack()
    stages = dict(recipe.stages())
    made = {"", *(f"{{base}}/{name}" for name in ("pretrain", "helpful", "safety", "placebo", "uneven"))}
    for name, each in stages.items():
        unmade = [
            read for read in each.reads() if read not in made | {name} and not read.startswith("world") and len(read) != 12
        ]
        assert not unmade, name  # 12 letters: the hash of a constitution
        made.add(name)
    assert stages["rlhf"].start == "{base}/safety"
    assert stages["constitution/sl"].start == "rlhf"
    assert stages["redteam/update1"].start == "constitution/sl"
    assert stages["dpo"].start == stages["compared"].start == "redteam/update2"
    assert stages["outcome-e6"].models == MODELS
    for part in ("asked", "attacked"):
        assert [name for name in stages if name.startswith(f"{part}/")] == [f"{part}/{model}" for model in MODELS]


def test_the_campaign_reaches_every_level():
    """Known and held-out hazards in these families lie on all seven levels, and the last adapts."""
    from trueline.attack.goals import read_goals

    goals = [goal for goal in read_goals("world", 24, seed=0, world_seed=0) if goal.expected == "refuse"]
    found = {level(attack, goal) for attack in choose(ATTACKS) for goal in goals}
    assert found >= set(LEVELS) - {"L1", "L2"}
    assert found & {"L1", "L2"}
    assert attack_named("bandit").adaptive


def test_questions_are_matched_and_a_goal_of_an_adaptive_attack_is_broken_by_any_of_them():
    """Benign goals do not count; what only one of two models was asked is left out of their difference."""
    first = broken([attempt(i, "L3", True, query=q) for i in range(5) for q in (1, 2)])
    second = broken([attempt(i, "L3", i == 0) for i in range(5)])
    rate, found = success(first, ("L3",)), less(second, first, ("L3",))
    assert rate is not None
    assert (rate.value, rate.n) == (1.0, 10)
    assert found is not None
    assert (found.value, found.n) == (pytest.approx(-0.8), 5)
    searched = broken([attempt(1, "L6", q == 2, query=q) for q in (1, 2, 3)] + [attempt(2, "L6", False)])
    assert sorted(got for _, got in searched["L6"].values()) == [0.0, 1.0]
    assert success(broken([attempt(1, "L0", True, expected="comply")]), ("L0",)) is None


def test_the_outcome_reads_the_ladder_as_it_was_registered(tmp_path):
    """Links that hold at L0 alone pass there, and leave the held-out and the adaptive as expected; the rest follows suit."""
    here = studio(tmp_path)
    for i, model in enumerate(MODELS):
        kl = {"value": float(i), "n": 10, "low": i - 0.1, "high": i + 0.1}
        stage(here, f"asked/{model}", SEEN, asked(model), **({"kl": kl} if i else {}))
        stage(here, f"attacked/{model}", ATTEMPTS, attacked(model))
    here.make("outcome-e6", Outcome(models=MODELS))
    result = here.stages["outcome-e6"].result
    found = {e["name"].partition(".")[2]: e for e in result["expectations"]}
    assert list(found) == [entry.id for entry in registered("E6").entries]
    passed = {name for name, e in found.items() if e["status"] == "PASS"}
    assert passed >= {"safety_l0", "control", "held_out", "adaptive", "distance", "incremental"}
    assert found["shapes"]["value"]["value"] == pytest.approx(2 / 3, abs=0.1)  # two points on a third of the prompts
    assert found["over_refusal"]["status"] != "PASS"
    assert found["redteam_l0"]["value"]["value"] == 0.0
    links = next(t for t in result["tables"] if t["title"] == "What each link changed")
    chain = [model for model in MODELS if model != "placebo"]
    assert [row[0] for row in links["rows"]] == [f"{now} after {then}" for then, now in pairwise(chain)]
    spec = figure({"shown": [result]})
    assert spec is not None
    assert len(spec["hconcat"]) == 3
    assert (
        len({cell["model"] for cell in spec["hconcat"][0]["layer"][0].get("data", spec["hconcat"][0].get("data"))["values"]})
        == 8
    )
    assert figure({"shown": []}) is None
