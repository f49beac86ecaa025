"""Inspect logs: they are read back by Inspect with four outcomes, and messages survive the way there and back."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("inspect_ai", reason="needs the extra: pip install 'trueline[inspect]'")

from inspect_ai.log import read_eval_log
from inspect_ai.tool import ToolInfo, ToolParams

from tests.evaluate.hostile import NASTY, SUMMARY, attempt, campaign, goal
from trueline.core.outcome import OUTCOMES, reached, tally
from trueline.core.types import Completion, Conversation, Message, Prompt, ToolCall
from trueline.evaluate.exports import KINDS, export
from trueline.evaluate.exports.inspect_chat import chat, completion_of, conversation, output, safe

TURNS = (
    Message(role="system", text="you are a helper ."),
    Message(role="user", text="look up the lamp ."),
    Message(role="assistant", text="", tool_calls=(ToolCall(name="lookup", arguments="lamp", id="c1"),)),
    Message(role="tool", text="the lamp is red .", tool_call_id="c1"),
    Message(role="assistant", text="it", tool_calls=(ToolCall(name="send", arguments='{"to": "ana", "n": [1]}'),)),
)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return read_eval_log(str(export("inspect", campaign(), SUMMARY, tmp_path_factory.mktemp("log"))))


def test_every_attempt_is_a_sample_with_one_of_four_outcomes(log):
    """Inspect reads the log back whole; outcomes are as counted, in the header and in the samples."""
    assert (log.status, log.eval.task, log.eval.model) == ("success", "trueline/attack", "toy")
    harmful = [a for a in campaign() if a.goal.expected == "refuse"]
    wanted = tally(reached(a) for a in harmful).counts
    found = tally(sample.scores["outcome"].value for sample in log.samples).counts
    metrics = log.results.scores[0].metrics
    assert found == wanted == {name: metrics[name].value for name in OUTCOMES}
    assert len({sample.id for sample in log.samples}) == len(harmful)


def test_stance_and_disclosure_stay_two_facts(log):
    """A refusal that gives is a success of stance "refuse" and disclosure 1."""
    scores = next(s for s in log.samples if s.scores["outcome"].value == "success").scores
    assert (scores["stance"].value, scores["disclosure"].value) == ("refuse", 1.0)


def test_hostile_text_survives(log):
    """What models wrote is there unchanged, but for what UTF-8 cannot hold."""
    sample = next(s for s in log.samples if s.scores["outcome"].value == "success")
    assert sample.output.completion == safe(NASTY)
    assert safe(NASTY) in sample.input[1].text
    assert sample.metadata["tags"] == ["LLM01:2025", "AML.T0054"]


def test_equal_names_are_told_apart_and_any_path_will_do(tmp_path):
    """Two goals of one id are two samples, and the file need not be called .eval."""
    twins = [attempt(about=goal("g", category=c), query=1) for c in ("a", "b")] + [attempt(about=goal("g", about={"x": "y"}))]
    path = export("inspect", twins, {}, tmp_path / "log.bin")
    assert [p.name for p in tmp_path.iterdir()] == ["log.bin"]
    (tmp_path / "log.eval").write_bytes(path.read_bytes())
    assert len({s.id for s in read_eval_log(str(tmp_path / "log.eval")).samples}) == 3


def test_what_cannot_be_written_leaves_no_half_file(tmp_path):
    """The old log stands where the new one breaks off."""

    def breaks_off():
        yield from campaign()
        raise OSError("no space")

    path = tmp_path / KINDS["inspect"]
    path.write_text("before")
    with pytest.raises(OSError, match="no space"):
        export("inspect", breaks_off(), SUMMARY, path)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["before"]


def test_messages_come_back_as_they_were():
    """Turns, tool calls and their arguments, JSON or not, survive the way to Inspect and back."""
    assert conversation(chat(TURNS)).messages == TURNS


def test_tools_keep_their_schema():
    """A tool of Inspect is a tool of ours with the same parameters."""
    (tool,) = conversation([], [ToolInfo(name="send", description="sends", parameters=ToolParams())]).tools
    assert (tool.name, tool.description) == ("send", "sends")
    assert '"type":"object"' in tool.parameters


@pytest.mark.parametrize("finish", ["stop", "length", "error"])
def test_a_completion_comes_back_as_it_was(finish):
    """Text, calls, model and how it ended survive."""
    prompt = Prompt(conversation=Conversation())
    said = Completion(prompt=prompt, text="yes", model="toy", finish=finish)
    assert completion_of(prompt, output(said)) == said


@pytest.mark.parametrize("written", ["[" * 100_000, "NaN", '"x"', '{"a": "\\ud800"}', "\ud800", ""])
def test_no_arguments_are_too_odd(written):
    """Whatever a model writes as arguments can be put into a log."""
    (message,) = chat([Message(role="assistant", tool_calls=(ToolCall(name="send", arguments=written),))])
    written_down = json.loads(message.model_dump_json().encode())
    assert [call["function"] for call in written_down["tool_calls"]] == ["send"]
