"""A site with ranking for tests: a project of cards whose models must not show, and people who sit before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST

from tests.store.ranked import prompt
from tests.web.site.visiting import Browser
from trueline.core.types import Completion, Tool, ToolCall
from trueline.store.opening import open_database
from trueline.store.ranking import create
from trueline.store.ranking_records import Item, Project
from trueline.web.ranking.pages import RANKING
from trueline.web.site.accounts import Accounts
from trueline.web.site.site import Site, site

GOOD = "a sentence will do"
MODELS = ("aurora", "borealis", "corona", "dawnlight", "eventide", "firth", "gloaming", "halcyon", "inverness")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 28, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def item(number: int, size: int = 3, words: str = "", **rest: Any) -> Item:
    """An item of `size` models' completions, the models always in one order; a test can tell whose a reply is by its dots."""
    asked = prompt(f"question {number} {words}")
    asked = replace(
        asked, conversation=replace(asked.conversation, tools=(Tool(name="look_up", description=f"Looks up. {words}"),))
    )
    said = tuple(
        Completion(
            prompt=asked, text=f"reply {number}" + "." * (place + 1) + words, model=MODELS[place],
            tool_calls=(ToolCall(name="look_up", arguments=f'{{"x": "{number}"}}{words}', id=f"call-{MODELS[place]}"),),
        )
        for place in range(size)
    )  # fmt: skip
    return Item(prompt=asked, completions=said, source=f"runs/{MODELS[0]}", **rest)


@dataclass
class House:
    """A site and what is behind it."""

    app: Any
    clock: Clock
    database: Any

    def browser(self, name: str = "") -> Browser:
        """A browser; with a name, one that has logged in."""
        browser = Browser(self.app)
        if name:
            assert browser.form("/login", {"name": name, "password": GOOD}).status_code == 303
        return browser

    def post(self, browser: Browser, path: str, fields: dict[str, Any]) -> Any:
        """Send what a script of a page sends."""
        return browser.json(path, fields, **{"x-csrf-token": browser.token("/ranking")})


def house(
    where: Any, *, n: int = 4, size: int = 3, items: Any = None, accounts: dict[str, list[str]] | None = None, **settings: Any
):
    """A site with one project `one`; `accounts` are people by name with their roles."""
    database, clock = open_database(where), Clock()
    made = Project(**{"id": "one", "name": "first", "created": "2026-11-27T00:00:00+00:00", **settings})
    create(database, made, items or [item(number, size) for number in range(n)])
    known = None
    if accounts is not None:
        known = Accounts(database, now=clock, hasher=PasswordHasher.from_parameters(CHEAPEST))
        for name, roles in accounts.items():
            known.add(name, GOOD, roles)
    return House(site(Site(database=database, accounts=known, now=clock), [RANKING]), clock, database)


def said_by_length(cards: list[dict[str, Any]]) -> list[int]:
    """Which place in the item each card has, as a test can tell by its dots and nobody else."""
    return [card["text"].count(".") - 1 for card in cards]
