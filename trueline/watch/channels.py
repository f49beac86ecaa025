"""Where alerts go: a channel by a word, and sending that nothing stops half-way.

    webhook:https://example.org/hook     JSON, signed where TRUELINE_WEBHOOK_SECRET is set (channels_http.py)
    webhook:env:NAME, slack:env:NAME     the same, its address in the environment: of Slack's, the address is the secret
    webhook:private:http://10.0.0.7/     an address of a private network, which is refused unless it is said
    mail:ops@example.org                 through the SMTP server of TRUELINE_SMTP_HOST (channels_mail.py)
    sarif:FILE                           a file for code scanning, to which alerts are added (channels_sarif.py)

Each alert goes to each channel by itself, and what came of it is a `Sent`, under the channel's name, which holds no secret.
A channel that fails holds up no other. An alert is sent again only while nobody has said that it came; where an answer was lost
on the way, or this process was killed before it wrote the answer down, it may come twice: its id says so.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Protocol

from trueline.core.records import nearest
from trueline.evaluate.shape import visible
from trueline.targets.errors import TargetError
from trueline.targets.patience import Clock, Patience, persist
from trueline.watch.alerts import Alert

PATIENCE = Patience(attempts=4, seconds=60.0, first=1.0, longest=20.0)
PRIVATE, ENVIRONMENT = "private:", "env:"


class ChannelWordError(ValueError):
    """A channel that is not written as one, or whose settings are missing."""


class UndeliveredError(TargetError):
    """A channel did not take an alert. `again` says that it may take it later."""


class Channel(Protocol):
    """One place where alerts go."""

    @property
    def name(self) -> str:
        """What is stored and shown of it: no secret."""

    async def send(self, alert: Alert) -> None:
        """Hand an alert over once. Raises UndeliveredError where it was not taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came of sending one alert to one channel."""

    at: str  # ISO 8601, UTC
    ok: bool
    tries: int
    why: str = ""  # not


def channel(word: str, environment: Mapping[str, str] = os.environ) -> Channel:
    """Open the channel that a word names. Raises ChannelWordError before anything is sent."""
    kind, rest = _parts(word)
    return _KINDS[kind](rest, environment)


def check_word(word: str) -> None:
    """Raise ChannelWordError for a word that is none, or that may not be kept in a database.

    An address with a secret in it belongs into the environment. Every address of Slack's has one; any other may: so none with a
    login or a query is kept. What the environment holds is read where alerts are sent, which may be on another machine.
    """
    kind, rest = _parts(word)
    address = rest.removeprefix(PRIVATE)
    if kind == "slack" and not address.startswith(ENVIRONMENT):
        raise ChannelWordError("the address of a Slack webhook is its secret; put it into a variable and write slack:env:NAME")
    if kind == "webhook" and not address.startswith(ENVIRONMENT) and any(sign in address for sign in "@?#"):
        raise ChannelWordError(
            "an address with a login or a query is not kept, since it may hold a secret; "
            "put it into a variable and write webhook:env:NAME"
        )


async def deliver(
    alerts: Sequence[Alert],
    channels: Iterable[Channel],
    *,
    done: Mapping[str, Mapping[str, Any]] | None = None,
    keep: Callable[[str, str, Mapping[str, Any]], None] = lambda alert, channel, sent: None,
    patience: Patience = PATIENCE,
    clock: Clock = Clock(),  # noqa: B008 - frozen
) -> dict[str, dict[str, dict[str, Any]]]:
    """Send alerts to channels; return what came of each, by alert and channel, with what was `done` before kept.

    What a channel has taken it is not sent again. Channels work side by side, and each gets its alerts one after another.
    `keep` is called with an alert's id, a channel's name and what came of it as soon as that is known: whoever is killed after
    it has sent nothing for nothing.
    """
    sent: dict[str, dict[str, dict[str, Any]]] = {
        a.id: {k: dict(v) for k, v in (done or {}).get(a.id, {}).items()} for a in alerts
    }

    async def serve(place: Channel) -> None:
        for alert in alerts:
            if not sent[alert.id].get(place.name, {}).get("ok"):
                sent[alert.id][place.name] = asdict(await _try(place, alert, patience, clock))
                keep(alert.id, place.name, sent[alert.id][place.name])

    await asyncio.gather(*(serve(place) for place in {place.name: place for place in channels}.values()))
    return sent


async def _try(place: Channel, alert: Alert, patience: Patience, clock: Clock) -> Sent:
    tries = 0

    async def once() -> None:
        nonlocal tries
        tries += 1
        await place.send(alert)

    why = ""
    try:
        async with asyncio.timeout(patience.seconds or None):  # a try that hangs ends here, waits included
            await persist(once, patience, clock, Random(f"{place.name}/{alert.id}"))
    except TimeoutError:
        why = f"it was not taken within {patience.seconds:.0f} s"
    except TargetError as error:
        why = str(error)
    except Exception as error:  # one channel's fault is not the next one's
        why = f"it failed ({type(error).__name__})"  # its text may hold what was sent, or where to
    at = datetime.fromtimestamp(clock.today(), UTC).isoformat(timespec="seconds")
    return Sent(at=at, ok=not why, tries=tries, why=visible(why, 300))


def _parts(word: str) -> tuple[str, str]:
    kind, colon, rest = word.partition(":")
    if kind not in _KINDS or not rest:
        came = f"one of the kind {visible(kind, 40)!r}{nearest(kind, _KINDS)}" if colon else "a word without a colon"
        raise ChannelWordError(f"expected a channel webhook:URL, slack:env:NAME, mail:ADDRESS or sarif:FILE, got {came}")
    return kind, rest


def _webhook(rest: str, environment: Mapping[str, str]) -> Channel:
    from trueline.watch.channels_http import Webhook, address  # aiohttp is loaded where something is sent

    secret = environment.get("TRUELINE_WEBHOOK_SECRET", "")
    return Webhook(address=address("webhook", rest, environment), secret=secret.encode())


def _slack(rest: str, environment: Mapping[str, str]) -> Channel:
    from trueline.watch.channels_http import Slack, address

    return Slack(address=address("slack", rest, environment))


def _mail(rest: str, environment: Mapping[str, str]) -> Channel:
    from trueline.watch.channels_mail import opened

    return opened(rest, environment)


def _sarif(rest: str, environment: Mapping[str, str]) -> Channel:
    from trueline.watch.channels_sarif import SarifFile

    return SarifFile(path=Path(rest))


_KINDS: Mapping[str, Callable[[str, Mapping[str, str]], Channel]] = {
    "webhook": _webhook, "slack": _slack, "mail": _mail, "sarif": _sarif,
}  # fmt: skip
