"""The site: rooms put together into one app, with who may come in before them.

    app = site(Site(database=..., runs=Path("runs")), rooms)          # an ASGI app

Every page has a URL and a JSON twin (the same values, at the path plus `.json`); every action is a POST with the token of the
page's form. Without accounts the visitor is this machine's user; with them, whoever is not in is sent to /login.
"""

from __future__ import annotations

import inspect
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from trueline.core.records import json_line
from trueline.evaluate.pages import environment
from trueline.evaluate.shape import visible
from trueline.store.opening import Database
from trueline.web.site.accounts import Accounts
from trueline.web.site.drawing import DRAWER
from trueline.web.site.login import cookie_name, login_routes
from trueline.web.site.outside import Outside, Wall
from trueline.web.site.reading import BodyError, read_form, wants_json
from trueline.web.site.room import Action, Asked, Back, Download, Go, Json, NotThere, Page, Refused, Room
from trueline.web.site.static_files import address_of, files_of, serve_file
from trueline.web.site.visitor import LOCAL, ROLES, Visitor

HERE = Path(__file__).parent
log = logging.getLogger(__name__)
Handler = Callable[[Request], Awaitable[Response]]


def utc() -> datetime:
    """Tell the time."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Site:
    """What every handler works with. `accounts` None: one visitor, this machine's user, who may do all."""

    database: Database
    runs: Path = Path("runs")  # the folder that run folders are in
    accounts: Accounts | None = None
    outside: Outside = Outside()
    rooms: Mapping[str, object] = field(default_factory=dict)  # what a room was handed by the process: its targets, its judge
    now: Callable[[], datetime] = utc
    local: Visitor = field(
        default_factory=lambda: Visitor(id=LOCAL, name=LOCAL, roles=frozenset(ROLES), csrf=secrets.token_urlsafe(24))
    )

    def visitor(self, request: Request) -> Visitor | None:
        """Who asks; None for who is not in."""
        return self.accounts.inside(self.token(request)) if self.accounts else self.local

    def token(self, request: Request) -> str:
        """The session's token that a request shows."""
        return request.cookies.get(cookie_name(self.outside.tls), "")


def site(settings: Site, rooms: Sequence[Room]) -> ASGIApp:
    """The app of these rooms; a visitor's first page is the home of the first room that they see."""
    return Wall(
        Starlette(routes=Pages(settings, rooms).routes(), exception_handlers={404: _plain, 405: _plain}), settings.outside
    )


