"""Where ranks are, as they say it to each other, and the report of a barrier that timed out.

A rank says its place every few seconds, as JSON in the store that all ranks share, and once more with the functions that it is
in when it is asked. Names of barriers come from anywhere: they are shown as JSON texts, in which nothing hides.

    print(report("gradients of step 12", waiter=0, waited=600.4, timeout=600, size=4, said=said, beats=beats, now=time()))

    watchdog: rank 0 has waited 600 s at "gradients of step 12"; 600 s are allowed
      arrived: ranks 0 to 2
      rank 3 has not arrived: it left "gradients of step 11" 604 s ago, and is in read (rows.py:88) < batches (sources.py:140)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

State = Literal["began", "at", "after", "idle", "ended"]
LONGEST = 200  # characters of a name that are shown
MOST = 16  # ranks that a report says more of than their number


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a rank says that it is."""

    state: State = "began"
    name: str = ""  # of the barrier that it is at, or was at last
    count: int = 0  # barriers that it has come to
    seconds: float = 0.0  # for how long
    sent: float = 0.0  # when it said so: seconds of the wall clock, on which machines are taken to agree
    stack: str = ""  # functions that its main thread is in, innermost first

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def read_place(text: str | bytes) -> Place | None:
    """What a rank said; None where that is nothing that a rank says."""
    try:
        found = Place(**json.loads(text))
        kinds = (str, str, int, float, float, str)
        values = (kind(value) for kind, value in zip(kinds, asdict(found).values(), strict=True))
        place = Place(**dict(zip(asdict(found), values, strict=True)))
    except (ValueError, TypeError):
        return None
    return place if place.state in get_args(State) else None


def shown(name: str, longest: int = LONGEST) -> str:
    r"""A name as a JSON text of ASCII alone, so that it can turn, hide and move nothing where it is printed.

    >>> shown("step 1\x1b[2J")
    '"step 1\\u001b[2J"'
    """
    return json.dumps(name if len(name) <= longest else f"{name[:longest]} ...")


def ranks(numbers: Iterable[int]) -> str:
    """Ranks in few words.

    >>> ranks([0, 1, 2, 5]), ranks([3]), ranks([])
    ('ranks 0 to 2, 5', 'rank 3', 'none')
    """
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    words = ", ".join(str(a) if a == b else f"{a}, {b}" if a + 1 == b else f"{a} to {b}" for a, b in spans)
    return f"rank{'s' * (not words.isdigit())} {words}" if spans else "none"


def report(
    name: str,
    *,
    waiter: int,
    waited: float,
    timeout: float,
    size: int,
    said: Mapping[int, Place],
    beats: Mapping[int, Place],
    now: float,
) -> str:
    """Who is at the barrier `name`, and where all others are: what they `said` when asked, else when they last spoke."""
    there = [rank for rank, place in said.items() if (place.state, place.name) == ("at", name)]
    others = [rank for rank in range(size) if rank not in there]
    lines = [
        f"watchdog: rank {waiter} has waited {waited:.3g} s at {shown(name)}; {timeout:.3g} s are allowed",
        f"  arrived: {ranks(there)}",
        *(f"  rank {rank} {_where(name, said.get(rank), beats.get(rank), now)}" for rank in others[:MOST]),
    ]
    if len(others) > MOST:
        lines.append(f"  nor are these there: {ranks(others[MOST:])}")
    return "\n".join(lines)


def _where(name: str, said: Place | None, beat: Place | None, now: float) -> str:
    """Where one rank is that is not at the barrier."""
    if said is None:
        if beat is None:
            return "has never been heard of"
        if beat.state == "ended":
            return f"has ended its work, {_ago(now - beat.sent)}, after {beat.count} barriers"
        return f"has not been heard of for {max(0.0, now - beat.sent):.3g} s: {_at(beat)} then"
    passed = said.state == "after" and said.name == name
    doing = f", and is in {shown(said.stack, 1000)[1:-1]}" if said.stack else ""
    return f"{'has passed it' if passed else 'has not arrived'}: {_at(said)}{doing}"


def _at(place: Place) -> str:
    return {
        "began": "it has come to no barrier yet",
        "at": f"it was at {shown(place.name)}, its barrier {place.count}, for {place.seconds:.3g} s",
        "after": f"it had left {shown(place.name)}, its barrier {place.count}, {_ago(place.seconds)}",
        "idle": f"it was idle, waiting to be told what to do, for {place.seconds:.3g} s",
        "ended": "it had ended its work",
    }[place.state]


def _ago(seconds: float) -> str:
    return f"{max(0.0, seconds):.3g} s ago"
