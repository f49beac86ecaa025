"""A remote target in bad company: garbage, floods, broken streams, silence. Where its key goes is in test_http_keys.py."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import threading
import tracemalloc
from contextlib import suppress

import aiohttp  # noqa: F401 - else its loading would count as memory that a reply takes
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.targets.serving import asked, send, serving
from tests.targets.toy import HELLO, ONCE, SECRET, URL, ask, came, chat_body, stream
from trueline.core.types import Sampling
from trueline.targets.errors import (
    BadReplyError,
    RefusedRequestError,
    ReplyTooLargeError,
    TargetKeyError,
    TargetTimeoutError,
    UnknownModelError,
    UnreachableError,
)
from trueline.targets.posting import Reply

EVIL = "no\x1b[31m\u202e\nsuch"


pytestmark = pytest.mark.usefixtures("_every_key")


def test_a_question_arrives_as_it_was_put():
    """Model, messages, sampling and seed go into one POST with the key as a bearer; the completion names the target."""
    seen = []

    def server(request):
        seen.append(request)
        return came(body=chat_body("good day"))

    (completion,) = ask(server, sampling=Sampling(temperature=0.5, max_tokens=9, seed=4))
    body = json.loads(seen[0].content)
    assert str(seen[0].url) == "http://models.test/v1/chat/completions"
    assert seen[0].headers["authorization"] == f"Bearer {SECRET}"
    assert (body["model"], body["temperature"], body["max_tokens"], body["seed"]) == ("tiny", 0.5, 9, 4)
    assert body["messages"] == [{"role": "user", "content": "hello"}]
    assert (completion.text, completion.model, completion.finish) == ("good day", URL, "stop")
    assert completion.prompt.conversation == HELLO


def said(text: str, status: int = 400) -> Reply:
    return came(status, {"error": {"message": text}})


SHOWN = r"'no\x1b[31m\u202e such'"
EVENTS = {"content-type": "text/event-stream"}
GZIP = {"content-encoding": "gzip"}
HALF = {"choices": [{"delta": {"content": "half"}}]}
FAILURES = {  # what comes -> the kind of error, and what its line says
    "a wrong key": (came(401, f"bad key {SECRET}"), TargetKeyError, "not accepted (401); set TRUELINE_API_KEY"),
    "a key without rights": (came(403), TargetKeyError, "not accepted (403)"),
    "an unknown model": (said(EVIL, 404), UnknownModelError, f"(404): {SHOWN}"),
    "a refused request": (said("too long"), RefusedRequestError, "(400): 'too long'"),
    "a refusal in another shape": (came(422, {"detail": "bad"}), RefusedRequestError, "(422): 'bad'"),
    "a refusal in no shape": (came(400, EVIL), RefusedRequestError, SHOWN),
    "a refusal that repeats the key": (said(f"{SECRET} is bad"), RefusedRequestError, "'[key] is bad'"),
    "a redirect": (came(307, headers={"location": "http://e.t/"}), UnreachableError, "'http://e.t/', which is not"),
    "no JSON": (came(body="<html>hello"), BadReplyError, "expected a reply in JSON, got '<html>hello'"),
    "nothing": (came(200), BadReplyError, "expected a reply in JSON"),
    "JSON that is no object": (came(body="[1]"), BadReplyError, "a JSON object"),
    "JSON that is too deep": (came(body="[" * 200_000), BadReplyError, "expected a reply in JSON"),
    "no choices": (came(body={"choices": []}), BadReplyError, "an object at choices[0]"),
    "an error dressed as an answer": (said("gone", 200), BadReplyError, "gone"),
    "a text that is none": (came(body={"choices": [{"message": {"content": 5}}]}), BadReplyError, "text at"),
    "a flood": (came(body=b" " * 5_000_000), ReplyTooLargeError, "at most 4,194,304 bytes"),
    "a stream of garbage": (stream("no event"), BadReplyError, "a JSON object"),
    "a stream that ends in the middle": (stream(HALF, end=""), BadReplyError, "broke off in the middle"),
    "a stream torn in an event": (stream(HALF, end='data: {"choices": [{"del'), BadReplyError, "a reply in JSON"),
    "a stream with an error": (stream(HALF, {"error": {"message": EVIL}}), BadReplyError, SHOWN),
    "a stream that is no text": (came(body=b"data: \xff\n\n", headers=EVENTS), BadReplyError, "UTF-8"),
    "a broken compression": (came(body=b"not gzip", headers=GZIP), UnreachableError, "the reply cannot be decompressed"),
    "a bomb": (came(body=gzip.compress(b" " * 30_000_000), headers=GZIP), ReplyTooLargeError, "at most 4,194,304 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_one_line_of_its_kind(case):
    """The error is of the kind that fits, on one line, names the target, spells out what hides, and never shows the key."""
    reply, kind, says = FAILURES[case]
    with serving(lambda handler: send(handler, reply)) as target, pytest.raises(kind) as failed:
        asyncio.run(asked(target, patience=ONCE))
    line = str(failed.value)
    assert says in line
    assert line.startswith(f"{target}: ")
    assert line.isprintable()
    assert SECRET not in line
    assert len(line) < 600


def test_nobody_there():
    """A port where nobody listens is an address that could not be reached."""
    with serving(lambda handler: None) as target:
        pass
    with pytest.raises(UnreachableError, match="found none that takes a connection; check the address"):
        asyncio.run(asked(target, patience=ONCE))


def test_a_server_that_says_nothing_times_out():
    """Whoever takes the question and keeps silent is left after `timeout` seconds."""
    release = threading.Event()
    with serving(lambda handler: release.wait(10)) as target:
        with pytest.raises(TargetTimeoutError, match=r"no whole reply within 0.05 s; raise timeout"):
            asyncio.run(asked(target, patience=ONCE, timeout=0.05))
        release.set()


def test_a_server_that_drips_times_out():
    """A byte now and then does not keep a question open: the limit is for the whole reply."""
    release = threading.Event()

    def drip(handler):
        handler.send_response(200)
        handler.end_headers()
        while not release.wait(0.01):
            handler.wfile.write(b" ")

    with serving(drip) as target:
        with pytest.raises(TargetTimeoutError):
            asyncio.run(asked(target, patience=ONCE, timeout=0.1))
        release.set()


def test_a_flood_is_not_read_to_its_end():
    """Of 30 MB only the limit is read, and no more is ever in memory."""

    def flood(handler):
        handler.send_response(200)
        handler.send_header("content-length", str(30 * 2**20))
        handler.end_headers()
        for _ in range(30 * 16):
            handler.wfile.write(b"x" * 2**16)

    with serving(flood) as target:
        tracemalloc.start()
        try:
            with pytest.raises(ReplyTooLargeError):
                asyncio.run(asked(target, patience=ONCE, most_bytes=2**20))
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert most < 10 * 2**20


def test_a_reply_that_breaks_off_is_an_error_of_the_connection():
    """Fewer bytes than promised: not a short answer, but a broken one."""

    def short(handler):
        handler.send_response(200)
        handler.send_header("content-length", "1000")
        handler.end_headers()
        handler.wfile.write(json.dumps(chat_body()).encode())
        handler.close_connection = True

    with serving(short) as target, pytest.raises(UnreachableError, match="broke off before the reply was whole"):
        asyncio.run(asked(target, patience=ONCE))


WORDS = [
    "choices",
    "message",
    "content",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "delta",
    "usage",
    "logprobs",
    "type",
    "index",
    "error",
    "finish_reason",
    "output",
    "response",
    "content_block",
    "text",
    "input",
    "id",
    "prompt_tokens",
    "incomplete_details",
]
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON, st.sampled_from([URL, "openai-responses:m", "anthropic:m"]), st.booleans())
def test_whatever_comes_is_an_answer_or_a_bad_reply(value, target, streamed):
    """No JSON that a server can think of breaks anything but its own question."""
    reply = stream(value, value) if streamed else came(body=json.dumps(value))
    with suppress(BadReplyError):
        (completion,) = ask(reply, target=target, patience=ONCE)
        assert isinstance(completion.text, str)


def test_remote_targets_load_no_tensors():
    """Importing what asks remote targets, and opening one, loads neither torch nor transformers; HTTP comes with opening."""
    code = (
        "import asyncio, sys, trueline.targets.http\n"
        "from trueline.targets.naming import open_target\n"
        "assert 'aiohttp' not in sys.modules\n"
        "async def main():\n    async with open_target('http://localhost:1/v1#m') as target:\n        print(target.name)\n"
        "asyncio.run(main())\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "http://localhost:1/v1#m\n"), done.stderr
