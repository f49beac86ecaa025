"""The sampler over HTTP: what it asks for, what it takes for an answer, and that it draws what this process would."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager

import pytest

from tests.contract_server import contract_server
from tests.models.small import tiny_policy
from tests.targets.serving import send, serving
from trueline.models import remote_http
from trueline.models.generate import sample
from trueline.models.remote import SEEDS, Remote, StaleError, seed_of
from trueline.models.remote_http import RemoteError, StatusError, Wire, together
from trueline.models.tokens import Codec, word_tokenizer
from trueline.targets.posting import Reply

PROMPTS = [[1, 4, 8 + i, 9 + i] for i in range(6)]


@pytest.fixture(scope="module")
def policy():
    return tiny_policy()


@pytest.fixture(scope="module")
def server(policy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "model"
    policy.save(folder)
    with contract_server(folder) as url:
        yield url


@pytest.fixture
def remote(server, policy):
    found = Remote.at(server, policy.codec)
    yield found
    found.wire.post("/fault", {"name": "free"})


@contextmanager
def answering(answer):
    """A server whose POST answers `answer(path, body)`: a status and an object."""
    asked = []

    def reply(handler):
        body = json.loads(handler.question)
        asked.append((handler.path, body, dict(handler.headers)))
        status, said = answer(handler.path, body)
        written = said if isinstance(said, bytes) else json.dumps(said).encode()
        send(handler, Reply(status=status, headers={"content-type": "application/json"}, body=written))

    with serving(reply) as target:
        yield target.partition("/v1")[0], asked


def choice(body, **other):
    """A sample as vLLM gives it: token 8, then the end."""
    return {
        "index": 0, "finish_reason": "stop", "token_ids": [8, 2], "prompt_token_ids": body["prompt"][0],
        "logprobs": {"token_logprobs": [-1.0, -0.5]}, "weight_versions": [{"version": "v", "start": 0, "end": 2}],
    } | other  # fmt: skip


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_a_server_draws_what_this_process_draws(remote, policy, temperature):
    """The same prompts, seed and weights give the same ids and endings, and log-probabilities up to rounding."""
    asked = {"count": 3, "max_tokens": 8, "temperature": temperature, "seed": 7}
    there, here = remote.sample(PROMPTS, **asked), sample(policy, PROMPTS, **asked)
    flat = [(a, b) for x, y in zip(there, here, strict=True) for a, b in zip(x, y, strict=True)]
    assert len(flat) == 18
    assert [(a.ids, a.finish) for a, _ in flat] == [(b.ids, b.finish) for _, b in flat]
    if temperature:
        assert {a.finish for a, _ in flat} == {"stop", "length"}
    for a, b in flat:
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-5)


def test_a_sample_is_a_function_of_prompt_and_seed(remote):
    """Neither the company nor its order changes a sample; a prompt that comes twice is sampled on."""
    whole = remote.sample(PROMPTS, count=2, max_tokens=6, seed=list(range(6)))
    assert remote.sample(PROMPTS[::-1], count=2, max_tokens=6, seed=list(range(6))[::-1]) == whole[::-1]
    assert remote.sample(PROMPTS[3:4], count=2, max_tokens=6, seed=3) == whole[3:4]
    twice = remote.sample([PROMPTS[0]] * 2, count=4, max_tokens=6)
    assert twice[0] != twice[1]
    assert [*twice[0], *twice[1]] == remote.sample(PROMPTS[:1], count=8, max_tokens=6)[0]


def test_prompts_of_one_seed_do_not_share_their_noise():
    """The seed of a request depends on its prompt, is one that vLLM takes for each of its samples, and can be undone."""
    seeds = {seed_of(7, p) for p in PROMPTS}
    assert len(seeds) == len(PROMPTS)
    assert all(0 <= s < SEEDS <= 2**63 - 2**20 for s in seeds)
    assert seed_of(seed_of(7, PROMPTS[0]), PROMPTS[0]) == 7


def test_scores_are_the_trainers(remote, policy):
    """A scored text has what the sampler said of it when it made it, at temperature 1."""
    (drawn,) = remote.sample(PROMPTS[:1], count=1, max_tokens=8, seed=1)
    (scored,) = remote.score([[*PROMPTS[0], *drawn[0].ids]])
    assert scored[len(PROMPTS[0]) - 1 :] == pytest.approx(list(drawn[0].logprobs), abs=1e-5)


def test_the_whole_distribution_is_asked_for():
    """Nothing is left to a server's own settings: no truncation, no penalty, our end tokens alone, ids in place of text."""
    with answering(lambda path, body: (200, {"choices": [choice(body)]})) as (url, asked):
        remote = Remote(Wire.to(url), "tiny", stops=(1, 2))
        assert remote.sample([[1, 4]], max_tokens=5, temperature=0.5)[0][0].ids == (8, 2)
    (path, body, headers), *_ = asked
    assert path == "/v1/completions"
    assert body["prompt"] == [[1, 4]]
    assert (body["top_p"], body["top_k"], body["min_p"], body["repetition_penalty"]) == (1.0, 0, 0.0, 1.0)
    assert (body["presence_penalty"], body["frequency_penalty"]) == (0.0, 0.0)
    assert (body["ignore_eos"], body["stop_token_ids"], body["return_token_ids"]) == (True, [1, 2], True)
    assert "authorization" not in {name.lower() for name in headers}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"token_ids": None}, "no token_ids"),
        ({"token_ids": [8, "2"]}, "token_ids"),
        ({"prompt_token_ids": [1]}, "another prompt"),
        ({"logprobs": None}, "token_logprobs"),
        ({"logprobs": {"token_logprobs": [-1.0]}}, "log-probability each"),
        ({"logprobs": {"token_logprobs": [-1.0, float("nan")]}}, "finite"),
        ({"finish_reason": "abort"}, "'abort'"),
        ({"finish_reason": "length"}, "'length'"),
        ({"finish_reason": "length", "token_ids": [8, 9]}, "expected an end token"),
        ({"index": 1}, "expected 1 samples"),
        ({"token_ids": []}, "1 to 5 tokens"),
    ],
)
def test_a_wrong_answer_is_no_sample(wrong, message):
    """Whatever of an answer is not what was asked for is refused, and the message says which part."""
    made = answering(lambda path, body: (200, {"choices": [choice(body, **wrong)]}))
    with made as (url, _), pytest.raises(RemoteError, match=message):
        Remote(Wire.to(url), "tiny", stops=(1, 2)).sample([[1, 4]], max_tokens=5)


