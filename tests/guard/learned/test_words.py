"""Words as rows of buckets: the same wherever they stand, none lost, and kin that share parts."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.guard.learned.hashing import BLOCK
from trueline.guard.learned.words import BUCKETS, COLUMNS, MARGIN, PIECE, STEP, WINDOW, windows, words


@given(st.text("abc né,ŝ☃42-", max_size=80))
@settings(deadline=None, max_examples=60)
def test_every_text_has_rows_of_known_buckets(text):
    """Also nothing at all, one letter, and no letters."""
    rows = words(text)
    assert rows.shape[1] == COLUMNS
    assert ((rows >= 0) & (rows < BUCKETS)).all()
    assert bool(len(rows)) == any(c.isalnum() or ord(c) > 127 for c in text)


def test_a_word_has_one_row_wherever_it_stands():
    """But for the pair with the next word, which is another one."""
    alone, inside = words("orchard "), words("in the orchard there")
    assert (alone[0, :-1] == inside[2, :-1]).all()
    assert alone[0, -1] == 0 != inside[2, -1]


def test_kin_share_parts_and_a_question_differs_from_an_order():
    """A misspelt word keeps n-grams; the byte after a word has a column of its own."""
    right, wrong = words("explosive")[0], words("explosivve")[0]
    assert right[0] != wrong[0]
    assert len(set(right[1:-2]) & set(wrong[1:-2]) - {0}) >= 2
    assert words("go?")[0, -2] != words("go!")[0, -2]


def test_a_long_word_is_read_to_its_end():
    """A word without spaces, as some scripts have it, has a row for every twelve bytes."""
    rows = words("x" * 5 * PIECE + "vosk")
    assert len(rows) == 6
    assert rows[5, 1] in words("vosk")[0]


def test_blocks_leave_no_word_out_and_none_twice():
    """A text longer than a block has the rows of its words, in order, with the same buckets across the border."""
    text = "the gate of mirkin opens slowly, " * (3 * BLOCK // 33)
    rows = words(text)
    assert len(rows) == 6 * (3 * BLOCK // 33)
    assert (rows[:-1].reshape(-1)[: 6 * COLUMNS * 100] == np.tile(rows[:6].reshape(-1), 100)).all()
    for border in range(BLOCK - MARGIN, len(text), BLOCK - 2 * MARGIN):
        first = border // 33 * 6
        assert (rows[first - 6 : first] == rows[:6]).all()
        assert (rows[first : first + 6] == rows[:6]).all()


@given(st.integers(0, 5 * WINDOW))
@settings(deadline=None, max_examples=60)
def test_windows_hold_every_word(count):
    """A short text is in one window; a long one in windows that overlap by half."""
    rows = np.arange(count)[:, None]
    found = list(windows(rows))
    assert all(len(window) <= WINDOW for window in found)
    assert set(np.concatenate(found).ravel().tolist()) == set(range(count))
    assert len(found) == max(1, -(-(count - WINDOW) // STEP) + 1)
