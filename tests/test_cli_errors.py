"""Bad input: one line on standard error that says what was expected, what came and what to do; no traceback.

What commands print when all is well is in test_cli.py; a full disk and Ctrl-C are in test_cli_recovery.py.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from tests.calling import trueline
from tests.recipes import toys
from trueline.models.policy import Policy
from trueline.store.folders import lock

ENDLESS = (
    "{% for m in messages %}<{{ m.role[:4] }}> {{ m.content }} {% endfor %}{% if add_generation_prompt %}<assi>{% endif %}"
)
ONLY_REPLIES = "{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }} {{ eos_token }} {% endif %}{% endfor %}"
SMALL = ("batch=96", "held_out=0.2", "--threads", "1")  # a run of under a second


@pytest.fixture(autouse=True)
def _in_an_empty_folder(monkeypatch, tmp_path):
    """Runs go to ./runs: here, to a folder of the test's own."""
    monkeypatch.chdir(tmp_path)


def templated(folder: Path, template: str) -> str:
    """A model whose chat template is this one."""
    model = toys.model(folder)
    policy = Policy.load(model)
    policy.codec.tokenizer.chat_template = template
    policy.codec.tokenizer.save_pretrained(model)
    return model


def pickled(folder: Path) -> str:
    """A model whose weights are a pickle."""
    model = Path(toys.model(folder))
    (model / "model.safetensors").unlink()
    torch.save({"weight": torch.zeros(1)}, model / "pytorch_model.bin")
    return str(model)


def bare(folder: Path) -> str:
    """A folder that is there and holds no model."""
    (folder / "bare").mkdir()
    return str(folder / "bare")


