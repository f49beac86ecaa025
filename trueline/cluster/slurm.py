"""The batch file with which Slurm runs one `trueline run` on several machines: plain text, made from checked words.

    print(batch_file(Job(nodes=2, gpus=8), ["run", "sft", "start=MODEL", "data=answers.jsonl"], python="python"))
    trueline cluster slurm --nodes 2 --gpus 8 run sft start=MODEL data=answers.jsonl > job.sh && sbatch job.sh

One process a GPU (or, without GPUs, `processes` a node); each finds its rank in what Slurm sets, and the others through the
first node of the job. Who is told of the end, by Slurm's own documentation of `sbatch --signal` and `scancel`:

- `--signal=TERM@SECONDS` without `B:` goes to every process of the step and not to the batch shell. So the processes save at
  the end of their step and exit with 143, and the shell, which was told nothing, lives to read that and to requeue the job.
  With `B:` the shell alone is told, and `srun`, to which it would hand the signal on, answers it by ending the step.
- Where Slurm ends the job itself (`scancel JOB`, the time limit), the shell is told too. Then it requeues nothing: who cancels
  a job does not want it back. `scancel --signal=TERM JOB` tells the processes alone: save, and go on later.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Template

from trueline.core.stopping import CODE  # of a run that was told to end, and has saved where it was

EARLY = 60  # seconds: Slurm may send the signal so much earlier than asked
SAFE = re.compile(r"[\w.,:@%/+=*\[\]-]+", re.ASCII)  # what an #SBATCH line takes without quotes
OPTION = re.compile(r"--[a-z][a-z-]*(=[\w.,:@%/+*\[\]-]+)?", re.ASCII)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)
DAYS = re.compile(r"(\d+)-(\d+)(?::(\d+))?(?::(\d+))?")  # days-hours[:minutes[:seconds]]
CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+)|(\d+)")  # [hours:]minutes:seconds, or minutes

SCRIPT = Template("""\
#!/bin/bash
$options
# Written by `trueline cluster slurm`. What your site needs first (modules, a container) goes below the options.
set -u
told=no
trap 'told=yes' TERM # Slurm ends the job itself: by scancel, or at its time limit
$environment
read -r MASTER_ADDR < <(scontrol show hostnames "$$SLURM_JOB_NODELIST") || MASTER_ADDR=
if [ -z "$$MASTER_ADDR" ]; then
    echo "scontrol does not tell the nodes of job $$SLURM_JOB_ID" >&2
    exit 1
fi
export MASTER_ADDR
export MASTER_PORT=$$((10000 + SLURM_JOB_ID % 20000)) # another one for another job on the same node

code=0
srun --kill-on-bad-exit=1 $step \\
    $command || code=$$?

if [ "$$code" -eq $preempted ] && [ "$$told" = no ]; then # told to end, and saved: go on from there
    echo "saved, and requeued: it goes on from its last checkpoint" >&2
    scontrol requeue "$$SLURM_JOB_ID" || echo "not requeued; sbatch this file again, and it goes on" >&2