class Pages:
    """The rooms' pages and actions as routes."""

    def __init__(self, settings: Site, rooms: Sequence[Room]) -> None:
        self.site, self.rooms = settings, rooms
        self.files = files_of([("site", HERE), *((room.name, room.folder) for room in rooms)])
        folders = dict.fromkeys((*(room.folder / "templates" for room in rooms), HERE / "templates"))
        _check_names(folders)
        self.env = environment(*folders)  # one for these folders, so that a template is compiled once
        self.env.globals["file"] = partial(address_of, self.files)
        self.env.filters |= {"visible": visible, "drawn": DRAWER.panels}
        for name in ("error.html", *(page.template for room in rooms for page in room.pages)):
            self.env.get_template(name)  # now: nobody's first look waits for it, and a broken one is found

    def routes(self) -> list[Route]:
        """Every route; a JSON twin stands before its page, for {key} would take `.json` too."""

        async def static(request: Request) -> Response:
            return serve_file(self.files, request)

        async def home(request: Request) -> Response:
            visitor = await self._visitor(request)
            if visitor is None:
                return self._to_login(request)
            first = next((room for room in self.rooms if room.title and visitor.may(room.roles)), self.rooms[0])
            return RedirectResponse(first.home, 303)

        made = [Route("/static/{name:path}", static, methods=["GET"]), Route("/", home, methods=["GET"])]
        if self.site.accounts:
            made += login_routes(self.site.accounts, self._html, self.site.outside.tls)
            made.append(Route("/logout", self._logout(self.site.accounts), methods=["POST"]))
        for room in self.rooms:
            made += [Route(f"{one.path}.json", self._twin(one), methods=["GET"]) for one in room.pages]
            made += [Route(one.path, self._page(room, one), methods=["GET"]) for one in room.pages]
            made += [Route(one.path, self._action(one), methods=["POST"]) for one in room.actions]
            made += [Route(one.path, self._download(one), methods=["GET"]) for one in room.downloads]
        return made

    def _page(self, room: Room, page: Page) -> Handler:
        async def handle(request: Request) -> Response:
            visitor = await self._visitor(request)
            if visitor is None:
                return self._to_login(request)
            try:
                values = await self._shown(request, visitor, page)
            except Exception as error:
                return self._failed(request, visitor, error)
            title = page.title or str(values.get("title", room.title))
            told = {**values, "title": title, "room": room.name}
            return await run_in_threadpool(self._html, request, visitor, page.template, 200, told)  # it may wait for drawings

        return handle

    def _download(self, download: Download) -> Handler:
        async def handle(request: Request) -> Response:
            visitor = await self._visitor(request)
            if visitor is None:
                return self._to_login(request)
            try:
                _check(visitor, download.roles)
                file = await run_in_threadpool(download.give, self._asked(request, visitor, {}))
            except Exception as error:
                return self._failed(request, visitor, error)
            name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.name).strip("-.") or "file"
            headers = {"content-disposition": f'attachment; filename="{name}"'}
            return Response(file.body, headers=headers, media_type=file.kind)

        return handle

    def _twin(self, page: Page) -> Handler:
        async def handle(request: Request) -> Response:
            visitor = await self._visitor(request)
            if visitor is None:
                return _json({"error": "log in first"}, 401)
            try:
                return _json(dict(await self._shown(request, visitor, page)))
            except Exception as error:
                status, text = _fault(request, error)
                return _json({"error": text}, status)

        return handle

    def _logout(self, accounts: Accounts) -> Handler:
        async def handle(request: Request) -> Response:
            answer = await self._action(Action("/logout", lambda _: Go("/login", said="logged out")))(request)
            if answer.status_code == 303:
                await run_in_threadpool(accounts.leave, self.site.token(request))
                answer.delete_cookie(cookie_name(self.site.outside.tls), path="/")
            return answer

        return handle

    def _action(self, action: Action) -> Handler:
        async def handle(request: Request) -> Response:
            visitor, scripted = await self._visitor(request), wants_json(request)
            if visitor is None:
                return _json({"error": "log in first"}, 401) if scripted else self._to_login(request)
            try:
                form = await read_form(request, action.most_bytes)
                token = request.headers.get("x-csrf-token", "") or str(form.pop("csrf", ""))
                if not secrets.compare_digest(token.encode(), visitor.csrf.encode()):
                    raise Refused("this page is from an earlier session; reload it and try again")
                _check(visitor, action.roles)
                went = await _called(action.do, self._asked(request, visitor, form))
            except Back as back:
                if scripted:
                    return _json({"error": str(back), "to": back.to, **back.data}, back.status)
                return _led(back.to, str(back))
            except Exception as error:
                if not scripted:
                    return self._failed(request, visitor, error)
                status, text = _fault(request, error)
                return _json({"error": text}, status)
            if scripted:
                return _json({"to": went.to, "said": went.said, **went.data})
            return _led(went.to, went.said)

        return handle

    async def _visitor(self, request: Request) -> Visitor | None:
        return await run_in_threadpool(self.site.visitor, request)

    async def _shown(self, request: Request, visitor: Visitor, page: Page) -> Mapping[str, Any]:
        _check(visitor, page.roles)
        return await _called(page.show, self._asked(request, visitor, {}))

    def _asked(self, request: Request, visitor: Visitor, form: Json) -> Asked:
        path = {name: str(value) for name, value in request.path_params.items()}
        return Asked(site=self.site, visitor=visitor, path=path, query=dict(request.query_params), form=form)

    def _html(
        self, request: Request, visitor: Visitor | None, template: str, status: int, values: Mapping[str, Any]
    ) -> Response:
        """A page. `said` is a note of an action that led here; it comes by the address, so anybody may have written it."""
        told = {
            "visitor": visitor,
            "accounts": self.site.accounts is not None,
            "rooms": [one for one in self.rooms if one.title and visitor and visitor.may(one.roles)],
            "said": request.query_params.get("said", "")[:200],
            "twin": f"{request.url.path}.json" + (f"?{request.url.query}" if request.url.query else ""),
        }
        DRAWER.begin_page()
        return Response(self.env.get_template(template).render({**told, **values}), status, media_type="text/html")

    def _failed(self, request: Request, visitor: Visitor, error: Exception) -> Response:
        status, text = _fault(request, error)
        return self._html(request, visitor, "error.html", status, {"title": str(status), "room": "", "text": text})

    def _to_login(self, request: Request) -> Response:
        after = quote(request.url.path) if request.method == "GET" else ""
        return RedirectResponse(f"/login?to={after}" if after else "/login", 303)


def _check_names(folders: Iterable[Path]) -> None:
    """Raise ValueError where two rooms have a template of one name: one of them would be shown the other's."""
    seen: dict[str, Path] = {}
    for folder in folders:
        for path in folder.rglob("*.html"):
            name = path.relative_to(folder).as_posix()
            if seen.setdefault(name, folder) != folder:
                raise ValueError(f"{path}: expected a template name that no other room has, found {seen[name] / name} too")


def _check(visitor: Visitor, roles: Sequence[str]) -> None:
    if not visitor.may(roles):
        raise Refused(f"this is for the roles {', '.join(roles)}; an admin can give them (trueline web user)")


def _led(to: str, said: str) -> Response:
    return RedirectResponse(to + (f"{'&' if '?' in to else '?'}said={quote(said)}" if said else ""), 303)


async def _called(handler: Callable[[Asked], Any], asked: Asked) -> Any:
    """What a handler gives: an async one here, any other in a thread, for it reads the database."""
    if inspect.iscoroutinefunction(handler):
        return await handler(asked)
    return await run_in_threadpool(handler, asked)


def _fault(request: Request, error: Exception) -> tuple[int, str]:
    """The status and the text of what went wrong; what nobody foresaw is told in the log, without what was asked."""
    if isinstance(error, NotThere):
        return 404, str(error)
    if isinstance(error, Refused):
        return 403, str(error)
    if isinstance(error, BodyError):
        return error.status, str(error)
    if isinstance(error, ValueError):
        return 400, str(error)
    log.error("%s while answering %s", type(error).__name__, request.url.path, exc_info=error)
    return 500, "something went wrong here; the log of trueline web says what"


async def _plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Response(f"{error.status_code}: there is no such page\n", error.status_code, media_type="text/plain")


def _json(value: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json_line(value), status, media_type="application/json")
