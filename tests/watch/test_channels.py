"""Channels by a word, and sending: each to each, once, whatever another channel does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from trueline.targets.patience import Clock, Patience
from trueline.watch.alerts import Alert, of_failure
from trueline.watch.channels import ChannelWordError, UndeliveredError, channel, check_word, deliver

ALERTS = tuple(of_failure("w", "prod", number, "no key") for number in (1, 2))
SECRET = "https://hooks.slack.com/services/T0/B0/hush"


@dataclass
class Place:
    """A channel that answers as it is told: an error to raise, or nothing."""

    name: str
    answers: list[Exception | None] = field(default_factory=list)
    got: list[str] = field(default_factory=list)

    async def send(self, alert: Alert) -> None:
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.got.append(alert.id)


@dataclass
class Time:
    """A clock that moves when somebody sleeps."""

    now: float = 0.0

    def clock(self) -> Clock:
        async def sleep(seconds: float) -> None:
            self.now += seconds

        return Clock(now=lambda: self.now, today=lambda: self.now, sleep=sleep)


THREE = Patience(attempts=3, seconds=60, first=1.0)


def send(*places, done=None, patience=THREE, alerts=ALERTS):
    time = Time()
    return asyncio.run(deliver(alerts, places, done=done, patience=patience, clock=time.clock())), time


def test_every_alert_goes_to_every_channel():
    """In order, and what came of it is kept under the channel's name."""
    one, other = Place("one"), Place("other")
    sent, _ = send(one, other)
    assert one.got == other.got == [alert.id for alert in ALERTS]
    assert sent[ALERTS[0].id]["one"] == {"at": "1970-01-01T00:00:00+00:00", "ok": True, "tries": 1, "why": ""}


def test_a_channel_that_fails_stops_no_other():
    """Whatever it raises; an error of ours is told, another's text may hold a secret and is not."""
    bad, worse, good = Place("bad", [UndeliveredError("no")] * 2), Place("worse", [RuntimeError(SECRET)] * 2), Place("good")
    sent, _ = send(bad, worse, good)
    assert len(good.got) == 2
    assert sent[ALERTS[0].id]["bad"]["why"] == "no"
    assert sent[ALERTS[0].id]["worse"]["why"] == "it failed (RuntimeError)"


def test_what_may_be_taken_later_is_sent_again_with_growing_waits():
    """Twice in vain, then taken: three tries, and at least half of one and two seconds between them."""
    place = Place("p", [UndeliveredError("busy", again=True)] * 2)
    sent, time = send(place, alerts=ALERTS[:1])
    assert sent[ALERTS[0].id]["p"]["tries"] == 3
    assert sent[ALERTS[0].id]["p"]["ok"]
    assert 1.5 <= time.now <= 3


def test_patience_ends():
    """After so many tries, or where the wait would be longer than the deadline, it is given up and says so."""
    sent, _ = send(Place("p", [UndeliveredError("busy", again=True)] * 9), alerts=ALERTS[:1])
    assert (sent[ALERTS[0].id]["p"]["ok"], sent[ALERTS[0].id]["p"]["tries"]) == (False, 3)
    sent, time = send(Place("p", [UndeliveredError("busy", again=True, wait=3600)]), alerts=ALERTS[:1])
    assert (sent[ALERTS[0].id]["p"]["tries"], time.now) == (1, 0)


def test_a_channel_that_hangs_is_left_at_the_deadline():
    """It never answers; the others were served meanwhile."""

    class Hanging(Place):
        async def send(self, alert: Alert) -> None:
            await asyncio.Event().wait()

    good = Place("good")
    sent, _ = send(Hanging("hangs"), good, patience=Patience(seconds=0.01), alerts=ALERTS[:1])
    assert good.got
    assert "not taken within" in sent[ALERTS[0].id]["hangs"]["why"]


def test_what_was_taken_is_not_sent_again_and_what_failed_is():
    """What is done comes from the database; a second delivery sends the rest, and forgets no other channel."""
    done = {ALERTS[0].id: {"one": {"ok": True, "at": "then", "tries": 1, "why": ""}, "gone": {"ok": True}}}
    done |= {ALERTS[1].id: {"one": {"ok": False, "at": "then", "tries": 4, "why": "busy"}}}
    one = Place("one")
    sent, _ = send(one, one, done=done)
    assert one.got == [ALERTS[1].id]
    assert sent[ALERTS[0].id] == done[ALERTS[0].id]
    assert sent[ALERTS[1].id]["one"]["ok"]


def test_what_came_of_it_is_kept_at_once():
    """A process that is killed while the second alert is under way has kept the first."""
    kept = []

    class Killing(Place):
        async def send(self, alert: Alert) -> None:
            if alert is ALERTS[1]:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(deliver(ALERTS, [Killing("p")], keep=lambda *told: kept.append(told), clock=Time().clock()))
    ((alert, place, sent),) = kept
    assert (alert, place, sent["ok"]) == (ALERTS[0].id, "p", True)


def test_a_word_names_a_channel(tmp_path):
    """By kind; its name holds no path, no address that is a secret, and no folder."""
    environment = {"HOOK": SECRET, "TRUELINE_SMTP_HOST": "mail.test"}
    words = {
        "slack:env:HOOK": "slack:env:HOOK",
        "mail:ops@example.org": "mail:ops@example.org",
        f"sarif:{tmp_path}/alerts.sarif": "sarif:alerts.sarif",
    }
    for word, name in words.items():
        assert channel(word, environment).name == name
    opened = channel(f"webhook:{SECRET}", environment)
    assert opened.name.startswith("webhook:hooks.slack.com#")
    assert "hush" not in repr(opened) + opened.name


@pytest.mark.parametrize(
    "word", ["", "webhook", "webhook:", "pager:1", "slack:env:NOTHING", "mail:ops@example.org", "webhok:http://x.test"]
)
def test_a_wrong_word_is_refused_in_one_line(word):
    """Before anything is sent: what was expected."""
    with pytest.raises(ChannelWordError, match="expected"):
        channel(word, {})


@pytest.mark.parametrize("word", [f"slack:{SECRET}", "webhook:https://x.test/?key=hush", "webhook:https://me:hush@x.test/"])
def test_what_holds_a_secret_is_not_stored(word):
    """It is refused without being shown."""
    with pytest.raises(ChannelWordError) as refused:
        check_word(word)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    "word", ["slack:env:HOOK", "webhook:private:http://10.0.0.7/x", "mail:ops@example.org", "sarif:a.sarif"]
)
def test_what_holds_none_may_be_stored(word):
    """As it stands: what is checked raises nothing, and nothing is made of it."""
    assert check_word(word) is None
