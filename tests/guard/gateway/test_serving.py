"""The gateway as people run it: a process on a port, asked by unmodified SDKs, killed, and changed while it serves."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import anthropic
import openai
import orjson
import pytest

from trueline.guard.coverage.proving import PATHS
from trueline.guard.coverage.replies import reply, stream
from trueline.guard.gateway.serving import check_url
from trueline.store.audits import audit_writers, rows_of, unsettled
from trueline.store.opening import open_database

pytestmark = pytest.mark.slow

POLICY = "name: test\nmessage: not here\nrelease: text\nrails: [{type: words, words: [WORD]}, {type: pii}]\n"
ENDPOINTS = {path: name for name, path in PATHS.items()}


class _Upstream(BaseHTTPRequestHandler):
    """Says that a letter came to an address, in the format that it is asked in; waits where it is asked to."""

    protocol_version = "HTTP/1.1"
    gate = threading.Event()

    def do_POST(self) -> None:
        body = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
        said = {"text": "It came to alice@example.com today.", "arguments": '{"q": "letter"}'}
        if "wait" in json.dumps(body):
            self.gate.wait(20)
        endpoint = ENDPOINTS[self.path]
        if body.get("stream"):
            parts = list(stream(endpoint, said))
            self._head("text/event-stream", sum(map(len, parts)))
            for part in parts:
                self.wfile.write(part)
                self.wfile.flush()
        else:
            whole = orjson.dumps(reply(endpoint, said))
            self._head("application/json", len(whole))
            self.wfile.write(whole)

    def _head(self, kind: str, length: int) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(length))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A gateway that answers."""

    url: str
    folder: Path
    process: subprocess.Popen[str]

    def get(self, path: str) -> Any:
        with urlopen(self.url + path) as came:
            return json.load(came)

    @property
    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="sk-own", max_retries=0, timeout=20)

    @property
    def anthropic(self) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=self.url, api_key="sk-own", max_retries=0, timeout=20)


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """The upstream's address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def _start(folder: Path, upstream: str, word: str = "marrow", more: tuple[str, ...] = ()) -> Served:
    (folder / "policy.yaml").write_text(POLICY.replace("WORD", word))
    words = ["guard", "serve", str(folder / "policy.yaml"), "--upstream", upstream, "--port", "0", "--json"]
    places = ["--folder", str(folder / "guard"), "--database", str(folder / "guard.db")]
    process = subprocess.Popen([sys.executable, "-m", "trueline", *words, *places, *more], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"].removesuffix("/v1")
    served = Served(url=url, folder=folder, process=process)
    _until(lambda: served.get("/health") == {"status": "ok"})
    return served


def _until(holds: Any, seconds: float = 15) -> None:
    """Wait until something holds."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            if holds():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError("it does not come to hold")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, upstream: str) -> Iterator[Served]:
    """A gateway in a process of its own."""
    one = _start(tmp_path_factory.mktemp("served"), upstream)
    yield one
    one.process.kill()
    one.process.wait()


ASK = [{"role": "user", "content": "Where is my letter?"}]
BAD = [{"role": "user", "content": "Where is my m-a-r-r-o-w?"}]
MASKED = "It came to [email] today."


def test_the_openai_sdk_works_through_it(served: Served) -> None:
    """Whole and streamed, text and calls: unmodified, and what the policy takes out is gone."""
    whole = served.openai.chat.completions.create(model="m", messages=ASK)  # type: ignore[arg-type] # plain messages
    assert whole.choices[0].message.content == MASKED
    assert whole.choices[0].message.tool_calls[0].function.arguments == '{"q": "letter"}'
    chunks = list(served.openai.chat.completions.create(model="m", messages=ASK, stream=True))  # type: ignore[call-overload]
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == MASKED
    assert "".join(c.function.arguments for d in deltas for c in d.tool_calls or ()) == '{"q": "letter"}'
    said = served.openai.responses.create(model="m", input="Where is my letter?")
    assert said.output_text == MASKED


def test_the_anthropic_sdk_works_through_it(served: Served) -> None:
    """The same in the other format."""
    whole = served.anthropic.messages.create(model="m", max_tokens=9, messages=ASK)  # type: ignore[arg-type]
    assert whole.content[0].text == MASKED
    with served.anthropic.messages.stream(model="m", max_tokens=9, messages=ASK) as stream:  # type: ignore[arg-type]
        final = stream.get_final_message()
    assert (final.content[0].text, final.content[1].input) == (MASKED, {"q": "letter"})


def test_a_blocked_request_is_a_reply_that_sdks_understand(served: Served) -> None:
    """A word that is spelled out is found, and both SDKs read the policy's message."""
    said = served.openai.chat.completions.create(model="m", messages=BAD)  # type: ignore[arg-type]
    assert (said.choices[0].message.content, said.choices[0].finish_reason) == ("not here", "content_filter")
    whole = served.anthropic.messages.create(model="m", max_tokens=9, messages=BAD)  # type: ignore[arg-type]
    assert (whole.content[0].text, whole.stop_reason) == ("not here", "refusal")


def test_who_sends_half_a_request_keeps_nobody_waiting(served: Served) -> None:
    """Connections that stand half open take no one else's place."""
    host, _, port = served.url.removeprefix("http://").partition(":")
    halves = [socket.create_connection((host, int(port))) for _ in range(50)]
    for half in halves:
        half.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-le")
    assert served.openai.chat.completions.create(model="m", messages=ASK).choices  # type: ignore[arg-type]
    for half in halves:
        half.close()


