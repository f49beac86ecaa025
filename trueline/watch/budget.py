"""What one round may cost, and the target that keeps count of it: questions, tokens, cost and time.

    budget = read_budget("questions=500,cost=2.50,time=20m", price="in=0.15,out=0.60")
    target = Metered(target=target, meter=Meter(budget=budget, clock=clock), clock=clock)

A question counts once it is put, answered or not; what a memory answers never comes here. Tokens are the target's own count
where it reports one (targets/http.py), the ids of a model in this process, and else a token for every four characters. They are
known when an answer is there, so the questions under way may go over by their own.

>>> read_budget("questions=5,time=2m").seconds, duration("1.5h"), spoken(5400)
(120.0, 5400, '1h30m')
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trueline.core.config import parse_words
from trueline.core.ports import BudgetSpentError, Target
from trueline.core.records import nearest
from trueline.core.types import GREEDY, Completion, Conversation, Sampling
from trueline.targets.http import Remote
from trueline.targets.patience import Budget, Clock, Meter

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LIMITS = {"questions": "requests", "tokens": "tokens", "cost": "cost", "time": "seconds"}  # our word, and the meter's
PRICES = {"in": "price_read", "out": "price_written"}  # of a million tokens
LETTERS = 4  # a token, where nobody counts


@dataclass
class Halt:
    """A word that reaches a round under way: no question is put after it. One within another hears that one's word too."""

    outer: Halt | None = None
    said: str = ""

    @property
    def why(self) -> str:
        """Why no more is asked; empty: it is."""
        return self.said or (self.outer.why if self.outer else "")

    def stop(self, why: str) -> None:
        """Ask no more; the first reason stays."""
        self.said = self.said or why


@dataclass(kw_only=True)
class Metered:
    """A target that counts what it is asked, stops at its budget or at a halt, and keeps how long each answer took."""

    target: Target
    meter: Meter
    clock: Clock
    halt: Halt = field(default_factory=Halt)
    told: Callable[[Meter], None] = lambda meter: None  # after each answer
    seconds: list[float] = field(default_factory=list)
    over: bool = False  # whether the budget ended it
    _seen: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self._counter = _counter_of(self.target)

    @property
    def name(self) -> str:
        """The target's."""
        return self.target.name

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion:
        """Answer as the target does. Raises BudgetSpentError before a question that is one too many."""
        if self.halt.why:
            raise BudgetSpentError(self.halt.why)
        try:
            self.meter.request()
        except BudgetSpentError:
            self.over = True
            raise BudgetSpentError(f"the budget of the round is spent: {reached(self.meter)}") from None
        began = self.clock.now()
        said = await self.target.reply(conversation, sampling)
        self.seconds.append(self.clock.now() - began)
        self._count(conversation, said)
        self.told(self.meter)
        return said

    def _count(self, conversation: Conversation, said: Completion) -> None:
        if self._counter is None:
            read = sum(len(message.text) for message in conversation.messages) // LETTERS
            self.meter.tokens(read, len(said.ids) or len(said.text) // LETTERS + 1)
        else:
            now = (self._counter.tokens_read, self._counter.tokens_written)
            self.meter.tokens(now[0] - self._seen[0], now[1] - self._seen[1])
            self._seen = now


def read_budget(words: str, price: str = "") -> Budget:
    """Read a round's budget, and the prices of a million tokens. Raises ValueError with the nearest right word."""
    values: dict[str, Any] = {}
    for key, text in _words(words, LIMITS, "questions=500,tokens=200000,cost=2.50,time=20m").items():
        values[LIMITS[key]] = float(duration(text)) if key == "time" else _number(key, text, whole=key != "cost")
    for key, text in _words(price, PRICES, "in=0.15,out=0.60").items():
        values[PRICES[key]] = _number(key, text)
    if not values.keys() & set(LIMITS.values()):
        raise ValueError(f"--budget: expected at least one of {', '.join(LIMITS)}, got {words!r}; write questions=500")
    if "cost" in values and not values.keys() & set(PRICES.values()):
        raise ValueError("--budget cost=... needs --price in=...,out=..., what a million tokens cost; give the prices")
    return Budget(**values)


def reached(meter: Meter) -> str:
    """Say which limits are reached, in the words of the command line."""
    spent = {"questions": meter.requests, "tokens": meter.tokens_read + meter.tokens_written, "cost": meter.cost,
             "time": meter.seconds}  # fmt: skip
    limits = {key: getattr(meter.budget, name) for key, name in LIMITS.items()}
    return ", ".join(f"{key} {spent[key]:,.6g} of {most:,.6g}" for key, most in limits.items() if most and spent[key] >= most)


def spent(meter: Meter) -> dict[str, float]:
    """What was spent, as a round's row keeps it."""
    return {
        "questions": meter.requests,
        "tokens_read": meter.tokens_read,
        "tokens_written": meter.tokens_written,
        "cost": round(meter.cost, 6),
        "seconds": round(meter.seconds, 3),
    }


def going_on(budget: Budget, clock: Clock, before: Mapping[str, float], questions: int) -> Meter:
    """A meter that goes on from what a killed daemon wrote down; `questions` is how many answers of it there are."""
    return Meter(
        budget=budget,
        clock=clock,
        requests=max(questions, int(before.get("questions", 0))),
        tokens_read=int(before.get("tokens_read", 0)),
        tokens_written=int(before.get("tokens_written", 0)),
        began=clock.now() - before.get("seconds", 0.0),
    )


def duration(text: str) -> int:
    """Read a duration such as 90s, 30m, 6h, 1.5d or 2w into whole seconds."""
    number, unit = text.strip()[:-1], text.strip()[-1:].lower()
    try:
        seconds = float(number) * UNITS[unit]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 1 <= seconds <= 10 * 366 * UNITS["d"]:
        raise ValueError(f"expected a duration such as 30m, 6h or 1d (units: {', '.join(UNITS)}), got {text!r}")
    return int(seconds)


def spoken(seconds: float) -> str:
    """Write a duration as people type it: the two largest units."""
    parts, rest = [], int(seconds)
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, UNITS[unit])
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts[:2]) or "0s"


def _counter_of(target: object) -> Meter | None:
    """The meter of a remote target, through a deployment and its guard; None for what reports no tokens."""
    while target is not None and not isinstance(target, Remote):
        target = getattr(target, "target", None)
    return None if target is None else target.meter


def _words(text: str, known: Mapping[str, str], example: str) -> dict[str, str]:
    words = parse_words(word.strip() for word in text.split(",") if word.strip())
    for key in words:
        if key not in known:
            raise ValueError(f"unknown word {key!r}{nearest(key, known)}; expected {', '.join(known)}, as in {example}")
    return words


def _number(key: str, text: str, whole: bool = False) -> float:
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        number = -1
    if not 0 < number < 1e15:
        raise ValueError(f"{key}: expected a {'whole ' if whole else ''}number above 0, got {text!r}")
    return number
