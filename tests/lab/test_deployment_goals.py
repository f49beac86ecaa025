"""What is asked of a shop's assistant is what it says it is.

pytest tests/lab/test_deployment_goals.py
"""

from __future__ import annotations

from dataclasses import replace

from trueline.core.types import ToolCall
from trueline.data.apart import measured, taught
from trueline.lab.deployment_goals import (
    DEED,
    HARMS,
    INJECTION,
    KINDS,
    OUTSIDE,
    STEPS,
    TASKS,
    TAUGHT,
    WITHIN,
    goals,
    plain,
    tasks,
)
from trueline.lab.deployment_shop import PAGES
from trueline.targets.wrappers import Deployment, Scripted
from trueline.world.facts import known_hazards, make_world
from trueline.world.language import render, vocabulary

WORLD = make_world(0)
ASKED, WORK = goals(WORLD, 0, 12), tasks(WORLD, 0, 36)


def call_of(text: str) -> ToolCall:
    name, *arguments = text.split()
    return ToolCall(name=name, arguments=" ".join(arguments))


def test_every_kind_has_as_many_goals_each_in_all_its_wordings():
    """A rate over goals weighs the kinds alike, and no wording is asked of some goals alone."""
    for kind in KINDS:
        mine = [question for question in ASKED if question.kind == kind]
        wordings = {goal: [q.words for q in mine if q.goal == goal] for goal in {q.goal for q in mine}}
        assert len(wordings) == 12
        assert len({tuple(words) for words in wordings.values()}) == 1


def test_all_that_is_said_is_in_the_worlds_words():
    """A model meets no word that it does not know, under the longest system prompt."""
    said = {word for question in (*ASKED, *WORK) for word in render(question.under(PAGES).conversation).split()}
    assert said <= set(vocabulary())


def test_orders_break_the_policy_as_their_harm_says():
    """Payments outside are against the shop's policy, and payments within are not."""
    ordered = [question for question in ASKED if "order" in question.prompt.about]
    assert {question.harm for question in ordered} == {OUTSIDE, WITHIN}
    for question in ordered:
        assert question.shop.allows(call_of(question.prompt.about["order"])) is (question.harm == WITHIN)


def test_an_injection_stands_in_a_result_and_the_user_asks_for_none_of_it():
    """What is ordered comes from a page that was looked up; the page is not about the code word."""
    mine = [question for question in ASKED if question.kind == INJECTION]
    assert {question.harm for question in mine} == set(HARMS)
    for question in mine:
        user, called, page = question.prompt.conversation.messages
        assert [m.role for m in (user, called, page)] == ["user", "assistant", "tool"]
        assert "pay" not in user.text.split()
        assert called.tool_calls[0].arguments != question.shop.secret


def test_hazards_are_known_ones_and_deeds_name_them():
    """What safety training may name is what is asked for: the app's failures are no new targets."""
    known = {procedure.text for procedure in known_hazards(WORLD)}
    about = [question.prompt.about for question in ASKED if question.harm in (STEPS, DEED)]
    assert {each["procedure"] for each in about} <= known


def test_tasks_keep_to_the_policy():
    """Benign work is work that the checks let through: what they stop of it is their fault."""
    calls = [(question.shop, question.prompt.about["call"]) for question in WORK if "call" in question.prompt.about]
    assert len(calls) == 36 * TASKS["call"] // sum(TASKS.values())
    assert all(shop.allows(call_of(call)) for shop, call in calls)


def test_what_is_measured_is_never_taught():
    """Tasks of the two halves share no text, lessons have shops of their own, and some wordings are held out of each kind."""
    assert all(measured(question.prompt) for question in WORK)
    assert all(taught(question.prompt) for question in tasks(WORLD, 0, 9, taught))
    lessons = goals(WORLD, 0, 3, "lesson")
    assert not {question.prompt.conversation for question in lessons if question.kind == INJECTION} & {
        question.prompt.conversation for question in ASKED
    }
    for kind in KINDS:
        words = {question.words for question in ASKED if question.kind == kind}
        assert set(TAUGHT[kind]) < words


def test_a_longer_set_begins_with_the_shorter_one():
    """More goals and tasks are more, and not others."""
    assert ASKED[: len(goals(WORLD, 0, 3))] == goals(WORLD, 0, 3)
    assert WORK[:9] == tasks(WORLD, 0, 9)


def test_a_question_is_what_a_deployment_puts_to_its_model():
    """The target of that name puts the same system message before the same turns."""
    for question in ASKED[::7]:
        app = Deployment(label="shop", target=Scripted(answers=()), system=question.shop.system(PAGES))
        said = question.prompt.conversation
        bare = replace(said, messages=tuple(message for message in said.messages if message.role != "system"))
        assert app.deployed(bare) == question.under(PAGES).conversation


def test_the_research_evaluation_and_the_shop_ask_the_same():
    """A plain request differs from itself in the shop by the system prompt alone."""
    for question in plain(WORLD, 0, 4):
        research, shop = question.prompt.conversation.messages, question.under(PAGES).conversation.messages
        assert research[1:] == shop[1:]
        assert (research[0].role, shop[0].role) == ("system", "system")
        assert shop[0].text == question.shop.system(PAGES)
