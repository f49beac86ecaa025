"""What of a stream passes, when, and how it ends: nothing unread, nothing early, nothing that only seems whole."""

import json

import pytest

from tests.guard.wires import samples
from tests.guard.wires.streaming import FORMATS, all_released, data_lines, said, started
from trueline.guard.exchange import Edit
from trueline.guard.wires import LITERAL, LateEditError, WireError, wire_of
from trueline.targets.chat_wire import ChatWire
from trueline.targets.wire import events


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_leaves_that_was_not_released(name):
    """Of a text whose half is released, no event leaves that has a character behind; nor do the end and the counts."""
    body, path = FORMATS[name][1](["abc", "def", "ghi"]), FORMATS[name][3]
    stream = started(name)
    for delta in stream.feed(body):
        stream.release(delta.path, 5 if delta.path == path else len(delta.text))
    sent = stream.take()
    assert said(name, sent) == "abc"
    for late in (b'"stop"', b"_stop\n", b"def", b"ghi", b"end_turn", b"response.completed", b"[DONE]"):
        assert late not in sent
    stream.end()
    rest = stream.close()
    assert b"def" not in rest
    assert b"not_released" in rest


@pytest.mark.parametrize("name", FORMATS)
def test_an_upstream_that_breaks_off_ends_with_an_error(name):
    """What was released before leaves, and then the client hears that the rest is missing."""
    body = FORMATS[name][1](["abc", "def"])
    cut = body.index(b"def")
    sent = all_released(started(name), body[:cut])
    assert said(name, sent) == "abc"
    assert b"upstream_error" in sent.rsplit(b"data: ", 1)[1]


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_no_event_of_json_is_refused(name):
    """Text that is not JSON, a double key and NaN are the upstream's fault; after it, the stream can be ended with an error."""
    for line in (b"data: hello\n\n", b'data: {"id": 1, "id": 2}\n\n', b'data: {"x": NaN}\n\n', b"data: [1]\n\n"):
        stream = started(name)
        with pytest.raises(WireError) as caught:
            stream.feed(line)
        assert caught.value.status == 502
        assert b"sorry" in stream.fail(502, "upstream_error", "sorry")
        assert stream.fail(502, "upstream_error", "sorry") == b""


def test_an_edit_of_a_repeated_string_holds_in_all_events():
    """The model's name is in every chunk: it is told once, and redacted wherever it stands."""
    stream = started("chat")
    deltas = stream.feed(samples.chat_stream(["a", "b"]))
    assert len([delta for delta in deltas if delta.text == "gpt-test"]) == 1
    for delta in deltas:
        edits = [Edit(path=delta.path, start=0, end=3, text="[m]")] if delta.text == "gpt-test" else []
        stream.release(delta.path, delta.start + len(delta.text), edits)
    sent = stream.take()
    assert b"gpt-test" not in sent
    assert sent.count(b'"[m]-test"') == 5


def test_strings_that_repeat_the_request_are_not_asked_again():
    """The head of a response repeats instructions and metadata at their place; changed, they are read."""
    body = samples.responses_stream(["a"])
    same, other = ({"instructions": text, "metadata": {"team": "blue"}} for text in ("You help.", "Other."))
    texts = {delta.text for delta in started("responses", **same).feed(body)}
    assert texts.isdisjoint({"You help.", "blue", "team"})
    assert "You help." in {delta.text for delta in started("responses", **other).feed(body)}


def test_a_snapshot_that_says_something_else_is_read():
    """Where the whole differs from its deltas it is a text of its own, and waits for its own release."""
    body = samples.responses_stream(["fine"]).replace(b'"text": "fine"', b'"text": "evil"')
    stream = started("responses")
    deltas = stream.feed(body)
    assert "evil" in [delta.text for delta in deltas]
    for delta in deltas:
        if delta.text != "evil":
            stream.release(delta.path, delta.start + len(delta.text))
    assert b"evil" not in stream.take()


