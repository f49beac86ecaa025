"""Ours against TRL: the same model folder, the same data, in turn on the same machine; ratios with their spread.

    python benchmarks/training.py --peer PEER_PYTHON [--models tiny,small] [--work sft,dpo] [--rounds 5] [--json FILE]

PEER_PYTHON is the interpreter of an environment with `pip install trl==1.16.0` (and the same torch). The peer is there twice,
as one process with a thread for each core, and as one process of one thread for each core (its own data parallelism, gloo);
`by` says which served it better, and that one is what ours is divided by. All sides stay alive and take turns (turns.py).
Useful is what carries loss or is sampled, in tokens, or pairs, a second. A ratio is that of one round; shown are the median of
the rounds, the least and the largest. `memory` is ours over the peer's, the most that all processes of a side held in a round
that is not timed (shared pages once). `busy` is what is left of our own speed beside one busy neighbour; `peer` the same of
the peer's. `foreign` is how many cores' worth of other programs ran beside a round: above .25 a row says little.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
CORES = len(os.sched_getaffinity(0))
# Name of a row: the kind of work, what the peer is told, what we are told, steps a turn for tiny and small.
ROWS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...], dict[str, int]]] = {
    "pretrain": ("pretrain", (), (), {"tiny": 12, "small": 2}),
    "sft": ("sft", (), (), {"tiny": 20, "small": 4}),
    "sft, peer by length": ("sft", ("--by-length",), (), {"tiny": 20, "small": 4}),
    "reward": ("reward", (), (), {"tiny": 12, "small": 3}),
    "dpo": ("dpo", (), (), {"tiny": 8, "small": 2}),
    "dpo, cached": ("dpo", ("--cached",), ("--cached",), {"tiny": 8, "small": 2}),
    "grpo": ("grpo", ("--rows", "64"), ("--rows", "64"), {"tiny": 3, "small": 1}),
    "generate": ("generate", (), (), {"tiny": 1, "small": 1}),
}


class Side:
    """The processes of one side: started, and asked for turns."""

    def __init__(self, name: str, words: Sequence[str], processes: int = 1) -> None:
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (it lives as long as the side)
        out = tempfile.mkdtemp(prefix="benchmark-")
        port = str(29500 + os.getpid() % 400 + len(name))
        self.processes = [
            subprocess.Popen(
                [*words, "--ranks", str(processes)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
                env=os.environ | ({} if processes == 1 else _rank(i, processes, port) | {"BENCHMARK_OUT": out}),
            )
            for i in range(processes)
        ]  # fmt: skip
        self.ready = max(answer["ready"] for answer in self._answers())
        self.rates: list[float] = []
        self.memory, self.busy = 0, 0.0

    def turn(self) -> float:
        """Useful work a second of one turn of all its processes."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        found = self._answers()
        return sum(a["useful"] for a in found) / max(a["seconds"] for a in found)

    def weigh(self) -> None:
        """A turn in which memory is looked at, not time."""
        done = threading.Event()

        def look() -> None:
            while not done.wait(0.03):
                self.memory = max(self.memory, _memory([p.pid for p in self.processes]))

        watcher = threading.Thread(target=look)
        watcher.start()
        self.turn()
        done.set()
        watcher.join()

    def end(self) -> None:
        """Close and wait."""
        for process in self.processes:
            process.kill()
            process.wait()

    def _answers(self) -> list[dict[str, float]]:
        found = []
        for process in self.processes:
            assert process.stdout is not None
            line = next((x for x in process.stdout if x.startswith("TURN ")), None)
            if line is None:
                self.errors.seek(0)
                sys.exit(f"{self.name} ended:\n{self.errors.read()[-3000:]}")
            found.append(json.loads(line.removeprefix("TURN ")))
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True, help="python of an environment that has TRL")
    parser.add_argument("--inputs", type=Path, help="a folder that inputs.py wrote; written anew when not given")
    parser.add_argument("--models", default="tiny,small")
    parser.add_argument("--work", default=",".join(ROWS), help="rows of the table, comma between (a prefix will do)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write every row to this file")
    asked = parser.parse_args()
    inputs = asked.inputs or Path(tempfile.mkdtemp(prefix="benchmark-"))
    if not (inputs / "small").exists():
        subprocess.run([sys.executable, HERE / "inputs.py", inputs], check=True)
    wanted = [name for name in ROWS if any(name == w or name.startswith(w) for w in asked.work.split(","))]
    rows: list[dict[str, object]] = []
    head = f"{'work':21}{'model':7}{'peer /s':>9}{'by':>11}{'ours /s':>9}{'ratio':>7}  {'least-largest':14}"
    print(f"{head}memory  busy  peer foreign")
    for model in asked.models.split(","):
        for name in wanted:
            row = _row(asked, inputs, name, model)
            rows.append(row)
            low, high = row["least"], row["largest"]
            print(
                f"{name:21}{model:7}{row['peer']:9,.0f}{row['by']:>11}{row['ours']:9,.0f}{row['ratio']:7.2f}  "
                f"{f'{low:.2f}-{high:.2f}':14}{row['memory']:6.2f}{row['busy']:6.2f}{row['peer_busy']:6.2f}{row['foreign']:8.2f}",
                flush=True,
            )
            if asked.json:
                asked.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _row(asked: argparse.Namespace, inputs: Path, name: str, model: str) -> dict[str, object]:
    """All rounds of one kind of work."""
    work, peer, ours, steps = ROWS[name]
    common = [work, str(inputs), model, "--steps", str(steps[model]), "--device", asked.device]
    theirs = [asked.peer, str(HERE / "peer.py"), *common, *peer]
    sides = [Side("threads", [*theirs, "--threads", str(CORES)])]
    if asked.device == "cpu" and CORES > 1:
        sides.append(Side("processes", [*theirs, "--threads", "1"], CORES))
    mine = Side("ours", [sys.executable, str(HERE / "ours.py"), *common, *ours, "--threads", str(CORES)])
    sides.append(mine)
    foreign = []
    for side in sides:
        side.weigh()
    for _ in range(asked.rounds):
        busy, own, began = worked(), _used(sides), time.perf_counter()
        for side in sides:
            side.rates.append(side.turn())
        foreign.append(max(0.0, (worked() - busy - _used(sides) + own) / (time.perf_counter() - began)))
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    for side in sides:
        side.busy = side.turn() / median(side.rates)
    neighbour.kill()
    neighbour.wait()
    best = max(sides[:-1], key=lambda s: median(s.rates))
    ratios = sorted(b / a for a, b in zip(best.rates, mine.rates, strict=True))
    for side in sides:
        side.end()
    return {
        "work": name, "model": model, "peer": median(best.rates), "by": best.name, "ours": median(mine.rates),
        "ratio": median(ratios), "least": ratios[0], "largest": ratios[-1], "memory": mine.memory / best.memory,
        "busy": mine.busy, "peer_busy": best.busy, "foreign": max(foreign), "start": mine.ready, "peer_start": best.ready,
        "memory_mb": mine.memory / 2**20, "rates": {s.name: s.rates for s in sides},
    }  # fmt: skip


