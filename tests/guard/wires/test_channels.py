"""Texts that grow: what leaves is what was released, edited."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.guard.exchange import Edit, apply_edits
from trueline.guard.wires.channels import Fixed, Growing, LateEditError

PATH = ("content",)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), parts=st.lists(st.text(alphabet="abc", min_size=1, max_size=4), min_size=1, max_size=6))
def test_parts_that_leave_add_up_to_the_edited_text(data, parts):
    """However edits overlap and wherever parts are cut, what left is the text with all edits made."""
    text = "".join(parts)
    places = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(sorted)
    spans = data.draw(st.lists(places, max_size=4))
    edits = [Edit(path=PATH, start=a, end=b, text=new) for (a, b), new in zip(spans, "wxyz", strict=False)]
    channel = Growing(PATH, "assistant")
    starts = [channel.add(part) for part in parts]
    channel.release(len(text), edits)
    for start, part in zip(starts, parts, strict=True):
        new = channel.leave(start, part)
        assert new is None or channel.changed
    assert channel.whole() == apply_edits(text, edits)


def test_an_edit_holds_back_what_it_reaches_into():
    """A release that ends within an edit ends where the edit begins, until all of it may leave."""
    channel = Growing(PATH, "assistant")
    channel.add("my card is 4111 ok")
    edit = Edit(path=PATH, start=11, end=15, text="[card]")
    channel.release(13, [edit])
    assert channel.released == 11
    channel.release(18, [edit])
    assert channel.released == 18
    assert channel.leave(0, "my card is 4111 ok") == "my card is [card] ok"


def test_edits_may_be_told_again_but_not_late():
    """Rails say all their edits each time; one that was made is not made twice, and one that comes too late is an error."""
    channel = Growing(PATH, "assistant")
    channel.add("abcdef")
    edit = Edit(path=PATH, start=1, end=2, text="X")
    channel.release(3, [edit])
    assert channel.leave(0, "abc") == "aXc"
    channel.release(6, [edit, Edit(path=PATH, start=4, end=5, text="Y")])
    assert channel.leave(3, "def") == "dYf"
    with pytest.raises(LateEditError):
        channel.release(6, [edit, Edit(path=PATH, start=2, end=3, text="Z")])


def test_a_string_that_left_cannot_be_edited():
    """So it is with a string that does not grow."""
    fixed = Fixed(PATH, "other", "name")
    fixed.release(2, [])
    assert not fixed.free(4)
    fixed.release(4, [])
    fixed.left = True
    with pytest.raises(LateEditError):
        fixed.release(4, [Edit(path=PATH, start=0, end=1, text="")])
