"""Pages asked without a network: a client that keeps cookies and sends what a browser would, and a room to ask."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from starlette.types import ASGIApp

from trueline.store.opening import open_database
from trueline.web.site.room import Action, Asked, Back, Download, File, Go, NotThere, Page, Refused, Room
from trueline.web.site.site import Site, site

URL = "http://127.0.0.1:8100"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202e{{7*7}}"


@dataclass
class Browser:
    """What a browser sends to an app, its cookies kept from one request to the next."""

    app: ASGIApp
    url: str = URL
    cookies: dict[str, str] = field(default_factory=dict)
    client: str = "127.0.0.1"

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self._send("GET", path, headers=headers)

    def form(self, path: str, fields: Mapping[str, str], **headers: str) -> httpx2.Response:
        return self._send(
            "POST", path, data=dict(fields), headers={"origin": self.url, "sec-fetch-site": "same-origin", **headers}
        )

    def json(self, path: str, fields: Any, **headers: str) -> httpx2.Response:
        return self._send("POST", path, json=fields, headers={"origin": self.url, "sec-fetch-site": "same-origin", **headers})

    def token(self, path: str) -> str:
        """The token that a page's forms show."""
        found = re.search(r'<meta name="csrf" content="([^"]+)">', self.get(path).text)
        assert found, "the page shows no token"
        return found[1]

    def _send(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        async def ask() -> httpx2.Response:
            carrier = httpx2.ASGITransport(app=self.app, client=(self.client, 1))
            async with httpx2.AsyncClient(transport=carrier, base_url=self.url, cookies=self.cookies) as client:
                answer = await client.request(method, path, **rest)
                self.cookies = dict(client.cookies)
                return answer

        return asyncio.run(ask())


def toy(folder: Path, **settings: Any) -> ASGIApp:
    """A site of one room: a list that is open to all, a note that an operator may change, and faults of every kind."""
    (folder / "toy" / "templates").mkdir(parents=True, exist_ok=True)
    (folder / "toy" / "static").mkdir(exist_ok=True)
    (folder / "toy" / "templates" / "toy.html").write_text(
        '{% extends "base.html" %}{% block main %}<h1>{{ title }}</h1><p>{{ words }}</p>{% endblock %}'
    )
    (folder / "toy" / "static" / "toy.js").write_text("export const one = 1;\n")
    told = {"words": HOSTILE}

    def show(asked: Asked) -> dict[str, object]:
        return {"title": HOSTILE, **told, "by": asked.visitor.name}

    def one(asked: Asked) -> dict[str, object]:
        if asked.path["key"] == "broken":
            raise RuntimeError("a secret of the inside")
        if asked.path["key"] != "known":
            raise NotThere(f"there is no {asked.path['key']}")
        return {"title": "known", "words": str(asked.whole("n", 3, 1, 9))}

    def change(asked: Asked) -> Go:
        if asked.text("words") == "no":
            raise Refused("not this word")
        if asked.text("words") == "late":
            raise Back("somebody was faster", "/toy", by="bob")
        told["words"] = asked.text("words")
        return Go("/toy", said=f"now {told['words']}", data={"words": told["words"]})

    def take(asked: Asked) -> File:
        if asked.path["key"] != "known":
            raise NotThere(f"there is no {asked.path['key']}")
        return File(HOSTILE, "text/plain", HOSTILE.encode())

    room = Room(
        name="toy", title="Toy", home="/toy", folder=folder / "toy",
        pages=(Page("/toy", show, "toy.html"), Page("/toy/{key}", one, "toy.html")),
        actions=(Action("/toy/change", change, roles=("operator",), most_bytes=1000),),
        downloads=(Download("/toy/file/{key}", take),),
    )  # fmt: skip
    return site(Site(database=open_database(folder / "web.db"), **settings), [room])
