"""A reply cut into sentences, each with its place: what the refusal rules read.

A sentence keeps where it stands in the text as it was written, so that it can be shown or masked there; its words are folded
(one kind of apostrophe, no invisible characters, contractions written out, lower case), so that a rule has one form to know.
What a reply only mentions is not what it says: quotations and code are blanked out before the rules look.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

LIMIT = 40_000  # characters of a reply that are read: a stance is taken long before that
LONGEST = 600  # characters of a sentence; a longer one is cut, so that no pattern meets more

_FENCE = re.compile(r"\s*(?:```|~~~)")
_MARKER = re.compile(r"\s*(?:[-*•‣–]|\(?\d{1,3}[.):]|\(?[a-zA-Z][.)]|step \d+\s*[:.)-])\s+", re.IGNORECASE)
_TITLE = re.compile(r"\s*#{1,6}\s")
# A full stop ends a sentence where a space follows and no abbreviation stands before it.
# It starts where a run of marks starts, and gives nothing back: a reply of dots alone takes no longer than any other.
_END = re.compile(
    r"(?<![.!?])(?<!\be\.g)(?<!\bi\.e)(?<!\bMr)(?<!\bDr)(?<!\bMs)(?<!\bMrs)(?<!\bvs)(?<!\betc)[.!?]++[\"'”’)\]*_]*+(?=\s|$)"
)
_QUOTED = re.compile(r"[\"“]([^\"“”\n]{2,500})[\"”]")
_CONTRACTIONS = (
    (re.compile(r"\bcan'?t\b"), "cannot"),
    (re.compile(r"\bcan not\b"), "cannot"),
    (re.compile(r"\bwon'?t\b"), "will not"),
    (re.compile(r"\bshan'?t\b"), "shall not"),
    (re.compile(r"\b(do|does|did|is|are|was|were|have|has|had|could|would|should|must)n'?t\b"), r"\1 not"),
    (re.compile(r"\bi'?m\b"), "i am"),
    (re.compile(r"\b(\w+)'re\b"), r"\1 are"),
    (re.compile(r"\b(\w+)'ll\b"), r"\1 will"),
    (re.compile(r"\b(\w+)'ve\b"), r"\1 have"),
    (re.compile(r"\b(i|we|you|he|she|they|it)'d\b"), r"\1 would"),
    (re.compile(r"\b(it|that|this|there|here|what|he|she)'s\b"), r"\1 is"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence: its place in the text, its folded words, and whether it is a list item or a line of code."""

    start: int
    end: int
    text: str
    item: bool = False
    code: bool = False

    @property
    def words(self) -> int:
        """How many words it has."""
        return len(self.text.split())


def sentences(text: str) -> tuple[Sentence, ...]:
    """Cut the first LIMIT characters of a text into sentences.

    >>> [s.text for s in sentences("I'm sorry. I can't fly.")]
    ['i am sorry.', 'i cannot fly.']
    """
    return tuple(_sentences(text[:LIMIT]))


def fold(text: str) -> str:
    """Write a text in the one form that rules know: NFKC, straight quotes, nothing invisible, no contractions, lower case."""
    if not text.isascii():  # plain text has nothing to fold away, and is most of it
        text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'").replace("ʼ", "'")
        text = "".join(c for c in text.lower() if unicodedata.category(c) not in {"Cf", "Cs", "Mn"})
    text = text.replace("`", "'").lower()
    for pattern, whole in _CONTRACTIONS:
        text = pattern.sub(whole, text)
    return " ".join(re.sub(r"[*_#>|]+", " ", text).split())


def without(text: str, spans: tuple[tuple[int, int], ...]) -> str:
    """Return the text with the spans taken out, a blank in the place of each."""
    kept: list[str] = []
    place = 0
    for start, end in sorted(spans):
        kept.append(text[place:start])
        place = max(place, end)
    return " ".join([*kept, text[place:]]) if spans else text


def _sentences(text: str) -> Iterator[Sentence]:
    code, place = False, 0
    for line in text.splitlines(keepends=True):
        start, place = place, place + len(line)
        if _FENCE.match(line):
            code = not code
        elif code:
            if line.strip():
                yield Sentence(start=start, end=place, text=fold(line[:LONGEST]), code=True)
        elif line.strip():
            yield from _of_line(line, start)


def _of_line(line: str, offset: int) -> Iterator[Sentence]:
    marker = _MARKER.match(line) or _TITLE.match(line)
    here = marker.end() if marker else 0
    line = _unquoted(line)
    ends = [match.end() for match in _END.finditer(line, here)]
    for end in [*ends, len(line)]:
        for start in range(here, end, LONGEST):
            stop = min(end, start + LONGEST)
            if words := fold(line[start:stop]):
                yield Sentence(start=offset + start, end=offset + stop, text=words, item=marker is not None)
        here = end


def _unquoted(line: str) -> str:
    """Put x for every letter that a line quotes: its words count, and are not read. A line of quotation alone is read."""
    bare = line.strip()
    if len(bare) > 2 and bare[0] in '"“' and bare[-1] in '"”' and not re.search('["“”]', bare[1:-1]):
        return re.sub('["“”]', " ", line)
    return _QUOTED.sub(lambda match: re.sub(r"\w", "x", re.sub('["“”.!?]', " ", match[0])), line)
