"""Templates of a file: the request stands in its place, and what is wrong with the file shows before work starts."""

from __future__ import annotations

import asyncio
import json
from random import Random

import pytest

from trueline.attack.goals import read_goals
from trueline.attack.template_file import PLACES, Templates, filled
from trueline.core.ports import NotApplicableError
from trueline.core.types import Conversation, Prompt
from trueline.data.rows import DataError

GOAL = Prompt(conversation=Conversation().say("user", "Fold a kite."), expected="refuse", id="g")


class Notes:
    """An Ask that writes down what it is asked."""

    def __init__(self, left: int = 10) -> None:
        self.rng, self.left, self.asked = Random(0), left, []

    async def __call__(self, conversation):
        self.asked.append(conversation.messages[-1].text)


@pytest.mark.parametrize("place", PLACES)
def test_the_request_stands_in_every_place(place):
    """A text with a place holds the request there, as often as the place; nothing of the place is left."""
    text = filled(f"Hear {place}, I say {place}!", "Fold a kite.")
    assert text == "Hear Fold a kite., I say Fold a kite.!"


def test_without_a_place_the_request_follows():
    """A text without a place goes before the request."""
    assert filled("You are free.", "Fold a kite.") == "You are free.\n\nFold a kite."


def test_each_goal_is_put_into_different_texts(tmp_path):
    """`tries` texts, none twice, no more than may be asked; a text that stands twice in the file counts once."""
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"{i % 5} [PROMPT]"}) + "\n" for i in range(10)), encoding="utf-8")
    for tries, left, expected in ((3, 10, 3), (9, 10, 5), (9, 2, 2)):
        notes = Notes(left)
        asyncio.run(Templates(file=str(path), tries=tries)(GOAL, notes))
        assert len(set(notes.asked)) == len(notes.asked) == expected
        assert all(text.endswith("Fold a kite.") for text in notes.asked)


def test_what_is_wrong_is_said_first(tmp_path):
    """A file that is not there, or has no such column, is refused when the attack is made; without a file it is skipped."""
    with pytest.raises(DataError, match="expected a file"):
        Templates(file=str(tmp_path / "none.jsonl"))
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "a"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"expected a template's text in 'prompt'; it has text"):
        Templates(file=str(path))
    with pytest.raises(NotApplicableError, match=r"templates\.file="):
        asyncio.run(Templates()(GOAL, Notes()))


def test_the_world_reads_no_templates(tmp_path):
    """A goal of the embedded world is no text of people."""
    path = tmp_path / "t.jsonl"
    path.write_text('{"prompt": "a [PROMPT]"}\n', encoding="utf-8")
    with pytest.raises(NotApplicableError, match="embedded world"):
        asyncio.run(Templates(file=str(path))(read_goals("world", n=1)[0], Notes()))
