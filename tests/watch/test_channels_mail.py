"""Mail through a real SMTP server on this machine: nothing in clear that should not be, and no header from outside."""

from __future__ import annotations

import asyncio
import email
import email.policy
import shutil
import ssl
import subprocess
from dataclasses import replace

import pytest

from tests.watch.mailing import smtp
from trueline.watch.alerts import of_failure
from trueline.watch.channels import ChannelWordError, UndeliveredError, channel
from trueline.watch.channels_mail import message

ALERT = of_failure("w", "prod", 7, "no key")
TO = "ops@example.org"


def put(*, environment=None, trusted=None, **server):
    """Send the alert to a server; return what it kept."""

    async def talk():
        async with smtp(**server) as sink:
            settings = {
                "TRUELINE_SMTP_HOST": "127.0.0.1",
                "TRUELINE_SMTP_PORT": str(sink.port),
                "TRUELINE_MAIL_FROM": "watch@example.org",
            }
            place = channel(f"mail:{TO}", {**settings, **(environment or {"TRUELINE_SMTP_TLS": "none"})})
            await replace(place, server=replace(place.server, trusted=trusted)).send(ALERT)
            return sink

    return asyncio.run(talk())


def test_a_message_comes_whole():
    """Subject, sender, recipient, an id of its own, and the evidence in the text."""
    (got,) = put().got
    read = email.message_from_string(got, policy=email.policy.default)
    assert (read["To"], read["From"]) == (TO, "watch@example.org")
    assert read["Subject"] == "[trueline] medium: failed (watch prod, round 7)"
    assert read["Message-ID"] == f"<{ALERT.id}@example.org>"
    assert "Round 7 failed" in read.get_content()
    assert '"why": "no key"' in read.get_content()


@pytest.mark.parametrize("nasty", ["x\r\nBcc: evil@example.org", "x\nSubject: y", "x\r\n\r\nbody", "x\u2028y", "é" * 300])
def test_no_header_comes_from_outside(nasty):
    """Whatever a watch is called, there are the same headers, and each is one line."""
    made = message(replace(ALERT, name=nasty), "a@b.test", TO)
    read = email.message_from_bytes(bytes(made), policy=email.policy.default)
    assert sorted(read.keys()) == sorted(message(ALERT, "a@b.test", TO).keys())
    assert read["Bcc"] is None


@pytest.mark.parametrize(
    "to", ["", "ops", "a@b.test\nBcc: c@d.test", "a@b.test,c@d.test", "<a@b.test>", "a b@c.test", "a@-b.test"]
)
def test_a_recipient_is_one_plain_address(to):
    """Anything else is refused before a server is asked."""
    with pytest.raises(ChannelWordError, match="expected"):
        channel(f"mail:{to}", {"TRUELINE_SMTP_HOST": "x.test"})


def test_without_starttls_nothing_is_sent():
    """STARTTLS is asked for unless the environment says none: a server without it gets neither login nor message."""
    environment = {"TRUELINE_SMTP_USER": "me", "TRUELINE_SMTP_PASSWORD": "hush"}
    with pytest.raises(UndeliveredError, match="STARTTLS") as refused:
        put(environment=environment)
    assert not refused.value.again
    assert "hush" not in str(refused.value)


@pytest.mark.skipif(not shutil.which("openssl"), reason="a certificate is made with openssl, which is not here")
def test_login_and_message_go_over_tls(tmp_path):
    """After STARTTLS everything comes encrypted; a certificate that nobody vouches for is refused, and nothing is sent."""
    made = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", *made, "-keyout", tmp_path / "key", "-out", tmp_path / "cert"]
    subprocess.run(command, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    environment = {"TRUELINE_SMTP_USER": "me", "TRUELINE_SMTP_PASSWORD": "hush"}
    sink = put(environment=environment, tls=tls, trusted=ssl.create_default_context(cafile=tmp_path / "cert"))
    assert len(sink.got) == 1
    after = sink.lines[sink.lines.index("STARTTLS") + 1 :]
    assert after
    assert all(line.startswith("tls ") for line in after)
    assert any("AUTH PLAIN" in line for line in after)
    with pytest.raises(UndeliveredError, match="certificate") as refused:
        put(environment=environment, tls=tls)
    assert not refused.value.again


@pytest.mark.parametrize(
    ("answers", "again"),
    [
        ({"MAIL": "451 later"}, True), ({"MAIL": "550 never"}, False), ({"RCPT": "450 later"}, True),
        ({"RCPT": "550 nobody"}, False), ({"DATA": "554 never"}, False), ({"EHLO": "421 busy", "HELO": "421 busy"}, True),
    ],
)  # fmt: skip
def test_a_refusal_says_whether_to_come_again(answers, again):
    """A server's 4xx may be taken later, its 5xx never; what it wrote is not repeated."""
    with pytest.raises(UndeliveredError) as refused:
        put(answers=answers)
    assert refused.value.again is again
    assert "never" not in str(refused.value)


@pytest.mark.parametrize(
    "environment",
    [
        {"TRUELINE_SMTP_TLS": "maybe"}, {"TRUELINE_SMTP_PORT": "0"}, {"TRUELINE_SMTP_PORT": "x"},
        {"TRUELINE_MAIL_FROM": "a\r\nb@c.test"}, {"TRUELINE_SMTP_TLS": "none", "TRUELINE_SMTP_PASSWORD": "hush"},
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(environment):
    """Before anything is sent, and without the password."""
    with pytest.raises(ChannelWordError) as refused:
        channel(f"mail:{TO}", {"TRUELINE_SMTP_HOST": "x.test", **environment})
    assert "hush" not in str(refused.value)
