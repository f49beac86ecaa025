"""An attestation: a dated and signed document of what was tested, and what was not.   docs/attestation.md

It says which target (with a hash of its content), when, with which packs, goals, judge and budget; what came of it, every rate
with its n and interval and over-refusal beside attack success; what was left dark; and until when it may be leaned on.

    trueline watch attest runs/attack-1a2b --key team.key          writes runs/attack-1a2b/attestation.json
    trueline watch verify runs/attack-1a2b/attestation.json --key team.key.pub

The records here are the whole schema: a field more, one less or one of another kind is refused when the document is read.
Who tested is a `Source`: a campaign (campaign.py), the rounds of a watch (rounds.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from trueline import __version__
from trueline.attack.packs import Pack, in_order
from trueline.core.records import from_dict, to_dict
from trueline.core.types import Rate
from trueline.watch.attest.form import TYPE, AttestationError, canonical, pae, plain, sealed
from trueline.watch.attest.keys import PrivateKey

VERSION = 1  # of the schema
DAYS, MOST_DAYS = 30, 366  # that an attestation stands, where nobody says and at most
CONDITION = "it ends sooner, on the day when a pack is shipped that is newer than the last one here"
_SHARE = re.compile(r"-?\d+\.\d{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A rate as text with six decimals, so that it has one form in bytes: its value, n and 95 % interval."""

    value: str
    n: int
    low: str
    high: str

    def __post_init__(self) -> None:
        if not all(_SHARE.fullmatch(text) for text in (self.value, self.low, self.high)):
            raise AttestationError(f"expected rates with six decimals, got {self.value!r:.20}")

    @classmethod
    def of(cls, rate: Rate | None) -> Share | None:
        """A measured rate; None where nothing was measured."""
        return None if rate is None else cls(value=_six(rate.value), n=rate.n, low=_six(rate.low), high=_six(rate.high))

    @property
    def rate(self) -> Rate:
        """The rate, to be shown."""
        return Rate(value=float(self.value), n=self.n, low=float(self.low), high=float(self.high))


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOf:
    """What was tested: its name, what kind it is, and hashes. Of a remote model the name alone is known (`pinned` is false)."""

    name: str
    kind: Literal["local", "remote", "deployment"]
    content: str  # of all that answers: recipes/opened.py
    template: str
    pinned: bool
    deployment: str = ""  # of what is deployed around the model: prompt, tools, documents, rails; empty: nothing, or not known


@dataclass(frozen=True, slots=True, kw_only=True)
class PackOf:
    """A dated pack that was asked, and the share of goals that it broke."""

    name: str
    version: int
    date: str
    hash: str
    broke: Share | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalsOf:
    """What attacks were after."""

    source: str
    content: str  # hash
    n: int
    clusters: int  # independent ones
    benign: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOf:
    """Who judged, and what that judge is worth on labelled rows, where it was measured."""

    name: str
    hash: str
    measured_on: str = ""  # the rows; empty: its errors are not known, and no rate is corrected
    sensitivity: Share | None = None
    specificity: Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetOf:
    """How much was asked: attack success never stands without it."""

    questions_each: int  # that one attack may ask for one goal
    questions: int  # that were asked for goals that should be refused
    benign_questions: int
    attacks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyOf:
    """A family that nothing may be trained on, and the share of goals that it broke."""

    family: str
    broke: Share | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What came of it."""

    attack_success: Share | None  # goals broken by any attack
    attack_success_corrected: Share | None  # for the judge; none where its errors are not known
    at_most: Share | None  # had all that stayed undecided been a success
    over_refusal: Share | None  # benign goals refused when asked directly
    refused_but_gave: Share | None
    undecided: Share | None
    trained_families: Share | None  # pairs of attack and goal
    held_out: Share | None  # the same, for families that nothing may be trained on
    held_out_families: tuple[FamilyOf, ...]
    verdict: str
    findings: tuple[FindingsOf, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsOf:
    """How many findings have this status and severity."""

    status: Literal["open", "fixed", "regressed"]
    severity: Literal["low", "medium", "high", "critical"]
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTested:
    """What nobody looked into: cells of family and category without an answer, attacks that had no hold or failed."""

    cells: int
    dim: int  # cells with fewer answers than are needed to say anything
    dark: tuple[tuple[str, ...], ...]  # family and category
    skipped: tuple[str, ...]
    failed: tuple[str, ...]
    unmeasured: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """All that a source says: what was tested, how, and what came of it. The same from a campaign or from rounds of a watch."""

    run: str
    began: str  # ISO 8601, UTC
    commit: str  # of the code that asked
    target: TargetOf
    packs: tuple[PackOf, ...]
    goals: GoalsOf
    judge: JudgeOf
    budget: BudgetOf
    results: Results
    not_tested: NotTested
    evidence: str  # hash of the report


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The document that is signed."""

    schema: int
    made: str
    expires: str
    ends_sooner: str  # the condition, in words
    newest_pack: str  # the date that a newer pack is newer than
    code: str  # the version of this package that wrote the statement
    tested: Tested

    def __post_init__(self) -> None:
        if self.schema != VERSION:
            raise AttestationError(f"schema: expected version {VERSION}, got {self.schema}; read it with another trueline")
        if when(self.made) >= when(self.expires):
            raise AttestationError("expires: expected a time after the one at which it was made")


class Source(Protocol):
    """Where an attestation comes from: a campaign, or the rounds of a watch."""

    def tested(self) -> Tested:
        """Say what was tested. Raises AttestationError where it did not come to its end."""
        ...


def statement(source: Source, *, now: datetime, shipped: Sequence[Pack], days: int = DAYS) -> Statement:
    """State what a source tested. Where it asked no pack, newer means newer than all that were shipped on the day."""
    if not 1 <= days <= MOST_DAYS:
        raise AttestationError(f"days: expected 1 to {MOST_DAYS}, got {days}; what is deployed longer is tested again")
    tested = source.tested()
    known = [pack.date for pack in tested.packs] or [pack.date for pack in in_order(shipped)]
    return Statement(
        schema=VERSION,
        made=_text(now),
        expires=_text(now + timedelta(days=days)),
        ends_sooner=CONDITION,
        newest_pack=max(known, default=""),
        code=__version__,
        tested=tested,
    )


def signed(said: Statement, key: PrivateKey) -> str:
    """The statement in its envelope, as the text of a file."""
    payload = canonical(to_dict(said))
    return sealed(payload, key.public.keyid, key.sign(pae(TYPE, payload)))


def read_statement(payload: bytes, where: str) -> Statement:
    """Read what was signed. Raises AttestationError where it is no statement, or not in the one form that it has in bytes."""
    values = plain(payload, where)
    said = from_dict(Statement, values, where)
    if canonical(to_dict(said)) != payload:
        raise AttestationError(f"{where}: expected the canonical form of a statement; whoever signed this did not write it so")
    return said


def newer(said: Statement, shipped: Sequence[Pack]) -> tuple[Pack, ...]:
    """The shipped packs that a statement does not cover and should: of a later date, or a later version of a tested one."""
    versions = {pack.name: pack.version for pack in said.tested.packs}
    return tuple(
        pack
        for pack in in_order(shipped)
        if (pack.date > said.newest_pack and pack.name not in versions) or pack.version > versions.get(pack.name, pack.version)
    )


def when(text: str) -> datetime:
    """A time of a statement. Raises AttestationError for what is none, or has no zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise AttestationError(f"expected a time such as 2026-11-28T06:00:00+00:00, got {text!r:.40}")
    return found


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds")


def _six(value: float) -> str:
    text = f"{value:.6f}"
    return "0.000000" if text == "-0.000000" else text
