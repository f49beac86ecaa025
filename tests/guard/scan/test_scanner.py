"""One scan answers every rail: places in the original, each span once, refusals at construction, bounds that are told."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.guard.exchange import Piece
from trueline.guard.rail import Pattern
from trueline.guard.scan import regexes, scanner
from trueline.guard.scan.folding import fold
from trueline.guard.scan.scanner import RailScan, Scanner

LITERALS = ("zorgle", "brew it", "añb", "x")
REGEXES = ("z[a-z]+e", r"\bbrew\b", "[0-9]{3}")
QUIET = settings(deadline=None, max_examples=150)
NOISE = st.text(
    st.one_of(st.characters(), st.sampled_from("zorglebrewit x\u0430\u03b5\u200b\u0301ﬁß%6=&#;\\+/\ud800\U000e0061\ufe05")),
    max_size=40,
)
CODED = st.sampled_from(("zorgle", "b r e w i t", base64.b64encode(b"zorgle brew it").decode(), "%7aorgle", "0x7a6f72676c65"))


def rails(**patterns: str) -> Scanner:
    return Scanner({"r": [Pattern(name=name, text=text) for name, text in patterns.items()]})


def build() -> Scanner:
    words = [Pattern(name=text, text=text) for text in LITERALS]
    return Scanner({"words": words, "rules": [Pattern(name=text, text=text, kind="regex") for text in REGEXES]})


SHARED = build()


@QUIET
@given(st.lists(NOISE | CODED, max_size=6).map("".join))
def test_any_text_can_be_scanned_and_every_hit_reads_as_it_says(text):
    """No exception on any Unicode; the span of an open hit, folded, is what the hit says; hits are in order, each once."""
    scanned = SHARED.scan(text)
    for rail in ("words", "rules"):
        hits = scanned.hits(rail)
        places = [(hit.start, hit.end, hit.pattern) for hit in hits]
        assert places == sorted(set(places))
        assert all(0 <= hit.start < hit.end <= len(text) for hit in hits)
        assert all(hit.text in fold(text[hit.start : hit.end]) for hit in hits if hit.view in {"folded", "leet"})
        assert all(
            hit.text in (text[hit.start : hit.end], fold(text[hit.start : hit.end])) for hit in hits if hit.view == "plain"
        )


@QUIET
@given(NOISE, NOISE)
def test_what_stands_in_front_only_tells_where_words_begin(before, text):
    """A scan behind some text finds what the scan of both finds there, up to what only both together say."""
    whole = SHARED.scan_after("", before + " " + text).hits("words")
    rest = SHARED.scan_after(" ", text).hits("words")
    shift = len(before) + 1
    expected = [(hit.pattern, hit.start - shift, hit.view) for hit in whole if hit.start >= shift and hit.view == "plain"]
    assert expected == [(hit.pattern, hit.start, hit.view) for hit in rest if hit.view == "plain"]


def test_rails_do_not_see_the_hits_of_others():
    """Two rails with one pattern each have one hit each; a rail without patterns has none."""
    both = Scanner({"a": [Pattern(name="p", text="zorgle")], "b": [Pattern(name="q", text="zorgle")], "c": []})
    scanned = both.scan("a zorgle")
    assert [[hit.pattern for hit in scanned.hits(rail)] for rail in "abcd"] == [["p"], ["q"], [], []]


def test_an_exact_pattern_reads_only_what_is_written():
    """A token whose case matters is not found in the folded text, nor in what decodes."""
    exact = Scanner({"r": [
        Pattern(name="key", text="AKZ[0-9]{4}", kind="regex", exact=True), Pattern(name="word", text="Zorgle", exact=True),
    ]})  # fmt: skip
    assert [hit.pattern for hit in exact.scan("Zorgle AKZ1234").hits("r")] == ["word", "key"]
    assert not exact.scan(f"zorgle akz1234 Z0rgle {base64.b64encode(b'Zorgle AKZ1234').decode()}").hits("r")


def test_a_keyword_must_be_in_what_matches():
    """An expression with keywords counts where one of them stands, in any case."""
    keyed = Scanner({"r": [Pattern(name="k", text=r"\w+ = \d+", kind="regex", keywords=("Token", "secret"))]})
    assert [hit.text for hit in keyed.scan("x = 1, my_TOKEN = 22, secret = 3, token").hits("r")] == [
        "my_TOKEN = 22",
        "secret = 3",
    ]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (Pattern(name="bad", text="a(?=b)", kind="regex"), "look-around"),
        (Pattern(name="bad", text="(", kind="regex"), "RE2's syntax"),
        (Pattern(name="bad", text="(" * 900 + "a" + ")" * 900, kind="regex"), "RE2's syntax"),
        (Pattern(name="bad", text="a*", kind="regex"), "empty text"),
        (Pattern(name="bad", text=r"\b", kind="regex"), "empty text"),
        (Pattern(name="bad", text=" \u200b", kind="literal"), "visible"),
        (Pattern(name="bad", text="", kind="literal"), "visible"),
    ],
)
def test_a_pattern_that_can_be_none_is_refused_with_its_name(pattern, words):
    """When the policy is loaded, not when the first text comes."""
    with pytest.raises(ValueError, match=words) as caught:
        Scanner({"some rail": [pattern]})
    assert "'some rail'" in str(caught.value)
    assert "'bad'" in str(caught.value)


def test_a_set_that_runs_out_of_memory_does_not_fail_open():
    """RE2's set then reports nothing at all, not even the end of the text: every expression is tried instead."""

    class Spent:
        def Match(self, text):
            return None

    every = [regexes.Regex.of("r", Pattern(name=text, text=text, kind="regex")) for text in REGEXES]
    healthy = regexes.RegexSet(every, ["x"])
    assert healthy.search("abc", frozenset()) == ([], ())
    healthy._set = Spent()
    assert healthy.search("abc", frozenset()) == (every, range(1))


