"""The form of an attestation: one way to write it in bytes, and an envelope that is signed.

Bytes: the JSON Canonicalization Scheme (RFC 8785), less its hard part. Keys are sorted by their UTF-16 code units, nothing
stands between tokens, a string is escaped only where JSON must, text is UTF-8; the only numbers are whole ones within 2^53.
There are no floats: rates travel as text with six decimals, so that no two writers can differ on a digit.

Envelope: DSSE 1.0 (https://github.com/secure-systems-lab/dsse, protocol.md). What is signed is not the payload but PAE(type,
payload), so that a signature made for one kind of document is none for another, and what is checked is bytes, before anybody
parses them. Ours holds exactly one signature, its key id is the public key itself, and base64 has its one strict spelling.

>>> canonical({"b": 1, "a": "ö"})
b'{"a":"\\xc3\\xb6","b":1}'
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from trueline.core.records import from_dict, to_dict

TYPE = "application/vnd.trueline.attestation+json"
MOST = 1_048_576  # bytes of a file; a whole campaign takes some ten thousand
WHOLE = 2**53 - 1  # the largest whole number that every reader of JSON keeps


class AttestationError(ValueError):
    """A file that is no attestation, or an attestation that cannot be made; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who signed (the public key, `ed25519:` and 64 hexadecimal digits), and the signature in base64."""

    keyid: str
    sig: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A DSSE envelope as it lies in a file; names are those of its specification."""

    payloadType: str  # noqa: N815 - DSSE's spelling
    payload: str  # base64
    signatures: tuple[Signature, ...]


def canonical(value: object) -> bytes:
    """Write plain values in their one form. Raises AttestationError for what has none: a float, a number that is too large."""
    try:
        return _written(value).encode()
    except UnicodeEncodeError:
        raise AttestationError(
            "expected text that UTF-8 can write, got half of a surrogate pair; name the thing anew"
        ) from None


def pae(kind: str, payload: bytes) -> bytes:
    """What is signed: DSSE's pre-authentication encoding of a type and a payload.

    >>> pae("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    named = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(named), named, len(payload), payload)


def sealed(payload: bytes, keyid: str, sig: bytes) -> str:
    """The envelope of a signed payload, as the text of a file."""
    signed = Signature(keyid=keyid, sig=base64.b64encode(sig).decode())
    envelope = Envelope(payloadType=TYPE, payload=base64.b64encode(payload).decode(), signatures=(signed,))
    return json.dumps(to_dict(envelope), indent=2) + "\n"


def opened(data: bytes, where: str) -> Envelope:
    """Read an envelope, and nothing of what it holds. Raises AttestationError, or RecordError with the field."""
    envelope = from_dict(Envelope, plain(data, where), where)
    if envelope.payloadType != TYPE:
        raise AttestationError(f"{where}: payloadType: expected {TYPE}, got {envelope.payloadType!r:.80}; give an attestation")
    if len(envelope.signatures) != 1:
        raise AttestationError(f"{where}: signatures: expected exactly one, got {len(envelope.signatures)}")
    return envelope


def plain(data: bytes, where: str) -> object:
    """JSON values of bytes from anywhere: at most MOST of them, no key twice, no depth that ends the reader."""
    if len(data) > MOST:
        raise AttestationError(f"{where}: expected at most {MOST:,} bytes, got {len(data):,}; this is no attestation")
    try:
        return json.loads(data.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        said = " ".join(str(error).split())[:120]
        raise AttestationError(f"{where}: expected JSON as `trueline watch attest` writes it: {said}") from None


def bytes_of(text: str, where: str) -> bytes:
    """What base64 stands for. Any other spelling of the same bytes is refused, so that no letter of it can be changed."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if base64.b64encode(found).decode() != text:
        raise AttestationError(f"{where}: expected base64 with its padding, got {text!r:.40}; the file was changed")
    return found


def _written(value: object) -> str:
    if value is None or isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        if abs(value) > WHOLE:
            raise AttestationError(f"expected a whole number within 2^53, got {value}; write it as text")
        return str(value)
    if isinstance(value, dict):
        named = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_written(key)}:{_written(inner)}" for key, inner in named) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_written, value)) + "]"
    raise AttestationError(f"expected text, whole numbers, lists and objects, got {type(value).__name__}; write it as text")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found
