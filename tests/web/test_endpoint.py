"""A target behind HTTP: what is asked arrives as it was put, what is said comes back whole, and many at once share a batch."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from tests.models.small import tiny_policy
from tests.targets.toy import Request, opening
from tests.web.asking import HELLO, Recorder, app_of, ask, client, error_of, events, get
from trueline.core.types import Conversation, Sampling
from trueline.models.generate import sample
from trueline.targets.http import Asking, connected
from trueline.targets.local import LocalModel
from trueline.targets.naming import address_of
from trueline.targets.posting import Reply
from trueline.targets.wrappers import Scripted


def tiny() -> LocalModel:
    return LocalModel(tiny_policy(), "tiny")


def content(response: httpx2.Response, index: int = 0) -> str:
    return response.json()["choices"][index]["message"]["content"]


def test_a_conversation_arrives_as_it_was_put():
    """Roles, parts of text, calls, results, tools and an opening of the answer reach the target; so do the settings."""
    recorder = Recorder(Scripted(answers=("yes",)))
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    (response,) = ask(
        app_of(recorder),
        {
            "model": "tiny",
            "messages": [
                {"role": "developer", "content": "be brief"},
                {"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": "seen"},
                {"role": "assistant", "content": "It is"},
            ],
            "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
            "temperature": 0.5,
            "max_completion_tokens": 9,
            "seed": 4,
            "top_p": 1.0,
            "user": "me",
        },
    )
    assert response.status_code == 200, response.text
    ((conversation, sampling),) = recorder.asked
    assert [m.role for m in conversation.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert [m.text for m in conversation.messages] == ["be brief", "one two", "", "seen", "It is"]
    assert conversation.messages[2].tool_calls[0].name == "look"
    assert conversation.messages[3].tool_call_id == "c1"
    assert [tool.name for tool in conversation.tools] == ["look"]
    assert sampling == Sampling(temperature=0.5, max_tokens=9, seed=4)


def test_tools_can_be_withheld():
    """With tool_choice none, the target is told of no tool."""
    recorder = Recorder(Scripted(answers=("yes",)))
    ask(app_of(recorder), {**HELLO, "tools": [{"function": {"name": "look"}}], "tool_choice": "none"})
    assert recorder.asked[0][0].tools == ()


def test_a_model_is_listed_and_found():
    """One model, under its name, in the list and alone; health tells nothing and answers."""
    app = app_of(Scripted(answers=()))
    (listed,) = get(app, "/v1/models").json()["data"]
    assert (listed["id"], listed["object"]) == ("tiny", "model")
    assert get(app, "/v1/models/tiny").json() == listed
    assert get(app, "/v1/models/other").status_code == 404
    assert get(app, "/health").json() == {"status": "ok"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("words", ["a b", "c d e f g", ""])
def test_asked_through_the_endpoint_a_model_says_what_it_says_directly(stream, words):
    """The round trip: our own HTTP target, asking our own endpoint, gets the text and log-probabilities of the model itself."""
    model, sampling = tiny(), Sampling(temperature=0.0, max_tokens=12)
    conversation = Conversation().say("system", "h").say("user", words)

    async def both():
        direct = await model.reply(conversation, sampling)
        asking = Asking(stream=stream, logprobs=True)
        address = address_of("http://127.0.0.1:8000/v1#tiny")
        async with client(app_of(model)) as web:

            async def server(request: Request) -> Reply:
                came = await web.post(request.url, content=request.content, headers=request.headers)
                return Reply(status=came.status_code, headers=came.headers, body=came.content)

            async with connected(address, asking, opening=opening(server)) as remote:
                return direct, await remote.reply(conversation, sampling)

    direct, there = asyncio.run(both())
    assert (there.text, there.finish) == (direct.text, direct.finish)
    said = direct.logprobs[: len(direct.ids) - (direct.finish == "stop")]
    assert there.logprobs == pytest.approx(said, abs=1e-5)


def test_a_sample_is_the_one_of_its_seed():
    """Choice i is what seed + i gives by itself, in a batch with anything; the seed that is given decides."""
    app, body = app_of(tiny()), {**HELLO, "seed": 5, "max_tokens": 12}
    (many, other), (alone,) = ask(app, {**body, "n": 3}, {**body, "seed": 9}), ask(app, {**body, "seed": 6})
    assert [choice["index"] for choice in many.json()["choices"]] == [0, 1, 2]
    assert content(many, 1) == content(alone)
    assert len({content(many, 0), content(many, 1), content(many, 2), content(other)}) == 4


def test_without_a_seed_each_request_is_a_sample_of_its_own():
    """Who asks twice gets two samples, else asking n times would measure one answer."""
    said = ask(app_of(tiny()), *[{**HELLO, "max_tokens": 12}] * 4)
    assert len({content(response) for response in said}) == 4


def test_requests_at_once_share_one_batch(monkeypatch):
    """Sixteen clients at once, with seeds of their own, are one batch for the model."""
    batches = []

    def counted(policy, heads, **options):
        batches.append(len(heads))
        return sample(policy, heads, **options)

    monkeypatch.setattr("trueline.targets.local.sample", counted)
    ask(app_of(tiny()), *({**HELLO, "max_tokens": 8} for _ in range(16)))
    assert batches == [16]


def test_log_probabilities_are_the_models_own():
    """One for each token of the text, which they spell; beside each the likeliest, first of all the greedy one itself."""
    model = tiny()
    (response,) = ask(app_of(model), {**HELLO, "temperature": 0, "max_tokens": 8, "logprobs": True, "top_logprobs": 3})
    (choice,) = response.json()["choices"]
    told = choice["logprobs"]["content"]
    direct = asyncio.run(model.reply(Conversation().say("user", "a b"), Sampling(temperature=0.0, max_tokens=8)))
    assert "".join(token["token"] for token in told) == choice["message"]["content"] == direct.text
    assert [token["logprob"] for token in told] == pytest.approx(direct.logprobs[: len(told)])
    for token in told:
        assert len(token["top_logprobs"]) == 3
        assert token["top_logprobs"][0]["token"].strip() == token["token"].strip()
        assert token["top_logprobs"][0]["logprob"] == pytest.approx(token["logprob"], abs=1e-4)
        assert bytes(token["bytes"]).decode() == token["token"]


def test_a_target_that_tells_no_log_probabilities_says_so():
    """Asked for what it does not know, it refuses and does not leave it out."""
    (response,) = ask(app_of(Scripted(answers=("yes",))), {**HELLO, "logprobs": True})
    assert (response.status_code, error_of(response)["param"]) == (400, "logprobs")


def test_tokens_are_counted():
    """What was read, as the template writes it, and what was written, for all choices."""
    model = tiny()
    (response,) = ask(app_of(model), {**HELLO, "n": 2, "temperature": 0, "max_tokens": 5})
    direct = asyncio.run(model.reply(Conversation().say("user", "a b"), Sampling(temperature=0.0, max_tokens=5)))
    read, written = model.count(Conversation().say("user", "a b")), 2 * len(direct.ids)
    expected = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    assert response.json()["usage"] == expected


def test_an_answer_has_the_room_that_is_left():
    """Without max_tokens an answer may fill the context, which 120 tokens of 128 nearly do, and never passes it."""
    long = {"model": "tiny", "messages": [{"role": "user", "content": "a " * 116}]}
    model = tiny()
    room = 128 - model.count(Conversation().say("user", "a " * 116))
    recorder = Recorder(model)
    (response,) = ask(app_of(recorder, spelling=model), long)
    assert response.status_code == 200
    assert recorder.asked[0][1].max_tokens == room


def test_a_stream_counts_tokens_where_it_is_asked_to():
    """With include_usage the last piece counts, and no other; without it none has the field."""
    body = {**HELLO, "stream": True, "temperature": 0, "max_tokens": 5}
    counted, plain = ask(app_of(tiny()), {**body, "stream_options": {"include_usage": True}}, body)
    *pieces, last = events(counted)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] > 0
    assert all(piece["usage"] is None for piece in pieces)
    assert all("usage" not in piece for piece in events(plain))
