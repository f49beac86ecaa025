"""The command line does what its help says: results on standard output, people's news on standard error, exit codes that hold.

What it says to bad input is in test_cli_errors.py, to a full disk and to Ctrl-C in test_cli_recovery.py, in a conversation in
test_cli_chat.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import click
import pytest

from tests.calling import trueline
from tests.recipes import toys
from trueline.cli import cli

COMMANDS = sorted(cli.commands)


def _verbs(group: click.Group, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, those of groups by all their words."""
    for verb, command in group.commands.items():
        words = f"{name} {verb}".strip()
        yield from _verbs(command, words) if isinstance(command, click.Group) else [(words, command)]


VERBS = dict(_verbs(cli))
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

    def carry_out(asked, out, *_, **__):
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
    monkeypatch.setattr("trueline.recipes.running.carry_out", lambda *_, **__: (tmp_path, found))
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
