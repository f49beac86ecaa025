"""One scan for all rails: every literal and every regular expression of a policy, compiled once, over every view of a text.

A text is folded once. One automaton goes over its skeleton (all literals, leet, ROT13, backwards), one RE2 set over the text as
written and one over the folded text (all regular expressions, and the searches that tell whether anything is encoded or spaced
out). Only what they report costs more. What decodes is a further text, read in the same way, down to a bounded depth.
Regular expressions are not tried on ROT13 and backwards; literals are.

>>> scanner = Scanner({"words": [Pattern(name="no", text="ignore all")]})
>>> [(hit.start, hit.end, hit.view) for hit in scanner.scan("please %69gnore\u200b ALL").hits("words")]
[(7, 20, 'url')]
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import NamedTuple, TypeVar

from trueline.guard.exchange import Piece
from trueline.guard.rail import Hit, Pattern
from trueline.guard.scan.decoding import CODES, Decoded, decode
from trueline.guard.scan.folding import fold, origins, without_halves
from trueline.guard.scan.literals import SEARCHES, Literal, Literals
from trueline.guard.scan.regexes import Keywords, Regex, RegexSet
from trueline.guard.scan.threads import Machines

DEPTH = 4  # layers of code that are undone; a text with more is exhausted
HITS = 10_000  # in one text; a text with more is exhausted
REMEMBERED = 8_000_000  # characters of texts whose scan is kept: the turns of a chat come back with every request
_T = TypeVar("_T")
_OVERHEAD = 512  # what a kept scan costs beside its text


@dataclass(frozen=True, slots=True)
class Scanned:
    """What stands in one text, for all rails. It is shared between all who scan that text."""

    folded: str
    exhausted: str = ""  # why there may be more than was found; whoever reads this fails closed
    found: Mapping[str, tuple[Hit, ...]] = field(default_factory=dict)  # by rail

    def hits(self, rail: str) -> tuple[Hit, ...]:
        """The hits of a rail's patterns, in order of place, each pattern once for a span."""
        return self.found.get(rail, ())


class Scanner:
    """Scans texts for the patterns of all rails, by the name of the rail. Raises ValueError for a pattern that can be none."""

    def __init__(self, patterns: Mapping[str, Sequence[Pattern]], *, depth: int = DEPTH, remembered: int = REMEMBERED) -> None:
        every = [(rail, pattern) for rail, many in patterns.items() for pattern in many]
        self.literals = [Literal.of(rail, p.name, p.text, p.exact) for rail, p in every if p.kind == "literal"]
        self.regexes = [Regex.of(rail, p) for rail, p in every if p.kind == "regex"]
        self.depth = depth
        self._literals = Literals(self.literals)
        self._keywords = Keywords(self.regexes)
        self._written = RegexSet(self.regexes, (CODES,))
        self._folded = RegexSet([regex for regex in self.regexes if not regex.exact], SEARCHES)
        self._kept: OrderedDict[str, Scanned] = OrderedDict()
        self._room = self._most = remembered
        self._turn = Lock()  # rails that are asked in a thread read the same memory

    @cached_property
    def machines(self) -> Machines:
        """The automata by which texts are followed while they grow (growing.py)."""
        return Machines(self.literals, self.regexes)

    def scan(self, text: str) -> Scanned:
        """All hits in a text, from memory where the same text was scanned lately."""
        with self._turn:
            kept = self._kept.get(text)
            if kept is not None:
                self._kept.move_to_end(text)
                return kept
        scanned = self.scan_after("", text)
        if len(text) <= self._most // 4:
            with self._turn:
                self._keep(text, scanned)
        return scanned

    def scan_after(self, before: str, text: str) -> Scanned:
        """All hits in a text, given what stands in front of it, which only tells where words and lines begin. Keeps nothing."""
        whole, found = without_halves(before + text), _Found(len(before))
        layer = _Layer(whole, fold(whole), ())
        folded = layer.folded if not before else fold(whole[len(before) :])
        coded = self._look(layer, found, len(before))
        while coded and (decoded := decode(layer.text, len(before))):
            if len(layer.path) == self.depth:
                found.exhausted = f"more than {self.depth} layers of code"
                break
            layer = _Layer(decoded.text, fold(decoded.text), (*layer.path, decoded))
            coded = self._look(layer, found, len(before))
        return Scanned(folded, found.exhausted, found.by_rail())

    def _keep(self, text: str, scanned: Scanned) -> None:
        if text not in self._kept:
            self._room -= len(text) + _OVERHEAD
        self._kept[text] = scanned
        while self._room < 0:
            oldest, _ = self._kept.popitem(last=False)
            self._room += len(oldest) + _OVERHEAD

    def _look(self, layer: _Layer, found: _Found, skip: int) -> bool:
        """Add what stands in one layer of a text; whether it may hold another layer."""
        keywords = self._keywords.find(layer.folded)
        written, folded = self._written.search(layer.text, keywords), self._folded.search(layer.folded, keywords)
        for regex in written.regexes:
            if not (regex.exact and layer.path):
                for start, end in found.until_full(regex.find(layer.text, skip)):
                    found.add(regex.rail, regex.name, layer.source(start, end), "plain", layer.text[start:end])
        if folded.regexes and layer.folded != layer.text:
            behind = len(fold(layer.text[:skip]))
            for regex in folded.regexes:
                for start, end in found.until_full(regex.find(layer.folded, behind)):
                    found.add(regex.rail, regex.name, layer.source_of_folded(start, end), "folded", layer.folded[start:end])
        for literal, start, end, form in found.until_full(self._literals.find(layer.folded, folded.extra)):
            span = layer.source_of_folded(start, end)
            as_written = form == "folded" and not layer.path and layer.text[span.start : span.end] == literal.text
            if as_written or not literal.exact:
                found.add(literal.rail, literal.name, span, "plain" if as_written else form, layer.folded[start:end])
        return bool(written.extra)


