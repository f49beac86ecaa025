"""Keys that attestations are signed with: Ed25519 (RFC 8032), as PEM files that any tool of the trade reads.

    trueline watch key new --out team.key        team.key (yours alone, mode 0600) and team.key.pub (for everybody)

The private key is PKCS#8, encrypted where TRUELINE_WATCH_PASSPHRASE is set. It comes from a file that the command line names,
or from TRUELINE_WATCH_KEY, which holds the PEM itself or the name of its file. Nothing of it is printed or logged.
A fingerprint is the SHA-256 of the public key as DER, which `openssl pkey -pubin -in team.key.pub -outform DER | sha256sum`
prints too.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueline.core.files import sync

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY, PASSPHRASE = "TRUELINE_WATCH_KEY", "TRUELINE_WATCH_PASSPHRASE"  # of the environment
SCHEME, FINGERPRINT = "ed25519:", "sha256:"
OTHERS = 0o077  # what a file of a private key must not allow to anybody else


class SigningKeyError(ValueError):
    """A key that cannot be read, written or used. Never shows a private one."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key, as its 32 bytes."""

    raw: bytes

    @property
    def keyid(self) -> str:
        """The key itself, as envelopes name it."""
        return SCHEME + self.raw.hex()

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the key as DER: an Ed25519 key has one fixed head (RFC 8410)."""
        return FINGERPRINT + hashlib.sha256(bytes.fromhex("302a300506032b6570032100") + self.raw).hexdigest()

    @property
    def pem(self) -> str:
        """The key as people hand it on."""
        serialization = _library("hazmat.primitives.serialization")
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._loaded().public_bytes(serialization.Encoding.PEM, form).decode()

    def signed(self, signature: bytes, message: bytes) -> bool:
        """Whether this key's owner signed the message."""
        try:
            self._loaded().verify(signature, message)
        except (_library("exceptions").InvalidSignature, ValueError):
            return False
        return True

    def _loaded(self) -> Ed25519PublicKey:
        kind: type[Ed25519PublicKey] = _library("hazmat.primitives.asymmetric.ed25519").Ed25519PublicKey
        return kind.from_public_bytes(self.raw)


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key in memory; it shows nothing of itself."""

    _key: Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        """What may be told of it."""
        return PublicKey(self._key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Sign: the same message gets the same 64 bytes."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.fingerprint})"


def new_key() -> PrivateKey:
    """Make a key."""
    return PrivateKey(_library("hazmat.primitives.asymmetric.ed25519").Ed25519PrivateKey.generate())


def write_key(key: PrivateKey, path: Path) -> Path:
    """Write a private key for its owner alone, and the public one beside it; return the latter's path.

    Raises SigningKeyError where a file of that name is there: a key is never written over.
    """
    public = path.with_name(f"{path.name}.pub")
    serialization = _library("hazmat.primitives.serialization")
    passphrase = os.environ.get(PASSPHRASE, "").encode()
    how = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    secret = key._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_new(public, key.public.pem.encode(), 0o644)
    try:
        _write_new(path, secret, 0o600)
    except SigningKeyError:
        public.unlink()
        raise
    return public


def read_key(file: Path | None) -> PrivateKey:
    """Read the private key of a file, else the one that the environment holds or names."""
    held = os.environ.get(KEY, "").strip()
    if file is None and not held:
        raise SigningKeyError(f"expected a private key: --key FILE or {KEY}; `trueline watch key new` makes one")
    if file is None and held.startswith("-----BEGIN"):
        return _private(held.encode(), KEY)
    path = file or Path(held)
    where = str(file) if file else f"the file that {KEY} names"
    if not path.is_file():
        raise SigningKeyError(f"{where}: expected the file of a private key, found none; `trueline watch key new` makes one")
    if path.stat().st_mode & OTHERS:
        raise SigningKeyError(f"{where}: others may read this private key; chmod 600 it, and make a new one if somebody did")
    return _private(path.read_bytes(), where)


def public_key(keyid: str) -> PublicKey:
    """The key that an envelope names."""
    digits = keyid.removeprefix(SCHEME)
    if not keyid.startswith(SCHEME) or len(digits) != 64 or digits.strip("0123456789abcdef"):
        raise SigningKeyError(f"keyid: expected {SCHEME} and 64 hexadecimal digits, got {keyid!r:.90}")
    return PublicKey(bytes.fromhex(digits))


def trusted(word: str) -> str:
    """The fingerprint that a word of the command line trusts: itself, or that of a public key's file."""
    if word.startswith(FINGERPRINT):
        digits = word.removeprefix(FINGERPRINT).lower()
        if len(digits) != 64 or digits.strip("0123456789abcdef"):
            raise SigningKeyError(
                f"{word!r:.90}: expected {FINGERPRINT} and all 64 hexadecimal digits: a shorter one could be forged"
            )
        return FINGERPRINT + digits
    path = Path(word)
    if not path.is_file():
        raise SigningKeyError(f"{word!r:.90}: expected a public key's file or a fingerprint ({FINGERPRINT}...), found neither")
    try:
        loaded = _library("hazmat.primitives.serialization").load_pem_public_key(path.read_bytes())
        return PublicKey(loaded.public_bytes_raw()).fingerprint
    except (ValueError, AttributeError):  # no PEM, or a key of another kind
        raise SigningKeyError(f"{word!r:.90}: expected an Ed25519 public key in PEM (FILE.pub), got something else") from None


def _private(pem: bytes, where: str) -> PrivateKey:
    passphrase = os.environ.get(PASSPHRASE, "").encode() or None
    load = _library("hazmat.primitives.serialization").load_pem_private_key
    kind = _library("hazmat.primitives.asymmetric.ed25519").Ed25519PrivateKey
    try:
        found = load(pem, passphrase)
    except TypeError:  # encrypted and no passphrase, or the other way round
        how = f"unset {PASSPHRASE}: this key has none" if passphrase else f"it is encrypted: set {PASSPHRASE}"
        raise SigningKeyError(f"{where}: {how}") from None
    except (ValueError, _library("exceptions").UnsupportedAlgorithm):
        raise SigningKeyError(
            f"{where}: expected an Ed25519 private key in PEM, or its right passphrase in {PASSPHRASE}"
        ) from None
    if not isinstance(found, kind):
        raise SigningKeyError(
            f"{where}: expected an Ed25519 private key, got one of another kind; `trueline watch key new` makes one"
        )
    return PrivateKey(found)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that is nobody else's from its first byte on, whole or not at all, and never over another one."""
    waiting = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    handle = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(waiting, path)  # fails where a file is, as a rename does not
        except FileExistsError:
            raise SigningKeyError(
                f"{path}: there is a file of that name, and a key is never written over; name another"
            ) from None
    finally:
        waiting.unlink(missing_ok=True)
    sync(path.parent)


def _library(name: str) -> Any:
    """A part of the library that signs: an extra, which who verifies nothing does without."""
    try:
        return import_module(f"cryptography.{name}")
    except ModuleNotFoundError:
        raise SigningKeyError(
            "attestations need the package cryptography, which is not installed: pip install 'trueline[watch]'"
        ) from None
