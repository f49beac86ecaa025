"""The one form of an attestation in bytes, and its envelope."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.watch.attest.form import MOST, AttestationError, bytes_of, canonical, opened, pae, plain, sealed

WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)


@given(VALUES)
def test_the_form_holds_all_that_it_is_given(value):
    """Reading what was written gives the same values, and writing them again the same bytes."""
    written = canonical(value)
    assert json.loads(written) == value
    assert canonical(json.loads(written)) == written


@given(st.dictionaries(TEXT, WHOLE, min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_fields_does_not_matter(value, rng):
    """An object has one form, however its fields were put in."""
    items = list(value.items())
    rng.shuffle(items)
    assert canonical(dict(items)) == canonical(value)


def test_keys_are_sorted_as_rfc_8785_says():
    """The example of section 3.2.3: by UTF-16 code units, so that an emoji comes before a letter of a later plane."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    assert list(json.loads(canonical(dict.fromkeys(keys, 0)))) == [
        "\r",
        "1",
        "\u0080",
        "\u00f6",
        "\u20ac",
        "\U0001f600",
        "\ufb33",
    ]


@pytest.mark.parametrize("value", [0.5, float("nan"), 2**53, {"a": [1.0]}, b"x", "\ud800"])
def test_what_has_more_than_one_form_is_refused(value):
    """Floats, numbers that readers round, and text that UTF-8 lacks never get into a document."""
    with pytest.raises(AttestationError):
        canonical(value)


def test_the_encoding_is_that_of_dsse():
    """The example of the specification's protocol.md, byte for byte: lengths count bytes, and not letters."""
    assert pae("http://example.com/HelloWorld", b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("ö", b"") == b"DSSEv1 2 \xc3\xb6 0 "


@pytest.mark.parametrize("text", ["YQ", "YQ==\n", "YR==", "Y Q==", "YQ===", "é"])
def test_base64_has_one_spelling(text):
    """Missing padding, loose bits and white space are no other way to write the same bytes."""
    assert bytes_of("YQ==", "x") == b"a"
    with pytest.raises(AttestationError):
        bytes_of(text, "x")


def test_hostile_json_ends_in_one_line():
    """Too large, too deep, a key twice, no JSON and no UTF-8: each is an error that a person can read, and no crash."""
    for data in (b"[" * 100_000, b'{"a":1,"a":2}', b"nonsense", b"\xff\xfe", b" " * (MOST + 1)):
        with pytest.raises(AttestationError, match=r"^f: "):
            plain(data, "f")


def test_an_envelope_is_read_strictly():
    """Another type, no signature, two of them, and a field that nobody knows are refused before anything is checked."""
    good = json.loads(sealed(b"{}", "ed25519:00", b"s"))
    assert opened(json.dumps(good).encode(), "f").payload == "e30="
    for change in (
        {"payloadType": "text/plain"},
        {"signatures": []},
        {"signatures": good["signatures"] * 2},
        {"more": 1},
        {"payload": 7},
    ):
        with pytest.raises(ValueError, match="f"):
            opened(json.dumps({**good, **change}).encode(), "f")
