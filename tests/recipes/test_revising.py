"""Replies are criticised and revised, every step is kept, and what never keeps its principle is not taught.

pytest tests/recipes/test_revising.py
"""

import json

import pytest

from tests.recipes import toys
from tests.recipes.critics import GOOD, formless, named, strict, stubborn, worldly
from tests.recipes.endpoint import endpoint, says
from tests.recipes.staged import result_of
from trueline.core.config import ConfigError
from trueline.core.records import read_jsonl
from trueline.data.constitution import ConstitutionError, read_constitution
from trueline.recipes.criticising import read_critique
from trueline.recipes.revising import Revise, Step
from trueline.recipes.studio import RecipeError


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def words(tmp_path, *more):
    red = toys.rows(tmp_path / "red.jsonl", [{"prompt": f"{a} {b}"} for a in "abc" for b in "efg"])
    benign = toys.rows(tmp_path / "benign.jsonl", [{"prompt": f"{a} {b}"} for a in "hij" for b in "klm"])
    return (
        "revise", f"start={toys.model(tmp_path)}", "constitution=plain", f"red={red}", f"benign={benign}", "n=0",
        "max_tokens=6", *more,
    )  # fmt: skip


def test_every_step_is_kept_with_the_principle_that_caused_it(tmp_path):
    """Replies that break a principle become the revision that keeps it; the record names round, principle and verdict."""
    with endpoint(strict) as critic:
        folder, _ = toys.run(tmp_path / "run", *words(tmp_path, f"critic={critic.target}", "rounds=2", "tries=3"))
    stage = folder / "stages/revise"
    steps = list(read_jsonl(stage / "steps.jsonl", Step))
    plain = read_constitution("plain")
    heard = {harmful: {p.id for p in plain.about(harmful)} for harmful in (True, False)}
    assert all(step.principle in heard[step.harmful] for step in steps)
    first, second = ([s for s in steps if s.round == number] for number in (1, 2))
    assert len(first) == len(second) > 9
    assert all(s.broken and s.tried == 1 and s.revision.text == GOOD and s.revision.prompt == s.prompt for s in first)
    assert all(s.broken is False and s.reply.text == GOOD and s.revision is None for s in second)
    shown = lines(stage / "demonstrations.jsonl")
    assert len(shown) == len(first)
    assert {row["messages"][-1]["content"] for row in shown} == {GOOD}
    result = json.loads((stage / "result.json").read_text())
    assert result["in_form"]["value"] == result["revised"]["value"] == 1
    assert result["broken"]["value"] == 0.5
    assert "critic_is_right" not in result


def test_without_rounds_the_replies_are_what_is_taught(tmp_path):
    """No round asks no critic: what was said is shown as it was said, and the replay beside it."""
    with endpoint(lambda request, before: says("x y")) as model, endpoint(strict) as critic:
        more = (f"critic={critic.target}", "rounds=0", f"replay={toys.conversations(tmp_path, 5)}", "n_replay=0")
        folder, _ = toys.run(tmp_path / "run", *words(tmp_path, *more), f"start={model.target}")
    assert not critic.asked
    assert (folder / "stages/revise/steps.jsonl").read_text() == ""
    said = [row["messages"][-1]["content"] for row in lines(folder / "stages/revise/demonstrations.jsonl")]
    assert said.count("x y") == len(said) - 5 > 9


def test_what_never_keeps_its_principle_is_left_out(tmp_path):
    """A reply that no revision saves is not taught, though it ended by itself; its steps say how often it was tried."""
    with (
        endpoint(lambda request, before: says("x y")) as model,
        endpoint(stubborn) as critic,
        pytest.raises(RecipeError, match=r"no reply of \d+ kept its principle"),
    ):
        toys.run(tmp_path / "run", *words(tmp_path, f"critic={critic.target}", "tries=2"), f"start={model.target}")
    steps = list(read_jsonl(tmp_path / "run/stages/revise/steps.jsonl", Step))
    assert {(s.reply.text, s.broken, s.tried, s.revision) for s in steps} == {("x y", True, 2, None)}


def world_steps(tmp_path, judge, constitution, *more, reviser="shut"):
    """What is kept of a model of the world that tells every hazard, beside a reviser that tells none, or what it is said to."""
    with endpoint(worldly) as models, endpoint(judge) as critic:
        folder, _ = toys.run(
            tmp_path / constitution.replace(":", "-"), "revise", f"start={named(models.target, 'open')}",
            f"critic={named(critic.target, 'judge')}", f"reviser={named(models.target, reviser)}",
            f"constitution={constitution}", "n=40", "n_replay=0", *more,
        )  # fmt: skip
    return list(read_jsonl(folder / "stages/revise/steps.jsonl", Step)), result_of(folder, "revise"), critic.asked


