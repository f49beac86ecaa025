"""A stream through the guard says what the upstream said, as edited, whatever the split of its bytes and order of releases."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guard.wires.streaming import FORMATS, data_lines, said, started
from trueline.guard.exchange import Edit, apply_edits
from trueline.targets.wire import events

TEXTS = st.lists(st.text(alphabet=st.sampled_from('ab "\\\n:{}é😀'), min_size=1, max_size=4), min_size=1, max_size=6)
WORDS = st.text(alphabet=st.sampled_from("ab é"), min_size=1, max_size=6)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25, deadline=None)
@given(texts=TEXTS, word=WORDS, cuts=st.lists(st.integers(0, 5000), max_size=8))
def test_what_is_released_unchanged_is_unchanged(name, texts, word, cuts):
    """Every event leaves with the very bytes of its data, in order, whatever the split."""
    body = FORMATS[name][1](texts, list(json.dumps({"q": word})))
    stream, sent = started(name), b""
    for part in pieces_of(body, cuts):
        for delta in stream.feed(part):
            stream.release(delta.path, delta.start + len(delta.text))
        sent += stream.take()
    assert [delta for delta in stream.end() if not delta.final] == []
    assert data_lines(sent + stream.close()) == data_lines(body)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), texts=TEXTS, word=WORDS, cuts=st.lists(st.integers(0, 5000), max_size=8))
def test_any_schedule_of_releases_says_the_edited_reply(name, data, texts, word, cuts):
    """Parsed by the format's own reader, the client has the upstream's message with the edits, never more than was released."""
    _, write, reader, text_path, call_path = FORMATS[name]
    arguments = json.dumps({"q": word})
    whole = {text_path: "".join(texts), call_path: arguments}
    edits = {text_path: draw_edits(data, text_path, whole[text_path]), call_path: [word_edit(call_path, arguments, word)]}
    body = write(texts, [arguments[at : at + 3] for at in range(0, len(arguments), 3)])
    stream, sent, sizes, released = started(name), b"", {}, {}
    for part in pieces_of(body, cuts):
        for delta in stream.feed(part):
            sizes[delta.path] = delta.start + len(delta.text)
        for path, size in sizes.items():
            if data.draw(st.booleans()):
                drawn = data.draw(st.integers(0, size)) if path in edits else size
                released[path] = max(drawn, released.get(path, 0))
                stream.release(path, released[path], edits.get(path, ()))
        sent += stream.take()
        assert len(said(name, sent)) <= len(apply_edits(whole[text_path], edits[text_path]))
        if released.get(call_path, 0) < len(arguments):
            assert b"weather" not in sent, "a call is whole or nothing"
    for delta in stream.end():
        sizes[delta.path] = delta.start + len(delta.text)
    for path, size in sizes.items():
        stream.release(path, size, edits.get(path, ()))
    sent += stream.close()
    answer = reader.answer(reader.gather(list(events(sent))))
    original = reader.answer(reader.gather(list(events(body))))
    assert answer.text == said(name, sent) == apply_edits(original.text, edits[text_path])
    assert [json.loads(call.arguments) for call in answer.tool_calls] == [{"q": "[w]" + word[1:]}]
    assert (answer.finish, answer.tokens_read, answer.tokens_written) == (original.finish, original.tokens_read, 4)


def draw_edits(data, path, text):
    """Edits of a text that do not overlap."""
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6, unique=True)))
    return [Edit(path=path, start=a, end=b, text=data.draw(st.sampled_from(["", "[x]"]))) for a, b in pairwise(places)][::2]


def word_edit(path, arguments, word):
    """An edit of the first character of the word in arguments."""
    start = arguments.index(": ") + 3
    width = len(json.dumps(word[0])) - 2
    return Edit(path=path, start=start, end=start + width, text="[w]")


def pieces_of(body, cuts):
    """Bytes, cut in those places."""
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[start:end] for start, end in pairwise(places)]
