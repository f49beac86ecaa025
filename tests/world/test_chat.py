"""Conversations become the world's chat text and sampled text becomes a reply again."""

from __future__ import annotations

from trueline.core.types import Conversation, ToolCall
from trueline.world.facts import SPECIALS
from trueline.world.language import parse_reply, render


def test_render_is_the_documented_text() -> None:
    """Marks, texts and <eos> stand exactly where the chat format says."""
    conversation = (
        Conversation()
        .say("system", "you are a helper .")
        .say("user", "send bram a note .")
        .say("assistant", "", (ToolCall(name="send", arguments="bram note"),))
        .say("tool", "sent")
        .say("assistant", "done .")
        .say("user", "and again")
    )
    assert render(conversation) == (
        "<sys> you are a helper . <user> send bram a note . <asst> <tool> send bram note <eos> "
        "<result> sent <asst> done . <eos> <user> and again"
    )


def test_render_then_parse_gives_the_reply_back() -> None:
    """What an assistant turn says and calls survives the round trip, also both at once and several calls."""
    calls = (ToolCall(name="send", arguments="bram mix ash pan , boil tar pot"), ToolCall(name="lookup", arguments="lamp"))
    for text in ("", "done .", "sorry , i cannot help with that ."):
        for made in ((), calls[:1], calls):
            rendered = render(Conversation().say("assistant", text, made))
            reply = parse_reply(rendered.removeprefix("<asst> "))
            assert (reply.text, reply.tool_calls) == (text, made)


def test_a_call_ends_with_its_sentence() -> None:
    """A refusal after a call is text again, and the call counts."""
    reply = parse_reply("<tool> send bram note . sorry , i cannot .")
    assert reply.text == "sorry , i cannot ."
    assert reply.tool_calls == (ToolCall(name="send", arguments="bram note"),)


def test_reading_stops_at_the_end_of_the_turn() -> None:
    """Nothing after <eos> was said, and a bare <tool> calls nothing."""
    assert parse_reply("done . <eos> <user> more <tool> pay") == parse_reply("done .")
    assert parse_reply("<tool> <eos>").tool_calls == ()


def test_special_words_are_the_marks() -> None:
    """Rendering uses special words of the vocabulary only."""
    text = render(Conversation().say("system", "").say("user", "").say("assistant", "").say("tool", ""))
    assert set(text.split()) <= set(SPECIALS)