def test_expressions_that_do_not_fit_are_refused():
    """A set that RE2 cannot build is a mistake in the policy, and is said to be one."""
    big = [regexes.Regex.of("r", Pattern(name=str(n), text=rf"x{n}\pL{{30}}", kind="regex")) for n in range(20)]
    with pytest.raises(ValueError, match="repetitions"):
        regexes.RegexSet(big, (), memory=100_000)


def test_more_layers_than_are_undone_are_told():
    """Encoded four times it is read; five times it is exhausted, and never silently passed."""
    text = "zorgle and more"
    for layer in range(1, 6):
        text = base64.b64encode(text.encode()).decode()
        scanned = SHARED.scan(f"so {text} .")
        assert bool(scanned.hits("words")) is (layer <= scanner.DEPTH)
        assert bool(scanned.exhausted) is (layer > scanner.DEPTH)


def test_more_hits_than_are_kept_are_told(monkeypatch):
    """A text of nothing but hits is bounded, and says so."""
    monkeypatch.setattr(scanner, "HITS", 20)
    assert "hits" in SHARED.scan_after("", "x " * 30).exhausted
    assert not SHARED.scan_after("", "x " * 20).exhausted


def test_equal_texts_share_one_scan_and_the_memory_is_bounded():
    """The turns of a chat come back: they are scanned once, and the oldest are forgotten."""
    small = Scanner({"r": [Pattern(name="p", text="zorgle")]}, remembered=20_000)
    first = small.scan("one zorgle")
    assert small.scan("one " + "zorgle") is first
    for n in range(500):
        small.scan(f"{n} " + "y" * 100)
    assert small.scan("one zorgle") is not first
    assert sum(map(len, small._kept)) <= 20_000
    assert len(small._kept) < 500
    assert small.scan("z" * 9_000) is not small.scan("z" * 9_000)


def test_a_rail_is_given_its_own_hits():
    """RailScan is what a rail's check reads: hits, the folded text, and whether all was read."""
    piece = Piece(side="input", place="user", text="Añ Zorgle")
    scan = RailScan(rails(p="zorgle"), "r")
    assert [(hit.start, hit.end) for hit in scan.hits(piece)] == [(3, 9)]
    assert scan.folded(piece) == "an zorgle"
    assert not scan.exhausted(piece)
    assert not RailScan(scan.scanner, "other").hits(piece)


@QUIET
@given(
    st.lists(
        st.one_of(NOISE, st.sampled_from(("Key-123", "\uff2b\uff25\uff39-9", "k\u200bey-4", "token 7", "KEY", "tok")))
    ).map("".join)
)
def test_an_expression_that_waits_for_its_keyword_misses_nothing(text):
    """What is only tried where a keyword stands finds what it finds when it is tried on every text."""
    patterns = [Pattern(name=w, text=rf"(?i)\b{w}\W{{0,2}}[0-9]+", kind="regex", keywords=(w,)) for w in ("key", "token")]
    waiting = Scanner({"r": patterns}, remembered=0)
    trying = Scanner({"r": patterns}, remembered=0)
    trying._keywords = AllOf(frozenset(("key", "token")))
    assert waiting.scan(text).hits("r") == trying.scan(text).hits("r")


class AllOf:
    """Says that every keyword stands in every text."""

    def __init__(self, words: frozenset[str]) -> None:
        self.words = words

    def find(self, folded: str) -> frozenset[str]:
        return self.words


def test_threads_share_what_was_scanned():
    """Rails that are asked in threads read the same memory, and its room is kept to."""
    shared = Scanner({"r": [Pattern(name="no", text="bomb")]}, remembered=4_000)
    texts = [f"{'a bomb ' * (n % 3)}and {n} words" for n in range(40)] * 5
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: len(shared.scan(text).hits("r")), texts))
    assert found == [n % 3 for n in range(40)] * 5
    assert shared._room == shared._most - sum(len(text) + scanner._OVERHEAD for text in shared._kept)
