"""`pii`: what names somebody is taken out, and what only looks so is left."""

from __future__ import annotations

import base64

import pytest

from tests.guard.rails.fakes import asked, check, edited, said
from trueline.core.config import ConfigError
from trueline.guard.rails import Pii

POSITIVES = (
    ("charge 4111 1111 1111 1111 today", "charge [card] today"),
    ("charge 4111-1111-1111-1111.", "charge [card]."),
    ("amex 378282246310005", "amex [card]"),
    ("c 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "c [card]"),
    ("order 77 4111 1111 1111 1111", "order 77 [card]"),
    ("pay DE89 3704 0044 0532 0130 00 now please", "pay [iban] now please"),
    ("iban gb82west12345698765432", "iban [iban]"),
    ("ssn 123-45-6789", "ssn [ssn]"),
    ("my social security number is 123456789", "my social security number is [ssn]"),
    ("NI AB 12 34 56 C", "NI [nino]"),
    ("IdNr 86 095 742 719", "IdNr [steuer_id]"),
    ("numéro 2 55 08 14 168 025 38", "numéro [nir]"),
    ("DNI 12345678Z y NIE X1234567L", "DNI [dni] y NIE [dni]"),
    ("BSN: 111222333", "BSN: [bsn]"),
    ("CF RSSMRA85T10A562S", "CF [codice_fiscale]"),
    ("cpf 529.982.247-25", "cpf [cpf]"),
    ("CPF 52998224725", "CPF [cpf]"),
    ("Aadhaar 2341 2341 2346", "Aadhaar [aadhaar]"),
    ("write to Ann.Lee+x@mail.example.org.", "write to [email]."),
    ("ring +44 20 7946 0018 or (212) 555-0143", "ring [phone] or [phone]"),
    ("tel: 030 901820", "tel: [phone]"),
)
HARD_NEGATIVES = (
    "order 4111 1111 1111 1112 of 2024-01-15",  # Luhn fails
    "tracking 1234567812345670, serial 9999999999999995",  # no issuer's range
    "uuid 550e8400-e29b-41d4-a716-446655440000",
    "version 10.15.7.2, build 20240115.3",
    "from 2024-01-15 to 2024-02-20, 14:30:00",
    "GB82 WEST 1234 5698 7654 33 is a typo",
    "case 000-12-3456, part 912-34-5678",
    "invoice 111222333 for 12345678A",  # eleven-test passes, but no context; wrong letter
    "12345678901 items, 23412341234 bytes",
    "git@example.com:team/repo.git, user@localhost",
    "call me on 2024-01-15",
    "pi is 3.14159265358979323846",
    "phone books were printed in 1908",
    "0x4111111111111111ff",
    "192.168.0.1 and 10.0.0.1",  # addresses are not looked for unless they are named
)


@pytest.mark.parametrize(("text", "left"), POSITIVES)
def test_what_names_somebody_is_taken_out(text, left):
    """The span of each kind, and no more, gives way to the kind's name."""
    exchange = asked(text)
    ruling = check(Pii(), exchange)
    assert (ruling.action, edited(ruling, exchange)) == ("redact", left)


@pytest.mark.parametrize("text", HARD_NEGATIVES)
def test_what_only_looks_so_is_left(text):
    """Numbers that fail their check, and identifiers of things, pass."""
    assert check(Pii(), asked(text)).action == "allow"


def test_replies_are_read_too():
    """The output side has the same eyes."""
    exchange = said("it is 4111 1111 1111 1111")
    assert edited(check(Pii(), exchange, "output"), exchange, "output") == "it is [card]"


def test_digits_that_are_hidden_are_found_and_their_whole_run_goes():
    """Full-width digits and base64 are checked as what they read as; the edit lands on what was written."""
    wide = "pay " + "".join(chr(ord(d) + 0xFEE0) for d in "4111111111111111")
    hidden = base64.b64encode(b"card 4111111111111111 here").decode()
    for text in (wide, hidden):
        exchange = asked(text)
        ruling = check(Pii(), exchange)
        assert "[card]" in edited(ruling, exchange)
        assert "4111" not in edited(ruling, exchange)
        assert hidden[:12] not in edited(ruling, exchange)


def test_kinds_are_turned_on_and_off():
    """Only the kinds that are named are looked for; addresses of machines have to be named."""
    text = "4111 1111 1111 1111 ann@example.org 192.168.0.1"
    exchange = asked(text)
    assert edited(check(Pii(kinds=("email",)), exchange), exchange) == "4111 1111 1111 1111 [email] 192.168.0.1"
    assert edited(check(Pii(kinds=("ip",)), exchange), exchange) == "4111 1111 1111 1111 ann@example.org [ip]"


def test_places_limit_what_is_read():
    """A place that is not named is not read."""
    rail = Pii(places=("tool_result",))
    assert check(rail, asked("ssn 123-45-6789")).action == "allow"
    assert check(rail, asked("ssn 123-45-6789", place="tool_result")).action == "redact"


def test_an_unknown_kind_is_refused():
    """The error lists the kinds."""
    with pytest.raises(ConfigError, match="steuer_id"):
        Pii(kinds=("passport",))


def test_a_long_run_of_digits_takes_linear_time_and_hides_no_card():
    """Groups before a card, however many, do not hide it."""
    exchange = asked("12 " * 3000 + "4111 1111 1111 1111")
    assert edited(check(Pii(kinds=("card",)), exchange), exchange).endswith("12 [card]")
