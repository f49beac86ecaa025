"""Logging in and out, and the list of people: the routes of a site with accounts.

A login has no session yet whose token its form could show; that it comes from this site's own page is what `Origin` and
`Sec-Fetch-Site` say (outside.py), and the cookie is sent with no request that another site began (SameSite=Strict).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from trueline.store.accounts import persons
from trueline.web.site.accounts import HOURS, Accounts, TooManyError
from trueline.web.site.reading import BodyError, read_form
from trueline.web.site.room import Asked, Json, Page, Room

MOST = 8 * 1024  # bytes of a login
COOKIE = "trueline_session"
Html = Callable[..., Response]  # (request, None, template, status, values)


def login_routes(accounts: Accounts, html: Html, tls: bool) -> list[Route]:
    """GET and POST of /login; `html` writes a page."""
    name = cookie_name(tls)

    def page(request: Request, status: int, to: str, wrong: str = "", user: str = "") -> Response:
        values = {"title": "Log in", "room": "", "to": to, "wrong": wrong, "user": user}
        return html(request, None, "login.html", status, values)

    async def show(request: Request) -> Response:
        return page(request, 200, within(request.query_params.get("to", "")))

    async def enter(request: Request) -> Response:
        try:
            form = await read_form(request, MOST)
        except BodyError as error:
            return page(request, error.status, "/", str(error))
        user, password = str(form.get("name", "")).strip(), str(form.get("password", ""))
        to, address = within(str(form.get("to", ""))), request.client.host if request.client else ""
        try:
            token = await run_in_threadpool(accounts.enter, user, password, address)
        except TooManyError as error:
            answer = page(request, 429, to, str(error), user)
            answer.headers["retry-after"] = str(error.wait)
            return answer
        if token is None:
            return page(request, 403, to, "no account has this name and this password", user)
        answer = RedirectResponse(to, 303)
        answer.set_cookie(name, token, max_age=HOURS * 3600, httponly=True, samesite="strict", secure=tls, path="/")
        return answer

    return [Route("/login", show, methods=["GET"]), Route("/login", enter, methods=["POST"])]


def cookie_name(tls: bool) -> str:
    """The session's cookie; over TLS its prefix has browsers refuse one that another host or plain HTTP has set."""
    return f"__Host-{COOKIE}" if tls else COOKIE


def within(to: str) -> str:
    """An address to go on to, if it is a path of this site; else the first page.

    >>> within("/findings"), within("//evil.example/x"), within("https://evil.example"), within("/\\\\evil.example")
    ('/findings', '/', '/', '/')
    """
    parts = urlsplit(to)
    clean = to.startswith("/") and not to.startswith("//") and "\\" not in to and to.isprintable()
    return to if clean and not parts.scheme and not parts.netloc else "/"


def _people(asked: Asked) -> Json:
    """Everybody who has an account. Accounts are made on the command line (`trueline web user`)."""
    told: list[dict[str, Any]] = [
        {"id": one.id, "name": one.name, "roles": list(one.roles), "created": one.created, "disabled": one.disabled}
        for one in persons(asked.site.database)
    ]
    return {"people": told}


PEOPLE = Room(
    name="people", title="People", home="/people", folder=Path(__file__).parent / "people", roles=("admin",),
    pages=(Page("/people", _people, "people.html", title="People", roles=("admin",)),),
)  # fmt: skip
