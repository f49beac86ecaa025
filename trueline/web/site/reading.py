"""The body of a POST, read up to a limit: a form of a page (urlencoded), or a JSON object of a page's script."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

FIELDS = 1000  # of a form
SECONDS = 30.0  # until the whole body is there


class BodyError(ValueError):
    """A body that is not taken; `status` is HTTP's."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def wants_json(request: Request) -> bool:
    """Whether a request was sent by a script, which is answered in kind."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


async def read_form(request: Request, most: int) -> dict[str, Any]:
    """The fields of a body. A form's field that comes twice is its last. Raises BodyError."""
    body = await _body(request, most)
    try:
        if wants_json(request):
            found = json.loads(body)
            json.dumps(found, ensure_ascii=False).encode()  # half of a surrogate pair can be stored nowhere
        else:
            found = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=FIELDS))
            "".join(found.values()).encode()
    except (ValueError, RecursionError):
        raise BodyError(400, "expected a form or a JSON object, got something else; reload the page and try again") from None
    if not isinstance(found, dict):
        raise BodyError(400, f"expected a JSON object, got {type(found).__name__}")
    return found


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > most:
                    raise BodyError(413, f"expected at most {most:,} bytes, got more; send less")
    except (TimeoutError, ClientDisconnect):
        raise BodyError(408, f"expected the whole body within {SECONDS:g} s; send it at once") from None
    return bytes(body)
