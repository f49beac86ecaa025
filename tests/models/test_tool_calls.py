"""Tool calls are read out of text, and what is said around them stays text."""

from trueline.core.types import ToolCall
from trueline.models.tool_calls import parse_tool_calls


def test_a_call_ends_with_its_sentence():
    """Words before a call and sentences after it are said; what lies between is its name and arguments."""
    assert parse_tool_calls("a <tool> b c d") == ("a", (ToolCall(name="b", arguments="c d"),))
    assert parse_tool_calls("<tool> b c . d . <tool> e") == ("d .", (ToolCall(name="b", arguments="c"), ToolCall(name="e")))


def test_text_without_a_call_is_only_said():
    """Nothing is made of nothing."""
    assert parse_tool_calls("first mix oats .") == ("first mix oats .", ())
    assert parse_tool_calls("") == ("", ())
