"""Server-sent events are the same in whatever pieces their bytes come."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.guard.wires import WireError
from trueline.guard.wires.sse import Event, EventReader, write_event

TEXTS = st.text(alphabet=st.sampled_from("ab :é\u2028{}"), max_size=8)
ENDS = st.sampled_from(["\n", "\r", "\r\n"])


def read(data: bytes, cuts: list[int], largest: int = 2**20) -> list[Event]:
    """The events of some bytes, cut in those places."""
    reader = EventReader(largest)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [event for start, end in pairwise(places) for event in reader.feed(data[start:end])]


@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3), ENDS), max_size=5),
    bom=st.booleans(),
    cuts=st.lists(st.integers(0, 300), max_size=12),
)
def test_any_split_gives_the_same_events(events, bom, cuts):
    """Line ends of all kinds, comments, fields without a use, several lines of data, a mark of the order of bytes."""
    text = "\ufeff" if bom else ""
    expected = []
    for name, lines, end in events:
        text += f": comment{end}id: 7{end}event: {name}{end}retry: 5{end}"
        text += "".join(f"data: {line}{end}" for line in lines) + end
        if any(lines) or len(lines) > 1:
            expected.append(Event(name, "\n".join(lines).encode()))
    assert read(text.encode(), cuts) == expected
    assert read(text.encode(), list(range(len(text.encode())))) == expected


@settings(max_examples=50, deadline=None)
@given(events=st.lists(st.tuples(TEXTS, st.lists(TEXTS.filter(bool), min_size=1, max_size=3)), max_size=5))
def test_what_is_written_is_read_again(events):
    """Writing and reading are inverse."""
    told = [Event(name, "\n".join(lines).encode()) for name, lines in events]
    assert read(b"".join(map(write_event, told)), []) == told


def test_what_no_blank_line_ends_is_no_event():
    """Half an event at the end of a stream is dropped; a space after the colon is one at most; a field may have no colon."""
    assert read(b"data:  x\n\ndata\n\ndata: half\n", []) == [Event("", b" x")]


def test_an_event_has_a_largest_size():
    """Neither a line nor many of them can fill the memory; comments and ends of events count anew."""
    for data in (b"data: " + b"x" * 200, b"data: x\n" * 40, b"x" * 200, b": " + b"x" * 200):
        with pytest.raises(WireError, match="at most 100 bytes"):
            read(data, [], largest=100)
    assert len(read((b": " + b"x" * 60 + b"\n") * 9 + b"data: y\n\n" * 50, [], largest=100)) == 50
