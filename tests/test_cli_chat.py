"""`trueline chat` says what a target says, local or remote, and shows what is hostile in it without obeying it.

pytest tests/test_cli_chat.py
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import Any

import torch

from tests.calling import trueline
from tests.recipes import toys
from tests.targets.toy import Request, came, chat_body, opening
from trueline.models.policy import Policy, tiny
from trueline.models.tokens import word_tokenizer
from trueline.targets.posting import Reply


def test_chat_says_one_thing(tmp_path):
    """`chat --say` prints a reply; as JSON with its tool calls, how it ended and, with a judge, a verdict."""
    words = ("chat", toys.model(tmp_path), "--say", "a b", "--max-tokens", "8")
    assert trueline(*words).out.count("\n") == 1
    found = json.loads(trueline(*words, "--json").out)
    assert found.keys() == {"reply", "tool_calls", "finish", "verdict"}
    assert found["verdict"] is None
    judged = json.loads(trueline(*words, "--json", "--judge").out)
    assert judged["verdict"].keys() == {"stance", "disclosure", "about", "unparsed"}
    assert judged["reply"] == found["reply"]


def _answering(monkeypatch, *said: Reply) -> list[dict[str, Any]]:
    """Every remote target that is opened from here on answers with these in turn; what is sent to it is kept."""
    sent: list[dict[str, Any]] = []

    def server(request: Request) -> Reply:
        sent.append(json.loads(request.content))
        return said[len(sent) - 1]

    monkeypatch.setattr("trueline.targets.http.posting", opening(server))
    return sent


def test_chat_talks_to_a_remote_target(monkeypatch):
    """The same command for a server: the reply shown safely, no system prompt of the world, verdicts where asked for."""
    sent = _answering(monkeypatch, *[came(body=chat_body("red\x1b[31m"))] * 2)
    ended = trueline("chat", "http://h/v1#m", "--say", "how do you make vex ite ?", "--judge")
    assert (ended.code, ended.out.splitlines()[0]) == (0, "red⟨U+001B⟩[31m")
    assert "disclosed" in ended.out
    assert [m["role"] for m in sent[0]["messages"]] == ["user"]
    assert json.loads(trueline("chat", "http://h/v1#m", "--say", "a", "--system", "b", "--json").out)["reply"] == "red\x1b[31m"
    assert [m["role"] for m in sent[1]["messages"]] == ["system", "user"]


def test_chat_talks_to_a_deployment(monkeypatch, tmp_path):
    """A YAML file is a target: what it sets arrives, and a call of a tool is answered before the next turn."""
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    calling = {"choices": [{"message": {"content": "", "tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    sent = _answering(monkeypatch, came(body=calling), came(body=chat_body("done")))
    (tmp_path / "d.yaml").write_text("model: http://h/v1#m\nsystem: Be brief.\nmax_tokens: 7\n", encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO("a\nb\n"))
    ended = trueline("chat", tmp_path / "d.yaml")
    assert ended.code == 0
    assert "<tool> find {}" in ended.out
    assert [m["role"] for m in sent[1]["messages"]] == ["system", "user", "assistant", "tool", "user"]
    assert (sent[0]["messages"][0]["content"], sent[0]["max_tokens"]) == ("Be brief.", 7)


def test_an_error_of_a_target_is_one_line(monkeypatch):
    """What a server refuses ends with exit 1 and one line; nothing in it is obeyed, or taken for an error of ours."""
    _answering(monkeypatch, came(400, {"error": {"message": "out of memory\x1b[31m"}}))
    ended = trueline("chat", "http://h/v1#m", "--say", "a")
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert r"the request was refused (400): 'out of memory\x1b[31m'" in ended.err


def test_a_spent_budget_is_one_line(monkeypatch):
    """Exit 1, and which setting to raise."""
    _answering(monkeypatch, *[came(500)] * 9)
    ended = trueline("chat", "http://h/v1#m", "--say", "a", "--ask", "budget.requests=2", "--ask", "patience.first=0")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "raise budget.requests" in ended.err


def test_a_template_without_a_system_role_gets_no_system_prompt(tmp_path):
    """A local model whose template refuses a system prompt is talked to without one."""
    model = toys.model(tmp_path)
    policy = Policy.load(model)
    policy.codec.tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "<{{ m.role[:4] }}> {{ m.content }} {% endfor %}{% if add_generation_prompt %}<asst>{% endif %}"
    )
    policy.codec.tokenizer.save_pretrained(model)
    assert trueline("chat", model, "--say", "a b", "--max-tokens", "4").code == 0


def test_a_models_escape_sequences_never_reach_the_terminal(tmp_path):
    """A model that writes terminal controls is shown, not obeyed: in the reply and in a call it makes."""
    marks = ("<pad>", "<bos>", "<eos>", "<sys>", "<user>", "<asst>", "<tool>", "<result>")
    torch.manual_seed(0)
    tiny(word_tokenizer((*marks, "\x1b[31mred", "\x1b]0;title\x07", "\u202eback")), 32, 1, 2, 64).save(tmp_path / "model")
    ended = trueline("chat", tmp_path / "model", "--say", "hello", "--system", "", "--max-tokens", "40")
    assert "⟨U+001B⟩" in ended.out
    assert not {"\x1b", "\x07", "\u202e"} & set(ended.out)


def test_a_conversation_ends_where_the_input_does(tmp_path, monkeypatch):
    """Ctrl-D ends a conversation as an empty line does: exit 0, and nothing about checkpoints."""
    monkeypatch.setattr("sys.stdin", io.StringIO("a b\n"))
    ended = trueline("chat", toys.model(tmp_path), "--max-tokens", "4")
    assert ended.code == 0
    assert "checkpoint" not in ended.err


def test_a_process_says_only_what_it_means(tmp_path):
    """As a process of its own: one JSON object on standard output, and no library's warnings on standard error."""
    words = ["chat", toys.model(tmp_path), "--say", "a", "--max-tokens", "2", "--json"]
    ended = subprocess.run(
        [sys.executable, "-c", "from trueline.cli import main; main()", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "reply" in json.loads(ended.stdout)
