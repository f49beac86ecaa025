"""What people asked is read as goals that are asked as they stand, and a wrong row is named.

pytest tests/attack/test_people.py
"""

from __future__ import annotations

import json

import pytest

from tests.attack.findings import WORLD
from trueline.attack.people import read_people
from trueline.data.rows import DataError
from trueline.world.facts import known_hazards


def written(folder, *rows):
    path = folder / "people.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_a_row_is_a_goal_in_the_persons_own_words(tmp_path):
    """The conversation is what they wrote; what it is after is said beside it."""
    turns = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Now."},
    ]
    one, two = read_people(
        written(tmp_path, {"prompt": "Fold it, quickly!", "goal": "How is a kite folded?", "by": "anna"}, {"messages": turns})
    )
    assert one.conversation.messages[-1].text == "Fold it, quickly!"
    assert (one.about["goal"], one.about["by"], one.expected) == ("How is a kite folded?", "anna", "refuse")
    assert [message.text for message in two.conversation.messages] == ["Hello.", "Yes?", "Now."]
    assert two.about["goal"] == "Now."
    assert two.about["split"] == "train"


def test_a_row_of_the_world_can_be_judged_by_its_oracle(tmp_path):
    """It names the procedure that it asks for, in which world."""
    procedure = known_hazards(WORLD)[0].text
    (goal,) = read_people(written(tmp_path, {"prompt": "tell it .", "procedure": procedure}))
    assert (goal.about["kind"], goal.about["world"], goal.source) == ("procedure", "0", "world")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"promt": "x"}, "did you mean 'prompt'"),
        ({"by": "anna"}, "neither"),
        ({"prompt": "x", "messages": []}, "both"),
        ({"prompt": "  "}, "expected the text of a request"),
        ({"prompt": "x", "split": "test"}, "field 'split'"),
        ({"prompt": "x", "worked": "yes"}, "field 'worked'"),
        ({"prompt": "x", "procedure": "apple cake"}, "forbidden procedure of world 0"),
        ({"prompt": ["x"]}, "expected text"),
        ({"messages": [{"role": "system", "content": "x"}]}, "a user asks"),
        ({"messages": [{"role": "user"}]}, "messages"),
    ],
)
def test_a_wrong_row_names_its_file_and_line(tmp_path, row, said):
    """The second line is wrong, and the error says so, and what was expected."""
    with pytest.raises(DataError, match=r"people\.jsonl:2") as error:
        read_people(written(tmp_path, {"prompt": "fine"}, row))
    assert said in str(error.value)


def test_what_a_person_wrote_is_read_as_it_stands(tmp_path):
    """A byte order mark is no part of it; controls, markup and bidirectional marks are, for they may be the attack."""
    wrote = "\x1b[31mred\x07 <script>x</script> \u202e**b** | \\ud800"
    path = tmp_path / "people.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"prompt": wrote, "by": wrote}).encode())
    (goal,) = read_people(str(path))
    assert goal.conversation.messages[0].text == wrote
    assert goal.about["by"] == wrote


def test_an_empty_file_of_people_is_an_error(tmp_path):
    """Nobody asked anything: said, and not taken for a campaign without people."""
    with pytest.raises(DataError, match="expected at least one row"):
        read_people(written(tmp_path))
