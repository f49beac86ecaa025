"""Edits of a piece: they land where they say, in any order, and overlapping ones leave nothing behind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trueline.guard.exchange import Edit, apply_edits, merged

TEXT = "0123456789"
SPANS = st.tuples(st.integers(0, 10), st.integers(0, 10)).map(lambda pair: (min(pair), max(pair)))


def _edits(spans: list[tuple[int, int]]) -> list[Edit]:
    return [Edit(path=(), start=start, end=end, text="#") for start, end in spans]


@given(st.lists(SPANS, max_size=5))
def test_no_edited_character_stays_and_no_other_goes(spans: list[tuple[int, int]]) -> None:
    """Exactly the characters outside of every span are left, in their order."""
    kept = [c for i, c in enumerate(TEXT) if not any(start <= i < end for start, end in spans)]
    assert apply_edits(TEXT, _edits(spans)).replace("#", "") == "".join(kept)


@given(st.lists(SPANS, max_size=5), st.randoms())
def test_the_order_of_edits_changes_nothing(spans: list[tuple[int, int]], rng: object) -> None:
    """Two rails that redact may speak in either order."""
    mixed = list(spans)
    rng.shuffle(mixed)  # type: ignore[attr-defined]
    assert apply_edits(TEXT, _edits(mixed)) == apply_edits(TEXT, _edits(spans))


def test_overlapping_edits_become_one_and_say_both_texts() -> None:
    """What two rails took out of one place is replaced once, with the words of both."""
    edits = [Edit(path=(), start=0, end=4, text="[key]"), Edit(path=(), start=2, end=6, text="[card]")]
    assert merged(edits) == [(0, 6, "[key][card]")]
    assert apply_edits(TEXT, edits) == "[key][card]6789"
