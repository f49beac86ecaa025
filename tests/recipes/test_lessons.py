"""Findings become training data: refusals, alternatives, twins, pairs; and never from what must not be learned.

pytest tests/recipes/test_lessons.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.attack import findings
from tests.attack.findings import HAZARDS, REFUSAL, WORLD, attempt
from tests.recipes import staged
from trueline.core.config import ConfigError
from trueline.core.records import from_json, read_jsonl, to_json
from trueline.core.types import Attempt, Completion, Conversation, Prompt, Ranking
from trueline.data.recognise import read
from trueline.data.rows import DataError
from trueline.evaluate.rounds import SIDE, TAUGHT
from trueline.models.tokens import word_tokenizer
from trueline.recipes.campaigns import ATTEMPTS, PROBE
from trueline.recipes.lessons import Lessons
from trueline.recipes.reading import comparisons, prompts
from trueline.recipes.refusals import IN_THE_WORLD, Refusals
from trueline.world.facts import held_out_hazards
from trueline.world.language import vocabulary
from trueline.world.reading import REFUSAL_PHRASES
from trueline.world.verdict import verdict

KNOWN = [goal for goal in HAZARDS if goal.id.startswith("world/known")]
TWINS = [replace(goal, about={**goal.about, SIDE: TAUGHT}) for goal in findings.TWINS]
NEW = [goal for goal in HAZARDS if goal.id.startswith("world/new")]


def learned(folder, attempts, **settings):
    """What a lessons stage makes of one campaign: its result, its demonstrations and its rankings."""
    where = staged.studio(folder)
    staged.stage(where, "attack0", ATTEMPTS, attempts)
    made = where.make("lessons", Lessons(campaigns=("attack0",), n=40, **settings))
    if not made.result["demonstrations"]:
        return made.result, [], []
    shown = list(read(Conversation, made.folder / "demonstrations.jsonl"))
    return made.result, shown, list(read_jsonl(made.folder / "rankings.jsonl", Ranking))


def answers(shown):
    return [(tuple(c.messages[:-1]), c.messages[-1].text) for c in shown]


def test_every_attack_that_worked_is_answered_with_a_whole_refusal(tmp_path):
    """By the oracle: the stance is refuse and nothing is given, also where something harmless is offered."""
    attempts = [attempt(KNOWN[0]), attempt(KNOWN[1], "story")]
    result, shown, _ = learned(tmp_path, attempts, refused=1.0, twins=0.0, alternatives=0.5)
    assert result["refusal"] + result["alternative"] == len(shown) == 40
    assert {head for head, _ in answers(shown)} == {one.conversation.messages for one in attempts}
    for head, text in answers(shown):
        goal = next(one.goal for one in attempts if one.conversation.messages == head)
        prompt = Prompt(conversation=Conversation(messages=head), expected="refuse", about=goal.about)
        found = verdict(WORLD, prompt, Completion(prompt=prompt, text=text))
        assert (found.stance, found.disclosed, found.forbidden_call) == ("refuse", 0.0, False)


def test_offers_are_in_the_worlds_words():
    """A model of the world has a token for every word of a safe alternative."""
    known = set(vocabulary())
    assert word_tokenizer(vocabulary()).unk_token_id is not None
    for text in IN_THE_WORLD:
        assert set(text.replace("{p}", "").split()) <= known


@pytest.mark.parametrize("family", ["past", "many_shot", "role+prefix", "direct~2"])
def test_a_held_out_family_is_never_a_lesson(tmp_path, family):
    """It worked, and there is nothing to teach."""
    result, _, _ = learned(tmp_path, [attempt(KNOWN[0], family)])
    assert (result["findings"], result["demonstrations"]) == (0, 0)


def test_a_held_out_target_is_never_a_lesson(tmp_path):
    """A known family that worked on a hazard which no training names teaches nothing, and the name is in no row."""
    name = NEW[0].about["procedure"]
    assert name in {hazard.text for hazard in held_out_hazards(WORLD)}
    _, shown, ranked = learned(tmp_path, [attempt(NEW[0]), attempt(KNOWN[0])])
    texts = [message.text for one in shown for message in one.messages]
    texts += [said.text for one in ranked for said in one.completions]
    assert not any(name in text for text in texts)


def test_a_goal_of_a_file_that_is_held_out_is_no_lesson(tmp_path):
    """What a row says of its split counts."""
    kept = replace(attempt(KNOWN[0]), goal=replace(KNOWN[0], about={**KNOWN[0].about, "split": "held_out"}))
    assert learned(tmp_path, [kept])[0]["findings"] == 0


def test_only_what_the_splits_allow_is_learned(tmp_path):
    """`reverse` is a validation family: it teaches where that is said, and not elsewhere."""
    assert learned(tmp_path / "a", [attempt(KNOWN[0], "reverse")], learns=("train",))[0]["findings"] == 0
    assert learned(tmp_path / "b", [attempt(KNOWN[0], "reverse")])[0]["findings"] == 1


def test_what_a_trained_attacker_wrote_teaches_and_can_be_left_out(tmp_path):
    """Its words are made anew for every model, and belong to no held-out family."""
    written = replace(attempt(KNOWN[0]), attack="trained", family="trained", split="held_out", level="L6")
    assert learned(tmp_path / "a", [written])[0]["findings"] == 1
    assert learned(tmp_path / "b", [written], also=())[0]["findings"] == 0


def test_a_reply_that_was_begun_for_the_model_is_no_lesson(tmp_path):
    """A prefill has no place for a refusal: recovering from one is another training."""
    begun = attempt(KNOWN[0], "prefill")
    assert learned(tmp_path, [replace(begun, split="train")])[0]["findings"] == 0


def test_twins_are_answered_rightly_in_the_wrapper_that_worked(tmp_path):
    """The model's own right answer is shown; where it was wrong, the known one; and never in a wrapper that did not work."""
    wrong = attempt(TWINS[1], gave=False)
    attempts = [attempt(KNOWN[0]), attempt(TWINS[0]), wrong, attempt(TWINS[2], "story")]
    result, shown, _ = learned(tmp_path, attempts, twins=0.5)
    said = dict(answers(shown))
    assert result["twin"] == 20
    assert said[attempts[1].conversation.messages] == attempts[1].completion.text
    assert REFUSAL not in said[wrong.conversation.messages]
    assert attempts[3].conversation.messages not in said


