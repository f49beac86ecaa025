"""Logs tell what happened, line by line, and nothing of what was said."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guard.fakes import Finds, chain_of
from tests.guard.gateway.around import CHAT, Upstream, ask, gateway, said
from trueline.guard.gateway.logs import LOGGER, log_to


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged while a test runs."""
    logger = logging.getLogger(LOGGER)
    before = (logger.level, list(logger.handlers), logger.propagate)
    stream = io.StringIO()
    log_to(stream, every=True)
    yield stream
    logger.level, logger.handlers, logger.propagate = before


def test_an_exchange_is_one_line_of_json_without_what_was_said(tmp_path: Path, lines: io.StringIO) -> None:
    """Its id, endpoint, word and time; no text of either side."""

    async def run() -> str:
        app = gateway(tmp_path, chain_of(Finds(word="marrow")), Upstream(body=said("good day")))
        answer = await ask(app)
        await app.audit.close()
        return answer.headers["x-trueline-id"]

    id_ = asyncio.run(run())
    (line,) = lines.getvalue().splitlines()
    told = json.loads(line)
    assert (told["event"], told["id"], told["endpoint"], told["action"]) == ("exchange", id_, "chat", "allow")
    assert told["ms"] > 0
    assert "hello" not in line
    assert "good day" not in line


def test_an_error_is_told_by_its_kind_and_never_by_its_text(tmp_path: Path, lines: io.StringIO) -> None:
    """What an upstream or a library puts into an error may be what was asked."""

    class Odd(Upstream):
        def ask(self, *asked: object) -> object:  # type: ignore[override]
            raise RuntimeError("the user said hello")

    async def run() -> int:
        app = gateway(tmp_path, chain_of(Finds(word="marrow")), Odd())
        answer = await ask(app, CHAT)
        await app.audit.close()
        return answer.status

    assert asyncio.run(run()) == 500
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert any(one.get("error") for one in told)
    assert "hello" not in lines.getvalue()
