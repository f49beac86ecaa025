"""Check digits of card, bank and national numbers: what tells a number that names somebody from one that only looks so.

Every function takes the bare characters (no spaces or dashes, capitals) and says whether they can be such a number. None
knows whether the number was ever given out. Each names its standard.

>>> luhn("4111111111111111"), iban("GB82WEST12345698765432"), verhoeff("2363")
(True, True, True)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache

# Registered lengths of ISO 13616 (SWIFT IBAN registry).
IBAN_LENGTHS: Mapping[str, int] = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD FK", 19: "MK SI", 20: "AT BA EE KZ LT LU XK MN",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE IL IQ TL OM", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM SO", 28: "AL AZ BY CY DO GT HU LB PL SV NI",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
# Leading digits and lengths of ISO/IEC 7812 issuers: first and last prefix of a range, lengths that occur.
_CARDS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (4, 4, (13, 16, 19)),  # Visa
    (51, 55, (16,)), (2221, 2720, (16,)),  # Mastercard
    (34, 34, (15,)), (37, 37, (15,)),  # American Express
    (6011, 6011, (16, 19)), (644, 649, (16, 19)), (65, 65, (16, 19)),  # Discover
    (3528, 3589, (16, 19)),  # JCB
    (300, 305, (14, 16)), (36, 36, (14, 16)), (38, 39, (14, 16)),  # Diners Club
    (62, 62, (16, 17, 18, 19)),  # UnionPay
    (5018, 5018, (13, 16, 19)), (5020, 5020, (13, 16, 19)), (5893, 5893, (13, 16, 19)), (6759, 6763, (13, 16, 19)),  # Maestro
)  # fmt: skip
DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)  # twice a digit, less nine where that has two digits
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_FISCALE_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21),
            *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        ),
        strict=True,
    )
)  # fmt: skip
_NINO_NEVER = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})
_SSN_NEVER = frozenset({"078051120", "219099999", "457555462"})  # printed in advertisements


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right doubled, the sum a multiple of ten."""
    return sum(DOUBLED[int(d)] if place % 2 else int(d) for place, d in enumerate(reversed(digits))) % 10 == 0


def card(digits: str) -> bool:
    """A payment card: an issuer's range, a length that it uses, and Luhn."""
    return len(digits) in card_lengths(digits[:4]) and len(set(digits)) > 1 and luhn(digits)


@cache
def card_lengths(prefix: str) -> tuple[int, ...]:
    """How long the cards are that begin with these four digits; none where no issuer's do."""
    return tuple({n for low, high, lengths in _CARDS if low <= int(prefix[: len(str(low))]) <= high for n in lengths})


def iban(text: str) -> bool:
    """ISO 13616: the country's length, and the number modulo 97 (ISO 7064) is one."""
    if len(text) != IBAN_LENGTHS.get(text[:2]) or not text.isalnum() or not text.isascii():
        return False
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


def ssn(digits: str) -> bool:
    """US social security number (SSA, since 2011): no area 000, 666 or 9xx, no group 00, no serial 0000."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    odd = area in ("000", "666") or area[0] == "9" or group == "00" or serial == "0000"
    return len(digits) == 9 and not odd and digits not in _SSN_NEVER and len(set(digits)) > 1


def nino(text: str) -> bool:
    """UK National Insurance number (HMRC NIM39110): letters that are used, and no prefix that is never given."""
    letters = text[0] not in "DFIQUV" and text[1] not in "DFIOQUV" and text[8] in "ABCD"
    return len(text) == 9 and letters and text[:2] not in _NINO_NEVER


def steuer_id(digits: str) -> bool:
    """German tax number (section 139b AO): one digit twice or three times among the first ten; ISO 7064 MOD 11,10."""
    repeated = [count for count in Counter(digits[:10]).values() if count > 1]
    if len(digits) != 11 or digits[0] == "0" or len(repeated) != 1 or repeated[0] > 3:
        return False
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def nir(text: str) -> bool:
    """French NIR (INSEE): sex, month, and the key 97 - n mod 97; Corsica's 2A and 2B count as 19 and 18."""
    month = int(text[3:5])
    if len(text) != 15 or text[0] not in "123478" or not (1 <= month <= 12 or 20 <= month <= 42 or month >= 50):
        return False
    number = text[:13].replace("2A", "19", 1) if text[5:7] == "2A" else text[:13].replace("2B", "18", 1)
    return number.isdigit() and 97 - int(number) % 97 == int(text[13:])


def dni(text: str) -> bool:
    """Spanish DNI and NIE: the letter is the number modulo 23; X, Y and Z of a NIE stand for 0, 1 and 2."""
    number = str("XYZ".index(text[0])) + text[1:-1] if text[0] in "XYZ" else text[:-1]
    return len(number) == 8 and _DNI_LETTERS[int(number) % 23] == text[-1]


def bsn(digits: str) -> bool:
    """Dutch BSN: the sum with weights 9 to 2 and -1 is a multiple of eleven."""
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return (
        len(digits) == 9 and digits != "000000000" and sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % 11 == 0
    )


def codice_fiscale(text: str) -> bool:
    """Italian codice fiscale (DM 23/12/1976): the last letter is the sum of table values modulo 26."""
    odd = sum(_FISCALE_ODD[c] for c in text[0:15:2])
    even = sum(int(c) if c.isdigit() else ord(c) - ord("A") for c in text[1:15:2])
    return len(text) == 16 and chr(ord("A") + (odd + even) % 26) == text[15]


def cpf(digits: str) -> bool:
    """Brazilian CPF: two check digits modulo eleven; eleven equal digits are none."""
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    checks = (sum(int(d) * w for d, w in zip(digits, range(n + 1, 1, -1), strict=False)) * 10 % 11 % 10 for n in (9, 10))
    return digits[9:] == "".join(map(str, checks))


def aadhaar(digits: str) -> bool:
    """Indian Aadhaar: twelve digits, none of 0 or 1 first, Verhoeff."""
    return len(digits) == 12 and digits[0] not in "01" and len(set(digits)) > 1 and verhoeff(digits)


def verhoeff(digits: str) -> bool:
    """Verhoeff 1969: digits permuted by their place and multiplied in the dihedral group D5 give zero."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = _dihedral(check, _permuted(int(digit), place % 8))
    return check == 0


def _dihedral(a: int, b: int) -> int:
    """The product in D5: 0 to 4 are turns, 5 to 9 are reflections."""
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
    return 5 + (a - b) % 5 if b < 5 else (a - b) % 5


def _permuted(digit: int, times: int) -> int:
    """Verhoeff's permutation (1 5 7 6 2 8 3 0 9 4), applied so many times."""
    for _ in range(times):
        digit = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[digit]
    return digit
