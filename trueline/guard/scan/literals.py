"""Words that must not pass, in every form that one reads them in: as written, in leet, spaced out, in ROT13, backwards.

All forms of all literals are in two automata: one over the skeleton of a text, which every text goes through, and one over its
letters alone, for the texts that a cheap search says it is for. What they find is only a candidate: it counts where the folded
text really reads so, and where no letter continues it ("ass" is not in "class").

>>> words = Literals([Literal.of("rail", "no", "ignore all")])
>>> [next(words.find(text)).form for text in ("ignore\\n all", "1gn0r3 all", "i.g.n.o.r.e a l l", "vtaber nyy")]
['folded', 'leet', 'spaced', 'rot13']
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Iterator, Sequence
from itertools import compress, count, pairwise
from typing import NamedTuple

import ahocorasick_rs

from trueline.guard.scan.folding import fold, is_letter, skeleton, squeeze
from trueline.guard.scan.syntax import Chain, Edge, Node, One, Repeat, Same

# Shorter words have a meaning of their own in that form: "rail" is "envy" in ROT13, "reward" is "drawer" backwards.
SPACED, ROT13, REVERSED = 4, 4, 7  # letters
GAP = 3  # characters at most between two letters that are spaced out
# What a folded text must hold for letters to be spaced out in it, and for words to be further apart than by one blank.
SEARCHES = (rf"(?:[\pL\pN][^\pL\pN]{{1,{GAP}}}){{{SPACED - 1}}}[\pL\pN]", r"[\pZ\s\v\x{85}]{2}")


class Literal(NamedTuple):
    """A literal of a rail's, and its name there; `exact` where it must read letter by letter as it is written."""

    rail: str
    name: str
    text: str
    exact: bool
    folded: tuple[str, ...]  # as the text reads folded, with one blank where there are more; a second one where capitals differ

    @classmethod
    def of(cls, rail: str, name: str, text: str, exact: bool = False) -> Literal:
        """A literal with its folded form. Raises ValueError where nothing of it can be seen."""
        folded = tuple(dict.fromkeys(" ".join(fold(written).split()) for written in (text, text.upper())))
        if not folded[0]:
            raise ValueError(
                f"rail {rail!r}, pattern {name!r}: expected a literal with at least one visible character, got {text!r}; "
                "write what is to be found, or take the pattern out"
            )
        return cls(rail, name, text, exact, folded)


class Found(NamedTuple):
    """A literal that stands in characters start to end (exclusive) of a folded text, and the form that it stands there in."""

    literal: Literal
    start: int
    end: int
    form: str


class Form(NamedTuple):
    """One way to write a literal, as it reads in a folded text."""

    literal: Literal
    name: str
    text: str


class Literals:
    """Finds all literals in a folded text at once."""

    def __init__(self, literals: Sequence[Literal]) -> None:
        every = [form for literal in literals for form in forms(literal)]
        spaced = [(squeeze(form.text), form) for form in every if form.name == "spaced"]
        self._whole = _Automaton([(skeleton(form.text), form) for form in every if form.name != "spaced"])
        self._letters = (_Automaton(spaced), _Automaton([entry for entry in spaced if " " in entry[1].text]))

    def find(self, folded: str, searches: Collection[int] = (0, 1)) -> Iterator[Found]:
        """Yield every occurrence, some of them twice; `searches` are those of `SEARCHES` that find something in the text."""
        for form, start, end in self._whole.find(skeleton(folded)):
            if _is_word(form.text, folded, start, end) and (name := _name(form, folded[start:end])):
                yield Found(form.literal, start, end, name)
        if searches:
            yield from self._in_letters(folded, self._letters[min(searches)])

    def _in_letters(self, folded: str, automaton: _Automaton) -> Iterator[Found]:
        places: list[int] = []
        for form, first, last in automaton.find(squeeze(folded)):
            places = places or list(compress(count(), map(str.isalnum, folded)))
            start, end = places[first], places[last - 1] + 1
            if not _is_word(form.text, folded, start, end):
                continue
            if _is_spaced(places[first:last]) and _reads(_letters(folded[start:end]), _letters(form.text)):
                yield Found(form.literal, start, end, "spaced")
            elif name := _reads(" ".join(folded[start:end].split()), form.text):
                yield Found(form.literal, start, end, name)