def _rank(index: int, processes: int, port: str) -> dict[str, str]:
    """What accelerate reads of a process's place."""
    place = {"RANK": index, "LOCAL_RANK": index, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
    return {k: str(v) for k, v in place.items()} | {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def _tree(pids: Sequence[int]) -> Iterator[int]:
    """These processes and all below them."""
    for pid in pids:
        yield pid
        with suppress(OSError):
            yield from _tree([int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()])


def _memory(pids: Sequence[int]) -> int:
    """Bytes that processes and their children hold: private pages of each, and the shared pages of the largest."""
    private, shared = 0, 0
    for pid in _tree(pids):
        with suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            found = re.findall(r"^(Private|Shared)_\w+:\s+(\d+) kB", text, re.MULTILINE)
            private += sum(int(n) for kind, n in found if kind == "Private")
            shared = max(shared, sum(int(n) for kind, n in found if kind == "Shared"))
    return (private + shared) * 1024


def worked() -> float:
    """Seconds of work of all cores since the machine started; stolen time counts."""
    words = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(words) - words[3] - words[4]) / os.sysconf("SC_CLK_TCK")


def _used(sides: Sequence[Side]) -> float:
    """Seconds that the sides' processes, those below them and this one have worked."""
    ticks = 0
    for pid in {os.getpid(), *_tree([p.pid for s in sides for p in s.processes])}:
        with suppress(OSError):
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(x) for x in words[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
