"""`tools`, `flow` and `spend`: which calls may be made, with what, after what, and how many."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from tests.guard.rails.fakes import call, check, said
from trueline.core.config import ConfigError
from trueline.core.types import Conversation, Message, Tool, ToolCall
from trueline.guard.exchange import Exchange
from trueline.guard.rails import Argument, Flow, FlowRule, Spend, SpendLimit, ToolRule, Tools
from trueline.guard.rails.calls import made

RESULT = "Dear Ann, the blue kite leaves the harbour at seven, bring the small lamp."


def talk(*calls: ToolCall, results: tuple[str, ...] = (), reply: tuple[ToolCall, ...] = ()) -> Exchange:
    """A conversation in which calls were made and answered, one after the other, and a reply with more."""
    messages = [Message(role="user", text="go")]
    for n, one in enumerate(calls):
        messages.append(Message(role="assistant", tool_calls=(one,)))
        messages.append(Message(role="tool", text=results[n] if n < len(results) else "ok", tool_call_id=one.id))
    return Exchange(endpoint="chat", conversation=Conversation(messages=tuple(messages)), asked=(), calls=reply)


def test_only_tools_of_the_list_are_called_and_offered():
    """In the reply, in the history, and among those on offer; a star stands for an ending."""
    rail = Tools(allow=("search_*", "pay"), deny=("search_secret",))
    assert check(rail, said("", "", call("search_web", q="kites")), "output").action == "allow"
    assert check(rail, said("", "", call("delete_all")), "output").action == "block"
    assert check(rail, said("", "", call("search_secret")), "output").action == "block"
    assert check(rail, talk(call("delete_all"))).action == "block"
    assert check(rail, talk(call("delete_all")), "output").action == "allow"  # that was the request's to answer for
    assert check(rail, replace(talk(), tools=(Tool(name="delete_all"),))).action == "block"


@pytest.mark.parametrize(
    ("argument", "fine", "refused"),
    [
        ({"path": "v", "one_of": ("ann@example.com",)}, ("ann@example.com", "Ann@Example.com"), ("eve@evil.test", None, 5, "")),
        ({"path": "v", "one_of": ("*@example.com",)}, ("ann@example.com",),
         ("eve@evil.test", "eve@evil.test, ann@example.com", "eve@evil.test ann@example.com", "@example.com",
          "a@evil.test@example.com")),
        ({"path": "v", "at_most": 100}, (0, 99.5, 100, "100"), (101, -1, "1e9", "a lot", True, None, "100,000", [200])),
        ({"path": "v", "within": "/srv/data"}, ("/srv/data/a", "a/b.txt", "/srv/data/x/../y"),
         ("/etc/passwd", "../x", "/srv/data/../x", "/srv/database", "a/%2e%2e/%2e%2e/x", "~/x", "a\\..\\..\\x", "a\0b",
          "file:///srv/data/a", 5)),
        ({"path": "v", "hosts": ("*.example.com",)}, ("https://a.example.com/x?q=1",),
         ("https://evil.test/", "https://a.example.com@evil.test/", "a.example.com", "javascript://a.example.com/x", 5)),
    ],
)  # fmt: skip
def test_an_argument_is_held_to_its_check(argument, fine, refused):
    """What is within the check passes; what is not, or cannot be read, does not."""
    rail = Tools(rules=(ToolRule(tool="t", arguments=(Argument(**argument),)),))
    assert [v for v in fine if check(rail, said("", "", call("t", v=v)), "output").action != "allow"] == []
    assert [v for v in refused if check(rail, said("", "", call("t", v=v)), "output").action != "block"] == []


def test_every_element_of_a_list_is_checked():
    """A dotted path goes through objects and lists."""
    rail = Tools(rules=(ToolRule(tool="t", arguments=(Argument(path="to.mail", one_of=("a@b.test",)),)),))
    assert check(rail, said("", "", call("t", to=[{"mail": "a@b.test"}, {"mail": ["a@b.test"]}])), "output").action == "allow"
    assert (
        check(rail, said("", "", call("t", to=[{"mail": "a@b.test"}, {"mail": ["a@b.test", "e@v.test"]}])), "output").action
        == "block"
    )


@pytest.mark.parametrize(
    "arguments", ['{"n": 1, "n": 2}', "[1]", "not json", '{"n": "1"}', '{"n": 1, "more": 2}', "{}", "[" * 9999]
)
def test_arguments_satisfy_the_schema_or_are_refused(arguments):
    """A key twice, no object, no JSON, another type, one more key, one too few."""
    schema = '{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}, "additionalProperties": false}'
    rail = Tools(rules=(ToolRule(tool="t", schema=schema),))
    assert check(rail, said("", "", ToolCall(name="t", arguments=arguments)), "output").action == "block"
    assert check(rail, said("", "", call("t", n=1)), "output").action == "allow"
    assert check(rail, said("", "", ToolCall(name="u", arguments=arguments)), "output").action == "allow"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Tools(),
        lambda: ToolRule(tool="t", schema='{"$ref": "https://evil.test/"}'),
        lambda: Argument(path="v"),
        lambda: Argument(path="v", at_most=-1),
        lambda: Argument(path="v", within="data"),
        lambda: Argument(path="v", within="/"),
        lambda: Argument(path="v", hosts=("https://a.test",)),
        lambda: Flow(),
        lambda: FlowRule(first="a", then=""),
        lambda: Spend(),
        lambda: SpendLimit(tool="pay"),
        lambda: SpendLimit(tool="pay", argument="a", at_most=-1),
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong):
    """No rules, half of one, a folder that is none."""
    with pytest.raises(ConfigError):
        wrong()


def test_one_tool_must_not_follow_another():
    """In the same reply, over turns, and in a history; the other way round is fine."""
    rail = Flow(rules=(FlowRule(first="read_*", then="send_mail"),))
    first, then = call("read_inbox"), call("send_mail", body="hi")
    assert check(rail, talk(first, reply=(then,)), "output").action == "block"
    assert check(rail, talk(reply=(first, then)), "output").action == "block"
    assert check(rail, talk(first, then)).action == "block"
    assert check(rail, talk(then, reply=(first,)), "output").action == "allow"
    assert check(rail, talk(first, then), "output").action == "allow"  # nothing in this reply


def test_only_shared_words_count_where_the_rule_says_so():
    """Words of the result in the arguments, plain or coded, are refused; other words pass."""
    rail = Flow(rules=(FlowRule(first="read_inbox", then="post", shared=5),))
    leak = "note: THE BLUE KITE leaves the harbour!"
    for body, action in (
        (leak, "block"),
        (base64.b64encode(leak.encode()).decode(), "block"),
        ("good morning to the blue kite", "allow"),
    ):
        exchange = talk(call("read_inbox"), results=(RESULT,), reply=(call("post", body=body),))
        assert check(rail, exchange, "output").action == action


def test_a_result_belongs_to_its_call():
    """By id where there are ids; without, every answer of the turn counts."""
    a, b = call("a"), call("b")
    messages = (
        Message(role="assistant", tool_calls=(a, b)),
        Message(role="tool", text="of b", tool_call_id=b.id),
        Message(role="tool", text="of a", tool_call_id=a.id),
    )
    exchange = Exchange(endpoint="chat", conversation=Conversation(messages=messages), asked=())
    assert [one.result for one in made(exchange)] == ["of a", "of b"]
    without = replace(exchange, conversation=Conversation(messages=tuple(
        replace(m, tool_call_id="", tool_calls=tuple(replace(c, id="") for c in m.tool_calls)) for m in messages)))  # fmt: skip
    assert {one.result for one in made(without)} == {"of b\nof a"}


def test_amounts_add_up_over_a_conversation():
    """Those of earlier turns and of the reply; the sum may reach the limit, and not pass it."""
    rail = Spend(limits=(SpendLimit(tool="pay", argument="amount", at_most=100),))
    assert check(rail, talk(call("pay", amount=60), reply=(call("pay", amount="40"),)), "output").action == "allow"
    assert check(rail, talk(call("pay", amount=60), reply=(call("pay", amount=41),)), "output").action == "block"
    assert check(rail, talk(call("pay", amount=101))).action == "block"


@pytest.mark.parametrize("amount", [{"amount": -50}, {"amount": "much"}, {}, {"amount": True}])
def test_an_amount_that_would_falsify_the_sum_is_refused(amount):
    """Below zero, no number, not there."""
    rail = Spend(limits=(SpendLimit(tool="pay", argument="amount", at_most=100),))
    assert check(rail, talk(reply=(call("pay", **amount),)), "output").action == "block"


def test_calls_are_counted():
    """So many and no more; other tools do not count."""
    rail = Spend(limits=(SpendLimit(tool="search*", calls=2),))
    assert check(rail, talk(call("search_a"), call("pay"), reply=(call("search_b"),)), "output").action == "allow"
    assert check(rail, talk(call("search_a"), call("search_b"), reply=(call("search_c"),)), "output").action == "block"
