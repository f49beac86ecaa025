"""JSON within a string hides nothing behind its escapes."""

import json
import time

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.guard.exchange import Edit
from trueline.guard.wires import LITERAL, edit_request, hidden, wire_of
from trueline.guard.wires.literals import rewritten, spoken


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=12), other=st.text(max_size=5))
def test_whatever_json_a_text_is_written_in_is_read(text, other):
    """A string that is escaped letter by letter is told as what it says, lone surrogates aside."""
    units = text.encode("utf-16-be")
    escaped = "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
    written = f'{{{json.dumps(other)}: "{escaped}"}}'
    if text:
        assert text.encode("utf-16", "replace").decode("utf-16", "replace") in spoken(written)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (r'{"q": "\u0073ecret"', "secret"),
        (r'{"q": "\u0073ecret', "secret"),
        (r'{"a": 1, "a": "\u0073ecret", NaN}', "secret"),
        (r'{"\u0073ecret": 1}', "secret"),
        (r'"\x \u0073ecret"', "x secret"),
        (r'{"q": "\ud83d\ude00"}', "\U0001f600"),
        ('{"q": "line\\u000Asecret\\', "line\nsecret"),
        (r'{"q": "\ud800"}', "\ufffd"),
    ],
)
def test_no_parser_is_asked(written, said):
    """Halves of literals, bad escapes, doubles and lone surrogates are decoded all the same."""
    assert said in next(text for _, text in hidden(written, ("x",)))


def test_json_in_json_in_json_is_read_and_edited():
    """A literal within a literal is told with its path, and an edit of it reaches the innermost text."""
    inner = r'{"b": "\u0073ecret"}'
    body = json.dumps({"messages": [{"role": "tool", "content": json.dumps({"a": inner})}]}).encode()
    exchange = wire_of("POST", "/v1/chat/completions").read_request(body)
    piece = exchange.asked[-1]
    assert piece.text == "secret"
    assert piece.path.count(LITERAL) == 2
    assert piece.place == "tool_result"
    edited = orjson.loads(edit_request(body, [Edit(path=piece.path, start=0, end=6, text='[x"]')]))
    assert orjson.loads(orjson.loads(edited["messages"][0]["content"])["a"]) == {"b": '[x"]'}


def test_edits_of_a_text_and_of_its_literal_meet():
    """An edit of the string as written and one of its literal are both made, elsewhere in it nothing changes."""
    arguments = r'{"a": "4111 \u0041", "b": "\u0042", "c": 4111}'
    body = json.dumps({"x": arguments}).encode()
    assert spoken(arguments) == "4111 A\nB"
    edits = [
        Edit(path=("x",), start=arguments.index("4111}"), end=arguments.index("4111}") + 4, text="0"),
        Edit(path=("x", LITERAL), start=7, end=8, text="[b]"),
    ]
    assert orjson.loads(edit_request(body, edits))["x"] == r'{"a": "4111 \u0041", "b": "[b]", "c": 0}'


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.text(alphabet='ab"\\\n', max_size=4), min_size=1, max_size=4), data=st.data())
def test_edits_of_what_is_spoken_reach_the_literals(texts, data):
    """Whatever span is edited, over ends of literals too, what is spoken afterwards lacks it, and the rest is as it was."""
    written = " ".join('"\\u002e' + json.dumps(text)[1:] for text in texts)  # each has an escape: it begins with a dot
    said = spoken(written)
    assert said == "\n".join("." + text for text in texts)
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(said)), st.integers(0, len(said)))))
    new = written
    for first, after, literal in reversed(rewritten(written, [(start, end, "\x7f")])):
        new = new[:first] + literal + new[after:]
    heard = "\n".join(orjson.loads(literal) for literal in _literals(new))
    breaks = [at for at in _breaks(texts) if start <= at < end]  # between literals: they stay
    assert heard.replace("\n", "") == (said[:start] + "\x7f" + said[end:]).replace("\n", "")
    assert heard.count("\n") == (said[:start] + said[end:]).count("\n") + len(breaks)


def _breaks(texts):
    """Where in what is spoken one literal ends and the next begins."""
    return [sum(len(text) + 2 for text in texts[: number + 1]) - 1 for number in range(len(texts) - 1)]


def _literals(text):
    """The JSON strings of a text of nothing else."""
    decoder, at, found = json.JSONDecoder(), 0, []
    while at < len(text):
        _, end = decoder.raw_decode(text, at)
        found.append(text[at:end])
        at = end + 1
    return found


def test_reading_literals_is_linear():
    """Text of nothing but quotes and backslashes takes time in proportion to its length."""

    def cost(text: str) -> float:
        begun = time.thread_time()
        list(hidden(text, ()))
        return time.thread_time() - begun

    cost('"')
    for unit in ('"\\', '\\"', '"', "\\", '"\\"', '\\\\"', '"\\u00'):
        small, large = cost(unit * 2_000), cost(unit * 8_000)
        assert large < 16 * max(small, 2e-3), unit
