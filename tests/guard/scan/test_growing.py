"""However a text is cut, a stream gives the hits of the whole text, lets no part of one go, and holds no more than it must."""

from __future__ import annotations

import base64
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trueline.guard.exchange import Edit, apply_edits
from trueline.guard.rail import Pattern
from trueline.guard.scan.growing import Growing, Released
from trueline.guard.scan.scanner import Scanner


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


LITERALS = ("ab", "abc", "ba a", "bomb", "a b c d", "aabb", "c", "ca-b", "\u0431a", "ab ab")
EXPRESSIONS = (
    "ab+c", "a.c", r"\bab\b", "(?i)A(b|c)*b", "^ab", "b$", "(?m)^b+", "[^a]b{2,3}", r"a\s+b", "aa|aab|b.?a", r"bomb\w", r"\Bb",
)  # fmt: skip
PARTS = (
    "a", "b", "c", " ", "a", "b", "\n", "\u200b", "\u0410", "ab", "bomb", "b o m b", "Ym9tYg==", "YWI=", "%61", "%62", "%d0%b1",
    "&#97;", r"\x62", r"\u0061", b64("ab bomb abc"), b64(b64("bomb ab")), b64("%61b bomb"), "626f6d62", "62 6f 6d 62",
    "80 81 82 83",
    "é", "ß", "-", "=", "4", "obzo", "\U000e0061\U000e0062", "ﬁ", "字", " the ", "iGn0re ", "Zm9v", "+", "/", "_", "\ud83d",
    b64("bomb and the rest of it, ab abc, so that it is long enough")[:64] + "\n" + b64("x ab bomb abc bomb x xx"),
)  # fmt: skip
PATTERNS = st.lists(
    st.one_of(
        st.builds(lambda text, exact: (text, "literal", exact), st.sampled_from(LITERALS), st.just(False)),
        st.builds(lambda text, exact: (text, "regex", exact), st.sampled_from(EXPRESSIONS), st.booleans()),
    ),
    min_size=1, max_size=4,
)  # fmt: skip
CUTS = st.lists(st.integers(1, 6), min_size=1, max_size=12)


def scanner_of(patterns: list[tuple[str, str, bool]]) -> Scanner:
    made = [Pattern(name=f"p{n}", text=text, kind=kind, exact=exact) for n, (text, kind, exact) in enumerate(patterns)]
    return Scanner({"r": made})


def stream(scanner: Scanner, text: str, cuts: list[int]) -> list[Released]:
    growing, released, place = Growing(scanner), [], 0
    while place < len(text):
        size = cuts[len(released) % len(cuts)]
        released.append(growing.feed(text[place : place + size]))
        place += size
    return [*released, growing.close()]


@settings(deadline=None, max_examples=100)
@given(PATTERNS, st.lists(st.sampled_from(PARTS), max_size=14).map("".join), CUTS)
@example([("жд ж", "literal", False), ("ж д", "literal", False)], "жд ж д ", [1])  # one hit begins in another
@example([("ab", "literal", False)], b64("a bomж") + b64("ab bomb") + " x", [1])  # what is before a run is not what it seems
@example([("bomb", "literal", False)], "a&#97;-" + b64(b64("bomb and so")) + " x", [1])  # a run that begins before its code
@example([("bomb", "literal", False)], "й\\x62/" + b64("bomb and so") + " йй xx", [3])  # a run that is one in the second layer
@example([("c", "literal", False)], "ж\u200bc", [2])  # a letter, and something invisible behind it
@example([("ab c", "literal", False)], "ab YyB4eHg= c", [1])  # what begins openly and ends in a code
def test_a_stream_finds_what_the_whole_text_holds_however_it_is_cut(patterns, text, cuts):
    """Hits, released text and redacted text are those of the whole; each hit lies within one release."""
    scanner = scanner_of(patterns)
    whole = scanner.scan_after("", text)
    released = stream(scanner, text, cuts)
    if whole.exhausted:
        assert any(part.exhausted for part in released)
        return
    hits = [hit for part in released for hit in part.hits("r")]
    assert sorted(hits, key=lambda hit: (hit.start, hit.end, hit.pattern)) == list(whole.hits("r"))
    assert "".join(part.text for part in released) == text.replace("\ud83d", "?")
    assert all(part.start <= hit.start and hit.end <= part.end for part in released for hit in part.hits("r"))
    assert "".join(redacted(part.text, part.start, part.hits("r")) for part in released) == redacted(
        text.replace("\ud83d", "?"), 0, whole.hits("r")
    )


