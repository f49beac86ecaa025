"""Training by many processes beside one: are the losses the same, and what does sharding cost on this machine?

    python -m benchmarks.ranks                      1, 2 and 4 ranks and a process alone, on a processor
    python -m benchmarks.ranks --tokens 400000 --width 256

Each run is `trueline run pretrain` as a person would start it, alone or under torchrun. Printed are the largest difference of
any step's loss from that of one rank, and the time of a step as a ratio to a process alone with as many cores as there are.
Ranks on one machine share its cores: sharding gains nothing there, and the ratio is what it costs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

SIZES = (1, 2, 4)


def run(folder: Path, ranks: int, words: list[str]) -> list[dict[str, float]]:
    """The steps of a run by so many ranks; 0: by a process alone."""
    launcher = ["torch.distributed.run", "--nproc-per-node", str(ranks), "-m"] if ranks else []
    command = [sys.executable, "-m", *launcher, "trueline", "run", "pretrain", *words, "--out", str(folder), "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} if ranks else dict(os.environ)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def main() -> None:
    """Run all, and print the table."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("--tokens", default="150000")
    asked.add_argument("--width", default="128")
    asked.add_argument("--layers", default="4")
    asked.add_argument("--muon", default="0.005", help="0: AdamW for all weights")
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    words = [f"tokens={given.tokens}", f"width={given.width}", f"layers={given.layers}", f"optim.muon={given.muon}"]
    with tempfile.TemporaryDirectory() as place:
        runs = {size: run(Path(place) / f"by{size}", size, words) for size in (0, *SIZES)}
    first = [step["loss"] for step in runs[1]]
    alone = statistics.median(step["seconds_training"] for step in runs[0])
    rows = []
    for size, steps in runs.items():
        apart = max(abs(step["loss"] - loss) for step, loss in zip(steps, first, strict=True))
        seconds = statistics.median(step["seconds_training"] for step in steps)
        rows.append(
            {"ranks": size, "steps": len(steps), "largest_difference": apart, "step_seconds": seconds, "ratio": seconds / alone}
        )
    if given.json:
        print(json.dumps(rows))
        return
    table = Table(title=f"pretrain, {' '.join(words)}, {os.cpu_count()} cores")
    for head in ("ranks", "steps", "largest difference of a loss from one rank's", "ms a step", "beside alone"):
        table.add_column(head, justify="right")
    for row in rows:
        name = str(row["ranks"] or "alone")
        table.add_row(
            name,
            str(row["steps"]),
            f"{row['largest_difference']:.1e}",
            f"{1000 * row['step_seconds']:.0f}",
            f"{row['ratio']:.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
