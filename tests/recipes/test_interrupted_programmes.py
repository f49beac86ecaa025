"""Kill -9 at any moment of a programme of many stages, again and again until it ends: it ends as if it had not been killed.

A moment is what stands between two steps on disk: a file is opened to be written, renamed or removed, a folder is made, the
database is written, a process forked. At one of them, drawn at random, each sitting is killed; what it forked must die with it.

pytest tests/recipes/test_interrupted_programmes.py
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys

import pytest

from tests.recipes import toys
from trueline.attack.bank import found, read_bank
from trueline.core.records import read_jsonl
from trueline.core.types import Attempt
from trueline.recipes.campaigns import ATTEMPTS

pytestmark = pytest.mark.slow

# One process that has imported everything forks a child for every sitting, and becomes the parent of what a killed one leaves.
SCRIPT = """
import ctypes, json, os, signal, sys
from pathlib import Path
from random import Random
import torch
import torch._dynamo  # the first backward pass imports it, and each child would anew
from sqlalchemy import event
from sqlalchemy.engine import Engine
import tests.recipes.test_redteam  # its judge
from trueline.models.policy import Policy
from trueline.recipes import running

MOMENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.fork", "shutil.rmtree", "commit"}

def sitting(folder, words, at, where=""):
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        while True:  # until all that it forked is dead too
            try:
                os.wait()
            except ChildProcessError:
                return status
    if "seeds=2" not in words:
        torch.set_num_threads(2)  # so that training is shared with a forked child
    me, left = os.getpid(), at
    def moment(name, arguments):
        nonlocal left
        writes = name in MOMENTS and (name != "open" or arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if writes and where in str(arguments[:1]) and os.getpid() == me:
            left -= 1
            forks[0] += name == "os.fork"
            if left == 0:
                os.kill(me, signal.SIGKILL)
    forks = [0]
    sys.addaudithook(moment)
    event.listen(Engine, "commit", lambda _: sys.audit("commit"))
    try:
        running.carry_out(running.order(words[0], words[1:]), Path(folder), save_every=0)
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)
    Path(folder, "count.json").write_text(json.dumps({"moments": -left, "forks": forks[0]}))
    os._exit(0)

if sys.platform == "linux":
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
root, asked = Path(sys.argv[1]), json.loads(sys.stdin.read())
running.recipes(), Policy.load(root / "model")  # what the first use imports
for name, words in asked.items():
    rng, ends = Random(f"kill/{name}"), []
    assert sitting(root / name / "straight" / "run", words, 0) == 0, name
    most = json.loads((root / name / "straight" / "run" / "count.json").read_text())["moments"]
    while not ends or ends[-1]:
        moments = [(rng.randint(1, most // 3), ""), (rng.randint(1, 4), "checkpoint")]  # any; of the few steps of training
        ends.append(sitting(root / name / "killed" / "run", words, *moments[len(ends) % 2] if len(ends) < KILLS else (0,)))
        assert os.WIFSIGNALED(ends[-1]) or not ends[-1], (name, len(ends))
    print(json.dumps({"name": name, "ends": ends}))
""".replace("KILLS", "6")
UNTOLD = re.compile(r"seconds|wall|phases|memory|created|updated|saved|started|commit")  # what a clock says, or who ran
SITTING = ("done", "skipped")  # of a stage's status: whether it was made in the last sitting
STAMP = re.compile(r"-\d{8}T\d{6}")  # of the run's name
PROGRAMMES = {"redteam": ("rounds=2",), "seeds": ("rounds=1", "seeds=2")}


def orders(folder):
    goals = [{"prompt": text} for text in ("a b", "a c", "b d")] + [{"prompt": "e f", "label": "benign"}]
    refusals = [{"text": "t t"}, {"text": "t s", "kind": "alternative"}]
    words = (
        "redteam", f"start={toys.model(folder)}", f"campaign.goals={toys.rows(folder / 'goals.jsonl', goals)}",
        f"lessons.refusals={toys.rows(folder / 'refusals.jsonl', refusals)}", "campaign.judge=first_letter", "lessons.n=24",
        "campaign.attacks=role,past", "campaign.max_tokens=2", "sft.batch=256", "control=false",
    )  # fmt: skip
    return {name: (*words, *more) for name, more in PROGRAMMES.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Each programme twice, straight and killed: the folders, and how every sitting of the killed one ended."""
    root = tmp_path_factory.mktemp("programmes")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(root)], input=json.dumps(orders(root)), capture_output=True, text=True, check=False,
        timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    ends = {row["name"]: row["ends"] for row in map(json.loads, done.stdout.splitlines())}
    return {name: (root / name / "straight", root / name / "killed", ends[name]) for name in PROGRAMMES}


def told(value):
    """A record without what differs between any two runs."""
    if isinstance(value, dict):
        return {key: told(inner) for key, inner in value.items() if not UNTOLD.search(key) and inner not in SITTING}
    if isinstance(value, list):
        return [told(inner) for inner in value]
    return STAMP.sub("", value) if isinstance(value, str) else value


def left(folder):
    """Every file that a run leaves: records without times, all else to the byte."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".json" and path.parent.name != "model":
            found[name] = told(json.loads(path.read_text(encoding="utf-8")))
        elif path.name == "metrics.jsonl":
            found[name] = [told(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
        elif path.suffix not in (".html", ".lock") and "trueline.db" not in name:
            found[name] = path.read_bytes()
    return {name: value for name, value in found.items() if not name.endswith(("done.json", "count.json"))}


def stored(folder):
    """All that stands in the databases beside the runs, which must be whole."""
    found = {}
    for path in sorted(folder.rglob("trueline.db")):
        database = sqlite3.connect(path)
        assert database.execute("pragma integrity_check").fetchone()[0] == "ok"
        for table, column in (("attempts", "record"), ("findings", "record"), ("replies", "record"), ("stages", "metrics")):
            rows = database.execute(f"select run, {column} from {table}").fetchall()
            records = [[told(run), told(json.loads(record))] for run, record in rows]
            found[f"{path.relative_to(folder)} {table}"] = sorted(map(json.dumps, records))
        database.close()
    return found


@pytest.mark.parametrize("name", list(PROGRAMMES))
def test_a_programme_that_is_killed_again_and_again_ends_the_same(made, name):
    """The report, every model, every stage's files and the database: nothing lost, nothing twice, nothing half."""
    straight, killed, ends = made[name]
    assert len(ends) > 3
    assert {os.WTERMSIG(end) for end in ends[:-1]} == {signal.SIGKILL}
    forks = json.loads((straight / "run/count.json").read_text(encoding="utf-8"))["forks"]
    assert bool(forks) == (name == "redteam")
    first, second = left(straight), left(killed)
    assert second.keys() == first.keys()
    assert [name for name in first if first[name] != second[name]] == []
    assert any(name.endswith("model.safetensors") for name in first)
    assert stored(killed) == stored(straight)


def test_the_bank_of_a_killed_run_has_every_finding_once(made):
    """What worked on the start or on the round's model, and nothing else, stands in its bank, each under its own key."""
    _, killed, _ = made["redteam"]
    keys = [entry.key for entry in read_bank(str(killed / "run/stages/bank1/bank.jsonl"))]
    stages = killed / "run/stages"
    worked = [found(read_jsonl(str(stages / attack / ATTEMPTS), Attempt)) for attack in ("attack0", "attack1")]
    assert len(keys) == len(set(keys))
    assert set(keys) == {entry.key for some in worked for entry in some}
    assert worked[0]
