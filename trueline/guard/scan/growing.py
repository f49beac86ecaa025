"""Exact matching on a text that is still growing: what may be passed on, and what has to wait for what comes next.

    growing = Growing(scanner)
    for chunk in chunks:
        released = growing.feed(chunk)  # .text may go, once the .hits in it are seen to
    released = growing.close()

**Exact.** However a text is cut, what is released joins to the text, and the hits to those of a scan of the whole text; and no
text is released of which a hit is still to come. The proof, for one view: let h be the smallest place at which a match begins
that is unfinished at the end of what is known (progress.py), or that end. (1) A match that begins in front of h is known: it
does not depend on what follows. (2) So no match that becomes known later touches what is in front of h. (3) h is lowered to the
beginning of any hit that it would cut, so hits are released whole. (4) RE2 takes matches from left to right without overlap;
none crosses h, so the search from h on finds what the search of the whole text finds there, given the characters in front of h,
which edges of words and lines ask for. Views are read character by character, so a view of the rest is the rest of the view.
What decodes is a further text with its own h: a run of code is settled once nothing can lengthen it, and what begins a run
holds itself and every match that the view above has in progress where it begins, since what it will say may complete that.

**Minimal.** For literals and expressions, what is held is the longest end of the text that some continuation turns into a
match. It is more than that where a candidate in leet may fail for want of letters, where a match in progress would overlap an
earlier one that wins, where a whole hit is held since an unfinished match overlaps it, where a word need not become base64,
where runs of code touch each other, and where a long window with a code or a hit in it is looked at only now and then.

**Bounded.** An expression without bound (`a.*b`) or a run of code may hold the text for ever. More than `most` characters held
are `exhausted`: nothing is released any more, and whoever reads this fails closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from trueline.guard.rail import Hit
from trueline.guard.scan.decoding import Decoded, decode, spans
from trueline.guard.scan.folding import is_invisible, without_halves
from trueline.guard.scan.scanner import Scanner
from trueline.guard.scan.threads import Threads

MOST = 16_384  # characters that are held
_SHORT = 64  # characters of a window that is looked at with every chunk


@dataclass(frozen=True, slots=True)
class Released:
    """Characters start to end (exclusive) of a text, which may be passed on, and the hits in them. All places count from the
    beginning of the text."""

    start: int
    end: int
    text: str = ""
    found: Mapping[str, tuple[Hit, ...]] = field(default_factory=dict)
    exhausted: str = ""  # why nothing is released any more

    def hits(self, rail: str) -> tuple[Hit, ...]:
        """The hits of a rail's patterns, in order of place."""
        return self.found.get(rail, ())


