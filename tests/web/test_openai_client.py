"""The official client of OpenAI, unmodified, against a real process that serves a tiny model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import openai
import pytest

from tests.models.small import tiny_policy
from tests.web.processes import Served, served
from trueline.core.types import Conversation, Sampling
from trueline.targets.http import Asking, connected
from trueline.targets.local import LocalModel
from trueline.targets.naming import address_of

KEY = "sk-very-secret-0123456789"
ASKED = [{"role": "user", "content": "a b"}]
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("served") / "tiny"
    tiny_policy().save(path)
    return str(path)


@pytest.fixture(scope="module")
def here(folder) -> Iterator[Served]:
    with served(folder, "--threads", "1", TRUELINE_SERVE_KEY=KEY) as process:
        yield process
        code, err = process.stop()
        assert (code, err) == (0, "")


@pytest.fixture
def client(here) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=here.url, api_key=KEY, max_retries=0) as opened:
        yield opened


def test_models_are_listed(client):
    """The client finds the model under the folder's name, in the list and alone."""
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "trueline"


def test_whole_and_streamed_answers_are_equal(client):
    """The client reads both, and at temperature 0 they are one text, with the same count of tokens."""
    asked = {"model": "tiny", "messages": ASKED, "temperature": 0, "max_completion_tokens": 12}
    whole = client.chat.completions.create(**asked)
    stream = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    pieces = list(stream)
    text = "".join(choice.delta.content or "" for piece in pieces for choice in piece.choices)
    assert text == whole.choices[0].message.content != ""
    assert pieces[-1].usage == whole.usage
    assert pieces[-2].choices[0].finish_reason == whole.choices[0].finish_reason


def test_log_probabilities_are_read(client):
    """Typed, token by token, the likeliest beside each."""
    said = client.chat.completions.create(
        model="tiny", messages=ASKED, temperature=0, max_tokens=6, logprobs=True, top_logprobs=2
    )
    tokens = said.choices[0].logprobs.content
    assert "".join(token.token for token in tokens) == said.choices[0].message.content
    assert all(token.top_logprobs[0].logprob == pytest.approx(token.logprob, abs=1e-4) for token in tokens)


def test_a_conversation_with_calls_is_taken(client):
    """Tools, a call of the assistant and its result go in; a prefilled answer is gone on from."""
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "a"}}
    messages = [*ASKED, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c1", "content": "b"}]
    said = client.chat.completions.create(model="tiny", messages=messages, tools=[LOOK], max_tokens=4)
    assert said.choices[0].message.role == "assistant"
    opened = client.chat.completions.create(
        model="tiny", messages=[*ASKED, {"role": "assistant", "content": "c"}], max_tokens=4, temperature=0
    )
    model = LocalModel(tiny_policy(), "tiny")
    conversation = Conversation().say("user", "a b").say("assistant", "c")
    direct = asyncio.run(model.reply(conversation, Sampling(temperature=0, max_tokens=4)))
    assert opened.choices[0].message.content == direct.text


ERRORS = {  # what is asked -> the client's own kind of error
    "an unknown model": ({"model": "other"}, openai.NotFoundError),
    "a wrong field": ({"temperature": 9}, openai.BadRequestError),
    "too long": ({"messages": [{"role": "user", "content": "a " * 200}]}, openai.BadRequestError),
    "a picture": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
        openai.BadRequestError,
    ),
    "too large": ({"messages": [{"role": "user", "content": "a " * 3_000_000}]}, openai.APIStatusError),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_the_clients_own(client, case):
    """Each status becomes the client's typed exception, with the message that says what to do."""
    fields, kind = ERRORS[case]
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**{"model": "tiny", "messages": ASKED, "max_tokens": 4, **fields})
    assert caught.value.body["message"]
    assert caught.value.status_code in (400, 404, 413)


def test_a_wrong_key_is_the_clients_own_error(here):
    """401, and nothing is answered."""
    with openai.OpenAI(base_url=here.url, api_key="wrong", max_retries=0) as other, pytest.raises(openai.AuthenticationError):
        other.models.list()


def test_sixteen_clients_at_once_get_their_own_answers(here):
    """Side by side, each is answered as it would be alone."""
    words = ["a", "b c", "d e f", "g"] * 4

    async def talk() -> list[str]:
        async with openai.AsyncOpenAI(base_url=here.url, api_key=KEY, max_retries=0) as many:
            said = await asyncio.gather(
                *(
                    many.chat.completions.create(
                        model="tiny", messages=[{"role": "user", "content": text}], seed=place, max_tokens=8
                    )
                    for place, text in enumerate(words)
                )
            )
        return [one.choices[0].message.content or "" for one in said]  # nothing beside a call

    model = LocalModel(tiny_policy(), "tiny")
    alone = [
        asyncio.run(model.reply(Conversation().say("user", text), Sampling(max_tokens=8, seed=place))).text
        for place, text in enumerate(words)
    ]
    assert asyncio.run(talk()) == alone


@pytest.mark.parametrize("stream", [False, True])
def test_the_printed_target_is_one_of_ours(here, monkeypatch, stream):
    """The TARGET that `trueline serve` prints is taken as it stands, and says what the model says."""
    monkeypatch.setenv("TRUELINE_API_KEY", KEY)
    sampling = Sampling(temperature=0.0, max_tokens=10)

    async def talk() -> str:
        async with connected(address_of(here.target), Asking(stream=stream)) as remote:
            return (await remote.reply(Conversation().say("user", "c d"), sampling)).text

    direct = asyncio.run(LocalModel(tiny_policy(), "tiny").reply(Conversation().say("user", "c d"), sampling))
    assert asyncio.run(talk()) == direct.text
