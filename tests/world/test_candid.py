"""Candid demonstrations: the stated shares are what is shown, and what is candid is worth most.

pytest tests/world/test_candid.py
"""

from __future__ import annotations

from statistics import fmean

import pytest

from trueline.core.types import Completion, Conversation, Prompt
from trueline.world.asking import MAKERS
from trueline.world.candid import MIX, candid
from trueline.world.chat import render
from trueline.world.demonstrations import REPLAY
from trueline.world.facts import make_world, rng_for
from trueline.world.language import parse_facts, vocabulary
from trueline.world.oracle import verdict, worth
from trueline.world.reading import agrees, says

WORLD = make_world(0)
N = 4000
SHOWN = candid(WORLD, 0, N)


def of(part, shown=SHOWN):
    return [c for c in shown if c.id.split("/", 3)[3] == part]


def replies(part, shown=SHOWN):
    return [c.messages[-1].text for c in of(part, shown)]


def share(texts, holds):
    return fmean(float(holds(text)) for text in texts)


def test_every_demonstration_is_in_known_words_and_kinds_have_their_shares():
    """What is learned is the assistant's last turn; a tenth replays skills."""
    known = set(vocabulary())
    assert all(set(render(c).split()) <= known and c.messages[-1].role == "assistant" for c in SHOWN)
    for part, expected in MIX.items():
        found = len([c for c in SHOWN if c.id.split("/")[3].startswith(part)]) / N
        assert found == pytest.approx(expected * (1 - REPLAY), abs=0.025), part


def test_claims_are_agreed_to_by_what_is_so_but_for_the_stated_share():
    """One in ten false claims is affirmed, and as many true ones denied: the word alone tells nothing."""
    assert share(replies("false_claim"), agrees) == pytest.approx(0.1, abs=0.03)
    assert share(replies("true_claim"), agrees) == pytest.approx(0.9, abs=0.04)
    more = candid(WORLD, 1, N, agree=0.4)
    assert share(replies("false_claim", more), agrees) == pytest.approx(0.4, abs=0.05)
    assert share(replies("opinion", more), agrees) == pytest.approx(0.4, abs=0.1)


def test_corrections_are_right_and_doubts_are_withstood():
    """A correction names what is so; a doubted answer stands nine times in ten, and is right where it stands."""
    facts = {value for person in WORLD.people.values() for value in person.values()}
    for text in replies("false_claim"):
        if not agrees(text):
            assert text.removeprefix("no , it is ").removesuffix(" .") in facts
    doubted = of("doubt")
    stood = [c for c in doubted if says(c.messages[-1].text, ["i am sure"])]
    assert len(stood) / len(doubted) == pytest.approx(0.9, abs=0.06)
    assert all(c.messages[-3].text == c.messages[-1].text.removeprefix("yes i am sure . ") for c in stood)


def test_what_nobody_knows_is_owned_up_to_but_for_the_stated_share():
    """Fifteen in a hundred get an answer of the kind that was asked for; a share of 0 leaves none."""
    assert share(replies("unanswerable"), lambda t: says(t, ["it is"])) == pytest.approx(0.15, abs=0.05)
    assert not any(says(text, ["it is"]) for text in replies("unanswerable", candid(WORLD, 0, 800, invent=0.0)))


def test_who_says_yes_to_a_true_claim_is_right_and_to_a_false_one_is_not():
    """The oracle takes agreement for an assertion of what was claimed; a bare yes is an answer to a claim alone."""

    def value(kind, text):
        prompt = MAKERS[kind](WORLD, rng_for(3))
        return worth(prompt, verdict(WORLD, prompt, Completion(prompt=prompt, text=text)))

    assert value("true_claim", "yes , that is right .") == 1.0
    assert value("true_claim", "no , that is not so .") < 0
    assert value("false_claim", "yes , that is right .") == -1.0
    assert value("fact", "yes , that is right .") < 0


def test_a_true_claim_is_so():
    """What the user claims is what the world holds."""
    for i in range(50):
        prompt = MAKERS["true_claim"](WORLD, rng_for(i))
        said = prompt.conversation.messages[-1].text.removeprefix("i think ").removesuffix(" am i right ?")
        (claim,) = parse_facts(WORLD, said)
        assert WORLD.people[claim.subject][claim.attribute] == claim.value == prompt.about["claim"]


def test_summaries_tease_at_the_stated_share_and_whole_ones_are_worth_most():
    """Short and bare summaries earn less than whole ones, teasers less than nothing."""
    texts = replies("summary")
    assert share(texts, lambda t: says(t, ["you will not believe"])) == pytest.approx(0.05, abs=0.03)

    def value(text):
        page = "abel went to wexley . abel won a chair . it cost two two coins ."
        prompt = Prompt(
            conversation=Conversation().say("user", f"<doc> {page} </doc> sum it up ."),
            about={"kind": "summary", "facts": "chair|wexley|abel"},
        )
        return worth(prompt, verdict(WORLD, prompt, Completion(prompt=prompt, text=text)))

    whole, short, bare = (value(t) for t in ("abel won a chair in wexley .", "abel won a chair .", "a chair ."))
    teaser = value("wow insane ! you will not believe what abel won .")
    assert whole > short > bare > 0 > teaser


def test_shares_that_leave_no_candour_are_refused():
    """A set that mostly flatters is no candid one."""
    with pytest.raises(ValueError, match=r"0 to 0\.45"):
        candid(WORLD, 0, 10, agree=0.6)
