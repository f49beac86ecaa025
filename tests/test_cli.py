"""The command line does what its help says: results on standard output, people's news on standard error, exit codes that hold.

What it says to bad input is in test_cli_errors.py, to a full disk and to Ctrl-C in test_cli_recovery.py.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from tests.calling import trueline
from tests.recipes import toys
from tests.targets.toy import Request, came, chat_body, opening
from trueline.cli import cli
from trueline.models.policy import Policy, tiny
from trueline.models.tokens import word_tokenizer
from trueline.targets.posting import Reply

COMMANDS = sorted(cli.commands)
VERBS = {  # every command that does something, those of groups by two words
    f"{name} {verb}".strip(): command
    for name, group in cli.commands.items()
    for verb, command in getattr(group, "commands", {"": group}).items()
}
SMALL = ("batch=96", "held_out=0.2", "--threads", "1")  # a run of under a second
ALIGN = (  # the smallest base that has gates to fail
    "pretrain.tokens=1024", "pretrain.width=32", "pretrain.layers=1", "pretrain.heads=2", "sizes.gate=1", "sizes.direct=1",
    "sizes.family=1", "sizes.domain=2", "sizes.over_refusal=2", "sizes.transcripts=1", "sizes.max_tokens=2", "--threads", "1",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _in_an_empty_folder(monkeypatch, tmp_path):
    """Runs go to ./runs: here, to a folder of the test's own."""
    monkeypatch.chdir(tmp_path)


def sft(tmp_path, *words: str) -> tuple[str, ...]:
    return ("run", "sft", f"start={toys.model(tmp_path)}", f"data={toys.conversations(tmp_path)}", *SMALL, *words)


@pytest.mark.parametrize("name", sorted({*COMMANDS, *VERBS}))
def test_help_shows_an_example(name):
    """Every command explains itself, with an example that begins with its own name, and exits 0."""
    ended = trueline(*name.split(), "--help")
    assert ended.code == 0
    assert f"Example:  trueline {name}" in ended.out


@pytest.mark.parametrize("name", sorted(VERBS))
def test_every_command_speaks_json(name):
    """Every command that prints a result takes --json."""
    assert "--json" in [option for parameter in VERBS[name].params for option in parameter.opts]


def test_alone_it_says_what_there_is():
    """Without a command: the help, on standard output, exit 0."""
    ended = trueline()
    assert ended.code == 0
    assert all(name in ended.out for name in COMMANDS)


def test_a_run_prints_the_documented_object(tmp_path):
    """`run --json` is one line with one object: where it is, what it was, its stages with metrics, gates and ladder."""
    ended = trueline(*sft(tmp_path, "--json", "--out", "mine"))
    assert (ended.code, ended.err, ended.out.count("\n")) == (0, "", 1)
    found = json.loads(ended.out)
    assert {"folder", "run", "recipe", "seed", "commit", "seconds", "stages", "gates", "ladder"} <= found.keys()
    assert (found["folder"], found["recipe"], found["seed"]) == ("mine", "sft", 0)
    (stage,) = found["stages"]
    assert {"name", "status", "seconds", "tokens", "metrics"} <= stage.keys()
    assert (stage["name"], stage["status"]) == ("sft", "done")
    assert all("value" in metric for metric in stage["metrics"].values())


def test_the_same_run_again_is_skipped_and_reported(tmp_path):
    """What is done is not done again, and `report` renders the same page anew from the records."""
    words = sft(tmp_path, "--out", "mine")
    first = trueline(*words)
    assert first.code == 0
    assert "report: mine/report.html\n" in first.out
    assert json.loads(trueline(*words, "--json").out)["stages"][0]["status"] == "skipped"
    page = tmp_path / "mine" / "report.html"
    page.unlink()
    again = trueline("report", "mine")
    assert (again.code, page.is_file()) == (0, True)
    assert "report: mine/report.html\n" in again.out
    assert json.loads(trueline("report", "mine", "--json").out)["recipe"] == "sft"


def test_rates_inside_a_result_reach_the_report(tmp_path):
    """DPO measures before and after; both rates are in the report with n and interval, and named apart."""
    start, data = f"start={toys.model(tmp_path)}", f"data={toys.preferences(tmp_path)}"
    ended = trueline("run", "dpo", start, data, "groups=8", "epochs=1", "--threads", "1", "--json")
    metrics = json.loads(ended.out)["stages"][0]["metrics"]
    assert metrics["before.accuracy"].keys() == {"value", "n", "low", "high"}
    assert metrics["before.accuracy"]["value"] == 0.5
    assert "after.accuracy" in metrics


def test_a_log_gets_lines_and_a_quiet_run_nothing(tmp_path):
    """Without a terminal: a line when a stage starts, a line with its numbers when it ends; --quiet says nothing."""
    words = sft(tmp_path)
    ended = trueline(*words)
    assert "sft: starts\n" in ended.err
    assert "sft: done in " in ended.err
    assert "\x1b" not in ended.err + ended.out
    assert trueline(*words, "--quiet").err == ""


def test_show_lists_every_setting():
    """`show` gives name, type, default and meaning; its YAML is a recipe that `run` reads."""
    found = json.loads(trueline("show", "dpo", "objective.beta=0.3", "--json").out)
    assert found["recipe"] == "dpo"
    assert {"name", "type", "default", "meaning"} == found["settings"][0].keys()
    assert {s["name"]: s["default"] for s in found["settings"]}["objective.beta"] == "0.3"
    assert "objective.beta" in trueline("show", "dpo").out


