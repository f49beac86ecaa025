"""Unmodified clients of OpenAI and Anthropic understand what the guard writes: refusals, errors, and streams that it ended."""

import json

import anthropic
import httpx2
import openai
import pytest

from tests.guard.wires import samples
from trueline.guard.exchange import Edit
from trueline.guard.wires import Reply, Stamp, edit_reply, wire_of

STAMP = Stamp(id="g1", created=1700000000)
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
STREAMS = {CHAT: samples.chat_stream, RESPONSES: samples.responses_stream, MESSAGES: samples.messages_stream}


def client(reply):
    """Both clients, of a server that answers everything with one reply."""
    answer = httpx2.MockTransport(lambda _: httpx2.Response(reply.status, headers=dict(reply.headers), content=reply.body))
    http = httpx2.Client(transport=answer)
    return (
        openai.OpenAI(api_key="x", base_url="http://guard.test/v1", http_client=http, max_retries=0),
        anthropic.Anthropic(api_key="x", base_url="http://guard.test", http_client=http, max_retries=0),
    )


def asked(path, stream=False):
    """A request of that endpoint, read."""
    body = {"model": "m", ("input" if path in (RESPONSES, "/v1/embeddings") else "messages"): [], "stream": stream}
    return wire_of("POST", path).read_request(json.dumps(body).encode())


def ask(path, reply, stream=False):
    """What the client of that endpoint makes of a reply."""
    of_openai, of_anthropic = client(reply)
    turns = [{"role": "user", "content": "hello"}]
    if path == CHAT:
        return of_openai.chat.completions.create(model="m", messages=turns, stream=stream)
    if path == RESPONSES:
        return of_openai.responses.create(model="m", input="hello", stream=stream)
    if path == MESSAGES:
        return of_anthropic.messages.create(model="m", max_tokens=5, messages=turns, stream=stream)
    if path == "/v1/completions":
        return of_openai.completions.create(model="m", prompt="hello", stream=stream)
    if path == "/v1/messages/count_tokens":
        return of_anthropic.messages.count_tokens(model="m", messages=turns)
    return of_openai.embeddings.create(model="m", input="hello")


def sse(body):
    """A reply that is a stream."""
    return Reply(200, {"content-type": "text/event-stream"}, body)


def whole(path, body):
    """The message that a client's own helper makes of a stream, and why it finished."""
    if path == MESSAGES:
        _, of_anthropic = client(sse(body))
        with of_anthropic.messages.stream(model="m", max_tokens=5, messages=[{"role": "user", "content": "x"}]) as stream:
            return stream.get_final_message()
    events = list(ask(path, sse(body), stream=True))
    return events[-1].response if path == RESPONSES else events


def test_a_refused_chat_is_a_refusal():
    """One choice that says no where clients look for text and where they look for refusals; it ends as filtered."""
    reply = wire_of("POST", CHAT).refusal(asked(CHAT), "Not here.", stamp=STAMP)
    said = ask(CHAT, reply)
    assert (said.choices[0].message.content, said.choices[0].message.refusal) == ("Not here.", "Not here.")
    assert (said.choices[0].finish_reason, said.usage.total_tokens, said.id) == ("content_filter", 0, "chatcmpl-g1")


def test_a_refused_response_is_incomplete():
    """Its one message refuses, and the reason is content_filter."""
    said = ask(RESPONSES, wire_of("POST", RESPONSES).refusal(asked(RESPONSES), "Not here.", stamp=STAMP))
    assert (said.status, said.incomplete_details.reason) == ("incomplete", "content_filter")
    assert (said.output[0].content[0].refusal, said.usage.total_tokens) == ("Not here.", 0)


def test_a_refused_message_stops_for_refusal():
    """It has the text, and stop_reason refusal."""
    said = ask(MESSAGES, wire_of("POST", MESSAGES).refusal(asked(MESSAGES), "Not here.", stamp=STAMP))
    assert (said.content[0].text, said.stop_reason, said.usage.output_tokens) == ("Not here.", "refusal", 0)
    assert said.stop_details.explanation == "Not here."


