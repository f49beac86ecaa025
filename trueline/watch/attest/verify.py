"""Whether an attestation is genuine, and whether it still holds today.

    checked = verify(data, trusted={"sha256:..."}, now=datetime.now(UTC), shipped=shipped())
    checked.status                     "holds", "broken", "not_trusted", "expired", "outdated" or "another_target"

In this order: the envelope is read (its size, its fields, its base64), the signature is checked over the bytes, the key is
looked up among those that are trusted, and only then is the document itself read. What a stranger signed is never shown.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from trueline.attack.packs import Pack
from trueline.watch.attest.form import TYPE, bytes_of, opened, pae
from trueline.watch.attest.keys import public_key
from trueline.watch.attest.statement import Statement, newer, read_statement, when

Status = Literal["holds", "broken", "not_trusted", "expired", "outdated", "another_target"]
CODES: dict[Status, int] = {  # exit codes: holds 0, does not 1, nobody can say 3
    "holds": 0, "broken": 1, "not_trusted": 3, "expired": 1, "outdated": 1, "another_target": 1,
}  # fmt: skip
SKEW = timedelta(minutes=10)  # that clocks may differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found: the status, why, who signed, and what is stated (only where the signer is trusted)."""

    status: Status
    why: tuple[str, ...]
    signer: str  # fingerprint
    statement: Statement | None = None

    @property
    def code(self) -> int:
        """The exit code."""
        return CODES[self.status]


def verify(
    data: bytes,
    *,
    trusted: Collection[str],
    now: datetime,
    shipped: Sequence[Pack],
    target: str = "",
    where: str = "attestation",
) -> Checked:
    """Check an attestation; `trusted` are fingerprints, `target` is the content hash of what should have been tested.

    Raises AttestationError, or another ValueError, for what is no attestation at all.
    """
    envelope = opened(data, where)
    (signature,) = envelope.signatures
    key = public_key(signature.keyid)
    payload, sig = bytes_of(envelope.payload, where), bytes_of(signature.sig, where)
    if not key.signed(sig, pae(TYPE, payload)):
        said = "the signature is not of this document and the key that it names: one of them was changed"
        return Checked(status="broken", why=(said,), signer=key.fingerprint)
    if key.fingerprint not in trusted:
        said = f"signed by {key.fingerprint}, which is not trusted here; if it should be: --key FILE.pub or its fingerprint"
        return Checked(status="not_trusted", why=(said,), signer=key.fingerprint)
    found = read_statement(payload, where)
    status, why = _today(found, now, shipped, target)
    return Checked(status=status, why=why, signer=key.fingerprint, statement=found)


def _today(said: Statement, now: datetime, shipped: Sequence[Pack], target: str) -> tuple[Status, tuple[str, ...]]:
    """Whether a genuine statement holds at this moment; every reason is told, and the first gives the status."""
    found: list[tuple[Status, str]] = []
    if target and target != said.tested.target.content:
        was = said.tested.target.content
        found.append(("another_target", f"what was tested has the content {was[:16]}, and this target {target[:16]}"))
    if now >= when(said.expires):
        found.append(("expired", f"it expired at {said.expires}; test again, and attest that"))
    if now + SKEW < when(said.made):
        found.append(("expired", f"it is dated {said.made}, which has not come yet; look at the clocks"))
    if late := newer(said, shipped):
        names = ", ".join(f"{pack.label} of {pack.date}" for pack in late)
        found.append(("outdated", f"packs that were not tested are out since: {names}; test with them, and attest that"))
    return (found[0][0] if found else "holds", tuple(why for _, why in found))
