"""Alerts by e-mail, through the SMTP server that the environment names.

    TRUELINE_SMTP_HOST        the server; without it there is no mail
    TRUELINE_SMTP_PORT        587, or 465 where TLS begins at once
    TRUELINE_SMTP_TLS         starttls (usual), tls (at once), or none, which sends no login
    TRUELINE_SMTP_USER, _PASSWORD     a login, sent over TLS alone
    TRUELINE_MAIL_FROM        who sends; the recipient where nobody is named

A message is built by the standard library's `email`, under the policy that refuses a line end in any header; what comes from
outside is put on one line before. It carries the alert's id as its `Message-ID`, so that one which comes twice is seen to.
"""

from __future__ import annotations

import asyncio
import json
import re
import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP

from trueline.evaluate.shape import visible
from trueline.watch.alerts import Alert, headline, payload
from trueline.watch.channels import ChannelWordError, UndeliveredError

TIMEOUT = 20.0  # seconds of one try
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
TLS = ("starttls", "tls", "none")


@dataclass(frozen=True, kw_only=True)
class Server:
    """The server that takes mail from us."""

    host: str
    port: int = 587
    tls: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    trusted: ssl.SSLContext | None = field(default=None, repr=False)  # None: what this machine trusts


@dataclass(frozen=True, kw_only=True)
class Mail:
    """Sends an alert as a plain text message."""

    to: str  # one address: several are several channels, so that each gets an alert once
    sender: str
    server: Server

    @property
    def name(self) -> str:
        """Who gets it."""
        return f"mail:{self.to}"

    async def send(self, alert: Alert) -> None:
        """Hand an alert over once. It is sent in a thread: the standard library's client waits."""
        try:
            await asyncio.to_thread(_hand_over, self.server, message(alert, self.sender, self.to))
        except smtplib.SMTPAuthenticationError:
            raise UndeliveredError(f"{self.name}: the server does not take the login; see TRUELINE_SMTP_USER") from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            again = all(400 <= code < 500 for code in codes)
            raise UndeliveredError(f"{self.name}: the server refuses the recipient ({codes})", again=again) from None
        except smtplib.SMTPNotSupportedError:
            raise UndeliveredError(
                f"{self.name}: the server offers no STARTTLS or no login; set TRUELINE_SMTP_TLS to tls, or to none"
            ) from None
        except smtplib.SMTPResponseException as error:
            raise UndeliveredError(
                f"{self.name}: the server answers {error.smtp_code}", again=400 <= error.smtp_code < 500
            ) from None
        except ssl.SSLError:
            raise UndeliveredError(f"{self.name}: expected a certificate that this machine trusts, found none") from None
        except (OSError, smtplib.SMTPException) as error:
            raise UndeliveredError(f"{self.name}: no server could be reached ({type(error).__name__})", again=True) from None


def message(alert: Alert, sender: str, to: str) -> EmailMessage:
    """An alert as a message. No header can hold a line end."""
    made = EmailMessage(policy=SMTP)
    made["Subject"] = visible(" ".join(headline(alert).split()), 200)
    made["From"] = sender
    made["To"] = to
    made["Message-ID"] = f"<{alert.id}@{sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody answers it by machine
    evidence = json.dumps(payload(alert)["record"], indent=1)  # ASCII: nothing hides in it
    made.set_content(f"{alert.text}\n\nWatch {alert.name}, round {alert.number}, alert {alert.id}.\n\n{evidence}\n")
    return made


def opened(word: str, environment: Mapping[str, str]) -> Mail:
    """Read the recipient of a word, and the server from the environment."""
    to = word.strip()
    if not _ADDRESS.fullmatch(to):
        raise ChannelWordError(f"expected mail:NAME@HOST, one channel for each address, got {visible(word, 80)!r}")
    host = environment.get("TRUELINE_SMTP_HOST", "")
    if not host:
        raise ChannelWordError("expected the SMTP server in TRUELINE_SMTP_HOST, found nothing; set it and try again")
    tls = environment.get("TRUELINE_SMTP_TLS", "starttls")
    port = environment.get("TRUELINE_SMTP_PORT", "465" if tls == "tls" else "587")
    sender = environment.get("TRUELINE_MAIL_FROM", to)
    if tls not in TLS or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ChannelWordError(f"expected TRUELINE_SMTP_TLS to be one of {', '.join(TLS)} and TRUELINE_SMTP_PORT a port")
    if not _ADDRESS.fullmatch(sender):
        raise ChannelWordError("expected TRUELINE_MAIL_FROM to be NAME@HOST; set it and try again")
    login = (environment.get("TRUELINE_SMTP_USER", ""), environment.get("TRUELINE_SMTP_PASSWORD", ""))
    if tls == "none" and any(login):
        raise ChannelWordError("a login is sent over TLS alone; unset TRUELINE_SMTP_USER, or set TRUELINE_SMTP_TLS to starttls")
    return Mail(to=to, sender=sender, server=Server(host=host, port=int(port), tls=tls, user=login[0], password=login[1]))


def _hand_over(server: Server, made: EmailMessage) -> None:
    trusted = server.trusted or ssl.create_default_context()
    client = (
        smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT, context=trusted)
        if server.tls == "tls"
        else smtplib.SMTP(server.host, server.port, timeout=TIMEOUT)
    )
    with client:
        if server.tls == "starttls":
            client.starttls(context=trusted)  # raises where the server offers none: nothing is sent in clear
        if server.user:
            client.login(server.user, server.password)
        client.send_message(made)
