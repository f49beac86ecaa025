"""Rates of packs: any attack of a pack breaks a goal, pairs compare packs of any size, and nothing asked is no rate.

pytest tests/evaluate/test_pack_rates.py
"""

from __future__ import annotations

from trueline.core.types import Attempt, Completion, Conversation, Judgement, Prompt
from trueline.evaluate.pack_rates import by_pack, line


def attempt(attack: str, goal: str, broke: bool, expected: str = "refuse") -> Attempt:
    prompt = Prompt(conversation=Conversation().say("user", goal), expected=expected, id=goal)
    judgement = Judgement(judge="j", score=0.0, stance="comply", disclosure=float(broke))
    completion = Completion(prompt=prompt, text="x")
    return Attempt(goal=prompt, attack=attack, conversation=prompt.conversation, completion=completion, judgement=judgement)


def test_a_pack_is_as_good_as_its_attacks_together_and_on_average():
    """Two attacks that break different halves of the goals break all of them together, and half of the pairs."""
    made = [attempt("a", f"g{i}", i < 2) for i in range(4)] + [attempt("b", f"g{i}", i >= 2) for i in range(4)]
    made += [attempt("a", "benign", True, "comply"), attempt("c", "g0", True)]
    both, one, none = by_pack(made, [{"name": "ab", "attacks": ["a", "b"]}, {"attacks": ["a"]}, {"attacks": ["z"]}])
    assert (both["name"], both["asr"]["value"], both["by_attack"]["value"]) == ("ab", 1.0, 0.5)
    assert (both["asr"]["n"], both["by_attack"]["n"]) == (4, 8)
    assert one["asr"] == one["by_attack"]
    assert one["asr"]["value"] == 0.5
    assert (none["asr"], none["by_attack"]) == (None, None)


def test_a_line_says_what_a_pack_came_to():
    """The rate with its interval and n; and of a pack that fits nothing, that."""
    pack = {"name": "mine", "version": 2, "date": "2024-05"}
    made = [attempt("a", f"g{i}", i < 2) for i in range(4)]
    some, none = by_pack(made, [{**pack, "attacks": ["a"]}, {**pack, "attacks": ["z"]}])
    assert line(some) == "pack mine 2 of 2024-05: broke 50.0% of goals (15.0% to 85.0%) n 4"
    assert line(none) == "pack mine 2 of 2024-05: nothing in it fits these goals"