def test_shuffled_verdicts_are_as_many_and_fall_on_other_replies(tmp_path):
    """The critic is asked all the same and breaks as many replies; but which they are has nothing to do with what they say."""
    right, told, _ = world_steps(tmp_path, worldly, "world")
    dealt, dealt_told, asked = world_steps(tmp_path, worldly, "world:shuffled")
    assert asked
    assert [s.reply.text for s in right] == [s.reply.text for s in dealt]
    assert sorted(s.critique for s in right) == sorted(s.critique for s in dealt)
    assert told["critic_is_right"]["value"] == 1.0
    assert 0.3 < dealt_told["critic_is_right"]["value"] < 0.7
    assert all(s.broken is read_critique(s.critique, "world") for s in dealt)


def test_the_oracle_s_verdicts_need_no_critic(tmp_path):
    """In the oracle's arm a critic that never answers in form is not asked, and every verdict and critique is right."""
    steps, told, asked = world_steps(tmp_path, formless, "world:oracle")
    assert not asked
    assert told["critic_is_right"]["value"] == told["in_form"]["value"] == 1.0
    assert all(s.broken is s.harmful is read_critique(s.critique, "world") for s in steps)


def test_each_round_shows_what_it_leaves_broken(tmp_path):
    """By the oracle: every hazard reply breaks its principle as sampled, and none after a round; benign ones hear others."""
    _, told, _ = world_steps(tmp_path, worldly, "world", "rounds=2")
    table = told["tables"][1]
    rows = {row[0]: dict(zip(table["columns"], row, strict=True)) for row in table["rows"]}
    assert [rows[name]["no-dangerous-steps"]["value"] for name in rows] == [1.0, 0.0, 0.0]
    assert list(rows) == ["as sampled", "after round 1", "after round 2"]
    assert rows["as sampled"]["no-praise"]["n"] == rows["as sampled"]["no-dangerous-steps"]["n"] == 40
    assert {row["in play"] for row in rows.values()} == {80}
    _, unsaved, _ = world_steps(tmp_path, worldly, "world:oracle", "tries=1", reviser="open")
    assert [row[1] for row in unsaved["tables"][1]["rows"]] == [80, 40]  # no revision saved what tells


def test_of_real_text_the_next_round_s_critic_tells(tmp_path):
    """Without an oracle there is a row for each round's critiques: all broken before the first, none before the second."""
    with endpoint(strict) as critic:
        folder, _ = toys.run(tmp_path / "run", *words(tmp_path, f"critic={critic.target}", "rounds=2"))
    rows = result_of(folder, "revise")["tables"][1]["rows"]
    broken = [{cell["value"] for cell in row[2:] if cell is not None} for row in rows]
    assert ([row[0] for row in rows], broken) == (["as sampled", "after round 1"], [{1.0}, {0.0}])


def test_regenerating_asks_the_same_request_again(tmp_path):
    """With how=regenerate the reviser sees the prompt and neither reply nor critique."""
    with endpoint(strict) as critic, endpoint(lambda request, before: says(GOOD)) as reviser:
        folder, _ = toys.run(
            tmp_path / "run",
            *words(tmp_path, f"critic={critic.target}", f"reviser={reviser.target}", "how=regenerate"),
        )
    assert all(len(json.loads(sent)["messages"]) == 1 for sent in reviser.asked)
    assert {row["messages"][-1]["content"] for row in lines(folder / "stages/revise/demonstrations.jsonl")} == {GOOD}


def test_a_critic_that_never_answers_in_form_is_an_error(tmp_path):
    """The message says how many answered, what was expected, and shows an example with its control characters made visible."""
    with (
        endpoint(formless) as critic,
        pytest.raises(RecipeError, match=r"0 of \d+ critiques with a verdict.*'What a lovely kite \\x1b"),
    ):
        toys.run(tmp_path / "run", *words(tmp_path, f"critic={critic.target}"))


def test_bad_settings_are_refused_before_work(tmp_path):
    """Rounds, tries, prompts and constitutions that make no sense are refused by name."""
    refused = {"rounds": 5, "tries": 0, "red": "world/benign", "held_out": 1.0, "n": 0, "max_tokens": -1}
    for (name, value), said in zip(
        refused.items(), ("0 to 4", "tries", "world/red", "held_out", "n above 0", "tokens"), strict=True
    ):
        with pytest.raises(ConfigError, match=said):
            Revise(**{name: value})
    there = toys.rows(tmp_path / "a.jsonl", [{"prompt": "a b"}])
    for constitution, red, said in (
        ("plain", "world/red", "plain speaks english: expected files of prompts in English, got world/red and world/benign"),
        ("world", there, "world speaks world: expected world/red and world/benign, got .*a.jsonl"),
    ):
        with pytest.raises(RecipeError, match=said):
            toys.run(tmp_path / constitution, "revise", "start=hf:x", f"constitution={constitution}", f"red={red}")
    empty = tmp_path / "empty.yaml"
    empty.write_text("name: c\nversion: 1\nprinciples: []\n")
    with pytest.raises(ConstitutionError, match="principles: expected a list of at least one"):
        toys.run(tmp_path / "run", "revise", "start=hf:x", f"constitution={empty}")
