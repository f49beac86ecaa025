"""What passes other gateways: a banned word in each disguise, in each position of each endpoint, through the whole gateway.

The disguises and the positions are those at which some gateway was seen to fail: a word that a reader reads, and a filter
does not.
"""

from __future__ import annotations

import asyncio
import base64
import codecs
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guard.fakes import Finds, chain_of
from tests.guard.gateway.around import Upstream, ask, gateway
from trueline.guard.coverage.positions import POSITIONS, Position
from trueline.guard.coverage.proving import PATHS, PLAIN
from trueline.guard.coverage.replies import reply, stream

WORD = "marrowfat"
DISGUISES = {
    "plain": WORD,
    "capitals": WORD.upper(),
    "zero-width": "mar\u200brow\u200dfat",
    "soft hyphen": "mar\u00adrowfat",
    "look-alikes": "m\u0430rr\u043ewf\u0430t",
    "full width": "".join(chr(ord(c) + 0xFEE0) for c in WORD),
    "accents": "m\u00e1rr\u00f6wf\u00e2t",
    "leet": "m4rr0wf4t",
    "spaced": " ".join(WORD),
    "dotted": ".".join(WORD),
    "base64": base64.b64encode(f"a {WORD}, please".encode()).decode(),
    "hex": f"a {WORD}".encode().hex(),
    "url": "".join(f"%{ord(c):02x}" for c in WORD),
    "entities": "".join(f"&#{ord(c)};" for c in WORD),
    "rot13": codecs.encode(WORD, "rot13"),
    "backwards": WORD[::-1],
    "tags": "".join(chr(0xE0000 + ord(c)) for c in WORD),
    "base64 twice": base64.b64encode(base64.b64encode(f"a {WORD}, please".encode())).decode(),
}
INPUTS = [position for position in POSITIONS if position.side == "input"]
OUTPUTS = [position for position in POSITIONS if position.side == "output" and position.endpoint != "models"]


@pytest.mark.parametrize("disguise", DISGUISES)
def test_no_disguise_passes_in_any_position_of_a_request(tmp_path: Path, disguise: str) -> None:
    """Whatever the endpoint and the place, the upstream is not asked."""

    async def run() -> list[tuple[str, str]]:
        upstream = Upstream()
        app = gateway(tmp_path, chain_of(Finds(word=WORD)), upstream)
        passed = []
        for position in INPUTS:
            upstream.asked.clear()
            await ask(app, PLAIN[position.endpoint] | position.put(DISGUISES[disguise]), PATHS[position.endpoint])
            if upstream.asked:
                passed.append((position.endpoint, position.label))
        await app.audit.close()
        return passed

    assert asyncio.run(run()) == []


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("streamed", [False, True])
def test_no_disguise_passes_in_any_position_of_a_reply(tmp_path: Path, disguise: str, streamed: bool) -> None:
    """Nothing of it reaches the client, as a whole or cut in two by a stream that leaves as it grows."""

    async def run() -> list[tuple[str, str]]:
        app = gateway(tmp_path, chain_of(Finds(word=WORD)), Upstream())
        passed = []
        for position in _those(streamed):
            app.upstream.body = list(_said(position, disguise, streamed))  # type: ignore[attr-defined] # the test's own
            app.upstream.kind = "text/event-stream" if streamed else "application/json"  # type: ignore[attr-defined]
            asked = PLAIN[position.endpoint] | ({"stream": True} if streamed else {})
            answer = await ask(app, asked, PATHS[position.endpoint])
            hidden = json.dumps(DISGUISES[disguise])[1:-1].encode()
            if hidden in answer.body or DISGUISES[disguise].encode() in answer.body:
                passed.append((position.endpoint, position.label))
        await app.audit.close()
        return passed

    assert asyncio.run(run()) == []


def _those(streamed: bool) -> list[Position]:
    return [position for position in OUTPUTS if position.streams or not streamed]


def _said(position: Position, disguise: str, streamed: bool) -> Iterator[bytes]:
    said = position.put(DISGUISES[disguise])
    yield from stream(position.endpoint, said) if streamed else [json.dumps(reply(position.endpoint, said)).encode()]
