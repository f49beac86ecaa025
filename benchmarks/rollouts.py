"""GRPO of a tiny model whose samples come from a server: with and without staleness, beside the same run without a server.

    python benchmarks/rollouts.py model FOLDER               # writes a model that vLLM can serve (0.5 M parameters, untied)
    VLLM_SERVER_DEV_MODE=1 vllm serve FOLDER --max-model-len 128 --logprobs-mode processed_logprobs --dtype float32
    python benchmarks/rollouts.py run FOLDER http://127.0.0.1:8000

`reward` is the mean of the first and the last rollout, a rule's; the others are means over the rollouts, with the largest in
brackets. Seconds are sums of a phase (sampling: what was waited for), and `all` of the whole run.

Server and trainer on one machine take cores from each other. Each on a core of its own is what two machines are:

    python benchmarks/rollouts.py model FOLDER --width 256 --layers 4
    VLLM_SERVER_DEV_MODE=1 taskset -c 1 vllm serve FOLDER ...          as above
    OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/rollouts.py run FOLDER http://127.0.0.1:8000 --rounds 3
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from trueline.models.policy import tiny
from trueline.models.tokens import word_tokenizer
from trueline.recipes.running import carry_out, order

LETTERS = "abcdefghijklmnopqrst"
WORDS = ("<pad>", "<bos>", "<eos>", "<sys>", "<user>", "<asst>", "<tool>", "<result>", *LETTERS)
RUNS: Mapping[str, tuple[str, ...]] = {
    "no server": (),
    "staleness 0": ("sampler.staleness=0",),
    "staleness 1": ("sampler.staleness=1", "sampler.mismatch_most=1"),
    "staleness 1, temperature 0.7": ("sampler.staleness=1", "sampler.mismatch_most=1", "temperature=0.7"),
}


def make(folder: Path, tied: bool = False, width: int = 128, layers: int = 2) -> None:
    """A random Qwen3 with heads as wide as vLLM's kernels want them; untied, for its CPU build cannot reload a tied one."""
    torch.manual_seed(0)
    tiny(word_tokenizer(WORDS), width=width, layers=layers, heads=width // 64, context=128).save(folder)
    if tied:
        return
    config, weights = folder / "config.json", folder / "model.safetensors"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"tie_word_embeddings": False}, indent=2))
    tensors = load_file(weights)
    save_file({**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"].clone()}, weights, metadata={"format": "pt"})


def run(model: Path, server: str, iterations: int, rounds: int) -> None:
    """Each of RUNS as one line, in every round."""
    with tempfile.TemporaryDirectory() as out:
        prompts = Path(out) / "prompts.jsonl"
        rows = [{"prompt": f"{a} {b} {c} {d}"} for a in "abcdef" for b in "ghijkl" for c in "mnop" for d in "qrst"]
        prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
        words = [f"start={model}", f"prompts={prompts}", "reward=rule:contains=a,ends", f"iterations={iterations}", "batch=16"]
        words += ["max_tokens=16", "optim.lr=2e-3", "optim.muon=0.004", "optim.warmup=0"]
        named = (
            "reward",
            "mismatch_kl",
            "mismatch_cut",
            "staleness",
            "probe_gap",
            "sampling s",
            "pushing s",
            "training s",
            "all s",
        )
        print(f"| run | {' | '.join(named)} |\n|{'---|' * (len(named) + 1)}")
        for turn in range(rounds):
            for name, more in RUNS.items():
                folder, began = Path(out) / f"{turn} {name}".replace(" ", "_"), time.monotonic()
                where = [f"sampler.server={server}"] if more else []
                carry_out(order("grpo", [*words, *where, *more]), folder)
                print(_line(name, folder, time.monotonic() - began), flush=True)


def _line(name: str, folder: Path, whole: float) -> str:
    made = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    phases = [f"{sum(row.get(f'seconds_{phase}', 0.0) for row in made):.1f}" for phase in ("sampling", "pushing", "training")]
    means = [_mean(made, metric) for metric in ("mismatch_kl", "mismatch_cut", "staleness", "probe_gap")]
    reward = f"{made[0]['reward']:.2f}, {made[-1]['reward']:.2f}"
    return f"| {' | '.join([name, reward, *means, *phases, f'{whole:.1f}'])} |"


def _mean(made: Sequence[Mapping[str, Any]], metric: str) -> str:
    values = [row[metric] for row in made if metric in row]
    return f"{sum(values) / len(values):.2g} [{max(values):.2g}]" if values else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("model", "run"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("server", nargs="?", default="http://127.0.0.1:8000")
    parser.add_argument("--iterations", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=1, help="how often each run is made, in turn")
    parser.add_argument("--width", type=int, default=128, help="of the model that is written, a multiple of 64")
    parser.add_argument("--layers", type=int, default=2)
    asked = parser.parse_args()
    if asked.what == "model":
        make(asked.folder, width=asked.width, layers=asked.layers)
    else:
        run(asked.folder, asked.server, asked.iterations, asked.rounds)


if __name__ == "__main__":
    main()
