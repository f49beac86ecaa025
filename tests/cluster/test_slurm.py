"""The batch file is run as Slurm runs it, with stand-ins for `srun` and `scontrol`: who is told what, and what is requeued."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from trueline.cluster.slurm import Job, JobError, batch_file, options

SRUN = """#!/bin/bash
for word; do case $word in --ntasks=*) count=${word#*=} ;; esac; done
while [[ $1 == --* ]]; do shift; done
touch srun-was-called
for ((i = 0; i < count; i++)); do SLURM_PROCID=$i SLURM_NTASKS=$count SLURM_LOCALID=$i "$@" & all+=($!); done
most=0
for one in "${all[@]}"; do wait "$one" || { code=$?; ((code > most)) && most=$code; }; done
exit "$most"
"""
SCONTROL = """#!/bin/bash
case $1 in
show) printf 'node-%s\\n' 7 8 9 ;;
requeue) echo "$2" >> requeued ;;
esac
"""
# In place of the interpreter: writes down what it was given, says who it is, and waits to be told where it is asked to.
PYTHON = """#!/bin/bash
printf '%s\\0' "$SLURM_PROCID/$SLURM_NTASKS" "$MASTER_ADDR:$MASTER_PORT" "${MARK-}" "$@" > "rank-$SLURM_PROCID"
echo "$$"
if [ -n "${WAIT-}" ]; then
    sleep 100 & trap 'kill $!; exit 143' TERM
    echo ready
    wait