def test_a_refused_completion_is_its_text():
    """Legacy completions have nothing else to say it with."""
    said = ask("/v1/completions", wire_of("POST", "/v1/completions").refusal(asked("/v1/completions"), "Not here."))
    assert (said.choices[0].text, said.choices[0].finish_reason) == ("Not here.", "content_filter")


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/messages/count_tokens"])
def test_what_cannot_refuse_is_an_error(path):
    """Vectors and counts: the client raises its error for a bad request, with the text and the code."""
    reply = wire_of("POST", path).refusal(asked(path), "Not here.", code="human_review")
    with pytest.raises((openai.BadRequestError, anthropic.BadRequestError), match=r"Not here\.") as caught:
        ask(path, reply)
    assert "human_review" in str(caught.value.body)


@pytest.mark.parametrize(
    ("path", "reply", "usage"),
    [
        (CHAT, samples.CHAT_REPLY, samples.CHAT_USAGE),
        (RESPONSES, samples.RESPONSES_REPLY, samples.RESPONSES_USAGE),
        (MESSAGES, samples.MESSAGES_REPLY, samples.MESSAGES_USAGE),
        ("/v1/completions", samples.COMPLETIONS_REPLY, samples.CHAT_USAGE),
    ],
)
def test_a_refused_reply_keeps_what_it_cost(path, reply, usage):
    """The upstream's counts stay, and none of its words."""
    body = samples.written({**reply, "usage": {**usage, "note": "call me at 555"}})
    refusal = wire_of("POST", path).refusal(asked(path), "Not here.", reply=body)
    assert json.loads(refusal.body)["usage"] == usage
    assert b"555" not in refusal.body