def test_a_policy_is_changed_while_it_serves_and_a_broken_one_changes_nothing(tmp_path: Path, upstream: str) -> None:
    """The new word is stopped, the broken file is told by /ready, and what was good still holds."""
    served = _start(tmp_path, upstream)
    try:
        before = served.get("/ready")["policy"]
        (tmp_path / "policy.yaml").write_text("rails: [{type: word}]\n")
        _until(lambda: "did you mean 'words'" in " ".join(served.get("/ready")["trouble"]))
        assert served.get("/ready")["policy"] == before
        (tmp_path / "policy.yaml").write_text(POLICY.replace("WORD", "letter"))
        _until(lambda: served.get("/ready")["policy"] != before)
        said = served.openai.chat.completions.create(model="m", messages=ASK)  # type: ignore[arg-type]
        assert said.choices[0].message.content == "not here"
    finally:
        served.process.kill()
        served.process.wait()


def test_a_killed_gateway_has_lost_nothing_that_it_accepted(tmp_path: Path, upstream: str) -> None:
    """An exchange under way when it is killed is on the record as accepted, and after the next start as never settled."""
    served = _start(tmp_path, upstream)
    _Upstream.gate.clear()
    waiting = [{"role": "user", "content": "wait for my letter"}]
    asking = threading.Thread(target=lambda: _quietly(served, waiting), daemon=True)
    try:
        served.openai.chat.completions.create(model="m", messages=ASK)  # type: ignore[arg-type]
        asking.start()
        _until(lambda: "trueline_in_flight 1.0" in urlopen(served.url + "/metrics").read().decode())
        os.kill(served.process.pid, signal.SIGKILL)
        served.process.wait()
        _Upstream.gate.set()
        again = _start(tmp_path, upstream)
        again.process.terminate()
        assert again.process.wait(30) == 0
        database = open_database(tmp_path / "guard.db")
        kinds = [row.kind for writer in audit_writers(database) for row in rows_of(database, writer)]
        assert (kinds.count("accepted"), kinds.count("settled")) == (2, 1)
        assert [lost for _, lost in unsettled(database)] == [True]
        database.dispose()
    finally:
        _Upstream.gate.set()
        served.process.kill()


def test_a_second_policy_judges_beside_it_and_its_verdicts_are_there_after_the_end(tmp_path: Path, upstream: str) -> None:
    """A broken one ends the start; a good one is named by /ready, and what it would stop is counted by guard compare."""
    other = tmp_path / "other.yaml"
    other.write_text("rails: [{type: word}]\n")
    words = ["guard", "serve", str(tmp_path / "policy.yaml"), "--upstream", upstream, "--beside", str(other)]
    (tmp_path / "policy.yaml").write_text(POLICY)
    refused = subprocess.run([sys.executable, "-m", "trueline", *words], capture_output=True, text=True, cwd=tmp_path)
    assert (refused.returncode, "did you mean 'words'" in refused.stderr) == (2, True)
    other.write_text("name: other\nrails: [{type: words, words: [letter]}]\n")
    served = _start(tmp_path, upstream, more=("--beside", str(other)))
    try:
        _until(lambda: served.get("/ready")["trouble"] == [], 60)
        assert served.get("/ready")["beside"].startswith("other@")
        served.openai.chat.completions.create(model="m", messages=ASK)  # type: ignore[arg-type]
        list(served.openai.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True))
        _until(lambda: b'trueline_compared_total{found="different"} 2.0' in urlopen(served.url + "/metrics").read(), 60)
        served.process.terminate()
        assert served.process.wait(30) == 0
    finally:
        served.process.kill()
    words = ["guard", "compare", "--json", "--database", str(tmp_path / "guard.db")]
    done = subprocess.run([sys.executable, "-m", "trueline", *words], capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert [(one["rail"], one["n"]) for one in told["only_second"]] == [("words", 2)]
    assert told["n"] == 2


def _quietly(served: Served, messages: Any) -> None:
    with suppress(openai.OpenAIError):
        served.openai.chat.completions.create(model="m", messages=messages)


def test_a_gateway_that_is_told_to_stop_ends_what_is_under_way(tmp_path: Path, upstream: str) -> None:
    """SIGTERM lets an exchange come to its end, and takes no more."""
    served = _start(tmp_path, upstream)
    _Upstream.gate.clear()
    said: list[Any] = []
    waiting: Any = [{"role": "user", "content": "wait for my letter"}]
    asking = threading.Thread(
        target=lambda: said.append(served.openai.chat.completions.create(model="m", messages=waiting)), daemon=True
    )
    asking.start()
    _until(lambda: "trueline_in_flight 1.0" in urlopen(served.url + "/metrics").read().decode())
    served.process.terminate()
    _Upstream.gate.set()
    asking.join(20)
    assert [one.choices[0].message.content for one in said] == [MASKED]
    assert served.process.wait(30) == 0


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://u:p@host", "http://host?key=1", "host:80"])
def test_an_upstream_that_is_no_address_is_refused_before_anything_is_opened(url: str) -> None:
    """Also one with a password in it, which would stand in process lists and logs."""
    with pytest.raises(ValueError, match="expected an upstream such as"):
        check_url(url)
