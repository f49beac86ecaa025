"""A target's answers: each time that a question is put is a sample of its own, and the same call asks nothing again.

pytest tests/recipes/test_answering.py
"""

from __future__ import annotations

from tests.recipes.endpoint import endpoint, says
from tests.recipes.staged import studio
from trueline.core.types import Conversation, Prompt
from trueline.recipes.answering import answers


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
