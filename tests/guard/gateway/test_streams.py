"""Streams through the gateway: nothing leaves that may not, and what may leaves unchanged, and as early as its policy says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.guard.fakes import Finds, Says, chain_of
from tests.guard.gateway.around import CHAT, Upstream, ask, gateway, recorded
from trueline.guard.chain import Chain
from trueline.guard.coverage.replies import stream
from trueline.guard.exchange import Exchange, Side
from trueline.guard.policy import Seat
from trueline.guard.rail import Scan
from trueline.guard.ruling import Ruling, allow, block

ASKED = {**CHAT, "stream": True}
SSE = "text/event-stream"


def _pieces(text: str, size: int = 3) -> list[bytes]:
    """A chat stream that says a text in pieces of some characters."""
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    parts = [text[i : i + size] for i in range(0, len(text), size)]
    choices: list[tuple[dict[str, str], str | None]] = [({"content": part}, None) for part in parts]
    chunks = [{**head, "choices": [{"index": 0, "delta": d, "finish_reason": f}]} for d, f in (*choices, ({}, "stop"))]
    return [b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]


def _said(body: bytes) -> str:
    """What a client reads of a chat stream."""
    events = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ") and b"[DONE]" not in line]
    choices: list[Any] = [choice for event in events for choice in orjson.loads(event).get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def _run(folder: Path, chain: Chain, upstream: Upstream) -> tuple[Any, list[dict[str, Any]]]:
    async def run() -> tuple[Any, list[dict[str, Any]]]:
        app = gateway(folder, chain, upstream)
        answer = await ask(app, ASKED)
        return answer, await recorded(app, folder)

    return asyncio.run(run())


WHOLE = Says(says=lambda *_: allow("says"))
RELEASES = {"text": (), "checked": (WHOLE,)}


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_allowed_passes_with_its_text_and_its_end(tmp_path: Path, release: str) -> None:
    """The client reads all of it, and the finish that the upstream gave."""
    chain = chain_of(Finds(word="marrow"), *RELEASES[release])
    answer, rows = _run(tmp_path, chain, Upstream(body=_pieces("a carrot is orange"), kind=SSE))
    assert (answer.status, _said(answer.body)) == (200, "a carrot is orange")
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert b'"finish_reason":"stop"' in answer.body
    assert [row["kind"] for row in rows if row.get("id")] == ["accepted", "settled"]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("size", [1, 2, 5, 40])
def test_a_word_is_redacted_however_the_stream_is_cut(tmp_path: Path, release: str, size: int) -> None:
    """A word that comes in several chunks never leaves, not even its beginning."""
    chain = chain_of(Finds(word="marrow", action="redact"), *RELEASES[release])
    answer, _ = _run(tmp_path, chain, Upstream(body=_pieces("my marrow is a marrowbone, not a marrow", size), kind=SSE))
    assert _said(answer.body) == "my [x] is a marrowbone, not a [x]"


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("size", [1, 4, 40])
def test_a_blocked_word_ends_the_stream_and_no_part_of_it_has_left(tmp_path: Path, release: str, size: int) -> None:
    """The stream ends as the format refuses; what came before the word may have left, the word has not."""
    chain = chain_of(Finds(word="marrow"), *RELEASES[release], message="no")
    answer, rows = _run(tmp_path, chain, Upstream(body=_pieces("this is a marrow, and more", size), kind=SSE))
    assert "this is a ".startswith(_said(answer.body)) or _said(answer.body) == "no"
    assert b"marr" not in answer.body
    assert b'"finish_reason":"content_filter"' in answer.body
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert [row["ruling"]["action"] for row in rows if row["kind"] == "settled"] == ["block"]


def test_where_a_rail_needs_the_whole_reply_nothing_leaves_before_it_has_spoken(tmp_path: Path) -> None:
    """A rail that judges at the end sees all of it, and a client that is refused has read none of it."""

    def last(exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        text = "".join(piece.text for piece in exchange.said if piece.place == "assistant")
        return block("says", "odd") if side == "output" and text.endswith("orange") else allow("says")

    answer, _ = _run(tmp_path, chain_of(Says(says=last), message="no"), Upstream(body=_pieces("a carrot is orange"), kind=SSE))
    assert _said(answer.body) == "no"


def test_text_leaves_as_it_grows_and_a_late_word_can_only_end_it(tmp_path: Path) -> None:
    """Under `release: text` a rail that needs the whole reply speaks when text has left, and ends the stream with a refusal."""
    late = Says(says=lambda exchange, side, scan: block("says", "odd") if side == "output" else allow("says"))
    answer, rows = _run(tmp_path, chain_of(late, release="text"), Upstream(body=_pieces("a carrot is orange"), kind=SSE))
    assert _said(answer.body) == "a carrot is "  # the last word waits for what may follow
    assert b'"finish_reason":"content_filter"' in answer.body
    assert [row["ruling"]["action"] for row in rows if row["kind"] == "settled"] == ["block"]


def test_text_leaves_before_the_upstream_has_ended(tmp_path: Path) -> None:
    """Under `release: text` a client reads the beginning while the model still writes."""

    async def run() -> None:
        written = _pieces("a carrot is orange")
        chain = chain_of(Finds(word="marrow"))
        from trueline.guard.streaming import Streamed
        from trueline.guard.wires import wire_of

        wire = wire_of("POST", "/v1/chat/completions")
        assert wire is not None
        judge = Streamed(chain=chain, stream=wire.stream(wire.read_request(orjson.dumps(ASKED))))
        seen = [await judge.feed(piece) for piece in written[:4]]
        assert _said(b"".join(seen)) == "a carrot is "

    asyncio.run(run())


@pytest.mark.parametrize("release", RELEASES)
def test_an_upstream_that_dies_ends_in_an_error_that_clients_raise(tmp_path: Path, release: str) -> None:
    """Half a stream does not look like a whole one, and the record says that it broke off."""
    chain = chain_of(Finds(word="marrow"), *RELEASES[release])
    answer, rows = _run(tmp_path, chain, Upstream(body=_pieces("a carrot is orange")[:3], kind=SSE, breaks=True))
    assert b'"error"' in answer.body
    assert not answer.body.endswith(b"[DONE]\n\n")
    assert [row["finish"] for row in rows if row["kind"] == "settled"] == ["UpstreamError"]


@pytest.mark.parametrize("release", RELEASES)
def test_a_stream_that_ends_without_its_end_is_an_error(tmp_path: Path, release: str) -> None:
    """An upstream that closes the connection after half a reply has not finished it."""
    chain = chain_of(Finds(word="marrow"), *RELEASES[release])
    answer, _ = _run(tmp_path, chain, Upstream(body=_pieces("a carrot is orange")[:3], kind=SSE))
    assert b'"error"' in answer.body


@pytest.mark.parametrize("release", RELEASES)
def test_a_tool_call_is_whole_or_not_there(tmp_path: Path, release: str) -> None:
    """A blocked word in the arguments withholds the whole call, and no part of it is left open."""
    chain = chain_of(Finds(word="marrow"), *RELEASES[release], message="no")
    body = list(stream("chat", {"text": "ok", "arguments": '{"q": "marrow"}'}))
    answer, _ = _run(tmp_path, chain, Upstream(body=body, kind=SSE))
    assert b"tool_calls" not in answer.body
    assert b'"finish_reason":"content_filter"' in answer.body


def test_a_shadow_holds_nothing_back(tmp_path: Path) -> None:
    """A rail that watches and needs the whole reply is asked at the end, and the text has left as it grew."""
    watching = Seat(rail=Says(says=lambda *_: block("says", "odd")), mode="shadow")
    chain = chain_of(Finds(word="marrow"), watching)
    answer, rows = _run(tmp_path, chain, Upstream(body=_pieces("a carrot is orange"), kind=SSE))
    assert _said(answer.body) == "a carrot is orange"
    settled = next(row for row in rows if row["kind"] == "settled")
    assert [(word["action"], word["shadow"]) for word in settled["rails"]] == [("flag", "block")]
