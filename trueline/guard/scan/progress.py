"""Where a match may be in progress: all patterns in one automaton that knows the earliest place each unfinished match began.

The patterns' trees become one nondeterministic automaton (Thompson 1968, https://doi.org/10.1145/363347.363387); a state of the
deterministic one is built when it is first met (as RE2 does) and holds the live threads grouped by where they began, the
earliest group first. Of two threads in the same place of a pattern only the earlier one is kept: whatever completes one
completes the other. So the first group's beginning is the smallest i for which text[i:] is the beginning of a match, or a match
whose end depends on what comes next: a thread is live exactly where some continuation leads to a match, since every character
of a pattern can be had (a class that is empty, as `[^\\x00-\\x{10FFFF}]`, apart).

>>> from trueline.guard.scan.syntax import parse
>>> machine = Machine([parse("abc"), parse("b+")])
>>> state, starts = machine.start(""), ()
>>> for place, char in enumerate("xab"):
...     state, starts = state.after(char, place, starts)
>>> starts
(1, 2)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from trueline.guard.scan.folding import is_letter
from trueline.guard.scan.syntax import Chain, Edge, Either, Node, One, Repeat, Same, Stop

STEPS = 50_000  # that are remembered; more are built anew, so that hostile text cannot fill the memory

_START, _END, _WORD, _LETTER, _LINE, _CODE = 1, 2, 4, 8, 16, 32  # what stands beside a place between two characters
_UNKNOWN = 0
# By name of an edge: whether it holds between what is before and what is behind; None while that is not known.
_EDGES: dict[str, Callable[[int, int], bool | None]] = {
    "start": lambda before, behind: bool(before & _START),
    "line_start": lambda before, behind: bool(before & (_START | _LINE)),
    "end": lambda before, behind: bool(behind & _END) if behind else None,
    "line_end": lambda before, behind: bool(behind & (_END | _LINE)) if behind else None,
    "word": lambda before, behind: bool(before & _WORD) != bool(behind & _WORD) if behind else None,
    "inside": lambda before, behind: bool(before & _WORD) == bool(behind & _WORD) if behind else None,
    "no_letter_before": lambda before, behind: not before & _LETTER,
    "no_letter_behind": lambda before, behind: not behind & _LETTER if behind else None,
    "no_code_before": lambda before, behind: not before & _CODE,
}
_MATCH = 0  # the last node of every pattern


class Step(NamedTuple):
    """What one character does to a state."""

    state: State
    kept: tuple[int, ...] | None  # for each group which one it was, -1 for one that begins here; None: as they were
    matched: bool  # whether a match ends at this character, or ended in front of it


class _First(NamedTuple):
    alike: dict[Callable[[str], str], dict[str, list[int]]]  # by the view of a character, and what it reads as there
    others: dict[Callable[[str], bool], list[int]]


class State:
    """The live threads, in groups that began at the same place, and the kind of the last character."""

    __slots__ = ("before", "groups", "machine", "steps")

    def __init__(self, machine: Machine, before: int, groups: tuple[tuple[int, ...], ...]) -> None:
        self.machine, self.before, self.groups = machine, before, groups
        self.steps: dict[str, Step] = {}

    def step(self, char: str) -> Step:
        """What a character does, built where it is met for the first time."""
        return self.steps.get(char) or self.machine.build(self, char)

    def after(self, char: str, place: int, starts: tuple[int, ...]) -> tuple[State, tuple[int, ...]]:
        """The state behind a character, and where each of its groups began. (growing.py has this loop unrolled.)"""
        state, kept, _ = self.step(char)
        return state, starts if kept is None else tuple([place if was < 0 else starts[was] for was in kept])


class Machine:
    """The automaton of many patterns. `spell` is the view: what a character of the text reads as."""

    def __init__(self, patterns: Iterable[Node], spell: Callable[[str], str] = str) -> None:
        self._spell = spell
        self._nodes: list[One | Edge | tuple[int, ...] | None] = [None]
        self._next: list[int] = [_MATCH]
        self._entries = [self._add(pattern, _MATCH) for pattern in patterns]
        self._states: dict[tuple[int, tuple[tuple[int, ...], ...]], State] = {}
        self._firsts: dict[tuple[int, int], _First] = {}
        self._openings: dict[tuple[int, str], list[int]] = {}
        self._closed: dict[tuple[int, int], tuple[int, ...]] = {}
        self._steps = 0

    def start(self, before: str) -> State:
        """The state without any thread behind some text; "" is the beginning."""
        spelled = self._spell(before)
        return self._state(_kind(spelled[-1]) if spelled else _START, ())

    def build(self, state: State, char: str) -> Step:
        """Compute a step and remember it."""
        target, kept, matched = state, tuple(range(len(state.groups))), False
        for spelled in self._spell(char):
            target, were, ended = self._advance(target, spelled)
            kept, matched = tuple([-1 if was < 0 else kept[was] for was in were]), matched or ended
        unchanged = kept == tuple(range(len(state.groups)))
        if self._steps == STEPS:
            self._forget()
        self._steps += 1
        state.steps[char] = step = Step(target, None if unchanged else kept, matched)
        return step

    def _forget(self) -> None:
        for state in self._states.values():
            state.steps.clear()
        self._states.clear()
        self._closed.clear()
        self._openings.clear()
        self._steps = 0

    def _advance(self, state: State, char: str) -> Step:
        behind = _kind(char)
        groups, kept, seen, matched = [], [], set(), False
        for index, group in enumerate(state.groups):
            ones = self._reach(group, state.before, behind)
            matched = matched or _MATCH in ones
            passed = [self._next[node] for node in ones if node and self._test(node)(char)]
            matched = self._join(groups, kept, seen, index, passed, behind) or matched
        matched = self._join(groups, kept, seen, -1, self._opened(state.before, char, behind), behind) or matched
        return Step(self._state(behind, tuple(groups)), tuple(kept), matched)

    def _join(
        self, groups: list[tuple[int, ...]], kept: list[int], seen: set[int], index: int, passed: Sequence[int], before: int
    ) -> bool:
        """Add a group of the threads that passed and that no earlier group has; whether one of them is a match."""
        reached = {node for entry in passed for node in self._close(entry, before)} - seen
        seen |= reached
        live = tuple(sorted(reached - {_MATCH}))
        if live:
            groups.append(live)
            kept.append(index)
        return _MATCH in reached

    def _close(self, entry: int, before: int) -> tuple[int, ...]:
        key = (entry, before)
        if key not in self._closed:
            self._closed[key] = tuple(self._reach((entry,), before, _UNKNOWN))
        return self._closed[key]

    def _reach(self, entries: Iterable[int], before: int, behind: int) -> dict[int, None]:
        """Nodes reached without a character: those that take one, the match, and edges that nothing is known of yet."""
        reached: dict[int, None] = {}
        waiting, seen = list(entries), set()
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            match self._nodes[node]:
                case tuple() as options:
                    waiting += options
                case Edge(name):
                    holds = _EDGES[name](before, behind)
                    if holds is None:
                        reached[node] = None
                    elif holds:
                        waiting.append(self._next[node])
                case _:
                    reached[node] = None
        return reached

    def _opened(self, before: int, char: str, behind: int) -> list[int]:
        """Where a match is that begins with this character."""
        key = (before, char)
        if key not in self._openings:
            alike, others = self._first(before, behind)
            nodes = [node for read, table in alike.items() for node in table.get(read(char), ())]
            nodes += [node for test, nodes in others.items() if test(char) for node in nodes]
            self._openings[key] = [self._next[node] for node in nodes]
        return self._openings[key]

    def _first(self, before: int, behind: int) -> _First:
        """The nodes that a match may begin with, by what they ask of its first character."""
        key = (before, behind)
        if key not in self._firsts:
            self._firsts[key] = alike, others = _First({}, {})
            for node in filter(None, self._reach(self._entries, before, behind)):
                match self._test(node):
                    case Same(read, text):
                        alike.setdefault(read, {}).setdefault(text, []).append(node)
                    case test:
                        others.setdefault(test, []).append(node)
        return self._firsts[key]

    def _test(self, node: int) -> Callable[[str], bool]:
        one = self._nodes[node]
        assert isinstance(one, One)
        return one.test

    def _state(self, before: int, groups: tuple[tuple[int, ...], ...]) -> State:
        key = (before, groups)
        if key not in self._states:
            self._states[key] = State(self, before, groups)
        return self._states[key]

    def _add(self, node: Node, then: int) -> int:
        """Add the nodes of a tree in front of another node; the first of them."""
        match node:
            case One() | Edge():
                return self._node(node, then)
            case Stop():
                return self._node((), then)
            case Chain(parts):
                for part in reversed(parts):
                    then = self._add(part, then)
                return then
            case Either(parts):
                return self._node(tuple(self._add(part, then) for part in parts), then)
            case Repeat(part, least, None):
                loop = self._node((), then)
                again = self._add(part, loop)
                self._nodes[loop] = (again, then)
                return self._add(Repeat(part, least - 1, least - 1), again) if least else loop
            case Repeat(part, least, most):
                end = then
                for _ in range(most - least):
                    then = self._node((self._add(part, then), end), end)
                for _ in range(least):
                    then = self._add(part, then)
                return then

    def _node(self, node: One | Edge | tuple[int, ...], then: int) -> int:
        self._nodes.append(node)
        self._next.append(then)
        return len(self._nodes) - 1


@lru_cache(maxsize=1 << 16)
def _kind(char: str) -> int:
    """What an edge asks of a character. RE2's words are ASCII; never 0, which is what is not known."""
    ascii_letter = char.isascii() and char.isalnum()
    return (
        64
        | (_WORD if ascii_letter or char == "_" else 0)
        | (_LETTER if is_letter(char) else 0)
        | (_LINE if char == "\n" else 0)
        | (_CODE if ascii_letter or char in "+/_-" else 0)
    )
