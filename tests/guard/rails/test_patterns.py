"""What every rail and its patterns are held to: RE2 takes them, none finds the empty text, and keywords hide no match."""

from __future__ import annotations

import re

import pytest
import re2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.guard.learned.toy import folder
from tests.guard.rails.fakes import call, check, folded, said
from trueline.core.config import ConfigError
from trueline.core.registry import plugins
from trueline.core.types import Conversation
from trueline.guard.exchange import Exchange
from trueline.guard.rail import Rail
from trueline.guard.rails import (
    Argument,
    Canary,
    Enabled,
    Flow,
    FlowRule,
    Grounding,
    Injection,
    Jailbreak,
    Language,
    Learned,
    Limits,
    Markup,
    Media,
    Mismatch,
    Pii,
    Schema,
    Secrets,
    Spend,
    SpendLimit,
    ToolRule,
    Tools,
    Topic,
    Topics,
    Words,
)  # fmt: skip

RAILS: tuple[Rail, ...] = (
    Canary(tokens=("nightjar-7f3a",)),
    Enabled(),
    Flow(rules=(FlowRule(first="read_inbox", then="send_mail"),)),
    Grounding(),
    Injection(),
    Jailbreak(),
    Language(),
    Learned(model=folder()),
    Limits(),
    Markup(),
    Media(),
    Mismatch(),
    Pii(),
    Schema(schema='{"type": "object"}'),
    Secrets(),
    Spend(limits=(SpendLimit(tool="pay", calls=2),)),
    Tools(rules=(ToolRule(tool="pay", arguments=(Argument(path="amount", at_most=5),)),)),
    Topics(topics=(Topic(name="birds", words=("heron", "wren")),)),
    Words(words=("nightjar",)),
)
GATED = [pattern for rail in RAILS for pattern in rail.patterns() if pattern.kind == "regex" and pattern.keywords]


def test_every_registered_rail_is_here():
    """A rail that joins the registry is held to what this file asks."""
    assert {type(rail) for rail in RAILS} == set(plugins("rail").values())


@pytest.mark.parametrize("rail", RAILS, ids=lambda rail: rail.name)
def test_a_rail_keeps_the_protocol(rail):
    """A rail has all that the protocol asks, and its registered name is its own."""
    assert isinstance(rail, Rail)
    assert plugins("rail")[rail.name] is type(rail)
    names = [pattern.name for pattern in rail.patterns()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("rail", RAILS, ids=lambda rail: rail.name)
def test_nothing_said_is_allowed(rail):
    """An exchange with nothing in it is allowed on each side that the rail is on."""
    empty = Exchange(endpoint="chat", conversation=Conversation(), asked=())
    assert {check(rail, empty, side).action for side in rail.sides} == {"allow"}


@pytest.mark.parametrize("rail", RAILS, ids=lambda rail: rail.name)
def test_a_wrong_setting_is_named(rail):
    """Sides, places and actions that are none are refused, with the rail's name and what was expected."""
    given_settings = {name: getattr(rail, name) for name in rail.__dataclass_fields__ if name not in ("needs", "inline")}
    for wrong in ({"sides": ()}, {"places": ("users",)}, {"action": "delete"}):
        with pytest.raises(ConfigError, match=rail.name):
            type(rail)(**{**given_settings, **wrong})


@pytest.mark.parametrize("rail", RAILS, ids=lambda rail: rail.name)
def test_patterns_are_re2_and_find_something(rail):
    """Each expression compiles, and none matches the empty text."""
    for pattern in rail.patterns():
        assert pattern.kind == "literal" or not re2.compile(pattern.text).search("")


@given(st.data())
@settings(
    deadline=None, max_examples=150, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
def test_a_keyword_stands_in_all_that_its_pattern_finds(data):
    """Whatever an expression matches holds one of its keywords, so that trying it only there loses nothing."""
    pattern = data.draw(st.sampled_from(GATED))
    letters = st.characters(max_codepoint=126) if pattern.text.isascii() else None
    text = data.draw(st.from_regex(re.compile(pattern.text), fullmatch=True, alphabet=letters))
    match = re2.compile(pattern.text).search(text)
    assert match is None or any(folded(word) in folded(match.group()) for word in pattern.keywords), (pattern.name, text)


def test_a_reason_never_quotes_what_was_found():
    """The secret that a rail takes out does not turn up in its reason."""
    exchange = said(
        "card 4111 1111 1111 1111, key AKIAQ3EGZ7MP5VTW2XNB", "", call("pay", amount="tulips"), system="hush nightjar-7f3a"
    )
    for rail in RAILS:
        if "output" in rail.sides:
            why = check(rail, exchange, "output").decision.why
            assert not any(word in why for word in ("4111", "AKIAQ3", "tulips", "7f3a"))
