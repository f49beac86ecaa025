"""Tests of watch/bandit.py: it finds weak cells with fewer questions than an even spread, and forgets no cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.watch.bandit import Cell, Choice, Seen, choose, posteriors

CELLS = tuple(Cell(f"f{i}", f"c{j}") for i in range(8) for j in range(5))
Chooser = Callable[[list[Seen], int, int], list[Cell]]


def by_bandit(watch: str) -> Chooser:
    """The cells that the bandit pulls."""
    return lambda seen, number, pulls: [c.cell for c in choose(CELLS, seen, watch=watch, number=number, pulls=pulls)]


def evenly(seen: list[Seen], number: int, pulls: int) -> list[Cell]:
    """The cells in turn."""
    return [CELLS[((number - 1) * pulls + i) % len(CELLS)] for i in range(pulls)]


def to_find(wanted: int, chooser: Chooser, seed: int, pulls: int = 40, weak: int = 4, holes: int = 30) -> int:
    """Questions until so many are found: a weak cell breaks on .4 of its goals, others on .01, and each goal pays once."""
    rng = Random(f"target/{seed}")
    weak_cells = set(rng.sample(CELLS, weak))
    broken = {cell: [goal for goal in range(holes) if rng.random() < (0.4 if cell in weak_cells else 0.01)] for cell in CELLS}
    asked: Counter[Cell] = Counter()
    found, questions, history = set(), 0, []
    for number in range(1, 400):
        here: dict[Cell, list[int]] = {}
        for cell in chooser(history, number, pulls):
            goal = asked[cell] % holes
            asked[cell] += 1
            questions += 1
            new = goal in broken[cell] and (cell, goal) not in found
            found |= {(cell, goal)} if new else set()
            here.setdefault(cell, []).append(int(new))
            if len(found) >= wanted:
                return questions
        history += [Seen(number=number, cell=c, asked=len(paid), new=sum(paid)) for c, paid in here.items()]
    return questions


def test_weak_cells_are_found_with_fewer_questions_than_an_even_spread():
    """Over twenty simulated targets, 24 weaknesses take at most 60 % of the questions that asking cells in turn takes."""
    ours = [to_find(24, by_bandit(f"w{seed}"), seed) for seed in range(20)]
    even = [to_find(24, evenly, seed) for seed in range(20)]
    assert sum(a < b for a, b in zip(ours, even, strict=True)) >= 18
    assert sum(ours) < 0.6 * sum(even)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.sampled_from([0.1, 0.2, 0.5, 1.0]))
def test_the_floor_holds_whatever_was_found(seed, pulls, floor):
    """After every round each of K cells has had at least int(floor * N / K) of all N pulls, though one cell always pays."""
    cells, history = CELLS[:7], []
    asked, total = Counter(dict.fromkeys(cells, 0)), 0
    for number in range(1, 9):
        counts = Counter(c.cell for c in choose(cells, history, watch=str(seed), number=number, pulls=pulls, floor=floor))
        asked.update(counts)
        total += pulls
        history += [Seen(number=number, cell=cell, asked=n, new=n if cell == cells[0] else 0) for cell, n in counts.items()]
        assert min(asked.values()) >= int(floor * total / len(cells))


def test_the_choice_is_a_function_of_watch_number_and_history():
    """The same again for the same; another watch or round draws anew; the order of the history says nothing."""
    history = [Seen(number=1, cell=CELLS[i], asked=5, new=i % 3) for i in range(20)]
    first = choose(CELLS, history, watch="a", number=2, pulls=50)
    assert first == choose(CELLS, history[::-1], watch="a", number=2, pulls=50)
    assert first != choose(CELLS, history, watch="b", number=2, pulls=50)
    assert first != choose(CELLS, history, watch="a", number=3, pulls=50)


def test_a_new_cell_is_asked_first():
    """Where all others were asked, the floor's pulls begin with the cell that never was."""
    history = [Seen(number=1, cell=cell, asked=9, new=9) for cell in CELLS[1:]]
    chosen = choose(CELLS, history, watch="a", number=2, pulls=10)
    assert chosen[0] == Choice(cell=CELLS[0], why="floor")


@pytest.mark.parametrize("discount", [0.5, 0.9, 1.0])
def test_what_was_seen_counts_less_with_every_round(discount):
    """A result's weight is the discount to the power of its age, and none of it is lost at 1."""
    seen = [Seen(number=1, cell=CELLS[0], asked=10, new=4), Seen(number=3, cell=CELLS[0], asked=2, new=2)]
    (found,) = posteriors(CELLS[:1], seen, number=4, discount=discount).values()
    assert found.a == pytest.approx(1 + 4 * discount**3 + 2 * discount)
    assert found.b == pytest.approx(1 + 6 * discount**3)


def test_nothing_to_choose_from_is_nothing_chosen():
    """No cells or no pulls make no choice."""
    assert choose((), [], watch="a", number=1, pulls=5) == () == choose(CELLS, [], watch="a", number=1, pulls=0)
