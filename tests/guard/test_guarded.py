"""A target behind rails answers like a target, and passes on only what its chain has let through."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.guard.fakes import Finds, Says, chain_of
from trueline.core.ports import Target
from trueline.core.types import Completion, Conversation, Message, Tool, ToolCall
from trueline.guard.guarded import Guarded, exchange_of
from trueline.guard.ruling import rewrite
from trueline.targets.wrappers import Scripted

ASKED = Conversation().say("user", "hello")


def _ask(guarded: Guarded, conversation: Conversation = ASKED) -> Completion:
    return asyncio.run(guarded.reply(conversation))


def test_a_guarded_target_is_a_target_with_a_name_of_its_own() -> None:
    """Another policy is another target, so that results of one are not taken for those of the other."""
    one, two = (Guarded(target=Scripted(answers=("hi",)), chain=chain_of(Finds(word="a"), name=n)) for n in ("p", "q"))
    assert isinstance(one, Target)
    assert one.name != two.name


def test_what_is_allowed_passes_unchanged() -> None:
    """Without a hit the target is asked what was asked, and its answer comes back."""
    target = Scripted(answers=("hi",))
    said = _ask(Guarded(target=target, chain=chain_of(Finds(word="marrow"))))
    assert (said.text, said.prompt.conversation) == ("hi", ASKED)
    assert target.asked == [ASKED]


def test_a_blocked_request_never_reaches_the_target() -> None:
    """The target is not asked, and the client reads the policy's message."""
    target = Scripted(answers=("hi",))
    guarded = Guarded(target=target, chain=chain_of(Finds(word="marrow"), message="no"))
    assert _ask(guarded, Conversation().say("user", "a marrow")).text == "no"
    assert target.asked == []


def test_a_blocked_answer_is_never_seen() -> None:
    """What the target said is replaced by the policy's message, its tool calls too."""
    call = Message(role="assistant", text="yes", tool_calls=(ToolCall(name="marrow"),))
    guarded = Guarded(target=Scripted(answers=(call,)), chain=chain_of(Finds(word="marrow"), message="no"))
    said = _ask(guarded)
    assert (said.text, said.tool_calls) == ("no", ())


@pytest.mark.parametrize("place", ["system", "user", "tool"])
def test_a_redaction_reaches_the_target_in_every_message(place: str) -> None:
    """The target reads the redacted text; the completion's prompt is what was asked."""
    target = Scripted(answers=("hi",))
    asked = Conversation(messages=(Message(role=place, text="my marrow"),))  # type: ignore[arg-type]
    said = _ask(Guarded(target=target, chain=chain_of(Finds(word="marrow", action="redact"))), asked)
    assert target.asked[0].messages[0].text == "my [x]"
    assert said.prompt.conversation == asked


def test_tool_calls_and_schemas_are_redacted_in_their_place() -> None:
    """Arguments in history and descriptions of tools are texts like any other."""
    call = ToolCall(name="look", arguments='{"q": "marrow"}', id="1")
    asked = Conversation(
        messages=(Message(role="assistant", tool_calls=(call,)),), tools=(Tool(name="look", description="for marrow"),)
    )
    target = Scripted(answers=("hi",))
    _ask(Guarded(target=target, chain=chain_of(Finds(word="marrow", action="redact"))), asked)
    (met,) = target.asked
    assert met.messages[0].tool_calls == (replace(call, arguments='{"q": "[x]"}'),)
    assert met.tools[0].description == "for [x]"


def test_an_edited_answer_loses_the_tokens_that_spell_it() -> None:
    """Ids and log-probabilities of a text that was redacted would tell it."""

    class Tokens(Scripted):
        async def reply(self, *asked: object) -> Completion:  # type: ignore[override]
            return replace(await super().reply(ASKED), ids=(1, 2), logprobs=(-1.0, -1.0))

    for text, kept in (("a marrow", ()), ("a carrot", (1, 2))):
        guarded = Guarded(target=Tokens(answers=(text,)), chain=chain_of(Finds(word="marrow", action="redact")))
        assert _ask(guarded).ids == kept


def test_a_rewritten_answer_is_the_rails_text() -> None:
    """A rail that rewrites replaces the whole reply."""
    rail = Says(says=lambda *_: rewrite("says", "rude", "good day"), sides=("output",))
    assert _ask(Guarded(target=Scripted(answers=("grr",)), chain=chain_of(rail))).text == "good day"


def test_a_rewritten_question_is_answered_by_the_rail() -> None:
    """As the gateway does: the target is not asked, and the rail's text is the answer."""
    target = Scripted(answers=("grr",))
    rail = Says(says=lambda *_: rewrite("says", "rude", "good day"), sides=("input",))
    assert _ask(Guarded(target=target, chain=chain_of(rail))).text == "good day"
    assert target.asked == []


def test_every_text_of_a_conversation_is_a_piece() -> None:
    """Roles, calls and tools have their places, and no two pieces share a path."""
    asked = Conversation(
        messages=(
            Message(role="system", text="s"),
            Message(role="user", text="u"),
            Message(role="assistant", text="a", tool_calls=(ToolCall(name="n", arguments="g"),)),
            Message(role="tool", text="t"),
        ),
        tools=(Tool(name="x", description="d", parameters="{}"),),
    )
    pieces = exchange_of(asked).asked
    assert {(p.place, p.text) for p in pieces} >= {
        ("system", "s"), ("user", "u"), ("assistant", "a"), ("tool_call", "n"), ("tool_call", "g"), ("tool_result", "t"),
        ("tool_schema", "d"),
    }  # fmt: skip
    assert len({p.path for p in pieces}) == len(pieces)
