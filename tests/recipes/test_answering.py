"""A target's answers: every question is a sample of its own, none is asked twice, and a target that fails says why.

pytest tests/recipes/test_answering.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.recipes.endpoint import body, endpoint, says
from tests.recipes.staged import studio
from trueline.core.types import Conversation, Prompt
from trueline.recipes.answering import answers
from trueline.recipes.progress import Quiet
from trueline.targets.errors import TargetError


def by_seed(request, before):
    return says(f"seed {request['seed']}")


def asks(text: str, prompt: str = "", conversation: str = "") -> Prompt:
    return Prompt(conversation=Conversation(id=conversation).say("user", text), id=prompt)


def test_a_question_that_comes_several_times_is_sampled_each_time(tmp_path):
    """Equal conversations have seeds of their own, whatever prompts they belong to; different ones share theirs."""
    asked = [asks("a", "1"), asks("b"), asks("a", "2", "other"), asks("a", "3")]
    with endpoint(by_seed) as server:
        found = answers(studio(tmp_path), server.target, asked, seed=5)
        assert server.asked.total() == 4
    assert [c.text for c in found] == ["seed 5", "seed 5", "seed 6", "seed 7"]
    assert [c.prompt for c in found] == asked


def test_several_answers_to_a_question_that_comes_again_are_all_samples(tmp_path):
    """Two of each of two equal prompts are four samples, those of a prompt together."""
    with endpoint(by_seed) as server:
        found = answers(studio(tmp_path), server.target, [asks("a"), asks("a")], count=2)
    assert [c.text for c in found] == [f"seed {i}" for i in range(4)]


def test_the_same_call_again_asks_nothing(tmp_path):
    """A recipe that was killed and goes on has the answers that it had."""
    here, asked = studio(tmp_path), [asks("a"), asks("b"), asks("a")]
    with endpoint(by_seed) as server:
        first = answers(here, server.target, asked)
        assert answers(here, server.target, asked) == first
        assert server.asked.total() == 3


def test_the_likeliest_answer_is_asked_for_once(tmp_path):
    """At temperature 0 an equal question has an equal answer, which is not paid for twice."""
    with endpoint(lambda request, before: says("so")) as server:
        found = answers(studio(tmp_path), server.target, [asks("a"), asks("a")], temperature=0.0)
        assert server.asked.total() == 1
    assert [c.text for c in found] == ["so", "so"]


def test_questions_that_failed_end_with_an_error_and_the_others_are_kept(tmp_path):
    """Each answer stands at its prompt's place."""

    def moody(request, before):
        return says("so") if request["messages"][-1]["content"] != "b" else (400, {"content-type": "application/json"}, b"{}")

    with endpoint(moody) as server:
        found = answers(studio(tmp_path), server.target, [asks("a"), asks("b"), asks("c")])
    assert [c.finish for c in found] == ["stop", "error", "stop"]


def prompts(n):
    return [Prompt(conversation=Conversation().say("user", f"question {i}")) for i in range(n)]


def test_a_target_that_is_down_says_why_and_keeps_what_was_answered(tmp_path):
    """Most questions refused: an error with the target's own words; once it is up, only those are asked again."""
    up = []

    def sometimes(request, before):
        asked = request["messages"][-1]["content"]
        return says("yes") if up or asked == "question 0" else body({"error": {"message": "out of paper"}}, 400)

    with endpoint(sometimes) as there:
        where = studio(tmp_path)
        with pytest.raises(TargetError, match=r"failed on 3 of 4 questions, last with: .*out of paper.*the same command"):
            answers(where, there.target, prompts(4))
        up.append(True)
        assert [c.text for c in answers(where, there.target, prompts(4))] == ["yes"] * 4
    assert sum("question 0" in asked for asked in there.asked.elements()) == 1


def test_a_few_lost_answers_are_told_of(tmp_path):
    """Where less than half fail the stage goes on, and says how many go without an answer."""
    said = []

    class Saying(Quiet):
        def say(self, name, text):
            said.append(text)

    def mostly(request, before):
        return body({"error": "no"}, 400) if request["messages"][-1]["content"] == "question 0" else says("yes")

    with endpoint(mostly) as there:
        found = answers(replace(studio(tmp_path), show=Saying()), there.target, prompts(4))
    assert [c.finish == "error" for c in found] == [True, False, False, False]
    assert "failed on 1 of 4 questions" in said[0]
