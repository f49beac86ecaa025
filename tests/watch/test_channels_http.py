"""Posting alerts to real servers on this machine: signed, escaped, never followed, and into no private network by accident."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json

import pytest

from tests.targets.serving import send as answer
from tests.targets.serving import serving
from trueline.targets.posting import Reply
from trueline.watch.alerts import of_failure
from trueline.watch.channels import ChannelWordError, UndeliveredError, channel
from trueline.watch.channels_http import Webhook, address, blocks, escaped, signature

ALERT = of_failure("w", "prod <!channel> & co", 7, "no key")
OK = Reply(status=200, body=b"ok")


def put(reply, *, kind="webhook", environment=None, make=None):
    """Send the alert to a server that answers so; return what it got."""
    got = []

    def handle(handler):
        got.append((dict(handler.headers), handler.question))
        answer(handler, reply)

    with serving(handle) as target:
        url = f"{kind}:private:{target.partition('#')[0]}"
        place = make(url) if make else channel(url, environment or {})
        asyncio.run(place.send(ALERT))
    return got


def test_a_webhook_gets_the_alert_signed():
    """The body is the alert; the signature is what anyone with the secret computes over the second and the body."""

    def make(url):
        return Webhook(address=address("webhook", url.removeprefix("webhook:"), {}), secret=b"hush", now=lambda: 1764288000.7)

    ((headers, body),) = put(OK, make=make)
    assert json.loads(body)["id"] == ALERT.id == headers["trueline-alert"]
    expected = hmac.new(b"hush", b"1764288000." + body, hashlib.sha256).hexdigest()
    assert headers["trueline-signature"] == f"t=1764288000,v1={expected}" == signature(b"hush", 1764288000, body)


def test_the_secret_comes_from_the_environment():
    """With it there is a signature, without it there is none."""
    ((signed, _),) = put(OK, environment={"TRUELINE_WEBHOOK_SECRET": "hush"})
    ((bare, _),) = put(OK)
    assert "trueline-signature" in signed
    assert "trueline-signature" not in bare


def test_slack_gets_blocks_in_which_nothing_calls_anybody():
    """A header, a section and a context, with &, < and > escaped and nothing turned into a link."""
    ((_, body),) = put(OK, kind="slack")
    sent = json.loads(body)
    assert sent == blocks(ALERT)
    assert [block["type"] for block in sent["blocks"]] == ["header", "section", "context"]
    assert b"<!channel>" not in body
    assert "&lt;!channel&gt; &amp; co" in sent["blocks"][0]["text"]["text"]
    assert sent["blocks"][1]["text"]["verbatim"] is True


def test_an_escape_is_never_cut():
    """Long text is cut between characters, and is no longer than what fits."""
    for most in range(10, 40):
        cut = escaped("<&>" * 20, most)
        assert len(cut) <= most
        assert set(cut.replace("&lt;", "").replace("&gt;", "").replace("&amp;", "")) <= {"…"}


@pytest.mark.parametrize(("status", "again"), [(400, False), (403, False), (404, False), (429, True), (500, True), (503, True)])
def test_a_refusal_says_whether_to_come_again(status, again):
    """What the server wrote is not repeated."""
    with pytest.raises(UndeliveredError) as refused:
        put(Reply(status=status, headers={"retry-after": "7"}, body=b"hush"))
    assert (refused.value.again, refused.value.wait) == (again, 7 if again else None)
    assert "hush" not in str(refused.value)


def test_a_redirect_is_not_followed():
    """The address it names is not asked."""
    with pytest.raises(UndeliveredError, match="not followed") as refused:
        put(Reply(status=307, headers={"location": "http://127.0.0.1:9/"}))
    assert not refused.value.again


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.0.0.7",
        "192.168.1.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::a00:1]",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
    ],
)
def test_a_private_address_is_refused_unless_it_is_said(host):
    """Written in digits, it is refused before anything is sent; said to be private, it is taken."""
    with pytest.raises(ChannelWordError, match="private network"):
        channel(f"webhook:http://{host}/x", {})
    assert channel(f"webhook:private:http://{host}/x", {})


@pytest.mark.parametrize(
    "word", ["169.254.169.254", "private:http://169.254.169.254", "private:http://[fe80::1]", "private:http://[fd00:ec2::254]"]
)
def test_where_a_cloud_keeps_credentials_nothing_is_sent(word):
    """Whatever is said."""
    url = word if "http" in word else f"http://{word}"
    with pytest.raises(ChannelWordError, match="link-local"):
        channel(f"webhook:{url}/latest", {})


def test_a_name_is_judged_by_where_it_leads():
    """A name of this machine is refused when it is looked up, before anything is sent, and is not tried again."""
    got = []

    def handle(handler):
        got.append(handler.path)
        answer(handler, OK)

    with serving(handle) as target:
        port = target.partition("127.0.0.1:")[2].partition("/")[0]
        with pytest.raises(UndeliveredError, match="private network") as refused:
            asyncio.run(channel(f"webhook:http://localhost:{port}/", {}).send(ALERT))
    assert not refused.value.again
    assert not got


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x.test/",
        "file:///etc/passwd",
        "x.test/hook",
        "http://",
        "http://a:b@x.test/",
        "http://x.test/a b",
        "http://x.test\\@y.test/",
        "http://x.test:99999/",
        "http://2130706433/",
        "http://127.1/",
        "http://[x/",
    ],
)
def test_what_is_no_plain_web_address_is_refused(url):
    """One line, without the address."""
    with pytest.raises(ChannelWordError, match="expected webhook") as refused:
        channel(f"webhook:{url}", {})
    assert "passwd" not in str(refused.value)


def test_nobody_there_is_told_and_may_be_tried_again():
    """A port on which nothing listens."""
    with pytest.raises(UndeliveredError, match="found none") as refused:
        asyncio.run(channel("webhook:private:http://127.0.0.1:9/", {}).send(ALERT))
    assert refused.value.again
