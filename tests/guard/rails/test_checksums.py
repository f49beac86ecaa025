"""Check digits: published examples hold, and one changed digit does not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.guard.rails import checksums

# Numbers that authorities and standards print as examples, or that follow from the formula: nobody's.
EXAMPLES = (
    (checksums.card, "4111111111111111"),
    (checksums.card, "378282246310005"),
    (checksums.card, "6011111111111117"),
    (checksums.iban, "GB82WEST12345698765432"),
    (checksums.iban, "DE89370400440532013000"),
    (checksums.iban, "FR1420041010050500013M02606"),
    (checksums.steuer_id, "86095742719"),
    (checksums.steuer_id, "65929970489"),
    (checksums.nir, "255081416802538"),
    (checksums.dni, "12345678Z"),
    (checksums.dni, "X1234567L"),
    (checksums.bsn, "111222333"),
    (checksums.codice_fiscale, "RSSMRA85T10A562S"),
    (checksums.cpf, "52998224725"),
    (checksums.aadhaar, "234123412346"),
    (checksums.verhoeff, "2363"),
)


@pytest.mark.parametrize(("valid", "number"), EXAMPLES)
def test_an_example_is_valid(valid, number):
    """A number that is printed as an example passes."""
    assert valid(number)


@pytest.mark.parametrize(("valid", "number"), [example for example in EXAMPLES if example[0] is not checksums.bsn])
def test_one_wrong_digit_at_the_end_is_seen(valid, number):
    """The last digit decides: each other one fails."""
    last = number[-1]
    others = [c for c in ("0123456789" if last.isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ") if c != last]
    assert not any(valid(number[:-1] + other) for other in others)


@given(st.text("0123456789", min_size=1, max_size=24), st.data())
@settings(deadline=None, max_examples=80)
def test_luhn_and_verhoeff_see_every_single_error(digits, data):
    """There is one check digit for any number, and changing one digit breaks it (Verhoeff: swapping neighbours as well)."""
    place = data.draw(st.integers(0, len(digits) - 1))
    for valid in (checksums.luhn, checksums.verhoeff):
        (check,) = [d for d in "0123456789" if valid(digits + d)]
        changed = digits[:place] + str((int(digits[place]) + 1 + data.draw(st.integers(0, 8))) % 10) + digits[place + 1 :]
        assert changed == digits or not valid(changed + check)
    number = digits + next(d for d in "0123456789" if checksums.verhoeff(digits + d))
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assert swapped == number or not checksums.verhoeff(swapped)


@pytest.mark.parametrize("number", ["000123456", "666123456", "912345678", "123006789", "123450000", "078051120"])
def test_numbers_that_were_never_given_are_none(number):
    """Areas, groups and serials that the SSA never gives, and the one of the wallet, are no SSN."""
    assert not checksums.ssn(number)
    assert checksums.ssn("123456789")


def test_a_nino_has_letters_that_are_used():
    """Prefixes that HMRC never gives are none."""
    assert checksums.nino("AB123456C")
    assert not any(checksums.nino(text) for text in ("BG123456C", "DA123456C", "AO123456C", "AB123456E"))


def test_corsica_counts_as_a_number():
    """2A and 2B stand for 19 and 18: the key follows, and another does not."""
    for department, stands_for in (("2A", "19"), ("2B", "18")):
        key = 97 - int(f"18505{stands_for}123456") % 97
        assert checksums.nir(f"18505{department}123456{key:02d}")
        assert not checksums.nir(f"18505{department}123456{key % 97 + 1:02d}")