@dataclass(frozen=True, slots=True)
class RailScan:
    """What the scanner found for one rail: the `Scan` that its check is given."""

    scanner: Scanner
    rail: str

    def hits(self, piece: Piece) -> tuple[Hit, ...]:
        """In one piece, in order of place."""
        found = self.scanner.scan(piece.text).found
        return found.get(self.rail, ()) if found else ()

    def folded(self, piece: Piece) -> str:
        """The piece's text in small letters, without accents, look-alikes and invisible characters."""
        return self.scanner.scan(piece.text).folded

    def exhausted(self, piece: Piece) -> str:
        """Why there may be more in a piece than was found; nothing where all was read."""
        return self.scanner.scan(piece.text).exhausted


class _Span(NamedTuple):
    start: int
    end: int
    codes: tuple[str, ...]  # of each layer that it was taken from, innermost last; nothing: it stands there openly


class _Layer:
    """A text at some depth of decoding, and where each part of it came from."""

    def __init__(self, text: str, folded: str, path: tuple[Decoded, ...]) -> None:
        self.text, self.folded, self.path = text, folded, path
        self._aligned = text.isascii() and len(text) == len(folded)
        self._origins: list[int] = []

    def source(self, start: int, end: int) -> _Span:
        """The span of the original text; no codes where the layer above reads the same there."""
        codes: tuple[str, ...] = ()
        for decoded in reversed(self.path):
            start, end, written = decoded.locate(start, end)
            if not written and not codes:
                return _Span(-1, -1, ())
            codes = written + codes
        return _Span(start, end, codes)

    def source_of_folded(self, start: int, end: int) -> _Span:
        """The same, for a span of the folded text."""
        if self._aligned:
            return self.source(start, end)
        self._origins = self._origins or origins(self.text)
        return self.source(self._origins[start], self._origins[end - 1] + 1)


class _Found:
    """Hits as they are found, each pattern once for a span, without those that begin before a place."""

    def __init__(self, skip: int) -> None:
        self.exhausted = ""
        self._skip = skip
        self._hits: dict[tuple[str, str, int, int], Hit] = {}

    def until_full(self, places: Iterable[_T]) -> Iterator[_T]:
        """Yield until there are too many hits."""
        for place in places:
            if len(self._hits) >= HITS:
                self.exhausted = f"more than {HITS} hits"
                return
            yield place

    def add(self, rail: str, name: str, span: _Span, view: str, text: str) -> None:
        key = (rail, name, span.start, span.end)
        if span.start < self._skip or key in self._hits:
            return
        if span.codes:
            view = "+".join((*dict.fromkeys(span.codes), *([] if view in ("plain", "folded") else [view])))
        start, end = span.start - self._skip, span.end - self._skip
        self._hits[key] = Hit(pattern=name, start=start, end=end, view=view, text=text)

    def by_rail(self) -> dict[str, tuple[Hit, ...]]:
        rails: dict[str, list[Hit]] = {}
        for (rail, *_), hit in self._hits.items():
            rails.setdefault(rail, []).append(hit)
        return {rail: tuple(sorted(hits, key=_place)) for rail, hits in rails.items()}


def _place(hit: Hit) -> tuple[int, int, str]:
    return hit.start, hit.end, hit.pattern