fi
exit "${CODE:-0}"
"""
WORDS = ["run", "sft", "start=MODEL", "data=a b's $(touch hurt) `touch hurt`; touch hurt.jsonl", 'x="\\"']


@pytest.fixture
def node(tmp_path):
    """A folder with the stand-ins, in which a batch file is started; gives the environment."""
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL), ("python", PYTHON)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "40123", "SLURM_JOB_NODELIST": "node-[7-9]"}


def started(node: dict[str, str], job: Job, **environment: str) -> subprocess.Popen[str]:
    folder = Path(node["PATH"].split(":")[0])
    (folder / "job.sh").write_text(batch_file(job, WORDS, "python"))
    pipe = subprocess.PIPE
    return subprocess.Popen(
        ["bash", "job.sh"], cwd=folder, env=node | environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def ended(process: subprocess.Popen[str], tmp_path: Path) -> tuple[int, bool, str]:
    """Its exit code, whether the job was put into the queue again, and what it said."""
    _, said = process.communicate(timeout=60)
    return process.returncode, (tmp_path / "requeued").exists(), said


def test_every_process_knows_its_rank_and_where_to_meet(node, tmp_path):
    """Two nodes of two GPUs are four processes, which are given the words as they were, the first node and one port."""
    code, requeued, _ = ended(started(node, Job(nodes=2, gpus=2)), tmp_path)
    assert (code, requeued) == (0, False)
    found = [(tmp_path / f"rank-{i}").read_bytes().decode().split("\0")[:-1] for i in range(4)]
    assert [f[0] for f in found] == ["0/4", "1/4", "2/4", "3/4"]
    assert {f[1] for f in found} == {f"node-7:{10000 + 40123 % 20000}"}
    assert all(f[3:] == ["-m", "trueline", *WORDS] for f in found)
    assert not (tmp_path / "hurt").exists()


@pytest.mark.parametrize(("code", "again"), [(0, False), (1, False), (137, False), (143, True)])
def test_only_a_run_that_saved_is_put_into_the_queue_again(node, tmp_path, code, again):
    """Exit code 143 requeues the job by its number; every code is passed on."""
    found, requeued, said = ended(started(node, Job(), CODE=str(code)), tmp_path)
    assert (found, requeued) == (code, again)
    assert ("saved" in said) == again
    if again:
        assert (tmp_path / "requeued").read_text() == "40123\n"


@pytest.mark.parametrize("shell_too", [False, True])
def test_a_signal_to_the_processes_requeues_and_one_to_the_shell_too_does_not(node, tmp_path, shell_too):
    """Told alone, as before the end of their time, processes save and the job comes back; a cancelled job stays away."""
    process = started(node, Job(gpus=2), WAIT="yes")
    assert process.stdout is not None
    said = [process.stdout.readline().strip() for _ in range(4)]
    if shell_too:
        os.kill(process.pid, signal.SIGTERM)
    for pid in (int(line) for line in said if line != "ready"):
        os.kill(pid, signal.SIGTERM)
    code, requeued, _ = ended(process, tmp_path)
    assert (code, requeued) == (143, not shell_too)


def test_a_secret_is_named_and_never_written(node, tmp_path):
    """NAME alone must be there when the job starts, and NAME=VALUE stands in the file, quoted."""
    job = Job(environment={"HF_TOKEN": None, "MARK": "a 'b' $(touch hurt)"})
    code, requeued, said = ended(started(node, job), tmp_path)
    assert code
    assert not requeued
    assert "HF_TOKEN" in said
    assert not (tmp_path / "srun-was-called").exists()
    assert ended(started(node, job, HF_TOKEN="hush"), tmp_path)[0] == 0
    assert (tmp_path / "rank-0").read_bytes().split(b"\0")[2].decode() == "a 'b' $(touch hurt)"
    assert "hush" not in (tmp_path / "job.sh").read_text()
    assert not (tmp_path / "hurt").exists()


def test_nodes_that_cannot_be_told_end_the_job(node, tmp_path):
    """Without the name of a first node nothing is started, for all processes would wait for each other."""
    (tmp_path / "scontrol").write_text("#!/bin/bash\nexit 1\n")
    code, requeued, said = ended(started(node, Job()), tmp_path)
    assert (code, requeued) == (1, False)
    assert "does not tell the nodes" in said


@pytest.mark.parametrize(
    "job",
    [Job(), Job(nodes=3, gpus=8, cpus=12, memory="0", time="1-00", partition="gpu", account="me", more=("--qos=high",))],
)
def test_bash_reads_it_and_slurm_reads_its_head(tmp_path, job):
    """`bash -n` finds nothing, and every option stands before the first command, where Slurm looks for it."""
    path = tmp_path / "job.sh"
    path.write_text(batch_file(job, WORDS, "/a b/python"))
    assert subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False).stderr == ""
    lines = path.read_text().splitlines()
    head = lines[1 : next(i for i, line in enumerate(lines) if i and not line.startswith("#SBATCH"))]
    assert [line.removeprefix("#SBATCH ") for line in head] == options(job)
    assert sum(line.startswith("#SBATCH") for line in lines) == len(head)


def test_what_is_asked_for_is_in_the_head():
    """What was said is there, in Slurm's words, and what was not said is left to the site; the signal goes to the step."""
    found = options(Job(name="sft", nodes=2, gpus=8, memory="0", more=("--qos=high", "--exclusive")))
    assert {"--nodes=2", "--ntasks-per-node=8", "--gpus-per-node=8", "--mem=0", "--qos=high", "--exclusive"} <= set(found)
    assert {"--signal=TERM@300", "--requeue", "--open-mode=append", "--output=sft-%j.log"} <= set(found)
    assert not [option for option in found if option.startswith(("--time", "--partition", "--account", "--cpus"))]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"nodes": 0}, "nodes: expected 1 or more"),
        ({"gpus": -1}, "gpus: expected 0 or more"),
        ({"warning": 70000}, "at most 65535"),
        ({"time": "soon"}, "expected minutes"),
        ({"time": "0:06:00"}, "leaves nothing before the warning"),
        ({"name": "a\n#SBATCH --account=other"}, "name: expected letters"),
        ({"partition": "gpu --account=other"}, "partition: expected letters"),
        ({"more": ("--qos=high\nrm -rf x",)}, "an option of sbatch"),
        ({"more": ("rm",)}, "an option of sbatch"),
        ({"environment": {"A B": "1"}}, "expected NAME"),
        ({"environment": {"HF_TOKEN": "abc"}}, "looks like a secret"),
        ({"environment": {"NOTE": "a\nrm -rf x"}}, "not one line"),
    ],
)
def test_what_slurm_could_not_take_is_refused(wrong, said):
    """Each is an error before anything is written, and the value of a secret is not in it."""
    with pytest.raises(JobError, match=said) as refused:
        Job(**wrong)
    assert "abc" not in str(refused.value)