def redacted(text: str, start: int, hits) -> str:
    return apply_edits(text, [Edit(path=(), start=hit.start - start, end=hit.end - start, text="#") for hit in hits])


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(["жд", "жжд", "д ж", "дж", "ж"]), st.text("жд .", max_size=6))
def test_what_is_held_is_the_longest_end_that_may_become_a_hit(literal, text):
    """Against every continuation: the first place at which a hit may begin that is not known yet, and no place before it."""
    scanner = scanner_of([(literal, "literal", False)])
    growing = Growing(scanner)
    for char in text:
        growing.feed(char)
    futures = [
        scanner.scan_after("", text + "".join(more)).hits("r") for size in range(4) for more in product("жд .", repeat=size)
    ]
    spans = [{(hit.start, hit.end) for hit in hits if hit.start < len(text) <= hit.end} for hits in futures]
    unknown = [start for span in set().union(*spans) if not all(span in known for known in spans) for start in span[:1]]
    assert len(text) - growing.held == min(unknown, default=len(text))


def test_prose_is_held_for_no_more_than_a_word():
    """A word may be base64 until it ends; the blank behind it sets it free."""
    growing = Growing(scanner_of([("zorgle", "literal", False), (r"\d{3}-\d{4}", "regex", False)]))
    text = "the quick brown fox jumps over the lazy dog, and on it goes. "
    for place, char in enumerate(text):
        growing.feed(char)
        assert growing.held <= place - text.rfind(" ", 0, place + 1)
    assert growing.held == 0


def test_places_count_from_the_beginning_of_the_stream():
    """A redaction made with a ruling's edits needs no more than what a release says of itself."""
    scanner = scanner_of([("zorgle", "literal", False)])
    text = "one zorgle, two z\u200borgle. " * 3
    released = stream(scanner, text, [4])
    assert {text[hit.start : hit.end] for part in released for hit in part.hits("r")} == {"zorgle", "z\u200borgle"}
    assert [part.start for part in released[1:]] == [part.end for part in released[:-1]]


def test_what_waits_for_ever_fails_closed():
    """An expression without an end holds up to a limit; then nothing goes any more, and it says so."""
    growing = Growing(scanner_of([("(?s)<a>.*</a>", "regex", True)]), most=100)
    assert growing.feed("fine ").text == "fine "
    parts = [growing.feed("<a> and so on ") for _ in range(20)]
    assert not any(part.text for part in parts)
    assert "100" in parts[-1].exhausted
    assert growing.close().exhausted
    assert not growing.close().text


def test_what_is_too_deep_fails_closed():
    """More layers of code than are undone let nothing go."""
    text = "zorgle and more"
    for _ in range(6):
        text = b64(text)
    released = stream(scanner_of([("zorgle", "literal", False)]), f"so {text} . and more words", [5])
    assert "layers" in released[-1].exhausted
    assert "".join(part.text for part in released) == "so "


class Steps:
    """How many characters the automata and the scanner were shown."""

    def __init__(self, monkeypatch) -> None:
        from trueline.guard.scan.threads import Threads

        self.count = 0
        for owner, name in ((Threads, "read"), (Scanner, "scan_after")):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, method):
        def counted(owner, *args):
            self.count += sum(len(arg) for arg in args if isinstance(arg, str))
            return method(owner, *args)

        return counted


@pytest.mark.parametrize(
    "part", ["%61", "%2e", "a b ", "zorgle ", "Ym9tYg==", b64("some words here") + " ", "zorg", r"\x2e", "ж"]
)
def test_a_stream_is_linear(part, monkeypatch):
    """Twice the text takes at most a little more than twice the steps, whatever it is made of."""
    scanner = scanner_of([("zorgle", "literal", False), ("[a-z]{3}\\.", "regex", False)])
    steps, counts = Steps(monkeypatch), []
    for times in (100, 200, 400):
        steps.count = 0
        stream(scanner, part * times, [3])
        counts.append(steps.count)
    assert counts[2] <= 2.5 * counts[1] + 200 <= 2.5 * (2.5 * counts[0] + 200) + 200