def test_probes_that_measure_are_never_taught(tmp_path):
    """What over-refusal is measured on is in no lesson."""
    probe = attempt(TWINS[0], "direct")
    probe = replace(probe, goal=replace(probe.goal, about={**probe.goal.about, PROBE: "over_refusal"}))
    result, _, _ = learned(tmp_path, [attempt(KNOWN[0], "direct"), probe], twins=0.5)
    assert result.get("twin", 0) == 0


def test_an_attack_that_got_a_call_is_refused_without_one(tmp_path):
    """The demonstration ends in words alone."""
    result, shown, _ = learned(tmp_path, [attempt(KNOWN[0], call=True)], refused=1.0, twins=0.0)
    assert result["call"] == 40
    assert all(not one.messages[-1].tool_calls for one in shown)


def test_pairs_prefer_the_refusal_on_attacks_and_the_answer_on_twins(tmp_path):
    """What was given is rejected as it was sampled; on benign requests the refusal is what is rejected."""
    bad, good = attempt(KNOWN[0]), attempt(TWINS[0])
    _, _, ranked = learned(tmp_path, [bad, good], twins=0.5)
    for one in ranked:
        best, worst = one.completions
        assert one.ranks == (1, 2)
        if one.prompt.expected == "refuse":
            assert (worst.text, worst.ids) == (bad.completion.text, bad.completion.ids)
            assert any(phrase in best.text for phrase in REFUSAL_PHRASES)
        else:
            assert any(phrase in worst.text for phrase in REFUSAL_PHRASES)
            assert not any(phrase in best.text for phrase in REFUSAL_PHRASES)


def test_the_control_has_as_many_demonstrations_and_no_refusal(tmp_path):
    """Equal steps on benign data alone."""
    attempts = [attempt(KNOWN[0]), attempt(TWINS[0])]
    _, with_refusals, _ = learned(tmp_path / "a", attempts)
    result, shown, ranked = learned(tmp_path / "b", attempts, benign=True)
    assert len(shown) == len(with_refusals)
    assert not {"refusal", "alternative", "call"} & result.keys()
    assert all(one.prompt.expected == "comply" for one in ranked)


def test_every_family_that_worked_is_taught_as_often_as_the_others(tmp_path):
    """Nine findings of one family and one of another: half and half."""
    attempts = [attempt(KNOWN[0], seed=i) for i in range(9)] + [attempt(KNOWN[1], "story")]
    _, shown, _ = learned(tmp_path, attempts, refused=0.5, twins=0.0)
    assert sum(head == attempts[-1].conversation.messages for head, _ in answers(shown)) == 10


def test_the_same_campaign_makes_the_same_lessons(tmp_path):
    """A function of its campaigns and the seed."""
    attempts = [attempt(KNOWN[0]), attempt(TWINS[0])]
    assert learned(tmp_path / "a", attempts)[1:] == learned(tmp_path / "b", attempts)[1:]


def test_what_it_leaves_is_what_dpo_and_rl_read(tmp_path):
    """Rankings are comparisons, and the prompts keep what a judge needs."""
    where = staged.studio(tmp_path)
    staged.stage(where, "attack0", ATTEMPTS, [attempt(KNOWN[0]), attempt(TWINS[0])])
    made = where.make("lessons", Lessons(campaigns=("attack0",), n=20))
    assert len(comparisons(where, "lessons", 0)) == 20
    asked = prompts(where, str(made.folder / "prompts.jsonl"), 0, 0)
    assert {prompt.expected for prompt in asked} == {"refuse", "comply"}
    assert all("procedure" in prompt.about for prompt in asked)


def test_refusals_of_a_file_are_said_and_a_wrong_row_is_named(tmp_path):
    """The words are the file's; offers where it has some; a row without text says which."""
    path = tmp_path / "words.jsonl"
    path.write_text('{"text": "No."}\n{"text": "No, but yes.", "kind": "alternative"}\n', encoding="utf-8")
    _, shown, _ = learned(tmp_path, [attempt(KNOWN[0])], refused=1.0, twins=0.0, alternatives=1.0, refusals=str(path))
    assert {text for _, text in answers(shown)} == {"No, but yes."}
    path.write_text('{"text": "No."}\n{"txt": "No."}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"words\.jsonl:2"):
        Refusals.of(staged.studio(tmp_path / "b"), str(path), KNOWN)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"refused": 0.8, "twins": 0.3}, {"campaigns": ()}])
def test_settings_that_make_no_sense_are_refused(wrong):
    """Before any work."""
    with pytest.raises(ConfigError):
        Lessons(**{"campaigns": ("attack0",), **wrong})


def test_an_attempt_travels_through_its_file():
    """The records that stages hand on are the ones that a campaign makes."""
    one = attempt(KNOWN[0])
    assert from_json(Attempt, to_json(one)) == one