def test_samples_of_other_weights_are_refused():
    """A sample says which weights made it; those of another label are an error that names both, as for a restarted server."""
    with answering(lambda path, body: (200, {"choices": [choice(body)]})) as (url, _):
        remote = Remote(Wire.to(url), "tiny", stops=(1, 2))
        assert remote.sample([[1, 4]], max_tokens=5, label="v")
        with pytest.raises(StaleError, match=r"'v', expected '3-ab'"):
            remote.sample([[1, 4]], max_tokens=5, label="3-ab")


def test_a_key_is_sent_and_never_shown(monkeypatch):
    """The key of the environment goes into the header and into no error and no repr."""
    monkeypatch.setenv(remote_http.KEY, "s3cret")
    with answering(lambda path, body: (401, {"error": {"message": "no"}})) as (url, asked):
        wire = Wire.to(url)
        with pytest.raises(StatusError) as caught:
            wire.post("/v1/completions", {})
    assert {k.lower(): v for k, v in asked[0][2].items()}["authorization"] == "Bearer s3cret"
    assert remote_http.KEY in str(caught.value)
    assert "s3cret" not in f"{caught.value}{wire!r}"


def test_a_busy_server_is_asked_again(monkeypatch):
    """503 (paused) and 429 are asked again, a refusal is not, and it comes in the server's words, in one line."""
    monkeypatch.setattr(remote_http, "PAUSES", (0.0, 0.0))
    said = iter([(503, {}), (429, {}), (200, {"ok": 1}), (400, {"error": {"message": "too\nlong"}}), (200, b"<html>")])
    with answering(lambda path, body: next(said)) as (url, asked):
        wire = Wire.to(url)
        assert wire.post("/x", {}) == {"ok": 1}
        with pytest.raises(StatusError, match="status 400: too long"):
            wire.post("/x", {})
        with pytest.raises(RemoteError, match="expected JSON"):
            wire.post("/x", {})
    assert len(asked) == 5


def test_requests_go_out_together_and_end_with_the_first_that_fails():
    """At most so many at a time, answers in order; a failure is raised as it is, and what had not begun is not asked."""
    meeting, begun = threading.Barrier(3, timeout=20), []

    def ask(n):
        begun.append(n)
        meeting.wait()
        return -n

    assert together(ask, range(6), 3) == [0, -1, -2, -3, -4, -5]
    assert together(ask, [], 3) == []
    begun.clear()

    def fails(n):
        begun.append(n)
        raise RemoteError(f"at {n}")

    with pytest.raises(RemoteError, match="at 0"):
        together(fails, range(100), 1)
    assert begun == [0]


def test_what_is_not_there_is_said_at_once(monkeypatch, server, policy):
    """No server, an address that is none, another model's name or vocabulary, a context too short: each in plain words."""
    monkeypatch.setattr(remote_http, "PAUSES", (0.0,))
    with pytest.raises(RemoteError, match=r"no server of samples at http://127\.0\.0\.1:9"):
        Remote.at("http://127.0.0.1:9", policy.codec)
    for address in ("127.0.0.1:80", "http://a:b@host", "http://host/v1?key=x", "ftp://host", "http://host/other"):
        with pytest.raises(RemoteError, match="expected an address"):
            Wire.to(address)
    with pytest.raises(RemoteError, match=r"serves tiny; expected other: name it in sampler\.model"):
        Remote.at(server, policy.codec, model="other")
    remote = Remote.at(f"{server}/v1", policy.codec, model="tiny")
    remote.fits(policy.codec)
    words = Codec.of(word_tokenizer(("<pad>", "<bos>", "<eos>", "<sys>", "<user>", "<asst>", "<tool>", "<result>", *"bacd")))
    with pytest.raises(RemoteError, match=r"token 8 of .* is \[8\] here and \[9\] there"):
        remote.fits(words)
    with pytest.raises(RemoteError, match="context of 128 tokens, and prompt and answer may have 130"):
        remote.sample([[1] * 100], max_tokens=30)
    with pytest.raises(ValueError, match="prompt 1 is empty"):
        remote.sample([[1], []])
