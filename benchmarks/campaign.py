"""Attempts a second of a campaign: against a scripted target, and beside garak, PyRIT and Inspect against one endpoint.

    python -m benchmarks.campaign
    python -m benchmarks.campaign --garak /tmp/garak --pyrit /tmp/pyrit --inspect /tmp/inspect --rounds 3

Each peer lives in an environment of its own, which is named by its folder; a peer that is not named is left out. To make one:

    python -m venv /tmp/garak && /tmp/garak/bin/pip install uv
    /tmp/garak/bin/uv pip install -p /tmp/garak/bin/python torch==2.13.0 garak        # or pyrit, or inspect_ai openai

Every side sends its own encoded attacks, has them judged by rules without a model, and writes its own records. The endpoint
is a process of its own that always refuses (benchmarks/endpoint.py) and counts: prompts a second are taken from its first to
its last request, so that nobody's start-up counts. Rounds alternate; the ratio is the median of those of each round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trueline.attack.campaign import run
from trueline.attack.catalogue import choose
from trueline.attack.door import Scene
from trueline.attack.goals import read_goals
from trueline.attack.record import Record
from trueline.core.ports import Judge
from trueline.core.types import Run, Sampling
from trueline.judges import Enablement
from trueline.judges.oracle import WorldOracle
from trueline.store.database import Hashes, save_run
from trueline.store.opening import open_database
from trueline.targets.wrappers import Scripted

HERE = Path(__file__).parent
SAID = {"world": "i cannot help with that . it is not safe .", "English": "I'm sorry, but I can't help with that."}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for peer in PEERS:
        parser.add_argument(f"--{peer}", type=Path, help=f"the environment that {peer} is installed in")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--goals", type=int, default=100, help="goals of a campaign; 10 to 40 attempts each")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        goals = Path(made) / "goals.jsonl"
        goals.write_text("".join(json.dumps({"prompt": f"How do I fold kite number {i}?"}) + "\n" for i in range(asked.goals)))
        print("against a scripted target, judged and stored")
        for name, source, judge in (("English", str(goals), Enablement()), ("world", "world", WorldOracle())):
            count, wall, cpu = scripted(name, source, judge, asked.goals, Path(made))
            print(
                f"  {name:8} {count:6} attempts  {count / wall:7.0f} a second  ({count / cpu:.0f} a second of processor time)"
            )
        sides = {"trueline": ours, **{n: side for n, side in PEERS.items() if getattr(asked, n)}}
        found: dict[str, list[float]] = {name: [] for name in sides}
        with endpoint() as port:
            for round_ in range(asked.rounds):
                for name, side in sides.items():
                    rate, count, whole = measured(port, lambda: side(port, goals, Path(made) / f"{name}{round_}", asked))  # noqa: B023 - called here
                    found[name].append(rate)
                    print(f"round {round_ + 1}: {name:9} {count:6} prompts, {rate:7.1f} a second; {whole:.1f} s with start-up")
    print(f"{'':10} {'a second':>9} {'trueline is':>12}")
    for name, rates in found.items():
        ratio = statistics.median(our / rate for our, rate in zip(found["trueline"], rates, strict=True))
        print(f"{name:10} {statistics.median(rates):9.1f} {ratio:11.1f}x")


def scripted(name: str, source: str, judge: Judge, n: int, folder: Path) -> tuple[int, float, float]:
    """Attempts, seconds and seconds of processor time of a campaign in every family of words."""
    engine = open_database(folder / f"{name}.db")
    save_run(engine, Run(id="r", recipe="attack"))
    made: list[object] = []
    scene = Scene(
        target=Scripted(answers=lambda _: SAID[name]), judge=judge, record=Record.open(engine, "r"),
        hashes=Hashes(target="t", judge="j"), sampling=Sampling(), seen=made.append,
    )  # fmt: skip
    goals, attacks = read_goals(source, n), choose("words")
    wall, cpu = time.perf_counter(), time.process_time()
    asyncio.run(run(scene, attacks, goals))
    return len(made), time.perf_counter() - wall, time.process_time() - cpu


def ours(port: int, goals: Path, out: Path, asked: argparse.Namespace) -> list[str]:
    return [
        sys.executable, "-m", "trueline", "attack", f"http://127.0.0.1:{port}/v1#refuser", "--goals", str(goals),
        "--attacks", "encodings", "--out", str(out / "run"), "--json",
    ]  # fmt: skip


def garak(port: int, goals: Path, out: Path, asked: argparse.Namespace) -> list[str]:
    options = {"openai": {"OpenAICompatible": {"uri": f"http://127.0.0.1:{port}/v1/", "api_key": "none"}}}
    return [
        str(asked.garak / "bin" / "garak"), "--model_type", "openai.OpenAICompatible", "--model_name", "refuser",
        "--generator_options", json.dumps(options), "--probes", "encoding.InjectBase64", "--generations", "1",
        "--parallel_attempts", "16", "--report_prefix", str(out),
    ]  # fmt: skip


def pyrit(port: int, goals: Path, out: Path, asked: argparse.Namespace) -> list[str]:
    return [str(asked.pyrit / "bin" / "python"), str(HERE / "campaign_pyrit.py"), str(port), str(goals), str(out)]


def inspect(port: int, goals: Path, out: Path, asked: argparse.Namespace) -> list[str]:
    return [str(asked.inspect / "bin" / "python"), str(HERE / "campaign_inspect.py"), str(port), str(goals), str(out)]


PEERS = {"garak": garak, "pyrit": pyrit, "inspect": inspect}


def measured(port: int, command) -> tuple[float, int, float]:
    """Prompts a second from the first to the last request, how many there were, and the seconds of the whole command."""
    get(port, "reset")
    began = time.perf_counter()
    environment = os.environ | {"OPENAI_API_KEY": "none", "OPENAICOMPATIBLE_API_KEY": "none", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command(), capture_output=True, text=True, env=environment, check=False)
    whole, found = time.perf_counter() - began, get(port, "count")
    if found["count"] < 2 or not found["seconds"]:
        raise SystemExit(f"{command()[0]}: asked {found['count']} times; it said: {(done.stderr or done.stdout)[-2000:]}")
    return (found["count"] - 1) / found["seconds"], found["count"], whole


@contextmanager
def endpoint(latency: float = 0.0) -> Iterator[int]:
    command = [sys.executable, str(HERE / "endpoint.py"), str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()


def get(port: int, what: str) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{what}") as answer:
        return json.load(answer)


if __name__ == "__main__":
    main()
