"""Courses as people read them: a strip of arrows, the map with what was visited, and an SVG of several side by side.

print(strip(race, episode))          # →→↓↓←←↑↑→→↓↓ ...
print(chart(race, episode))          # the map, each cell with how often it was visited
svg([("Q-learning, 50 and 0", race, episode), ...])
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from trueline.evaluate.words import MINUS
from trueline.lab.races.race import ARROWS, Episode, Race

CELL = 22  # pixels
GAP = 28  # between two maps
COLOUR = {"#": "#445", "F": "#2a9d5c", "a": "#e0a72e", "b": "#e0a72e", "c": "#e0a72e", "T": "#c8553d", "O": "#5a7fb8"}
WATER = "#dcebf5"


def strip(race: Race, episode: Episode, most: int = 60) -> str:
    """The moves as arrows; a dot is a move against a wall, or one after the end."""
    cells = [race.cell(state) for state in episode.states]
    steps = zip(episode.actions, pairwise(cells), strict=True)
    moves = [ARROWS[action] if there != here else "·" for action, (here, there) in steps]
    return "".join(moves[:most]) + ("…" if len(moves) > most else "")


def chart(race: Race, episode: Episode) -> str:
    """The map, and beside it how often each cell was visited."""
    visits = Counter(race.cell(state) for state in episode.states)
    rows = []
    for r, row in enumerate(race.art):
        counts = "".join(
            f"{visits[r, c]:>4}" if visits[r, c] else "   ." if mark not in "# " else "    " for c, mark in enumerate(row)
        )
        rows.append(f"{row}   {counts}".rstrip())
    return "\n".join(rows)


def told(race: Race, episode: Episode) -> str:
    """An episode as text: what it came to, its moves, its map."""
    came_to = f"return {episode.reward:.1f}, hidden performance {episode.hidden:.1f}".replace("-", MINUS)
    return f"{came_to}\n{strip(race, episode)}\n{chart(race, episode)}"


def svg(courses: Sequence[tuple[str, Race, Episode]]) -> str:
    """Maps side by side, each with its course: the darker, the more often a step was made."""
    parts, left, height = [], 8.0, 0.0
    for title, race, episode in courses:
        wide = max(map(len, race.art)) * CELL
        lines = title.split("\n")
        for i, line in enumerate(lines):
            parts.append(f'<text x="{left:g}" y="{16 + 15 * i}" font-size="12" fill="#223">{escape(line)}</text>')
        top = 12 + 15 * len(lines)
        parts += [_map(race, left, top), _course(race, episode, left, top)]
        height = max(height, top + len(race.art) * CELL)
        left += max(wide, 7 * max(map(len, lines))) + GAP
    box = f'viewBox="0 0 {left:g} {height + 10:g}" width="{left:g}" height="{height + 10:g}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif" role="img">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _map(race: Race, left: float, top: float) -> str:
    made = []
    for r, row in enumerate(race.art):
        for c, mark in enumerate(row):
            if mark == " ":
                continue
            x, y = left + c * CELL, top + r * CELL
            made.append(
                f'<rect x="{x:g}" y="{y:g}" width="{CELL}" height="{CELL}" fill="{COLOUR.get(mark, WATER)}" stroke="#fff"/>'
            )
            if mark not in "#.":
                made.append(f'<text x="{x + 4:g}" y="{y + 15:g}" font-size="11" fill="#223">{escape(mark)}</text>')
    return "".join(made)


def _course(race: Race, episode: Episode, left: float, top: float) -> str:
    cells = [race.cell(state) for state in episode.states]
    steps = Counter((here, there) for here, there in pairwise(cells) if here != there)
    most, made = max(steps.values(), default=1), []
    for (here, there), count in steps.items():
        shift = 3 if there > here else -3  # there and back lie beside each other
        across = here[0] == there[0]
        (y1, x1), (y2, x2) = (
            (top + r * CELL + CELL / 2 + (shift if across else 0), left + c * CELL + CELL / 2 + (0 if across else shift))
            for r, c in (here, there)
        )
        share = 0.25 + 0.75 * count / most
        made.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="#b3261e" stroke-width="{1 + 3 * share:.1f}" '
            f'stroke-opacity="{share:.2f}" stroke-linecap="round"/>'
        )
    return "".join(made)
