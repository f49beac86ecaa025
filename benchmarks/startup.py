"""Seconds and memory from an empty process to a model and its tokenizer, ready to train: torch alone, ours, `transformers`.

    python benchmarks/startup.py            # a tiny Qwen3 with random weights
    python benchmarks/startup.py MODEL --repeats 5

Each side is a new process; the best of the repeats is shown. Measure on an idle machine: the imports are one thread's work.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

SIDES = {
    "torch alone": "import torch",
    "ours": "from trueline.models.policy import Policy; Policy.load({folder!r})",
    "ours, to sample": "from trueline.models.generate import Policy; Policy.load({folder!r})",
    "transformers": (
        "import torch; from transformers import AutoModelForCausalLM, AutoTokenizer; "
        "AutoTokenizer.from_pretrained({folder!r}); AutoModelForCausalLM.from_pretrained({folder!r}, dtype=torch.float32)"
    ),
}
# In a process of its own: what a parent holds would count as the peak of its children.
MAKE = """
from pathlib import Path
from trueline.models.policy import tiny
from trueline.models.tokens import word_tokenizer
from trueline.world.language import vocabulary
tiny(word_tokenizer(vocabulary())).save(Path({folder!r}))
"""
PROGRAM = """
import time
began = time.perf_counter()
{side}
import json, resource
print()
print(json.dumps([time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, help="a model folder; without one, a tiny one is made")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = asked.model or Path(made)
        if asked.model is None:
            measure(MAKE.format(folder=str(folder)))
        print(f"{'':20} {'seconds':>8} {'MB':>6}")
        for name, side in SIDES.items():
            found = [measure(side.format(folder=str(folder))) for _ in range(asked.repeats)]
            print(f"{name:20} {min(s for s, _ in found):8.2f} {min(mb for _, mb in found):6.0f}")


def measure(side: str) -> tuple[float, float]:
    """Seconds and the peak of the resident set, MB, of a new process."""
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(side=side)], capture_output=True, text=True, check=True)
    seconds, megabytes = json.loads(done.stdout.splitlines()[-1])
    return seconds, megabytes


if __name__ == "__main__":
    main()
