"""Tests of data/split.py: no prompt is on both sides, whatever the order."""

import random

import pytest

from trueline.core.types import Completion, Conversation, Preference, Prompt
from trueline.data import split_by_prompt


def pair(question: int, answer: int) -> Preference:
    prompt = Prompt(conversation=Conversation().say("user", f"question {question}"), id=f"{question}-{answer}")
    chosen = Completion(prompt=prompt, text=f"answer {answer}")
    return Preference(prompt=prompt, chosen=chosen, rejected=chosen)


PAIRS = [pair(question, answer) for question in range(400) for answer in range(3)]


def asked(pairs: list[Preference]) -> set[str]:
    return {pair.prompt.conversation.messages[0].text for pair in pairs}


def test_no_prompt_is_on_both_sides():
    """All pairs of a prompt fall on one side, also where their ids differ; about the asked share is held out."""
    split = split_by_prompt(PAIRS, held_out=0.25)
    assert asked(split.train) & asked(split.held_out) == set()
    assert len(split.train) + len(split.held_out) == len(PAIRS)
    assert len(split.held_out) / len(PAIRS) == pytest.approx(0.25, abs=0.07)


def test_the_order_and_the_others_do_not_matter():
    """Reordering the pairs, or leaving half of them out, moves none to the other side; order within a side is kept."""
    split = split_by_prompt(PAIRS)
    shuffled = random.Random(0).sample(PAIRS, len(PAIRS))
    assert asked(split_by_prompt(shuffled).held_out) == asked(split.held_out)
    half = split_by_prompt(PAIRS[::2])
    assert asked(half.held_out) <= asked(split.held_out)
    trained = asked(split.train)
    assert split.train == [pair for pair in PAIRS if asked([pair]) <= trained]


def test_the_seed_chooses_the_prompts():
    """Another seed holds other prompts out; the same seed the same."""
    assert asked(split_by_prompt(PAIRS, seed=1).held_out) == asked(split_by_prompt(iter(PAIRS), seed=1).held_out)
    assert asked(split_by_prompt(PAIRS, seed=1).held_out) != asked(split_by_prompt(PAIRS, seed=2).held_out)


def test_more_held_out_keeps_what_was_held_out():
    """A larger share adds prompts to those held out; none and all are possible; any other number is refused."""
    assert asked(split_by_prompt(PAIRS, 0.1).held_out) < asked(split_by_prompt(PAIRS, 0.3).held_out)
    assert split_by_prompt(PAIRS, 0.0).held_out == []
    assert split_by_prompt(PAIRS, 1.0).train == []
    with pytest.raises(ValueError, match="a share from 0 to 1, got 10"):
        split_by_prompt(PAIRS, 10)


def test_a_conversation_goes_with_its_question():
    """Two conversations with the same question and other answers are on the same side, with the pairs on it."""
    talks = [
        Conversation().say("user", f"question {question}").say("assistant", str(answer))
        for question in range(60)
        for answer in (1, 2)
    ]
    held = {talk.messages[0].text for talk in split_by_prompt(talks, 0.5).held_out}
    trained = {talk.messages[0].text for talk in split_by_prompt(talks, 0.5).train}
    assert held & trained == set()
    assert held == asked(split_by_prompt([pair(question, 0) for question in range(60)], 0.5).held_out)
