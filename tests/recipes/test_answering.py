"""A remote target that fails: what it said is passed on, and what was answered before is not asked again."""

from dataclasses import replace

import pytest

from tests.recipes.endpoint import body, endpoint, says
from tests.recipes.studios import studio
from trueline.core.types import Conversation, Prompt
from trueline.recipes.answering import answers
from trueline.recipes.progress import Quiet
from trueline.targets.errors import TargetError


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
