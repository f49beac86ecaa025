"""A small ranking project for tests: three completions to each of a few prompts, and a clock that is moved by hand."""

from datetime import UTC, datetime, timedelta

from trueline.core.types import Completion, Conversation, Prompt
from trueline.store.ranking import create, new_id
from trueline.store.ranking_records import Given, Item, Project

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
GIVEN = Given(helpful=(1, 2, None), seconds=4.0)


def at(seconds: float) -> datetime:
    """The time so many seconds after the start."""
    return START + timedelta(seconds=seconds)


def prompt(text: str) -> Prompt:
    """A prompt of one turn."""
    return Prompt(conversation=Conversation().say("user", text), id=text)


def item(number: int, gold: bool = False) -> Item:
    """An item of three models' completions."""
    asked = prompt(f"{'gold' if gold else 'question'} {number}")
    said = tuple(Completion(prompt=asked, text=f"{model} says {number}", model=model) for model in ("a", "b", "c"))
    return Item(prompt=asked, completions=said, gold={"helpful": (1, 2, 3)} if gold else {})


def project(engine, n=4, gold=0, **settings) -> Project:
    """Store a project of `n` items without and `gold` with gold ranks."""
    made = Project(id=settings.pop("id", new_id()), name=settings.pop("name", "first"), created="2026-03-01", **settings)
    return create(engine, made, [*(item(i) for i in range(n)), *(item(i, gold=True) for i in range(gold))])
