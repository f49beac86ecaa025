"""What a recipe trains on holds no benign text that the same recipe measures on.

pytest tests/recipes/test_apart.py
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.attack.findings import attempt
from tests.recipes import staged
from trueline.attack.goals import read_goals, world_goals
from trueline.core.records import read_jsonl
from trueline.core.types import Attempt, Conversation
from trueline.data.apart import words
from trueline.data.recognise import read
from trueline.evaluate.rounds import PROBE, Round, measured_on, story
from trueline.recipes.campaigns import ATTEMPTS, Campaign
from trueline.recipes.constitution_seen import world_asked
from trueline.recipes.lessons import Lessons
from trueline.recipes.reading import prompts
from trueline.recipes.red_prompts import BENIGN, asked_prompts, replayed
from trueline.world.facts import make_world


@pytest.mark.parametrize("seed", [0, 1])
def test_a_constitution_is_measured_on_benign_texts_that_it_does_not_train_on(tmp_path, seed):
    """Prompts to revise, what is replayed, and the prompts of RL: none of them is measured on, and there are many of each."""
    where = staged.studio(tmp_path, seed, seed)
    asked = world_asked(make_world(seed), seed, 300)
    kept = {words(prompt) for prompt in (*asked.benign, *asked.alarming)}
    rewarded = [p for p in prompts(where, "world/taught", 800, seed + 1) if p.expected == "comply"]
    shown = [*asked_prompts(where, BENIGN, 800, 0.0).train, *replayed(where, "", 200, "world"), *rewarded]
    assert kept.isdisjoint(map(words, shown))
    assert len(asked.benign) == len(asked.alarming) == 300
    assert min(len(kept), len(set(map(words, shown)))) > 200


def campaign(folder, seed, draw):
    """What a campaign on the world's goals and probes leaves where every attack works and every benign answer is right."""
    where = staged.studio(folder, seed)
    goals = world_goals(where.world, seed, 20)
    made = [
        attempt(goal, family, seed=100 * draw + i) for i, goal in enumerate(goals) for family in ("direct", "role", "story")
    ]
    probes = Campaign(probes=200)._probes(where)
    plain = [p for p in probes if "procedure" in p.about and p.about["kind"] == "procedure"]
    return [*made, *(replace(attempt(p, "direct"), conversation=p.conversation) for p in plain)], probes


def test_rounds_teach_no_text_that_any_round_is_measured_on(tmp_path):
    """Twins and replay, against the probes and against the twins of the round before and of the one after."""
    first, probes = campaign(tmp_path / "a", 0, 0)
    later, _ = campaign(tmp_path / "b", 0, 1)
    where = staged.studio(tmp_path)
    staged.stage(where, "attack0", ATTEMPTS, first)
    made = where.make("lessons", Lessons(campaigns=("attack0",), n=1200))
    benign = [a for a in (*first, *later) if a.goal.expected == "comply" and measured_on(a)]
    kept = {words(prompt) for prompt in probes} | {words(a.conversation) for a in benign}
    shown = [c for c in read(Conversation, made.folder / "demonstrations.jsonl") if not c.messages[-1].text.startswith("i can")]
    assert min(made.result["twin"], made.result["replay"]) > 100
    assert kept.isdisjoint(map(words, shown))
    wrapped = [a for a in benign if PROBE not in a.goal.about and a.attack != "direct"]
    table = story([Round("start", first), Round("round 1", later)], learned=("train",))["tables"][0]
    assert [row[4]["n"] for row in table["rows"]] == [sum(a in some for a in wrapped) for some in (first, later)]


def test_half_of_a_files_benign_goals_are_measured_on_and_the_others_taught(tmp_path):
    """In every wrapper: twins and replay are of clusters that over-refusal and utility are not measured on."""
    rows = [{"prompt": f"how do i fold kite {i} ?", "label": "benign", "cluster": f"c{i % 4}"} for i in range(8)]
    path = tmp_path / "goals.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [{"prompt": "how do i break a kite ?"}, *rows]), encoding="utf-8")
    goals = Campaign(goals=str(path))._goals(staged.studio(tmp_path / "a"))
    assert [goal.id for goal in goals] == [goal.id for goal in read_goals(str(path))]
    benign = [goal for goal in goals if goal.expected == "comply"]
    worked = attempt(world_goals(make_world(0), 0, 4)[0])
    hazard = replace(worked, goal=goals[0], attack="direct", family="direct")
    answered = [replace(worked, goal=g, conversation=g.conversation, attack="direct", family="direct") for g in benign]
    right = [replace(a, judgement=replace(a.judgement, score=1.0, stance="comply")) for a in answered]
    where = staged.studio(tmp_path)
    staged.stage(where, "attack0", ATTEMPTS, [hazard, *right])
    made = where.make("lessons", Lessons(campaigns=("attack0",), n=40))
    shown = {words(c) for c in read(Conversation, made.folder / "demonstrations.jsonl")}
    sides = {g.about["cluster"]: measured_on(a) for g, a in zip(benign, right, strict=True)}
    assert sorted(sides.values()) == [False, False, True, True]
    assert {words(g) for g in benign if words(g) in shown} == {words(g) for g in benign if not sides[g.about["cluster"]]}
    table = story([Round("start", list(read_jsonl(where.file("attack0", ATTEMPTS), Attempt)))], learned=("train",))["tables"][0]
    assert table["rows"][0][5]["n"] == 4


def test_a_file_of_replay_teaches_no_benign_goal_that_is_measured_on(tmp_path):
    """Rows that ask what over-refusal is measured on are left out."""
    rows = [{"prompt": f"how do i fold kite {i} ?", "label": "benign"} for i in range(6)]
    path, replay = tmp_path / "goals.jsonl", tmp_path / "replay.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [{"prompt": "how do i break a kite ?"}, *rows]), encoding="utf-8")
    told = [{"prompt": row["prompt"], "completion": "like this ."} for row in rows]
    replay.write_text("".join(json.dumps(row) + "\n" for row in told), encoding="utf-8")
    goals = Campaign(goals=str(path))._goals(staged.studio(tmp_path / "a"))
    worked = attempt(world_goals(make_world(0), 0, 4)[0], "direct")
    where = staged.studio(tmp_path)
    staged.stage(where, "attack0", ATTEMPTS, [replace(worked, goal=g, conversation=g.conversation) for g in goals])
    made = where.make("lessons", Lessons(campaigns=("attack0",), n=200, twins=0.0, replay=str(replay)))
    shown = [c for c in read(Conversation, made.folder / "demonstrations.jsonl") if c.messages[-1].text == "like this ."]
    assert len(set(map(words, shown))) == 3
