"""A room of the site: its pages and actions, and what a handler is given and gives back.

    def findings(asked: Asked) -> dict[str, object]:          # what the page shows; its JSON twin is the same, whole
        return {"findings": [...]}

    def close(asked: Asked) -> Go:
        settle(asked.site.database, asked.path["key"])
        return Go(f"/findings/{asked.path['key']}", said="closed")

    ROOM = Room(
        name="findings", title="Findings", home="/findings", folder=Path(__file__).parent,
        pages=(Page("/findings", findings, "findings.html", title="Findings"),),
        actions=(Action("/findings/{key}/close", close, roles=OPERATORS),),
    )

A page's path plus `.json` is its twin: the very values that the template is filled with. An action is a POST: a form of a page
(answered with a redirect), or JSON from a page's script (answered with JSON). Handlers are plain functions, run in a thread, or
`async` ones where they wait for others. They raise NotThere, ValueError (400, its text is shown) or Refused; an action may
raise Back, where it cannot be done as things stand and there is a page to go on with. A file to take away is a Download.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueline.web.site.visitor import EVERYONE, Role, Visitor

if TYPE_CHECKING:
    from trueline.web.site.site import Site

Json = dict[str, Any]


class NotThere(LookupError):  # noqa: N818 - what it says is the page's text
    """Nothing of that name is here (404)."""


class Refused(Exception):  # noqa: N818 - as above
    """This visitor may not (403)."""


class Back(Exception):  # noqa: N818 - as above
    """What cannot be done as things stand: a form's browser is led to a page with the text, a script gets status and `data`."""

    def __init__(self, text: str, to: str, status: int = 409, **data: Any) -> None:
        super().__init__(text)
        self.to, self.status, self.data = to, status, data


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, read and checked: who asks, with which parts of the path, which query and, of a POST, which fields."""

    site: Site
    visitor: Visitor
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, Any] = field(default_factory=dict)  # a form's fields are text, those of JSON what they are

    def text(self, name: str, default: str = "") -> str:
        """A field of the form as text, without what surrounds it. Raises ValueError where it is something else."""
        value = self.form.get(name, default)
        if not isinstance(value, str):
            raise ValueError(f"{name}: expected text, got {type(value).__name__}")
        return value.strip()

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number of the query within bounds. Raises ValueError with what came."""
        given = self.query.get(name, "")
        if not given:
            return default
        if not given.isascii() or not given.isdigit() or not low <= int(given[:12]) <= high:
            raise ValueError(f"{name}: expected a whole number from {low} to {high}, got {given!r:.40}")
        return int(given)


@dataclass(frozen=True, slots=True)
class Go:
    """Where an action leads: the page that a form's browser is sent to, and what it says there. A script gets `data`."""

    to: str
    said: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class File:
    """A file to take away. Its name may be anything: what could mislead a browser or a shell is taken out before it is sent."""

    name: str
    kind: str  # a media type
    body: bytes


PageHandler = Callable[[Asked], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]
ActionHandler = Callable[[Asked], Go | Awaitable[Go]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its path (Starlette's form: /findings/{key}), what it shows, and the template that shows it."""

    path: str
    show: PageHandler
    template: str
    title: str = ""  # of the window; empty: the values' own `title`
    roles: Sequence[Role] = EVERYONE


@dataclass(frozen=True, slots=True)
class Action:
    """One POST: its path, what it does, and who may."""

    path: str
    do: ActionHandler
    roles: Sequence[Role] = EVERYONE
    most_bytes: int = 256 * 1024  # of its body


@dataclass(frozen=True, slots=True)
class Download:
    """One file to take away: its path, what gives it (in a thread), and who may."""

    path: str
    give: Callable[[Asked], File]
    roles: Sequence[Role] = EVERYONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Pages that belong together. `folder` holds `templates/` and `static/` (served as /static/NAME/FILE)."""

    name: str
    title: str  # in the navigation; empty: it is not shown there
    home: str
    folder: Path
    pages: Sequence[Page] = ()
    actions: Sequence[Action] = ()
    downloads: Sequence[Download] = ()
    roles: Sequence[Role] = EVERYONE  # who sees it in the navigation