def test_what_arguments_hide_in_escapes_waits_with_them():
    """The literal of a call is told at its end, the call waits for it too, and its edit lands in the arguments."""
    path = FORMATS["chat"][4]
    stream = started("chat")
    deltas = stream.feed(samples.chat_stream([], ['{"q": "\\u0073ec', 'ret"}']))
    (literal,) = [delta for delta in deltas if delta.path[:-1] == path]
    assert (literal.path[-1], literal.text, literal.place, literal.final) == (LITERAL, "secret", "tool_call", True)
    for delta in deltas:
        if delta is not literal:
            stream.release(delta.path, delta.start + len(delta.text))
    assert b"weather" not in stream.take()
    stream.release(literal.path, 6, [Edit(path=literal.path, start=0, end=6, text='"')])
    answer = ChatWire().answer(ChatWire().gather(list(events(stream.take()))))
    assert json.loads(answer.tool_calls[0].arguments) == {"q": '"'}
    assert "secret" in [piece.text for piece in stream.exchange.said]


def test_an_edit_of_what_has_left_is_refused():
    """It cannot be made, and is not forgotten: whoever asks for it hears so."""
    stream, path = started("chat"), FORMATS["chat"][3]
    for delta in stream.feed(samples.chat_stream(["secret"])):
        stream.release(delta.path, delta.start + len(delta.text))
    stream.take()
    with pytest.raises(LateEditError):
        stream.release(path, 6, [Edit(path=path, start=0, end=6, text="[x]")])


def test_log_probabilities_of_an_edited_text_go():
    """Beside a delta that was edited they would spell it; beside others they stay."""
    tokens = '{"content": [{"token": "%s", "logprob": -0.1, "bytes": [97], "top_logprobs": []}], "refusal": null}'
    body = samples.chat_stream(["fine ", "secret"]).decode()
    for word in ("fine ", "secret"):
        start = body.index(f'"content": "{word}"')
        body = body[:start] + body[start:].replace('"logprobs": null', '"logprobs": ' + tokens % word, 1)
    stream, path = started("chat"), FORMATS["chat"][3]
    for delta in stream.feed(body.encode()):
        edits = [Edit(path=path, start=5, end=11, text="[x]")] if delta.path == path else []
        stream.release(delta.path, delta.start + len(delta.text), edits)
    sent = stream.take()
    assert sent.count(b'"token": "fine "') == 1
    assert b"secret" not in sent


def test_the_exchange_holds_what_was_said():
    """The pieces of a stream stand where those of the whole reply would, and its calls are calls."""
    for name, (_, write, _, text_path, call_path) in FORMATS.items():
        stream = started(name)
        stream.feed(write(["ab", "cd"], ['{"q":', " 1}"]))
        exchange = stream.exchange
        texts = {piece.path: (piece.place, piece.text) for piece in exchange.said}
        assert texts[text_path] == ("assistant", "abcd")
        assert texts[call_path] == ("tool_call", '{"q": 1}')
        (call,) = exchange.calls
        assert (call.name, call.arguments, call.id[-2:]) == ("weather", '{"q": 1}', "_2")


def test_choices_do_not_mix():
    """Two choices whose chunks come in turns keep their own texts, and each its own end."""

    def chunk(index, delta, finish=None):
        return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}

    chunks = [
        chunk(1, {"content": "b"}),
        chunk(0, {"content": "a"}),
        chunk(1, {"content": "d"}, "stop"),
        chunk(0, {}, "length"),
    ]
    stream = started("chat")
    deltas = stream.feed(samples.frames(chunks, done=True))
    finals = [delta.path[1] for delta in deltas if delta.final and delta.path[0] == "choices"]
    assert {piece.path[1]: piece.text for piece in stream.exchange.said} == {0: "a", 1: "bd"}
    assert finals == [1, 0]