fi
exit "$$code"
""")


class JobError(ValueError):
    """What cannot be asked of Slurm so."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is asked of Slurm. Raises JobError for what no #SBATCH line can hold or no run could use."""

    name: str = "trueline"
    nodes: int = 1
    gpus: int = 0  # a node, with one process each; 0: no GPU is asked for
    processes: int = 1  # a node, where no GPU is asked for
    cpus: int = 0  # for each process; 0: what the site gives
    memory: str = ""  # of a node: 64G; 0 means all of it; empty: what the site gives
    time: str = ""  # as Slurm writes it: 90, 12:00:00, 2-00:00:00; empty: the partition's
    partition: str = ""
    account: str = ""
    warning: int = 300  # seconds before its end at which the processes are told: a step and a checkpoint must fit
    output: str = ""  # file of what it prints; empty: NAME-%j.log
    more: tuple[str, ...] = ()  # further options, each as --name or --name=value
    environment: Mapping[str, str | None] = field(default_factory=dict)  # None: must be there, and its value is not written

    def __post_init__(self) -> None:
        _checked_numbers(self)
        for what in ("name", "memory", "partition", "account", "output"):
            value = getattr(self, what)
            if value and not SAFE.fullmatch(value):
                raise JobError(f"{what}: expected letters, digits and _.,:@%/+=-, got {value!r}")
        for option in self.more:
            if not OPTION.fullmatch(option):
                raise JobError(f"expected an option of sbatch such as --qos=high, got {option!r}")
        for name, value in self.environment.items():
            if not NAME.fullmatch(name):
                raise JobError(f"environment: expected NAME or NAME=VALUE, got {name!r}")
            if value is not None and SECRET.search(name):
                raise JobError(
                    f"environment: {name} looks like a secret, which no file may hold; give {name} alone, and set it"
                )
            if value is not None and not value.isprintable():
                raise JobError(f"environment: the value of {name} is not one line of text")

    @property
    def per_node(self) -> int:
        """Processes on each node."""
        return self.gpus or self.processes

    @property
    def world(self) -> int:
        """Processes in all."""
        return self.nodes * self.per_node


def batch_file(job: Job, words: Sequence[str], python: str) -> str:
    """The text of the batch file that runs `trueline WORDS` in every process; `python` is the interpreter on the nodes."""
    step = [f"--ntasks={job.world}", f"--ntasks-per-node={job.per_node}"]
    step += [f"--cpus-per-task={job.cpus}"] if job.cpus else []  # srun does not take it over from sbatch
    lines = [
        f': "${{{name}:?expected in the environment of sbatch}}"' if value is None else f"export {name}={shlex.quote(value)}"
        for name, value in job.environment.items()
    ]
    return SCRIPT.substitute(
        options="\n".join(f"#SBATCH {option}" for option in options(job)),
        environment="".join(f"{line}\n" for line in lines),
        step=" ".join(step),
        command=shlex.join([python, "-m", "trueline", *words]),
        preempted=CODE,
    )


def options(job: Job) -> list[str]:
    """What the job asks Slurm for, an option each."""
    asked = {
        "job-name": job.name,
        "nodes": job.nodes,
        "ntasks-per-node": job.per_node,
        "gpus-per-node": job.gpus,
        "cpus-per-task": job.cpus,
        "mem": job.memory,
        "time": job.time,
        "partition": job.partition,
        "account": job.account,
        "output": job.output or f"{job.name}-%j.log",
        "open-mode": "append",  # a job that goes on writes to the same file
        "signal": f"TERM@{job.warning}",
    }
    return [*(f"--{name}={value}" for name, value in asked.items() if value), "--requeue", *job.more]


def seconds(time: str) -> int:
    """Seconds of a time as Slurm writes it. Raises JobError.

    >>> [seconds(t) for t in ("90", "1:30", "12:00:00", "1-06", "2-00:30:00")]
    [5400, 90, 43200, 108000, 174600]
    """
    if found := DAYS.fullmatch(time):
        days, hours, minutes, rest = (int(part or 0) for part in found.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if found := CLOCK.fullmatch(time):
        hours, minutes, rest, alone = (int(part or 0) for part in found.groups())
        return alone * 60 if found[4] else (hours * 60 + minutes) * 60 + rest
    raise JobError(f"time: expected minutes, [hours:]minutes:seconds or days-hours[:minutes[:seconds]], got {time!r}")


def _checked_numbers(job: Job) -> None:
    for what, least in (("nodes", 1), ("gpus", 0), ("processes", 1), ("cpus", 0), ("warning", 1)):
        if getattr(job, what) < least:
            raise JobError(f"{what}: expected {least} or more, got {getattr(job, what)}")
    if job.warning > 65535:
        raise JobError(f"warning: Slurm takes at most 65535 seconds, got {job.warning}")
    if job.time and seconds(job.time) <= job.warning + EARLY:
        raise JobError(
            f"time: {job.time} leaves nothing before the warning {job.warning} seconds before its end, which Slurm may send "
            f"{EARLY} seconds earlier; ask for more time or a later warning"
        )
