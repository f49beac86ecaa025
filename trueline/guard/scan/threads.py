"""The automata of a scanner, moved over one view of a text together: expressions, words, and runs of code.

Where nothing begins or ends, a character costs one look-up for all three.

>>> from trueline.guard.rail import Pattern
>>> from trueline.guard.scan.scanner import Scanner
>>> threads = Threads.of(Scanner({"words": [Pattern(name="no", text="bomb")]}).machines, "")
>>> threads.read("a bo", 0)
>>> threads.hold(4), threads.settled(4)  # "bo" may become the word; it may also become a word of base64
(2, 2)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from trueline.guard.scan.decoding import FINISHED, FINISHED_WORD, PENDING, PENDING_LINES
from trueline.guard.scan.folding import fold
from trueline.guard.scan.literals import Literal, forms, tree
from trueline.guard.scan.progress import STEPS, Machine, State
from trueline.guard.scan.regexes import Regex
from trueline.guard.scan.syntax import Chain, Edge, Stop, parse


class Machines:
    """The automata that all streams of one scanner share."""

    def __init__(self, literals: Sequence[Literal], regexes: Sequence[Regex]) -> None:
        trees = [(regex.exact, parse(regex.text)) for regex in regexes]
        decoded = [node for exact, node in trees if not exact]
        words = [tree(form) for literal in literals for form in forms(literal)]
        codes = [*(Chain((parse(pattern), Stop())) for pattern in PENDING), *map(parse, FINISHED)]
        codes += [
            Chain((Edge("no_code_before"), node)) for node in (Chain((parse(PENDING_LINES), Stop())), parse(FINISHED_WORD))
        ]
        self.written = Machine([node for _, node in trees])
        self.decoded = Machine(decoded) if len(decoded) < len(trees) else self.written
        self.folded = Machine([*words, *decoded], fold)
        self.codes = Machine(codes)
        self._joints: dict[tuple[State, State, State], Joint] = {}
        self._steps = 0

    def joint(self, written: State, folded: State, coded: State) -> Joint:
        """Where all three are, as one."""
        key = (written, folded, coded)
        if key not in self._joints:
            self._joints[key] = Joint(self, *key)
        return self._joints[key]

    def count(self) -> None:
        """Forget all where too much is remembered, so that hostile text cannot fill the memory."""
        self._steps += 1
        if self._steps > STEPS:
            for joint in self._joints.values():
                joint.steps.clear()
            self._joints.clear()
            self._steps = 0


class Change(NamedTuple):
    """What a character does to the groups of each automaton (progress.py: Step), and whether matches and runs of code end."""

    written: tuple[int, ...] | None
    folded: tuple[int, ...] | None
    coded: tuple[int, ...] | None
    ended: bool
    finished: bool


class Joint:
    """The states of the three automata, and what each character does to all of them: one look-up where nothing changes."""

    __slots__ = ("coded", "folded", "machines", "steps", "written")

    def __init__(self, machines: Machines, written: State, folded: State, coded: State) -> None:
        self.machines, self.written, self.folded, self.coded = machines, written, folded, coded
        self.steps: dict[str, tuple[Joint, Change | None]] = {}

    def step(self, char: str) -> tuple[Joint, Change | None]:
        """The next states, and what changed; None where every group stays as it is."""
        written, folded, coded = self.written.step(char), self.folded.step(char), self.coded.step(char)
        change = Change(written.kept, folded.kept, coded.kept, written.matched or folded.matched, coded.matched)
        joint = self.machines.joint(written.state, folded.state, coded.state)
        self.machines.count()
        self.steps[char] = step = (joint, change if change != _NOTHING else None)
        return step


@dataclass(slots=True)
class Threads:
    """Where the automata are in one text, and where what is in progress there began, smallest first."""

    joint: Joint
    written: tuple[int, ...] = ()
    folded: tuple[int, ...] = ()
    coded: tuple[int, ...] = ()
    mark: int = 0  # the smallest place in progress where the first of the runs of code that touch each other begins
    ended: bool = False  # whether a match has ended
    finished: bool = False  # whether what may be a run of code has

    @classmethod
    def of(cls, machines: Machines, before: str, *, decoded: bool = False) -> Threads:
        """Nothing is in progress yet; `decoded` leaves out what is only looked for in the text as written."""
        written = machines.decoded if decoded else machines.written
        return cls(machines.joint(written.start(before), machines.folded.start(before), machines.codes.start(before)))

    def hold(self, end: int) -> int:
        """The smallest place at which something is in progress; the end where nothing is."""
        starts = [at[0] for at in (self.written, self.folded, self.coded) if at]
        return min(*starts, self.mark) if self.coded else min(starts, default=end)

    def settled(self, end: int) -> int:
        """Up to where it is known what is code; the end where no run is unfinished."""
        return self.coded[0] if self.coded else end

    def read(self, text: str, place: int) -> None:
        """Move over a text whose first character is at a place."""
        joint = self.joint
        for at, char in enumerate(text, place):
            joint, change = joint.steps.get(char) or joint.step(char)
            if change is not None:
                self._change(change, at)
        self.joint = joint

    def _change(self, change: Change, place: int) -> None:
        written, folded, coded, ended, finished = change
        if coded is not None:
            if not self.coded:  # a run that touches another may go on in what both say, so the first one's mark stays
                self.mark = min(self.written[0] if self.written else place, self.folded[0] if self.folded else place)
            self.coded = tuple([place if was < 0 else self.coded[was] for was in coded])
        if written is not None:
            self.written = tuple([place if was < 0 else self.written[was] for was in written])
        if folded is not None:
            self.folded = tuple([place if was < 0 else self.folded[was] for was in folded])
        self.ended = self.ended or ended
        self.finished = self.finished or finished


_NOTHING = Change(None, None, None, False, False)
