"""Ours against TRL: the same model folder, the same data, in turn on the same machine; ratios with their spread.

    python benchmarks/training.py --peer PEER_PYTHON [--models tiny,small] [--work sft,dpo] [--rounds 5] [--json FILE]

PEER_PYTHON is the interpreter of an environment with `pip install trl==1.16.0` (and the same torch). Each round runs the peer,
then us, as processes of their own; a ratio is ours over the peer's of one round, in useful tokens (those that carry loss, or
are sampled) or pairs a second. The median of the rounds is shown with the least and the largest. Keep the machine quiet:
`foreign` is how many cores' worth of other programs ran beside a round, and above .25 a round says little.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
# Name of a row: the kind of work, what the peer is told, what we are told, steps for tiny and small.
ROWS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...], dict[str, int]]] = {
    "pretrain": ("pretrain", (), (), {"tiny": 20, "small": 6}),
    "sft": ("sft", (), (), {"tiny": 40, "small": 10}),
    "sft, peer by length": ("sft", ("--by-length",), (), {"tiny": 40, "small": 10}),
    "reward": ("reward", (), (), {"tiny": 30, "small": 8}),
    "dpo": ("dpo", (), (), {"tiny": 25, "small": 6}),
    "dpo, cached": ("dpo", ("--cached",), ("--cached",), {"tiny": 25, "small": 6}),
    "grpo": ("grpo", ("--rows", "64"), ("--rows", "64"), {"tiny": 8, "small": 3}),
    "generate": ("generate", (), (), {"tiny": 3, "small": 1}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True, help="python of an environment that has TRL")
    parser.add_argument("--inputs", type=Path, help="a folder that inputs.py wrote; written anew when not given")
    parser.add_argument("--models", default="tiny,small")
    parser.add_argument("--work", default=",".join(ROWS), help="rows of the table, comma between (a prefix will do)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write every run to this file")
    asked = parser.parse_args()
    inputs = asked.inputs or Path(tempfile.mkdtemp(prefix="benchmark-"))
    if not (inputs / "small").exists():
        subprocess.run([sys.executable, HERE / "inputs.py", inputs], check=True)
    wanted = [name for name in ROWS if any(name == w or name.startswith(w) for w in asked.work.split(","))]
    runs: list[dict[str, object]] = []
    print(f"{'work':24}{'model':8}{'peer /s':>10}{'ours /s':>10}{'ratio':>8}  least-largest   rss    foreign")
    for model in asked.models.split(","):
        for name in wanted:
            found = [_round(asked, inputs, name, model) for _ in range(asked.rounds)]
            runs += [run for pair in found for run in pair]
            print(_line(name, model, found), flush=True)
            if asked.json:
                asked.json.write_text(json.dumps(runs, indent=1), encoding="utf-8")


def _round(asked: argparse.Namespace, inputs: Path, name: str, model: str) -> tuple[dict, dict]:
    """The peer, then us."""
    work, peer, ours, steps = ROWS[name]
    common = [work, str(inputs), model, "--steps", str(steps[model]), "--threads", str(asked.threads), "--device", asked.device]
    warm = ["--warm", "1"] if work == "generate" else []
    return (
        _run([asked.peer, str(HERE / "peer.py"), *common, *warm, *peer], name),
        _run([sys.executable, str(HERE / "ours.py"), *common, *warm, *ours], name),
    )


def _run(words: list[str], name: str) -> dict:
    busy, own, began = _busy(), _children(), time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"side"')]
    if not lines:
        sys.exit(f"{' '.join(words)} gave no result:\n{done.stderr[-3000:]}")
    foreign = (_busy() - busy - (_children() - own)) / (time.perf_counter() - began)
    return {"row": name, "foreign": round(max(0.0, foreign), 2), **json.loads(lines[-1])}


def _line(name: str, model: str, found: list[tuple[dict, dict]]) -> str:
    speeds = [[run["useful"] / run["seconds"] for run in pair] for pair in found]
    ratios = sorted(ours / peer for peer, ours in speeds)
    memory = median(ours["rss_mb"] / peer["rss_mb"] for peer, ours in found)
    foreign = max(run["foreign"] for pair in found for run in pair)
    peer, ours = (median(s[i] for s in speeds) for i in (0, 1))
    spread = f"{ratios[0]:.2f}-{ratios[-1]:.2f}"
    return f"{name:24}{model:8}{peer:10,.0f}{ours:10,.0f}{median(ratios):8.2f}  {spread:14}{memory:6.2f}{foreign:9.2f}"


def _busy() -> float:
    """Seconds of work of all cores since the machine started; stolen time counts."""
    words = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(words) - words[3] - words[4]) / os.sysconf("SC_CLK_TCK")


def _children() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
