"""What GCG reaches on a real checkpoint, beside controls and beside nanoGCG, and a figure of it.

    python benchmarks/gcg.py DATA/models/stories260K-hf --steps 100 --rounds 3 --figure gcg.svg --peer PEER_PYTHON

The model goes on with a story, and the suffix is to make it go on with OPENING. In each round, with a seed of its own:

- `gcg` lowers -log p(OPENING) from a random suffix;
- `random swaps` is the same search with swaps drawn from all tokens: what the gradient is worth;
- `random suffixes` are as many as the search scored, and the best of them counts;
- `nanoGCG`, if its interpreter is named (pip install torch nanogcg, in an environment of its own), with the same steps,
  candidates, top-k and length. Its loss is also measured for the text that it found, read as a model would read it.

All on one thread, one after the other within a round. Times are seconds of the processor, which others' work on the machine
hardly touches. Losses are nats. nanoGCG tokenises each part alone, and this tokenizer puts a space before a text: it gets
OPENING without its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import torch

from trueline.attack.gradient import SuffixLoss
from trueline.attack.suffix import gcg
from trueline.core.types import Conversation
from trueline.models.policy import Policy

REQUEST, OPENING = "Once upon a time there was a little girl", " dragon ate the moon"


@dataclass(frozen=True, kw_only=True)
class Search:
    """One search of one round: the lowest loss after each step, and what it took."""

    name: str
    seed: int
    start: float
    losses: tuple[float, ...]
    seconds_a_step: float
    read: float  # the loss of the text that was found, tokenised anew
    said: bool  # whether greedy decoding gives the opening


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--candidates", type=int, default=64)
    parser.add_argument("--top-k", type=int, default=64)
    parser.add_argument("--length", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--figure", type=Path, help="an SVG or PNG of the losses by step")
    parser.add_argument("--peer", help="the Python of an environment with nanoGCG")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if not asked.model.is_dir():
        sys.exit(f"skipped: no model folder at {asked.model}")
    torch.set_num_threads(1)
    found = [search for seed in range(asked.rounds) for search in one_round(asked, seed)]
    print(json.dumps([asdict(search) for search in found]) if asked.json else table(found))
    if asked.figure:
        draw(found, asked.figure)


def one_round(asked: argparse.Namespace, seed: int) -> Iterator[Search]:
    """All searches with one seed."""
    policy = Policy.load(asked.model)
    policy.codec = policy.codec.with_template("raw")
    loss = SuffixLoss(policy, put, OPENING, length=asked.length, rng=Random(seed))
    yield searched("gcg", loss, asked, seed, asked.top_k)
    if asked.peer:
        yield beside(asked, loss, seed)
    yield searched("random swaps", loss, asked, seed, len(loss.allowed))
    yield drawn(loss, asked, seed)


def put(suffix: str) -> Conversation:
    return Conversation().say("user", REQUEST + suffix)


def searched(name: str, loss: SuffixLoss, asked: argparse.Namespace, seed: int, top_k: int) -> Search:
    """Our search; its steps are timed, and what it does once is not."""
    start = loss([loss.start(Random(seed))])[0]
    steps = gcg(loss, steps=asked.steps + 1, candidates=asked.candidates, top_k=top_k, rng=Random(seed))
    found = [next(steps)]
    began = time.process_time()
    found += steps
    seconds = (time.process_time() - began) / asked.steps
    best = found[-1]
    losses = tuple(suffix.loss for suffix in found[:-1])
    read = reading(loss, loss.text(best.ids))
    return Search(name=name, seed=seed, start=start, losses=losses, seconds_a_step=seconds, read=read, said=loss.says(best.ids))


def drawn(loss: SuffixLoss, asked: argparse.Namespace, seed: int) -> Search:
    """The best of random suffixes, as many as a search scores."""
    rng, lowest, losses = Random(seed), float("inf"), []
    start = loss([loss.start(rng)])[0]
    began, best = time.process_time(), loss.filler
    for _ in range(asked.steps):
        suffixes = [loss.start(rng) for _ in range(asked.candidates)]
        value, suffix = min(zip(loss(suffixes), suffixes, strict=True))
        lowest, best = min((lowest, best), (value, suffix))
        losses.append(lowest)
    seconds = (time.process_time() - began) / asked.steps
    read = reading(loss, loss.text(best))
    return Search(
        name="random suffixes",
        seed=seed,
        start=start,
        losses=tuple(losses),
        seconds_a_step=seconds,
        read=read,
        said=loss.says(best),
    )


def beside(asked: argparse.Namespace, loss: SuffixLoss, seed: int) -> Search:
    """NanoGCG at the same settings."""
    words = [asked.peer, str(Path(__file__).with_name("gcg_peer.py")), str(asked.model), REQUEST, OPENING.strip()]
    words += [f"--steps={asked.steps}", f"--candidates={asked.candidates}", f"--top-k={asked.top_k}", f"--seed={seed}"]
    done = subprocess.run([*words, f"--length={asked.length}"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"nanoGCG failed:\n{done.stderr[-2000:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    if (said["length"], said["opening_tokens"]) != (asked.length, len(loss.opening)):
        sys.exit(f"the two sides do not search for the same: {said['length']} and {said['opening_tokens']} tokens there")
    lowest = [min(said["losses"][: i + 1]) for i in range(len(said["losses"]))]
    return Search(
        name=f"nanoGCG {said['version']}",
        seed=seed,
        start=said["losses"][0],
        losses=tuple(lowest),
        seconds_a_step=said["seconds_a_step"],
        read=reading(loss, said["text"]),
        said=False,
    )


def reading(loss: SuffixLoss, text: str) -> float:
    """-log p(OPENING) after the request with this text, as a model reads it."""
    head = loss.policy.codec.prompt(put(text))
    tokens = torch.tensor([[*head, *loss.opening]])
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    mask[:, len(head) :] = True
    with torch.no_grad():
        return -float(loss.policy(tokens, mask, frozenset({"logp"})).logp.sum())


def table(found: Sequence[Search]) -> str:
    """One line a kind of search: means over the rounds, and the ratios to ours, round by round."""
    lines = [
        f"{'search':16}{'start':>8}{'end':>8}{'of its text':>13}{'ms a step':>11}{'time / gcg':>12}{'end - gcg':>11}  by round"
    ]
    ours = {search.seed: search for search in found if search.name == "gcg"}
    for name, rows in kinds(found).items():
        pairs = [(row, ours[row.seed]) for row in rows]
        start, end = (statistics.mean(values) for values in ([r.start for r in rows], [r.losses[-1] for r in rows]))
        read, took = statistics.mean(r.read for r in rows), statistics.mean(r.seconds_a_step for r in rows)
        slower = statistics.median(r.seconds_a_step / o.seconds_a_step for r, o in pairs)
        worse = [r.losses[-1] - o.losses[-1] for r, o in pairs]
        lines.append(
            f"{name:16}{start:8.1f}{end:8.1f}{read:13.1f}{1e3 * took:11.1f}{slower:12.2f}{statistics.mean(worse):+11.1f}  "
            + " ".join(f"{row.losses[-1]:.1f}" for row in rows)
        )
    return "\n".join(lines)


def kinds(found: Sequence[Search]) -> Mapping[str, list[Search]]:
    """The searches by what they are, in the order of their first round."""
    return {name: [s for s in found if s.name == name] for name in dict.fromkeys(search.name for search in found)}


def draw(found: Sequence[Search], path: Path) -> None:
    """Draw the mean loss by step, one line a kind of search, and the rounds behind it."""
    import altair as alt

    rows = [
        {"search": search.name, "seed": search.seed, "step": step, "loss": loss}
        for search in found
        for step, loss in enumerate(search.losses, start=1)
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("step:Q", title="steps"),
        color=alt.Color("search:N", title=None, sort=list(kinds(found)), legend=alt.Legend(symbolOpacity=1)),
    )
    y = alt.Y("loss:Q", title="-log p(opening), nats")
    each = base.mark_line(opacity=0.25, strokeWidth=1).encode(y=y, detail="seed:N")
    mean = base.mark_line(strokeWidth=2.5).encode(y=alt.Y("mean(loss):Q", title="-log p(opening), nats"))
    (each + mean).properties(width=480, height=280).save(path)


if __name__ == "__main__":
    main()