@pytest.fixture
def carried(monkeypatch, tmp_path):
    """What was asked to be carried out, instead of doing it."""
    seen = []

    def carry_out(asked, out, *_):
        seen.append((asked, out))
        return tmp_path, {"run": "r", "recipe": "sft", "stages": []}

    monkeypatch.setattr("trueline.recipes.running.carry_out", carry_out)
    monkeypatch.setattr("trueline.recipes.running.foresee", lambda *_: None)
    return seen


@pytest.mark.parametrize(("words", "seed"), [((), 3), (("--seed", "5"), 5), (("--seed", "5", "seed=7"), 7)])
def test_what_is_said_later_wins(carried, tmp_path, words, seed):
    """A YAML file's seed gives way to --seed, and both to a word; the rest of the file stands."""
    file = tmp_path / "mine.yaml"
    file.write_text(trueline("show", "sft", "epochs=4", "--yaml").out.replace("seed: 0", "seed: 3"))
    assert trueline("run", file, *words, "--threads", "1").code == 0
    (asked, _) = carried[0]
    assert (asked.name, asked.recipe.epochs, asked.seed) == ("sft", 4, seed)


def test_the_demo_takes_settings_at_any_size(carried):
    """`demo --size smoke` is the small stack, and a setting given beside it is kept."""
    ended = trueline("demo", "--size", "smoke", "pretrain.tokens=5000", "--seed", "2", "--threads", "1", "--json")
    assert json.loads(ended.out)["stages"] == []
    (asked, out) = carried[0]
    assert (asked.recipe.pretrain.tokens, asked.recipe.pretrain.width, asked.seed, str(out)) == (5000, 64, 2, "runs/smoke")


@pytest.mark.parametrize(("statuses", "code"), [(("PASS", "N/A"), 0), (("PASS", "FAIL"), 1)])
def test_a_run_with_a_failed_gate_is_shown_whole_and_ends_with_1(monkeypatch, tmp_path, statuses, code):
    """The result is printed first; what failed is named in one line on standard error, and N/A is no failure."""
    gates = [{"name": f"gate {i}", "status": status, "value": {}, "needs": 0.9} for i, status in enumerate(statuses)]
    found = {"stages": [], "gates": gates}
    monkeypatch.setattr("trueline.recipes.running.carry_out", lambda *_: (tmp_path, found))
    monkeypatch.setattr("trueline.recipes.running.foresee", lambda *_: None)
    ended = trueline("demo", "--threads", "1", "--json")
    assert ended.code == code
    assert json.loads(ended.out)["gates"] == gates
    assert ended.err.startswith("error: gate 1: below what the gate needs") if code else ended.err == ""


def test_a_plan_runs_nothing(tmp_path):
    """--dry-run estimates every stage and leaves no folder behind."""
    found = json.loads(trueline(*sft(tmp_path, "--dry-run", "--json")).out)
    assert [row["name"] for row in found["stages"]] == ["sft"]
    assert found["stages"][0]["memory_mb"] > 0
    assert not (tmp_path / "runs").exists()


def test_a_tracker_opens_in_the_runs_folder(tmp_path):
    """--track works on a first run: what a tracker writes does not make the folder someone else's."""
    ended = trueline(*sft(tmp_path, "--track", "tensorboard", "--out", "mine", "--json"))
    assert (ended.code, ended.err) == (0, "")
    assert any((tmp_path / "mine" / "tensorboard").iterdir())


def test_show_without_a_name_lists_the_recipes():
    """Every recipe with what it does, as lines or as one object."""
    found = json.loads(trueline("show", "--json").out)
    assert {"pretrain", "sft", "dpo", "grpo", "align"} <= found.keys()
    assert all(found.values())
    assert len(trueline("show").out.splitlines()) == len(found)


TAUGHT = ("constitution", "rlaif", "redteam", "attacker", "harden", "inheritance", "intime", "prevention", "distil", "align")


@pytest.mark.parametrize("recipe", TAUGHT)
def test_show_teaches_what_a_recipe_does(recipe):
    """What it is comes before its settings, with a command to run it; every word of that command is a setting that there is."""
    shown = trueline("show", recipe).out
    assert "meaning" in shown
    (example, *_) = [line.partition("#")[0].split() for line in shown.splitlines() if f"trueline run {recipe}" in line]
    assert trueline("show", recipe, *example[3:]).code == 0
    assert json.loads(trueline("show", recipe, "--json").out)["about"] in shown


def test_doctor_describes_the_machine():
    """Versions, cores and memory, as one object or as a table."""
    found = json.loads(trueline("doctor", "--json").out)
    assert {"python", "cores", "memory", "threads", "devices", "versions"} <= found.keys()
    assert found["gflops"]["float32"] > 0
    assert "GFLOP/s" in trueline("doctor").out


def test_a_failed_gate_ends_with_1():
    """Under stop_at_gate a base that fails ends the run with exit code 1 and one line that names the gates."""
    ended = trueline("run", "align", "stop_at_gate=true", *ALIGN, "sizes.gate=30", "--quiet")
    assert ended.code == 1
    assert ended.err.startswith("error: stopped after gates: failed facts")
    assert ended.err.count("\n") == 1


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
