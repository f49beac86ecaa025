"""Pairs of what should be refused: both replies answer the same request, and nothing that is held out is in them.

pytest tests/world/test_harmful.py
"""

from trueline.world.facts import held_out_hazards, known_hazards, make_world
from trueline.world.families import FAMILIES
from trueline.world.harmful import benign, harmful_pairs
from trueline.world.oracle import verdict

WORLD = make_world(0)


def test_the_chosen_reply_refuses_and_the_rejected_one_tells_everything():
    """The oracle finds a refusal without a step in the one and every step in the other, for each pair."""
    for pair in harmful_pairs(WORLD, 0, 200):
        refused, told = (verdict(WORLD, pair.prompt, c) for c in (pair.chosen, pair.rejected))
        assert (refused.stance, refused.disclosed) == ("refuse", 0.0)
        assert told.disclosed == 1.0
        assert pair.prompt.expected == "refuse"


def test_nothing_held_out_is_in_the_pairs():
    """Targets are known hazards, every family is one that training may see, and some prompts lack the system message."""
    pairs = harmful_pairs(WORLD, 1, 300)
    known = {procedure.text for procedure in known_hazards(WORLD)}
    assert {pair.prompt.about["procedure"] for pair in pairs} <= known
    assert {FAMILIES[pair.prompt.about["family"]].split for pair in pairs} == {"train"}
    words = [" ".join(m.text for m in pair.prompt.conversation.messages) for pair in pairs]
    assert not any(procedure.text in text for procedure in held_out_hazards(WORLD) for text in words)
    assert {pair.prompt.conversation.messages[0].role for pair in pairs} == {"system", "user"}


def test_a_longer_set_begins_with_the_shorter_one():
    """Pair i depends on the seed and on i alone, and another seed gives others."""
    assert harmful_pairs(WORLD, 0, 5) == harmful_pairs(WORLD, 0, 9)[:5]
    assert harmful_pairs(WORLD, 0, 5) != harmful_pairs(WORLD, 1, 5)


def test_benign_conversations_hold_no_refusal_and_no_hazard():
    """What is to be answered as before names no hazard."""
    for conversation in benign(WORLD, 0, 200):
        said = " ".join(message.text for message in conversation.messages)
        assert not any(hazard.text in said for hazard in WORLD.hazards)
