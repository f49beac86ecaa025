"""The process: a port of its own, an end that loses nothing, and errors before work starts."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2
import pytest

from tests.calling import trueline
from tests.models.small import tiny_policy
from tests.targets.serving import send, serving
from tests.targets.toy import came, chat_body
from tests.web.processes import served
from trueline.core.types import Conversation, Sampling
from trueline.models.generate import sample
from trueline.targets.local import LocalModel
from trueline.targets.wrappers import Deployment, Scripted
from trueline.web.serving import Address, Elsewhere, check_name, name_of, spelling_of

HELLO = {"model": "far", "messages": [{"role": "user", "content": "hello"}]}


@contextmanager
def upstream(asked: threading.Event, told: threading.Event) -> Iterator[str]:
    """A model behind HTTP that answers when it is told to; gives its TARGET."""

    def answer(handler):
        asked.set()
        told.wait(300)
        send(handler, came(body=chat_body("good day")))

    with serving(answer, "far") as target:
        try:
            yield target
        finally:
            told.set()


OPEN = "warning: 0.0.0.0 can be reached from other machines, and "


@pytest.mark.parametrize(
    ("number", "options", "says"),
    [
        (signal.SIGTERM, [], ""),
        (signal.SIGINT, ["--host", "0.0.0.0"], f"{OPEN}anyone may use it; set TRUELINE_SERVE_KEY to ask for a key\n"),
    ],
)
def test_who_is_being_answered_is_answered_to_the_end(number, options, says):
    """Told to end, the process answers what is under way, takes no more, and ends with 0; it has nothing to say on the way,
    but that an address is open to other machines. Any TARGET is served: here a remote one, with no model in the process.
    """
    asked, told = threading.Event(), threading.Event()
    with upstream(asked, told) as far, served(far, *options) as here, ThreadPoolExecutor() as pool:
        under_way = pool.submit(httpx2.post, f"{here.url}/chat/completions", json=HELLO, timeout=300)
        assert asked.wait(300)
        here.process.send_signal(number)
        told.set()
        assert under_way.result().json()["choices"][0]["message"]["content"] == "good day"
        assert here.process.wait(300) == 0
        assert here.process.stderr.read() == says


def test_the_key_is_asked_for_and_never_shown():
    """With TRUELINE_SERVE_KEY in the environment it must be shown; the warning of an open address says who may come in."""
    with served("http://h.test/v1#far", "--host", "0.0.0.0", TRUELINE_SERVE_KEY="very-secret") as here:
        assert httpx2.get(f"{here.url}/models").status_code == 401
        assert httpx2.get(f"{here.url}/models", headers={"authorization": "Bearer very-secret"}).status_code == 200
        code, err = here.stop()
    assert (code, err) == (0, f"{OPEN}who has TRUELINE_SERVE_KEY may use it\n")


def test_a_taken_port_is_told_before_a_model_is_loaded(tmp_path):
    """One line, exit 1, though the folder holds no model: the port is taken first."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = trueline("serve", tmp_path, "--port", port, "--threads", 1)
    assert (ended.code, ended.out) == (1, "")
    assert f"cannot take 127.0.0.1:{port}" in ended.err
    assert "choose another" in ended.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere"], ["'nowhere': expected a model folder", "hf:NAME"]),
        (["opnai:m"], ["did you mean 'openai'?"]),
        (["openai:m", "--name", "a b"], ["expected a name of letters", "'a b'", "--name NAME"]),
        (["http://h.test/v1#m", "--device", "cuda"], ["--device cuda is for a model in this process"]),
        (["http://h.test/v1#m", "--template", "plain"], ["template=plain is for a model in this process"]),
        (["nowhere", "--device", "cuda:99"], ["device 'cuda:99': expected one of cpu"]),
    ],
)
def test_what_cannot_be_served_is_told(words, says):
    """Exit 2 and one line that says what to do."""
    ended = trueline("serve", *words, "--port", 0, "--threads", 1)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert [part for part in says if part not in ended.err] == [], ended.err


def test_without_its_extra_the_verb_says_what_to_install(monkeypatch):
    """Starlette and uvicorn are not of the core: without them, one line names the extra."""
    monkeypatch.delitem(sys.modules, "trueline.web.serving")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    ended = trueline("serve", "nowhere")
    assert (ended.code, ended.out) == (2, "")
    assert "pip install 'trueline[serve]'" in ended.err


def test_what_comes_while_a_batch_is_computed_is_the_next_batch(monkeypatch):
    """Computing holds the target's thread and not that of HTTP: seven that come meanwhile are one batch, answered as alone."""
    model, batches = LocalModel(tiny_policy(), "tiny"), []
    computing, go_on = threading.Event(), threading.Event()
    asked = [(Conversation().say("user", text), Sampling(max_tokens=6, seed=seed)) for seed, text in enumerate("abcdefgh")]
    alone = [asyncio.run(model.reply(*question)).text for question in asked]

    def slow(policy, heads, **options):
        batches.append(len(heads))
        computing.set()
        assert go_on.wait(300)
        return sample(policy, heads, **options)

    async def http(there: Elsewhere) -> list[str]:
        first = asyncio.create_task(there.reply(*asked[0]))
        await asyncio.to_thread(computing.wait, 300)
        others = [asyncio.create_task(there.reply(*question)) for question in asked[1:]]
        await asyncio.sleep(0)  # each is on its way
        go_on.set()
        return [said.text for said in await asyncio.gather(first, *others)]

    async def talk() -> list[str]:
        there = Elsewhere(target=model, spelling=model, loop=asyncio.get_running_loop())
        return await asyncio.to_thread(asyncio.run, http(there))

    monkeypatch.setattr("trueline.targets.local.sample", slow)
    assert asyncio.run(talk()) == alone
    assert batches == [1, 7]


def test_a_template_that_refuses_a_plain_question_is_told_at_once(tmp_path):
    """Exit 2 before the first request, where every request would be refused."""
    policy = tiny_policy()
    policy.codec.tokenizer.chat_template = "{{ raise_exception('systems only') }}"
    policy.save(tmp_path / "odd")
    ended = trueline("serve", tmp_path / "odd", "--port", 0, "--threads", 1)
    assert (ended.code, ended.out) == (2, "")
    assert "systems only" in ended.err


def test_what_is_known_of_tokens_is_found_behind_a_deployment():
    """A deployment of a model in this process has the model's context; of a target that only answers nothing is known."""
    model = LocalModel(tiny_policy(), "tiny")
    assert spelling_of(model) is model
    assert spelling_of(Deployment(label="d", target=model)).context == 128
    assert spelling_of(Deployment(label="d", target=Scripted(answers=()))).context is None


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("runs/demo/safety", "safety"), ("/models/tiny/", "tiny"), ("hf:Org/Model-1.5", "Model-1.5"), ("openai:gpt-x", "gpt-x"),
        ("http://h/v1#m", "m"), ("deployments/library.yaml", "library"),
    ],
)  # fmt: skip
def test_a_target_has_a_short_name(reference, name):
    """The last part, which tells clients nothing of this machine's folders, and can stand in a TARGET."""
    assert check_name(name_of(reference)) == name


def test_an_address_of_version_six_is_written_as_one():
    """In brackets, as a URL wants it."""
    assert Address(host="::1", port=80, name="m").target == "http://[::1]:80/v1#m"