@pytest.mark.parametrize(
    ("status", "of_openai", "of_anthropic"),
    [
        (400, openai.BadRequestError, anthropic.BadRequestError),
        (401, openai.AuthenticationError, anthropic.AuthenticationError),
        (429, openai.RateLimitError, anthropic.RateLimitError),
        (502, openai.InternalServerError, anthropic.InternalServerError),
    ],
)
@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES, "/v1/embeddings", "/v1/completions"])
def test_errors_are_raised_as_such(path, status, of_openai, of_anthropic):
    """Each status is the client's own kind of error, with the message."""
    with pytest.raises(of_anthropic if path == MESSAGES else of_openai, match="odd thing") as caught:
        ask(path, wire_of("POST", path).error(status, "some_code", "an odd thing", "field"))
    assert "some_code" in str(caught.value.body)


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES, "/v1/completions"])
def test_a_refusal_of_a_stream_is_a_stream(path):
    """Where a stream was asked for, the refusal is a whole one, which the client reads to its end."""
    reply = wire_of("POST", path).refusal(asked(path, stream=True), "Not here.", stamp=STAMP)
    assert reply.headers["content-type"].startswith("text/event-stream")
    if path == MESSAGES:
        said = whole(path, reply.body)
        assert (said.content[0].text, said.stop_reason, said.id) == ("Not here.", "refusal", "msg_g1")
    elif path == RESPONSES:
        said = whole(path, reply.body)
        assert (said.status, said.incomplete_details.reason) == ("incomplete", "content_filter")
        assert said.output[0].content[0].refusal == "Not here."
    else:
        chunks = whole(path, reply.body)
        assert chunks[-1].choices[0].finish_reason == "content_filter"
        first = chunks[0].choices[0]
        assert (first.text if path == "/v1/completions" else first.delta.refusal) == "Not here."


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_that_passes_is_understood_whole(path):
    """Released unchanged, it has its text, its call, its end and its counts for the client's own reader."""
    body = STREAMS[path](["Hello ", "there"], ['{"city": ', '"Rome"}'])
    stream = wire_of("POST", path).stream(asked(path, stream=True))
    for delta in stream.feed(body):
        stream.release(delta.path, delta.start + len(delta.text))
    said = whole(path, stream.take() + stream.close())
    if path == MESSAGES:
        assert (said.content[0].text, said.content[1].input, said.stop_reason) == ("Hello there", {"city": "Rome"}, "tool_use")
        assert said.usage.output_tokens == 4
    elif path == RESPONSES:
        assert (said.output_text, said.output[1].arguments, said.usage.total_tokens) == ("Hello there", '{"city": "Rome"}', 13)
    else:
        deltas = [choice.delta for chunk in said for choice in chunk.choices]
        assert "".join(delta.content or "" for delta in deltas) == "Hello there"
        calls = [call.function.arguments for delta in deltas for call in delta.tool_calls or ()]
        assert ("".join(calls), said[-1].usage.total_tokens) == ('{"city": "Rome"}', 13)


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
def test_a_stream_that_is_blocked_ends_well(path, share):
    """Wherever it is blocked, the client has the text that was released, no call of a tool, and the end of a refusal."""
    body = STREAMS[path](["Hello ", "there"], ['{"city": ', '"Rome"}'])
    stream = wire_of("POST", path).stream(asked(path, stream=True), STAMP)
    for delta in stream.feed(body[: int(len(body) * share)]):
        if delta.place != "tool_call":
            stream.release(delta.path, delta.start + len(delta.text))
    sent = stream.take()
    text = "Hello there" if b"there" in sent else "Hello " if b"Hello" in sent else ""
    said = whole(path, sent + stream.abort("Not here."))
    assert stream.take() + stream.abort("again") + stream.close() == b""
    if path == MESSAGES:
        assert said.stop_reason == "refusal"
        assert [block.type for block in said.content] == ["text"]
        assert said.content[0].text == (text if b"content_block_start" in sent else "Not here.")
    elif path == RESPONSES:
        assert (said.status, said.incomplete_details.reason) == ("incomplete", "content_filter")
        assert [item.type for item in said.output] == ["message"]
        assert said.output_text == text
    else:
        deltas = [choice.delta for chunk in said for choice in chunk.choices]
        assert "".join(delta.content or "" for delta in deltas) == (text if sent else "Not here.")
        assert not any(delta.tool_calls for delta in deltas)
        assert [choice.finish_reason for chunk in said for choice in chunk.choices][-1] == "content_filter"


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_that_fails_raises_in_the_client(path):
    """An upstream that broke off is an error where the client reads, not a message that seems whole."""
    body = STREAMS[path](["Hello ", "there"])
    stream = wire_of("POST", path).stream(asked(path, stream=True), STAMP)
    for delta in stream.feed(body[: len(body) // 2]):
        stream.release(delta.path, delta.start + len(delta.text))
    stream.end()
    sent = stream.close()
    if path == RESPONSES:
        last = list(ask(path, sse(sent), stream=True))[-1]
        assert (last.type, last.code) == ("error", "upstream_error")
    else:
        with pytest.raises((openai.APIError, anthropic.APIError), match="broke off"):
            list(ask(path, sse(sent), stream=True))


@pytest.mark.parametrize(
    ("path", "reply", "where"),
    [
        (CHAT, samples.CHAT_REPLY, ("choices", 0, "message", "content")),
        (RESPONSES, samples.RESPONSES_REPLY, ("output", 1, "content", 0, "text")),
        (MESSAGES, samples.MESSAGES_REPLY, ("content", 1, "text")),
        ("/v1/completions", samples.COMPLETIONS_REPLY, ("choices", 0, "text")),
    ],
)
def test_an_edited_reply_is_understood(path, reply, where):
    """Redacted, and without what spelled it, a reply is one that the client reads."""
    body = edit_reply(samples.written(reply), [Edit(path=where, start=0, end=3, text="[x]")])
    said = ask(path, Reply(200, {"content-type": "application/json"}, body))
    assert "[x]" in said.model_dump_json()
    assert "logprob" not in said.model_dump_json(exclude_none=True).replace('"logprobs":[]', "")
    assert '"cited_text"' not in said.model_dump_json()
