"""The records of ranking: a project, its items, what one annotator was given, what they said, and final words.

    cards = cards_of(item, assignment)                 # what an annotator sees: shuffled, and no model's name
    ranks = in_item_order(ranks_as_shown, assignment)  # what came back from the page, as it is stored
    as_shown(given.helpful, assignment)                # a stored draft, for the page

The completions of an item keep their models' names, which only boards and exports look at. A page never posts places in the
item's order: it would tell which model is which as soon as items list their models in one order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from trueline.core.orders import Ranks
from trueline.core.types import Completion, Prompt, ToolCall

Question = Literal["helpful", "harmless"]
Choosing = Literal["random", "uncertain"]
State = Literal["open", "closed"]
Kind = Literal["new", "gold", "repeat"]
Status = Literal["leased", "draft", "submitted", "skipped", "discarded"]
Why = Literal["", "closed", "cap", "busy", "done"]
FEWEST, MOST = 2, 9
T = TypeVar("T")


class RankingError(ValueError):
    """What ranking was asked for and cannot do; the text says what was expected and what to do next."""


class LeaseError(RankingError):
    """An answer to an item that another annotator has taken over since, or that was never given to this one."""


class StaleError(RankingError):
    """A draft that was changed elsewhere, in another tab, since its writer read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A set of things to rank, with its settings. Shares are of what an annotator is given; 0 is none."""

    id: str
    name: str
    created: str  # ISO 8601, UTC
    state: State = "open"
    guidelines: str = ""  # what annotators read beside the cards, plain text
    overlap: int = 1  # answers wanted of different annotators for each item
    questions: tuple[Question, ...] = ("helpful",)  # asked apart, never one scale
    gold_share: float = 0.0  # of items whose answer is known, for accuracy
    repeat_share: float = 0.0  # of items that the same annotator has answered before, for self-consistency
    lease: int = 900  # seconds for which an item is an annotator's, from when it was given or last saved
    cap: int = 0  # answers a day (UTC) and annotator; 0: no limit
    seed: int = 0
    choosing: Choosing = "random"

    def __post_init__(self) -> None:
        if not self.name.strip() or ":" in self.name or not self.name.isprintable():
            raise RankingError(f"a project needs a name of printable letters without a colon, got {self.name!r}")
        if not self.questions or len(set(self.questions)) < len(self.questions):
            raise RankingError("a project asks one or two different questions: helpful, harmless")
        if self.overlap < 1 or self.lease < 1 or self.cap < 0:
            raise RankingError(f"expected overlap >= 1, lease >= 1 and cap >= 0; got {self.overlap}, {self.lease}, {self.cap}")
        if min(self.gold_share, self.repeat_share) < 0 or self.gold_share + self.repeat_share > 1:
            raise RankingError(
                f"expected shares of gold and repeats from 0 to 1 together; got {self.gold_share} and {self.repeat_share}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A prompt and its 2 to 9 completions. `gold` holds the known ranks for a question, in the order of the completions."""

    prompt: Prompt
    completions: tuple[Completion, ...]
    gold: Mapping[str, Ranks] = field(default_factory=dict, hash=False)
    source: str = ""  # where it comes from: a run, a file, the audit
    veiled: bool = False  # its text is hidden until the annotator asks for it
    id: str = ""  # set by the store

    def __post_init__(self) -> None:
        if not FEWEST <= len(self.completions) <= MOST:
            raise RankingError(f"an item has {FEWEST} to {MOST} completions; got {len(self.completions)}")
        for question, ranks in self.gold.items():
            if question not in ("helpful", "harmless"):
                raise RankingError(f"gold ranks are for 'helpful' or 'harmless'; got {question!r}")
            check_ranks(ranks, len(self.completions), f"gold ranks ({question})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What an annotator says of an item, everything in the order of the item's completions; () where nothing was said.

    `reason` says why they cannot judge, or why they discarded the item. `seconds` is the time for which they were at it.
    """

    helpful: Ranks = ()
    harmless: Ranks = ()
    refused: tuple[bool, ...] = ()
    refused_but_gave: tuple[bool, ...] = ()
    all_bad: bool = False
    cannot_judge: bool = False
    reason: str = ""
    seconds: float = 0.0

    def ranks(self, question: str) -> Ranks:
        """Return what was said to one question."""
        return self.helpful if question == "helpful" else self.harmless


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """An item as one annotator was given it. `shown[i]` is the place in the item of the card that is shown in place i.

    `kind` is for whoever measures: annotators are not told that an item has gold ranks or is a repeat.
    """

    id: str
    project: str
    item: str
    person: str
    number: int
    turn: int
    kind: Kind
    shown: tuple[int, ...]
    created: str
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one annotator said of one item, and how they were shown it. Only submitted ones count anywhere."""

    assignment: Assignment
    status: Status
    given: Given
    answered: str  # when it was submitted, skipped or discarded; empty for a draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjudication:
    """A person's final word on an item in dispute: it stands in the place of all answers to it."""

    item: str
    project: str
    person: str
    created: str
    given: Given


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What there is to do for an annotator: an assignment with its item and their draft, or the reason why there is none.

    `why` is "closed" (the project), "cap" (they reached the day's), "busy" (all that is left is with others now; ask again
    later) or "done".
    """

    assignment: Assignment | None = None
    item: Item | None = None
    draft: Given | None = None
    why: Why = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A completion as an annotator sees it: what it says and does, and nothing of who said it."""

    text: str
    tool_calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened to an item; `given` is the answer as it was then."""

    item: str
    person: str
    assignment: str
    kind: str
    time: str
    given: Given | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one annotator has done in a project: how many of each status, and for how many seconds (submitted ones)."""

    person: str
    submitted: int = 0
    skipped: int = 0
    discarded: int = 0
    open: int = 0  # leased or drafts
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a project is. `complete` items have all the answers wanted of them; gold items are counted apart."""

    items: int
    complete: int
    gold: int
    submitted: int
    wanted: int  # answers to items without gold, in all
    adjudicated: int
    people: tuple[Work, ...]


def cards_of(item: Item, assignment: Assignment) -> tuple[Card, ...]:
    """Return the cards in the order in which this annotator is shown them."""
    found = (item.completions[place] for place in assignment.shown)
    return tuple(Card(text=completion.text, tool_calls=completion.tool_calls) for completion in found)


def in_item_order(values: Sequence[T], assignment: Assignment) -> tuple[T, ...]:
    """Bring what stands in the order shown into the item's order; nothing stays nothing."""
    if not values:
        return ()
    if len(values) != len(assignment.shown):
        raise RankingError(f"expected one value for each of {len(assignment.shown)} cards, got {len(values)}")
    placed = dict(zip(assignment.shown, values, strict=True))
    return tuple(placed[place] for place in range(len(values)))


def as_shown(values: Sequence[T], assignment: Assignment) -> tuple[T, ...]:
    """Bring what stands in the item's order into the order shown; nothing stays nothing."""
    return tuple(values[place] for place in assignment.shown) if values else ()


def check_ranks(ranks: Ranks, size: int, what: str) -> None:
    """Refuse ranks that are not one for each completion, from 1 to their number, or None."""
    if len(ranks) != size or any(rank is not None and not 1 <= rank <= size for rank in ranks):
        raise RankingError(f"{what}: expected {size} ranks from 1 (best) to {size}, equal for ties, or none; got {list(ranks)}")


def check_given(given: Given, item: Item, questions: Sequence[str], *, whole: bool) -> None:
    """Refuse what cannot be an answer to this item; with `whole`, also what says too little to be submitted."""
    size = len(item.completions)
    for question in ("helpful", "harmless"):
        if ranks := given.ranks(question):
            check_ranks(ranks, size, question)
            if question not in questions:
                raise RankingError(f"this project does not ask {question!r}; it asks {', '.join(questions)}")
    for name, flags in (("refused", given.refused), ("refused but gave", given.refused_but_gave)):
        if flags and len(flags) != size:
            raise RankingError(f"{name}: expected one flag for each of {size} completions, got {len(flags)}")
    if not 0 <= given.seconds < float("inf"):
        raise RankingError(f"seconds: expected a number from 0, got {given.seconds}")
    if not whole:
        return
    if given.cannot_judge:
        if not given.reason.strip():
            raise RankingError("cannot judge: expected the reason why; say it in a few words")
        return
    lacking = [question for question in questions if not any(rank is not None for rank in given.ranks(question))]
    if lacking and not given.all_bad:
        raise RankingError(f"expected one or more ranked cards for: {', '.join(lacking)}; or say that all are bad, or skip it")
