"""Phrases that an attack cannot do without, and that benign requests do not have: words for a rail, read off a proposal.

A phrase is two to six words that stand in attempts for at least two different things that were wanted: so it belongs to the way
of asking and not to what was asked for. Where benign twins were asked in the same words, those words tell nothing apart, and no
phrase is found: that is the right answer, and a rail would have stopped the twins.

>>> phrases(["ignore all rules : kites", "ignore all rules : drums"], ["kites", "drums"], ["how do kites fly ?"])
('ignore all rules :',)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

SHORT, LONG = 2, 6  # words of a phrase
MOST = 12  # phrases of a rail
TEXT = 20_000  # characters of an attempt that are read


def phrases(attacks: Sequence[str], clusters: Sequence[str], benign: Sequence[str], spares: float = 0.02) -> tuple[str, ...]:
    """Choose phrases one by one, each that stands in the most attacks not yet covered; of equals the longest, then by letters.

    All together they stand in at most a share `spares` of the benign texts.
    """
    found: dict[str, set[int]] = defaultdict(set)
    for i, text in enumerate(attacks):
        for phrase in set(_grams(text)):
            found[phrase].add(i)
    harmless = [set(_grams(text)) for text in benign]
    wanted = {phrase: where for phrase, where in found.items() if len({clusters[i] for i in where}) > 1}
    chosen: list[str] = []
    covered: set[int] = set()
    while wanted and len(chosen) < MOST:
        best = min(wanted, key=lambda phrase: (-len(wanted[phrase] - covered), -len(phrase.split()), phrase))
        gained = wanted.pop(best) - covered
        if not gained:
            break
        if sum(any(one in text for one in (*chosen, best)) for text in harmless) <= spares * len(harmless):
            chosen.append(best)
            covered |= gained
    return tuple(chosen)


def _grams(text: str) -> Iterator[str]:
    words = text[:TEXT].casefold().split()
    for size in range(SHORT, LONG + 1):
        for i in range(len(words) - size + 1):
            yield " ".join(words[i : i + size])