def _file(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def other_run(folder: Path) -> str:
    """A run of other settings."""
    out = folder / "taken"
    toys.run(out, "sft", f"start={toys.model(folder)}", f"data={toys.conversations(folder)}", "epochs=2", "batch=96")
    return str(out)


def sft(folder: Path, *words: str) -> list[str]:
    return ["run", "sft", f"start={toys.model(folder)}", f"data={toys.conversations(folder)}", *SMALL, *words]


BAD = {  # what is asked -> what the error must say: what was expected, what came, what to do
    "a missing file": (
        lambda f: [*sft(f), "data=sfd.jsonl"],
        ["sfd.jsonl: expected a file, found none of that name", "did you mean 'sft.jsonl'?"],
    ),
    "a missing recipe file": (
        lambda f: ["run", "mine.yaml"],
        ["mine.yaml: expected a recipe file, found none of that name", "`trueline show RECIPE --yaml` prints one"],
    ),
    "a missing model": (
        lambda f: [*sft(f), "start=nowhere"],
        ["start: 'nowhere': expected a stage of this run, a file, a run, or a model folder", "found nothing of that name"],
    ),
    "a missing target": (lambda f: ["chat", "nowhere", "--say", "a"], ["'nowhere': expected a model folder", "hf:NAME"]),
    "an unknown recipe": (
        lambda f: ["run", "sfty"],
        ["no recipe called 'sfty'", "did you mean 'sft'?", "known: align, attacker"],
    ),
    "an unknown key": (lambda f: [*sft(f), "epoch=2"], ["unknown setting 'epoch'", "did you mean 'epochs'?"]),
    "a word without a value": (lambda f: [*sft(f), "epochs"], ["expected key=value, got 'epochs'"]),
    "a value of another kind": (lambda f: [*sft(f), "epochs=two"], ["epochs: expected a whole number, got 'two'"]),
    "a value out of range": (lambda f: [*sft(f), "epochs=0"], ["epochs and batch must be at least 1"]),
    "an option out of range": (lambda f: ["run", "sft", "--threads", "-1"], ["--threads", "-1", "x>=0", "trueline run --help"]),
    "an unknown option": (lambda f: ["run", "sft", "--sed", "1"], ["No such option", "--seed"]),
    "an unknown command": (lambda f: ["rum"], ["No such command 'rum'", "trueline --help"]),
    "an empty file": (lambda f: [*sft(f), f"data={toys.rows(f / 'no.jsonl', [])}"], ["no.jsonl: expected at least one row"]),
    "a row without a field": (
        lambda f: [*sft(f), f"data={toys.rows(f / 'x.jsonl', [{'prompt': 'a', 'completion': 'b'}, {'prompt': 'a'}])}"],
        ["x.jsonl:2: field 'completion': expected a value", "needs prompt, completion", "got nothing"],
    ),
    "data of another kind": (
        lambda f: [*sft(f), f"data={toys.preferences(f)}"],
        ["pairs.jsonl:1: expected Conversation records, these are 'preference'"],
    ),
    "a folder without a model": (
        lambda f: ["chat", bare(f), "--say", "a"],
        ["bare': expected a model folder (with config.json)", "a folder without it", "name another"],
    ),
    "the folder above the model": (
        lambda f: ["chat", Path(toys.model(f)).parent, "--say", "a"],
        ["expected a model folder", "it holds", "/model"],
    ),
    "a pickled checkpoint": (
        lambda f: ["chat", pickled(f), "--say", "a"],
        ["expected weights in safetensors, found pytorch_model.bin", "save it again with save_pretrained"],
    ),
    "a template without an end": (
        lambda f: [*sft(f), f"start={templated(f, ENDLESS)}"],
        ["writes no end token after the assistant's turn", "add '<eos>'"],
    ),
    "a prompt longer than the context": (
        lambda f: ["chat", toys.model(f), "--say", "a " * 200],
        ["exceed the model's context of 128", "shorten the prompt"],
    ),
    "a folder of another run": (
        lambda f: [*sft(f), "--out", other_run(f)],
        ["taken: holds another run: spec.epochs is 2 there and 1 here", "choose another folder"],
    ),
    "a folder of other things": (
        lambda f: [*sft(f), "--out", Path(toys.conversations(f)).parent],
        ["expected a new or empty folder or a run, found other files", "choose another folder"],
    ),
    "a file where the folder should be": (lambda f: [*sft(f), "--out", toys.conversations(f)], ["--out", "is a file"]),
    "a device that is not there": (lambda f: [*sft(f), "--device", "cuda:99"], ["device 'cuda:99': expected one of cpu"]),
    "an unknown tracker": (lambda f: [*sft(f), "--track", "tensorbord"], ["did you mean 'tensorboard'?"]),
    "a report of no run": (lambda f: ["report", bare(f)], ["bare has no report.json", "Run its recipe again"]),
    "a target of no kind": (
        lambda f: ["chat", "opnai:m", "--say", "a"],
        ["got something that begins with", "did you mean 'openai'?"],
    ),
    "a target without its model": (lambda f: ["chat", "http://h/v1", "--say", "a"], ["write 'http://h/v1#MODEL'"]),
    "a way of asking that is none": (
        lambda f: ["chat", "http://h/v1#m", "--say", "a", "--ask", "budget.request=1"],
        ["unknown setting 'budget.request'", "did you mean 'requests'?"],
    ),
    "a deployment with a slip": (
        lambda f: ["chat", _file(f / "d.yaml", "modle: openai:m"), "--say", "a"],
        ["d.yaml: unknown key 'modle'", "did you mean 'model'?"],
    ),
    "a conversation as JSON": (lambda f: ["chat", toys.model(f), "--json"], ["--json needs --say"]),
}


@pytest.mark.parametrize("option", [("--recompute",), ("--replicas", "2")])
def test_what_only_ranks_can_do_is_refused_to_a_process_alone(option, tmp_path):
    """It would change nothing, and nobody would know."""
    ended = trueline("run", "sft", f"start={toys.model(tmp_path)}", f"data={toys.conversations(tmp_path)}", *SMALL, *option)
    assert ended.code == 2
    assert f"{option[0]} is for processes that are launched together: start it with torchrun" in ended.err
    assert not Path("runs").exists()


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_that_says_what_to_do(tmp_path, case):
    """Exit 2, nothing on standard output, and one line that names what was expected, what came and what to do."""
    words, says = BAD[case]
    ended = trueline(*words(tmp_path))
    assert (ended.code, ended.out) == (2, "")
    *progress, line = ended.err.splitlines()
    assert line.startswith("error: ")
    assert all(": starts" in said or " thread" in said for said in progress)
    assert [part for part in says if part not in line] == [], line


def test_a_mask_that_cannot_teach_shows_its_tokens(tmp_path):
    """Data without a usable loss mask: the fault in one line, and below it the tokens of the first bad example."""
    ended = trueline(*sft(tmp_path), f"start={templated(tmp_path, ONLY_REPLIES)}", "--quiet")
    line, tokens = ended.err.splitlines()
    assert ended.code == 2
    assert line.startswith("error: example 0 has every token in its loss mask")
    assert tokens.split()[-1] == "<eos>"
    assert "[green]" not in tokens


def test_what_looks_like_markup_is_text():
    """Brackets and escape sequences in a name are shown as they are: no style, no crash, no terminal control."""
    ended = trueline("run", "sft", "start=[/red]")
    assert ended.err.splitlines()[-1].startswith("error: start: '[/red]': expected a stage")
    ended = trueline("run", "sft", "data=loss mask [/b]\x1b[31m.jsonl", "start=hf:x")
    assert ended.err.splitlines()[-1].startswith("error: loss mask [/b]⟨U+001B⟩[31m.jsonl: expected a file")
    ended = trueline("report", "loss mask [/b]\x1b[31m")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "loss mask [/b]⟨U+001B⟩[31m" in ended.err


def test_a_busy_folder_names_who_is_there(tmp_path):
    """Two processes never write into one run: the second is told, exit 2, and nothing of the first is touched."""
    words = sft(tmp_path, "--out", "mine", "--quiet")
    with lock(tmp_path / "mine" / "run.lock"):
        (tmp_path / "mine" / "config.yaml").touch()  # a run that has just begun
        ended = trueline(*words)
    assert ended.code == 2
    assert ended.err.startswith(f"error: mine: process {os.getpid()} on ")
    assert ended.err.endswith("is writing here; wait until it ends, stop it, or choose another folder\n")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"), "lower micro_rows"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"), "lower micro_rows"),
        (MemoryError(), "lower micro_rows"),
        (PermissionError(errno.EACCES, "Permission denied", "mine/run.json"), "mine/run.json: Permission denied"),
        (FloatingPointError("the loss is nan (nll=nan); no weight was changed"), "no weight was changed"),
        (RuntimeError("one\n  two"), "error: one two\n"),
    ],
)
def test_what_goes_wrong_at_work_is_one_line(monkeypatch, error, says):
    """No memory, no permission, no finite loss: exit 1 and one line."""

    def order(*_, **__):
        raise error

    monkeypatch.setattr("trueline.recipes.running.order", order)
    ended = trueline("show", "sft")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert says in ended.err


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch):
    """What no one could have asked wrongly is not dressed up as an error of the person who asked."""

    def order(*_, **__):
        raise KeyError("about")

    monkeypatch.setattr("trueline.recipes.running.order", order)
    with pytest.raises(KeyError):
        trueline("show", "sft")
