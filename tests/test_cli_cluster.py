"""`trueline cluster`: a plan that adds up, a batch file that a shell reads, and what is wrong said before either."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.calling import trueline
from tests.models.small import tiny_policy
from trueline.recipes.sharded_size import SIZES

SLURM = ("cluster", "slurm")
RUN = ("run", "sft", "start=MODEL", "data=answers.jsonl")


def test_a_plan_adds_up():
    """The object's items come to its peak, its shape is the named size's, and what was asked stands in it."""
    ended = trueline("cluster", "plan", "7b", "--sequence", 2048, "--world", 8, "--replicas", 2, "--peak-tflops", 900, "--json")
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert found["parameters"] == SIZES["7b"].parameters
    assert (found["world"], found["shards"], found["tokens_per_step"]) == (8, 4, 8 * 2048)
    here = [item["bytes"] for item in found["items"] if found["peak"]["when"] in item["when"]]
    assert found["peak"]["bytes"] == pytest.approx(sum(here), abs=len(here))
    assert found["tokens_per_second"] == pytest.approx(8 * 900e12 * 0.4 / found["flops_per_token"], rel=1e-3)
    assert [w["fits"] for w in found["worlds"]][-2:] == [True, True]


def test_a_plan_is_a_table_for_people(tmp_path):
    """A model's folder is planned by its configuration; the table names each thing and where it fits."""
    tiny_policy().save(tmp_path / "model")
    ended = trueline("cluster", "plan", tmp_path / "model", "--sequence", 64, "--rollouts", 4, "--gpu-memory", "1GB")
    assert (ended.code, ended.err) == (0, "")
    for words in ("weights", "sampler's copy", "keys and values", "at most", "fits a GPU of 1.00 GB", "--peak-tflops tells"):
        assert words in ended.out


def test_a_plan_of_distillation_has_its_teacher():
    """The teacher is named as any model is, and what it holds is told beside the student's, in the table too."""
    words = ("cluster", "plan", "1b", "--sequence", 512, "--world", 8, "--teacher", "7b")
    found = json.loads(trueline(*words, "--json").out)
    (held,) = (item["bytes"] for item in found["items"] if item["name"] == "teacher")
    assert (found["teacher"], held) == ("7b", SIZES["7b"].parameters / 2)
    assert "those of the teacher" in trueline(*words).out


def test_a_new_models_numbers_are_a_model():
    """The numbers of a named size give its plan."""
    numbers = ("--layers", 20, "--width", 2048, "--heads", 16, "--key-heads", 8, "--inner", 5632, "--vocabulary", 65536)
    named, new = (trueline("cluster", "plan", *words, "--sequence", 512, "--json").out for words in (("1b",), numbers))
    assert {**json.loads(new), "model": "1b"} == json.loads(named)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plan", "7b"), "--sequence"),
        (("plan", "--sequence", 8), "--layers is missing"),
        (("plan", "7b", "--layers", 3, "--sequence", 8), "got both"),
        (("plan", "nothing", "--sequence", 8), "no model at 'nothing'"),
        (("plan", "7b", "--sequence", 8, "--teacher", "nothing"), "no model at 'nothing'"),
        (("plan", "7b", "--sequence", 8, "--gpu-memory", "much"), "expected gigabytes"),
        (("plan", "7b", "--sequence", 8, "--gpu-memory", "0GB"), "expected gigabytes"),
        (("plan", "7b", "--sequence", 8, "--peak-tflops", 0), "--peak-tflops"),
        (("plan", "7b", "--sequence", 8, "--world", 4, "--replicas", 3), "cannot be cut into 3"),
        (("slurm",), "run RECIPE"),
        (("slurm", "chat", "MODEL"), "expected `run RECIPE"),
        (("slurm", "--nodes", 0, *RUN), "nodes: expected 1 or more"),
        (("slurm", "run", "sftt"), "sftt"),
        (("slurm", "run", "sft", "epoch=3"), "epoch"),
        (("slurm", "run", "sft", "--nodes", "2"), "--nodes"),
        (("slurm", *RUN, "--dry-run"), "run nothing"),
        (("slurm", *RUN, "--recompute"), "--recompute is for processes that are launched together"),
        (("slurm", "--nodes", 2, *RUN, "--replicas", 3), "expected a divisor of the 2 processes, got 3"),
        (("slurm", "--env", "HF_TOKEN=hush", *RUN), "looks like a secret"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(words, said, tmp_path, monkeypatch):
    """One line and exit code 2; a secret is not repeated, and the folder stays empty."""
    monkeypatch.chdir(tmp_path)
    ended = trueline("cluster", *words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert "hush" not in ended.err
    assert not list(tmp_path.iterdir())


def test_a_batch_file_runs_what_was_asked(tmp_path):
    """It is printed, or written once; a job with GPUs trains on them unless it says where; bash reads it."""
    path = tmp_path / "job.sh"
    printed = trueline(*SLURM, "--nodes", 2, "--gpus", 8, "--python", "python", "trueline", *RUN)
    written = trueline(*SLURM, "--nodes", 2, "--gpus", 8, "--python", "python", "--to", path, *RUN)
    assert (printed.code, written.code) == (0, 0)
    assert path.read_text() == printed.out
    assert f"sbatch {path}" in written.out
    assert "--ntasks=16 --ntasks-per-node=8" in printed.out
    assert "python -m trueline run sft start=MODEL data=answers.jsonl --device cuda || code=$?" in printed.out
    assert subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False).stderr == ""
    again = trueline(*SLURM, "--to", path, *RUN)
    assert (again.code, path.read_text()) == (2, printed.out)
    assert "is there already" in again.err


def test_a_batch_file_as_an_object(tmp_path):
    """`--json` tells the file's text, its options, the number of processes and the command."""
    ended = trueline(*SLURM, "--gpus", 4, "--json", *RUN, "--device", "cuda", "--seed", 3)
    found = json.loads(ended.out)
    assert (found["world"], found["file"]) == (4, None)
    assert found["command"] == ["trueline", *RUN, "--device", "cuda", "--seed", "3"]
    assert {"--job-name=sft", "--gpus-per-node=4"} <= set(found["options"])
    assert found["script"].startswith("#!/bin/bash\n#SBATCH --job-name=sft\n")