def forms(literal: Literal) -> Iterator[Form]:
    """The ways in which a literal is looked for."""
    for folded in literal.folded:
        yield Form(literal, "leet", folded)
        letters = sum(map(str.isalpha, folded))
        if literal.exact:
            continue
        if len(_letters(folded)) >= SPACED:
            yield Form(literal, "spaced", folded)
        if letters >= ROT13:
            yield Form(literal, "rot13", rot13(folded))
        if letters >= REVERSED and folded != folded[::-1]:
            yield Form(literal, "reversed", folded[::-1])


def tree(form: Form) -> Node:
    """What a folded text goes through on its way to a form of a literal; it may then still read otherwise (progress.py)."""
    first, last = (Edge(name) if is_letter(char) else Chain(()) for name, char in _ends(form.text))
    if form.name == "spaced":
        letters: list[Node] = [One(Same(squeeze, squeeze(char))) for char in _letters(form.text)]
        gap = Repeat(One(_is_gap), 1, GAP)
        return Chain((first, letters[0], *(part for letter in letters[1:] for part in (gap, letter)), last))
    wide = form.name == "leet" and len(_letters(form.text)) >= SPACED
    blank = Repeat(One(str.isspace), 1, None if wide else 1)
    return Chain((first, *(blank if char == " " else One(Same(skeleton, skeleton(char))) for char in form.text), last))


def rot13(text: str) -> str:
    """Each of the 26 letters 13 places further on; the rest as it is."""
    return codecs.encode(text, "rot13")


class _Automaton:
    """Words with what they stand for, found all at once."""

    def __init__(self, entries: Sequence[tuple[str, Form]]) -> None:
        words: dict[str, dict[Form, None]] = {}
        for word, form in entries:
            words.setdefault(word, {})[form] = None
        self._forms = [tuple(many) for many in words.values()]
        self._search = ahocorasick_rs.AhoCorasick(list(words), store_patterns=False)

    def find(self, text: str) -> Iterator[tuple[Form, int, int]]:
        for index, start, end in self._search.find_matches_as_indexes(text, overlapping=True):
            for form in self._forms[index]:
                yield form, start, end


def _is_gap(char: str) -> bool:
    return not char.isalnum()


def _ends(word: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("no_letter_before", word[0]), ("no_letter_behind", word[-1])


def _letters(folded: str) -> str:
    """The letters and digits of a folded text, as they are."""
    return "".join([char for char in folded if char.isalnum()])


def _is_word(word: str, folded: str, start: int, end: int) -> bool:
    """Whether no letter in front of the place or behind it makes a longer word of this one."""
    if start and is_letter(folded[start - 1]) and is_letter(word[0]):
        return False
    return not (end < len(folded) and is_letter(folded[end]) and is_letter(word[-1]))


def _name(form: Form, read: str) -> str:
    """The name of the form in which a text of the same skeleton reads as the literal does; nothing where it does not."""
    name = _reads(read, form.text)
    return name if form.name == "leet" else form.name * (name == "folded")


def _reads(read: str, literal: str) -> str:
    """Folded where both are one but for kinds of blanks; leet where signs and digits, never letters, stand for letters.

    An "l" may stand for the capital "I" that it looks like: where a word begins. Half of what is read must be letters,
    so that no number is a word.
    """
    if len(read) != len(literal):
        return ""
    form = "folded"
    for index, (char, meant) in enumerate(zip(read, literal, strict=True)):
        if char == meant or (meant == " " and char.isspace()):
            continue
        as_capital = char == "l" and meant == "i" and len(read) >= 5 and not read[index - 1 : index].isalpha()
        if (char.isalpha() and not as_capital) or not meant.isalpha():
            return ""
        form = "leet"
    enough = form == "folded" or 2 * sum(map(str.isalpha, read)) >= len(read) - read.count(" ")
    return form if enough else ""


def _is_spaced(places: Sequence[int]) -> bool:
    return all(2 <= after - before <= GAP + 1 for before, after in pairwise(places))
