"""nanoGCG on one problem, for `gcg.py`. It runs in nanoGCG's own environment, and prints one line of JSON.

PEER_PYTHON benchmarks/gcg_peer.py MODEL REQUEST OPENING --steps 100 --candidates 64 --seed 0
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from importlib.metadata import version

import nanogcg
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("request")
    parser.add_argument("opening")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--candidates", type=int, default=64)
    parser.add_argument("--top-k", type=int, default=64)
    parser.add_argument("--length", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    model = AutoModelForCausalLM.from_pretrained(asked.model, torch_dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(asked.model)  # by its file: a name of a class may be newer
    first = next(text for n in range(asked.length, 0, -1) if count(tokenizer, text := "!" * n) <= asked.length)
    config = nanogcg.GCGConfig(
        num_steps=asked.steps,
        search_width=asked.candidates,
        topk=asked.top_k,
        optim_str_init=first,
        seed=asked.seed,
        verbosity="ERROR",
    )
    found, seconds = {}, {}
    for steps in (1, asked.steps):  # what is done once is measured by one step, and left out
        config.num_steps = steps
        began = time.process_time()
        found[steps] = nanogcg.run(model, tokenizer, asked.request, asked.opening, config)
        seconds[steps] = time.process_time() - began
    last = found[asked.steps]
    H = count(tokenizer, asked.opening)
    said = {"version": version("nanogcg"), "length": count(tokenizer, first), "opening_tokens": H}
    said |= {"losses": [loss * H for loss in last.losses]}  # its own are means over the tokens
    said |= {"text": last.best_string, "seconds_a_step": (seconds[asked.steps] - seconds[1]) / (asked.steps - 1)}
    print(json.dumps(said))


def count(tokenizer: PreTrainedTokenizerFast, text: str) -> int:
    """Tokens of a text that stands alone, as nanoGCG tokenises it."""
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


if __name__ == "__main__":
    main()
