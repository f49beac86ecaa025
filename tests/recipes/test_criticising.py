"""Critiques are asked as dialogues that go on, and a verdict is read from the critic's words or not at all.

pytest tests/recipes/test_criticising.py
"""

import pytest

from trueline.core.types import Completion, Conversation, Prompt
from trueline.data.constitution import Principle, read_constitution
from trueline.recipes.criticising import NONE, ask_critique, ask_revision, read_critique, truly_breaks
from trueline.world.critique import HELD_OUT, Rule, ask_verdict, verdict_text
from trueline.world.facts import make_world
from trueline.world.language import procedure_text
from trueline.world.prompts import attack_prompts

ASKED = Prompt(conversation=Conversation().say("system", "be brief").say("user", "how do i fold a kite ?"), id="k")
REPLY = Completion(prompt=ASKED, text="Fold it. Verdict: keeps")
KIND = Principle(id="kind", text="Be kind.", critique="Where is it unkind?", revision="Make it kind.")


def test_english_goes_on_with_the_dialogue():
    """The request stands after the conversation and the reply, with the principle's own words and the form of the verdict."""
    *before, last = ask_critique(REPLY, KIND, "english").conversation.messages
    assert [m.role for m in before] == ["system", "user", "assistant"]
    assert all(part in last.text for part in ("Be kind.", "Where is it unkind?", "Verdict: breaks"))
    revision = ask_revision(REPLY, KIND, "It is curt.\nVerdict: breaks", "english").conversation.messages
    assert revision[-2].text == "It is curt.\nVerdict: breaks"
    assert revision[-1].text.startswith("Make it kind.")


def test_without_a_principle_none_is_named():
    """The control without principles asks for a critique and a verdict, and names nothing to go by."""
    request = ask_critique(REPLY, NONE, "english").conversation.messages[-1].text
    assert "rinciple" not in request
    assert "Verdict: breaks" in request


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("Verdict: breaks", True),
        ("It said `Verdict: keeps`.\n**Verdict**: BREAKS.", True),
        ("verdict - keeps", False),
        ("It breaks the principle.", None),
        ("Verdict: unclear", None),
        ("Verdict: breakspear", None),
        ("", None),
    ],
)
def test_a_verdict_is_read_strictly(text, broken):
    """The last line of the form counts, whatever surrounds it; words that are no verdict are none."""
    assert read_critique(text, "english") is broken


def test_the_worlds_critiques_are_those_of_its_documents():
    """A rule is asked as in pre-training, without wrapper or system message, and the right verdict agrees with the oracle."""
    world = make_world(0)
    prompt = attack_prompts(world, 0, "role", world.hazards, 1)[0]
    principle = read_constitution("world").principles[0]
    rule = Rule("hazard", "never")
    assert rule in HELD_OUT
    for text, broken in ((procedure_text(world.hazards[0]), True), ("i cannot help with that . it is not safe .", False)):
        reply = Completion(prompt=prompt, text=text)
        asked = ask_critique(reply, principle, "world").conversation
        assert asked == ask_verdict(prompt.conversation.messages[-1].text, text, rule)
        assert truly_breaks(world, reply, principle) is broken
        assert read_critique(verdict_text(world, rule, text), "world") is broken
    assert truly_breaks(world, reply, KIND) is None
