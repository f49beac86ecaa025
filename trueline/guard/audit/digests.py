"""Digests of texts under a secret key, so that a record can prove a text and nobody can guess it from the record.

A plain SHA-256 of a short text (a name, a card number, "yes") is found by trying all that are likely; an HMAC-SHA-256
(RFC 2104) only by who holds the key. The key is `TRUELINE_AUDIT_KEY`, or the file `key` in the audit's folder, which the first
start makes for its owner's eyes alone (mode 0600). Without it a chain can still be verified; its head and the texts cannot.

>>> Secret(b"k" * 32).digest(b"yes") == Secret(b"k" * 32).digest(b"yes"), len(Secret(b"k" * 32).digest(b"yes"))
(True, 64)
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import orjson

from trueline.core.config import ConfigError
from trueline.guard.exchange import Exchange, Piece, Side
from trueline.guard.ruling import Ruling

ENVIRONMENT = "TRUELINE_AUDIT_KEY"
MOST_EACH = (
    16  # so many pieces of a side, the last first and `other` left out, have a digest of their own; all are in the side's
)


class Secret:
    """A key for digests; it never shows itself."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ConfigError(f"expected an audit key of at least 32 bytes, got {len(key)}; make one: openssl rand -hex 32")
        texts = hmac.digest(key, b"trueline audit texts", "sha256")  # one key for each use
        self._heads = hmac.digest(key, b"trueline audit heads", "sha256")
        # HMAC by its definition, with the two keyed states made once: three times as fast as hmac.digest on short texts.
        self._inner, self._outer = (sha256(bytes(byte ^ pad for byte in texts.ljust(64, b"\0"))) for pad in (0x36, 0x5C))

    @classmethod
    def open(cls, folder: Path, make: bool = True) -> Secret:
        """The key of the environment, else of the folder, where it is made if there is none and it may be."""
        given = os.environ.get(ENVIRONMENT, "")
        if not given and not make and not (folder / "key").exists():
            raise ConfigError(f"{folder}: expected an audit's folder, with its key in it, found none; or set {ENVIRONMENT}")
        return cls(given.encode() if given else _key_file(folder / "key"))

    def digest(self, data: bytes) -> str:
        """A keyed digest of bytes, hex."""
        return self._hmac(data).hex()

    def sign(self, text: str) -> str:
        """A signature over the head of a chain, hex."""
        return hmac.digest(self._heads, text.encode(), "sha256").hex()

    def of_piece(self, text: str) -> str:
        """A keyed digest of one text: half of the HMAC, the least that RFC 2104 (section 5) advises; 32 hex digits."""
        return self._hmac(text.encode("utf-8", "surrogatepass"))[:16].hex()

    def of_side(self, pieces: Sequence[Piece], content: bytes) -> dict[str, object]:
        """The fields of a Sum; `content` is `content_of` the exchange."""
        places: dict[str, int] = {}
        each: list[str] = []
        for piece in reversed(pieces):
            place = piece.place
            places[place] = places.get(place, 0) + 1
            if place != "other" and len(each) < MOST_EACH:
                each.append(self.of_piece(piece.text))
        return {"digest": self.digest(content), "each": each, "pieces": len(pieces), "places": places}

    def of_edits(self, ruling: Ruling) -> str:
        """A digest of what a ruling changes; empty where it changes nothing."""
        if not ruling.edits and not ruling.decision.text:
            return ""
        return self.digest(_json([ruling.edits, ruling.decision.text]))

    def _hmac(self, data: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()


def content_of(exchange: Exchange, side: Side) -> bytes:
    """All of one side that a decision can depend on, as canonical JSON: what is digested, and what is retained.

    Lists and not objects: three times as fast, and read back by `replay.exchange_of` alone.
    """
    if side == "input":
        talk = [(said.role, said.text, said.tool_calls, said.tool_call_id) for said in exchange.conversation.messages]
        asked = [(piece.place, piece.text, piece.path) for piece in exchange.asked]
        heard = exchange.conversation
        return _json([exchange.endpoint, exchange.model, exchange.stream, heard.id, heard.tools, talk, exchange.tools,
                      exchange.unread, asked])  # fmt: skip
    return _json([[(piece.place, piece.text, piece.path) for piece in exchange.said], exchange.calls])


def _json(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # a lone surrogate: the standard library escapes it
        return json.dumps(value, default=asdict, separators=(",", ":")).encode()


def _key_file(path: Path) -> bytes:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = path.with_name(f".key.{os.getpid()}.tmp")
        handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, secrets.token_hex(32).encode())
            os.fsync(handle)
            os.link(made, path)  # whole, or not at all; where another process was first, its key stands
        except FileExistsError:
            pass
        finally:
            os.close(handle)
            made.unlink()
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"{path}: expected a key that only its owner can read, others can; run: chmod 600 {path}")
    return path.read_bytes().strip()