def test_text_after_its_end_is_refused():
    """A choice that finished says nothing more."""
    done = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}
    with pytest.raises(WireError, match="no more text"):
        started("chat").feed(samples.frames([done, done]))


def test_a_server_without_done_is_understood():
    """Where every choice finished and [DONE] is missing, it is put there."""
    body = samples.chat_stream(["a"]).removesuffix(b"data: [DONE]\n\n")
    assert all_released(started("chat"), body).endswith(b"data: [DONE]\n\n")


def test_names_that_come_again_are_not_added_up():
    """A server that writes a call's name and id in every chunk makes one call of that name."""
    call = {"index": 0, "id": "c1", "function": {"name": "weather", "arguments": "{}"}}
    again = {"index": 0, "id": "c1", "function": {"name": "weather", "arguments": " "}}
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [each]}, "finish_reason": None}]} for each in (call, again)]
    stream = started("chat")
    stream.feed(samples.frames(chunks))
    (call,) = stream.exchange.calls
    assert (call.name, call.id, call.arguments) == ("weather", "c1", "{} ")


def test_a_legacy_completion_streams_too():
    """Its text is edited, its end kept, and where it is blocked its last choice says so."""
    wire, path = wire_of("POST", "/v1/completions"), ("choices", 0, "text")
    for blocked in (False, True):
        stream = wire.stream(wire.read_request(b'{"model": "m", "prompt": "x", "stream": true}'))
        for delta in stream.feed(samples.completions_stream(["my sec", "ret"])):
            edits = [Edit(path=path, start=3, end=9, text="[x]")] if delta.path == path else []
            stream.release(delta.path, 3 if blocked and delta.path == path else delta.start + len(delta.text), edits)
        sent = stream.take() + (stream.abort("Not here.") if blocked else stream.close())
        choices = [json.loads(line[6:])["choices"][0] for line in data_lines(sent) if b"[DONE]" not in line]
        assert "".join(choice["text"] for choice in choices) == ("Not here." if blocked else "my [x]")
        assert choices[-1]["finish_reason"] == ("content_filter" if blocked else "stop")


def test_an_id_holds_nothing_back():
    """The text of a message leaves while its item is open: its id is complete when it comes."""
    body = samples.responses_stream(["abc", "def"])
    stream = started("responses")
    deltas = stream.feed(body[: body.index(b'"delta": "def"')])
    assert {delta.path for delta in deltas if not delta.final} == {("output", 0, "content", 0, "text")}
    for delta in deltas:
        stream.release(delta.path, delta.start + len(delta.text))
    assert said("responses", stream.take()) == "abc"


def test_an_error_of_the_upstream_passes_and_ends_the_stream():
    """Its words are read like any other, and what comes after it does not pass."""
    failed = {"chat": {"error": {"message": "odd", "type": "server_error"}}}
    failed["messages"] = {"type": "error", "error": {"type": "overloaded_error", "message": "odd"}}
    failed["responses"] = {"type": "error", "code": "server_error", "message": "odd", "sequence_number": 0}
    for name, event in failed.items():
        body = samples.frames([event], named=name != "chat")
        stream = started(name)
        deltas = stream.feed(body + FORMATS[name][1](["late"]))
        assert "odd" in [delta.text for delta in deltas]
        assert "late" not in [delta.text for delta in deltas]
        for delta in deltas:
            stream.release(delta.path, len(delta.text))
        assert stream.take() == body
        assert stream.close() == b""


def test_only_events_and_data_pass():
    """Comments, ids and unknown fields are read by nobody, and a name that is not the event's type is not passed on."""
    frame = b': secret\nid: secret\nsecret: x\nevent: secret\ndata: {"choices": []}\n\n'
    stream = started("chat")
    stream.feed(frame + b"data: [DONE] secret\n\ndata: secret\n\n")
    assert stream.take() == b'data: {"choices": []}\n\ndata: [DONE]\n\n'