class Growing:
    """One text that comes in chunks."""

    def __init__(self, scanner: Scanner, *, most: int = MOST) -> None:
        self._scanner, self._most = scanner, most
        self._threads = Threads.of(scanner.machines, "")
        self._before = ""  # the visible character in front of the window, and an invisible one between them
        self._window, self._base = "", 0  # text that may still be needed, and the place of its first character
        self._start = 0  # where the window may begin, once what is in front of that is released
        self._done = 0  # up to here all is released
        self._fresh = 0  # characters that came since the window was looked at
        self._exhausted = ""

    @property
    def held(self) -> int:
        """How many characters are held."""
        return self._base + len(self._window) - self._done

    def feed(self, chunk: str) -> Released:
        """Take what comes next, and give what may be passed on."""
        if self._exhausted:
            return self._nothing()
        chunk, place = without_halves(chunk), self._base + len(self._window)
        self._threads.read(chunk, place)
        self._window += chunk
        self._fresh += len(chunk)
        end = place + len(chunk)
        hold = max(self._threads.hold(end), self._done)
        found: dict[str, tuple[Hit, ...]] = {}
        if hold > self._done and (self._threads.ended or self._threads.finished):
            hold, found = self._look(hold, end)
        elif not self._threads.finished:
            self._start = hold
        if end - hold > self._most:
            self._exhausted = self._exhausted or f"more than {self._most} characters wait for the end of a match"
        return self._nothing() if self._exhausted else self._release(hold, found)

    def close(self) -> Released:
        """Give the rest: nothing comes any more."""
        if self._exhausted:
            return self._nothing()
        found, end = self._scan(self._base + len(self._window))
        return self._nothing() if self._exhausted else self._release(end, found)

    def _nothing(self) -> Released:
        self._window = ""
        return Released(self._done, self._done, exhausted=self._exhausted)

    def _look(self, hold: int, end: int) -> tuple[int, dict[str, tuple[Hit, ...]]]:
        """How far may be released when what the window decodes to is read too, and the hits there."""
        if len(self._window) > _SHORT and self._fresh * 4 < len(self._window):  # so that all looks together stay linear
            return self._done, {}
        self._fresh, settled = 0, self._threads.settled(end)
        coded: list[tuple[int, int]] = []
        found: dict[str, tuple[Hit, ...]] = {}
        if self._threads.finished:
            below, every = self._read_decoded(settled)
            coded = [span for span in every if span[0] < settled]
            self._threads.finished = bool(coded) or settled < end
            hold = max(min(hold, below), self._done)
        if hold > self._done and (coded or self._threads.ended):
            found, hold = self._scan(hold)
        self._start = hold
        for start, stop in reversed(coded):  # what is decoded stays, until a character that is not divides it from the rest
            if start < self._start and not self._is_visible(stop, self._start):
                self._start = start
        return hold, found

    def _read_decoded(self, settled: int) -> tuple[int, list[tuple[int, int]]]:
        """The smallest place in progress in any text that the window decodes to, and the runs of code of all layers.

        Runs are spans of the text as it came; those that overlap are one.
        """
        skip, path, hold = len(self._before), list[Decoded](), settled
        shift = self._base - skip
        text, limit, runs = self._before + self._window, settled - shift, spans(self._before + self._window, skip)
        while runs and len(path) < self._scanner.depth and (decoded := decode(text, skip)):
            path.append(decoded)
            text, cut = decoded.text, decoded.place(limit)  # what is behind may still read otherwise
            threads = Threads.of(self._scanner.machines, self._before, decoded=True)
            threads.read(text[skip:cut], skip)
            hold = min(hold, _source(path, threads.hold(cut), threads.hold(cut) + 1)[0] + shift)
            runs += [_source(path, start, end) for start, end in spans(text, skip)]
            limit = threads.settled(cut)
        return hold, [(start + shift, end + shift) for start, end in _joined(runs)]

    def _scan(self, hold: int) -> tuple[dict[str, tuple[Hit, ...]], int]:
        """The hits that may be released, by places in all of the text, and how far: no hit is cut."""
        scanned = self._scanner.scan_after(self._before, self._window)
        self._exhausted = scanned.exhausted
        every = {
            rail: [replace(hit, start=hit.start + self._base, end=hit.end + self._base) for hit in hits]
            for rail, hits in scanned.found.items()
        }
        for hit in sorted((hit for hits in every.values() for hit in hits), key=lambda hit: -hit.start):
            if hit.start < hold < hit.end:
                hold = hit.start
        chosen = {rail: tuple(hit for hit in hits if self._done <= hit.start < hold) for rail, hits in every.items()}
        return {rail: hits for rail, hits in chosen.items() if hits}, hold

    def _release(self, hold: int, found: Mapping[str, tuple[Hit, ...]]) -> Released:
        released = Released(self._done, hold, self._window[self._done - self._base : hold - self._base], found)
        passed = self._window[: self._start - self._base]
        self._before = _last(self._before + passed) if passed else self._before
        self._window, self._base, self._done = self._window[len(passed) :], self._start, hold
        self._threads.ended = self._threads.ended and bool(self._window)
        self._threads.finished = (self._threads.finished and bool(self._window)) or self._base < hold
        return released

    def _is_visible(self, start: int, end: int) -> bool:
        return any(not is_invisible(char) for char in self._window[max(start - self._base, 0) : max(end - self._base, 0)])


def _last(text: str) -> str:
    """The last visible character, and the last one of any that follow it."""
    visible = next((char for char in reversed(text) if not is_invisible(char)), "")
    return visible if visible and text[-1] == visible else visible + text[-1]


def _source(path: Sequence[Decoded], start: int, end: int) -> tuple[int, int]:
    """The span of the text that was decoded layer by layer from which a span of the last layer came."""
    for layer in reversed(path):
        start, end, _ = layer.locate(start, end)
    return start, end


def _joined(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that overlap as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(runs):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
