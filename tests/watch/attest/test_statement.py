"""Attestations: no byte of one can be changed, and it says itself until when it holds."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest

pytest.importorskip("cryptography", reason="the extra `watch` is not installed")

from hypothesis import given
from hypothesis import strategies as st

from tests.watch.stated import NOW, Told, pack, small, stated
from trueline.core.records import to_dict
from trueline.watch.attest.form import TYPE, AttestationError, canonical, pae, sealed
from trueline.watch.attest.keys import new_key
from trueline.watch.attest.statement import PackOf, newer, read_statement, signed, statement
from trueline.watch.attest.verify import CODES, verify

OURS, OTHER = new_key(), new_key()
DOCUMENT = signed(stated(), OURS)
PAYLOAD = base64.b64decode(json.loads(DOCUMENT)["payload"])
SIGNATURE = base64.b64decode(json.loads(DOCUMENT)["signatures"][0]["sig"])
SHIPPED = (pack("old", "2024-01"),)


def checked(text: str, now=NOW, shipped=SHIPPED, key=OURS, target=""):
    return verify(text.encode(), trusted={key.public.fingerprint}, now=now, shipped=shipped, target=target)


def test_what_was_signed_is_what_is_read():
    """A document holds on the day it was made, and says what was stated."""
    found = checked(DOCUMENT)
    assert (found.status, found.code, found.why) == ("holds", 0, ())
    assert found.statement == stated()
    assert found.signer == OURS.public.fingerprint
    assert read_statement(PAYLOAD, "f") == stated()


@given(st.integers(0, len(PAYLOAD) - 1), st.integers(1, 255))
def test_no_byte_of_the_payload_can_be_changed(place, change):
    """Any one byte that is another one breaks the signature, before anybody reads the document."""
    payload = bytes([*PAYLOAD[:place], PAYLOAD[place] ^ change, *PAYLOAD[place + 1 :]])
    found = checked(sealed(payload, OURS.public.keyid, SIGNATURE))
    assert (found.status, found.code, found.statement) == ("broken", 1, None)


@given(st.integers(0, 63), st.integers(1, 255))
def test_no_byte_of_the_signature_can_be_changed(place, change):
    """There is no second signature near the one that was made."""
    sig = bytes([*SIGNATURE[:place], SIGNATURE[place] ^ change, *SIGNATURE[place + 1 :]])
    assert checked(sealed(PAYLOAD, OURS.public.keyid, sig)).status == "broken"


@given(st.integers(0, len(DOCUMENT) - 1), st.characters(min_codepoint=33, max_codepoint=126))
def test_no_letter_of_the_file_can_be_changed_unseen(place, letter):
    """Whatever letter of the file is another one: it is refused, or broken, or somebody else's; it never says something new."""
    changed = DOCUMENT[:place] + letter + DOCUMENT[place + 1 :]
    try:
        found = checked(changed)
    except ValueError:
        return
    assert found.status in ("broken", "not_trusted") or found.statement == stated()


def test_the_order_of_fields_in_the_envelope_does_not_matter():
    """DSSE signs the payload's bytes: how its envelope is laid out says nothing."""
    turned = dict(reversed(json.loads(DOCUMENT).items()))
    assert checked(json.dumps(turned, indent=7)).status == "holds"


def test_the_order_of_fields_in_the_statement_does_not_matter():
    """The same statement has the same bytes, and so the same signature, however its fields were put in."""
    turned = dict(reversed(to_dict(stated()).items()))
    assert canonical(turned) == PAYLOAD
    assert OURS.sign(pae(TYPE, canonical(turned))) == SIGNATURE


def test_another_expiry_fails():
    """Who moves the expiry has to sign anew, and then it is another signer."""
    later = stated(days=300)
    moved = canonical(to_dict(later))
    assert checked(sealed(moved, OURS.public.keyid, SIGNATURE)).status == "broken"
    forged = checked(signed(later, OTHER))
    assert (forged.status, forged.code, forged.statement) == ("not_trusted", 3, None)
    assert OTHER.public.fingerprint in forged.why[0]


def test_a_signature_for_another_kind_of_document_is_none_for_this():
    """The type is signed with the payload."""
    sig = OURS.sign(pae("text/plain", PAYLOAD))
    assert checked(sealed(PAYLOAD, OURS.public.keyid, sig)).status == "broken"


def test_time_ends_it():
    """It holds to the last second, and no further; one from the future does not hold yet."""
    until = NOW + timedelta(days=30)
    assert checked(DOCUMENT, now=until - timedelta(seconds=1)).status == "holds"
    assert checked(DOCUMENT, now=until).status == "expired"
    assert checked(DOCUMENT, now=NOW - timedelta(days=1)).code == 1


def test_a_newer_pack_ends_it():
    """A pack of a later date, or a later version of a tested one; not an older one that was left out."""
    one = PackOf(name="old", version=1, date="2024-01", hash="h", broke=None)
    said = stated(small(packs=(one,)))
    document = signed(said, OURS)
    assert checked(document, shipped=(*SHIPPED, pack("older", "2023-05"))).status == "holds"
    for late in (pack("new", "2024-02"), pack("old", "2024-01", version=2)):
        found = checked(document, shipped=(*SHIPPED, late))
        assert (found.status, found.code) == ("outdated", 1)
        assert late.name in found.why[0]
        assert newer(said, (*SHIPPED, late)) == (late,)


def test_without_packs_newer_means_than_all_that_were_shipped():
    """Who asked no pack is held against what there was on the day."""
    said = stated(shipped=(pack("old", "2024-01"), pack("later", "2025-01")))
    assert said.newest_pack == "2025-01"
    assert newer(said, (pack("between", "2024-06"),)) == ()
    assert [one.name for one in newer(said, (pack("after", "2025-02"),))] == ["after"]


def test_another_target_is_told_apart():
    """The content decides, whatever the target is called."""
    assert checked(DOCUMENT, target="f" * 64).status == "holds"
    assert checked(DOCUMENT, target="e" * 64).status == "another_target"


def test_every_reason_is_told():
    """Expired, outdated and another target at once: all three stand there, and the code is 1."""
    found = checked(DOCUMENT, now=NOW + timedelta(days=99), shipped=(pack("new", "2030-01"),), target="e" * 64)
    assert len(found.why) == 3
    assert CODES[found.status] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"more": 1},
        {"expires": "soon"},
        {"expires": "2026-01-01T00:00:00+00:00"},
        {"made": "2026-11-28T06:00:00"},
    ],
)
def test_a_signed_document_is_read_strictly_too(change):
    """Even what a trusted key signed is no attestation with another schema, a stranger's field or times that make no sense."""
    payload = canonical({**to_dict(stated()), **change})
    with pytest.raises(ValueError, match="expected"):
        checked(sealed(payload, OURS.public.keyid, OURS.sign(pae(TYPE, payload))))


def test_a_document_has_one_form_in_bytes():
    """The same values with a blank between them, signed by a trusted key, are refused: one document, one hash."""
    payload = json.dumps(to_dict(stated())).encode()
    with pytest.raises(AttestationError, match="canonical"):
        checked(sealed(payload, OURS.public.keyid, OURS.sign(pae(TYPE, payload))))


@pytest.mark.parametrize("days", [0, 367])
def test_the_days_are_bounded(days):
    """Nothing is attested for no time, or for longer than a year."""
    with pytest.raises(AttestationError, match="days"):
        statement(Told(small()), now=NOW, shipped=SHIPPED, days=days)
