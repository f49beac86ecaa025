"""The plan of a run, without running it: what each stage reads, its steps and tokens, and what time and memory it will take.

Time is the arithmetic of a stage (recipes/workload.py) over the speed of this machine, which is measured in about two seconds:
training steps of two sizes and decoding of two widths, at the size of the model, give what a step costs in itself and what a
FLOP costs. Memory is counted: weights, gradients, moments, activations of a micro-batch, logits, KV cache, the process itself.
What a stage then took stands in its result as `memory_mb` (recipes/memory.py), to be held against this.

    trueline run align --dry-run
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.table import Table
from rich.text import Text

from trueline.core.types import Conversation, Message
from trueline.models.forked import crew_for
from trueline.models.generate import sample
from trueline.models.machine import process_memory
from trueline.models.policy import Policy, tiny
from trueline.models.tokens import word_tokenizer
from trueline.recipes.feedback import Feedback
from trueline.recipes.online import Judged
from trueline.recipes.rated import Rated
from trueline.recipes.reward import Rank
from trueline.recipes.running import use_threads
from trueline.recipes.size import Size
from trueline.recipes.studio import Programme, Recipe
from trueline.recipes.workload_base import Known, Work
from trueline.recipes.workload_chain import work as _chain  # noqa: F401 - as above
from trueline.recipes.workload_inherit import work as _inherit  # noqa: F401 - registers its recipes
from trueline.recipes.workload_more import work
from trueline.train.batch import pad_rows
from trueline.train.loop import gradients
from trueline.train.objectives.likelihood import NextToken
from trueline.train.optim import Optim, Optimizer

ROW = 40  # tokens a row of the measured batches: what most stages have
MB = 2**20
HELPER = 40 * MB  # of a process that shares training steps, beside its gradient: what it has written to
LOADING = 0.3  # seconds to load and save a small model
ERROR = "stages took 0.5 to 1.4 times their estimate where this was checked, at 0.9 M parameters on a CPU"


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What this machine does with a model of one size."""

    step: float  # seconds of a training step in itself: the optimiser, Python
    flop: float  # seconds a FLOP of training
    turn: float  # seconds of a decoding step in itself
    decode: float  # seconds a FLOP of decoding
    record: float  # seconds to render and tokenise one text
    parameters: int  # of the model that was measured
    process: float  # bytes of a process that has loaded everything but a model
    helpers: int = 0  # processes that share a training step with this one


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What one stage is expected to take; None is not known before its data or model is there."""

    name: str
    reads: tuple[str, ...]
    steps: int | None
    tokens: int | None
    seconds: float | None
    memory_mb: float | None
    note: str


def plan(runs: Sequence[Sequence[tuple[str, Recipe]]], device: str = "cpu") -> list[list[Estimate]]:
    """What each run of such stages would take here, with threads chosen as it will choose them.

    The machine is measured once, at the size of the first model that is known.
    """
    works = [_works(stages) for stages in runs]
    size = next((w.model.size for run in works for _, w in run if w.model.size is not None), None)
    speed = None
    if size is not None:
        use_threads(0)
        speed = measure(size, device)
    return [[_estimate(name, w, speed) for name, w in run] for run in works]


def stages_of(name: str, recipe: Recipe | Programme) -> list[tuple[str, Recipe]]:
    """Everything that a run of the recipe carries out, in order, measurements included."""
    return recipe.stages() if isinstance(recipe, Programme) else [(name, recipe)]


def estimate(stages: Sequence[tuple[str, Recipe]], machine_speed: Speed) -> list[Estimate]:
    """Estimate every stage at a given speed."""
    return [_estimate(name, w, machine_speed) for name, w in _works(stages)]


def measure(size: Size, device: str = "cpu", clock: Callable[[], float] = time.perf_counter) -> Speed:
    """Time two sizes of training step and of decoding, in about two seconds; no random state is touched.

    A model too large for that is measured at fewer layers, less width and fewer words.
    """
    process = process_memory() if device == "cpu" else 0  # on a GPU memory is what tensors hold there
    with torch.random.fork_rng(devices=[]):
        policy = _probe(size).to(device)
        probe = Size.of(policy.model)
        step, flop = _training(policy, probe, clock)
        turn, decode = _decoding(policy, probe, clock)
        record = _rendering(policy, clock)
    return Speed(
        step=step,
        flop=flop,
        turn=turn,
        decode=decode,
        record=record,
        parameters=probe.parameters,
        process=process,
        helpers=crew_for(torch.device(device)) - 1,
    )


def table(estimates: Sequence[Estimate]) -> Table:
    """The plan as people read it, with its total."""
    known = [e.seconds for e in estimates if e.seconds is not None]
    total = f"about {words(sum(known))}" if known else "unknown"
    total += " and what is unknown" if 0 < len(known) < len(estimates) else ""
    peak = max((e.memory_mb for e in estimates if e.memory_mb is not None), default=None)
    notes = [f"{e.name}: {e.note}" for e in estimates if e.note]
    caption = "\n".join([f"in all {total}, {_memory(peak)} of memory", *dict.fromkeys(notes), ERROR])
    made = Table(caption=Text(caption), caption_justify="left")
    for heading in ("stage", "reads", "steps", "tokens", "time", "memory"):
        made.add_column(heading, justify="left" if heading in ("stage", "reads") else "right", no_wrap=heading != "reads")
    for e in estimates:
        reads = ", ".join(Path(r).name if Path(r).exists() else r for r in e.reads)
        took = "?" if e.seconds is None else words(e.seconds)
        made.add_row(*map(Text, (e.name, reads, _count(e.steps), _count(e.tokens), took, _memory(e.memory_mb))))
    return made


def words(seconds: float) -> str:
    """A duration as people say it.

    >>> words(0.4), words(75), words(8000)
    ('under 1 s', '75 s', '2.2 h')
    """
    if seconds < 1:
        return "under 1 s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _works(stages: Sequence[tuple[str, Recipe]]) -> list[tuple[str, Work]]:
    found: list[tuple[str, Work]] = []
    known = Known()
    for name, recipe in stages:
        done = work(recipe, known)
        found.append((name, done))
        made = known.rankings.get(recipe.labels) if isinstance(recipe, Rated) else recipe  # the same pairs, rated anew
        rankings = {name: made} if isinstance(made, Rank | Judged | Feedback) else {}
        known = Known({**known.models, name: done.model}, {**known.rankings, **rankings})
    return found


def _estimate(name: str, w: Work, speed: Speed | None) -> Estimate:
    seconds = memory = None
    unread = w.tokens is None
    if speed is not None and w.model.size is not None and not unread:
        larger = max(1.0, w.model.size.parameters / speed.parameters)  # an optimiser's time grows with the weights
        seconds = (
            LOADING
            + (w.steps or 0) * speed.step * larger
            + w.flops * speed.flop
            + w.turns * speed.turn
            + w.decoding * speed.decode
            + w.records * speed.record
        )
        beside = speed.helpers * (w.learned + HELPER) if w.learned else 0.0
        memory = (w.memory + beside + speed.process) / MB
    notes = (w.note, w.model.note, "steps and time are unknown until the data is read" if unread and not w.model.note else "")
    reads = tuple(filter(None, w.reads))
    return Estimate(
        name=name,
        reads=reads,
        steps=w.steps,
        tokens=w.tokens,
        seconds=seconds,
        memory_mb=memory,
        note="; ".join(filter(None, notes)),
    )


def _probe(size: Size) -> Policy:
    """A random model of that size, or of a smaller one that still fills the same kernels."""
    width = min(512, max(32, size.width // 32 * 32))
    names = ("<pad>", "<bos>", "<eos>", *map(str, range(min(size.vocabulary, 4096) - 4)))
    return tiny(word_tokenizer(names), width, min(4, size.layers), 4, 128)


def _training(policy: Policy, size: Size, clock: Callable[[], float]) -> tuple[float, float]:
    """Seconds of a step in itself, and of a FLOP."""
    optimizer = Optimizer(policy, Optim())

    def step(rows: int) -> float:
        ids = torch.randint(3, size.vocabulary, (rows, ROW), device=policy.device).tolist()
        batch = pad_rows(ids, [[True] * ROW] * rows, policy.codec.pad).to(policy.device)
        return _least(lambda: (gradients(policy, NextToken(), batch), optimizer.step(0.0)), clock)

    few = step(4)
    many = max(8, min(64, int(4 * 0.25 / max(few, 1e-3))))
    more = step(many)
    return _line(4, few, many, more, lambda rows: 3 * size.forward(rows * ROW, ROW, rows * ROW))


def _decoding(policy: Policy, size: Size, clock: Callable[[], float]) -> tuple[float, float]:
    """Seconds of a decoding step in itself, and of a FLOP."""
    length, prompt = 8, 16

    def turns(rows: int) -> float:
        prompts = torch.randint(3, size.vocabulary, (max(1, rows // 8), prompt)).tolist()
        return _least(lambda: sample(policy, prompts, count=8, max_tokens=length), clock) / length

    few = turns(8)
    many = max(32, min(384, int(8 * 0.02 / max(few, 1e-4)) // 8 * 8))
    more = turns(many)
    return _line(8, few, many, more, lambda rows: size.forward(rows, 2 * (prompt + length), rows))


def _rendering(policy: Policy, clock: Callable[[], float]) -> float:
    turns = (Message(role="user", text="1 2 3 4 5 6 7 8"), Message(role="assistant", text="1 2 3 4 5 6 7 8"))
    talk = Conversation(messages=turns)
    return _least(lambda: [policy.codec.example(talk) for _ in range(10)], clock) / 10


def _least(what: Callable[[], object], clock: Callable[[], float]) -> float:
    """The shortest of two calls, after one that warms up."""
    what()
    times = []
    for _ in range(2):
        began = clock()
        what()
        times.append(clock() - began)
    return min(times)


def _line(few: int, short: float, many: int, long: float, flops: Callable[[int], float]) -> tuple[float, float]:
    """A fixed cost and a cost a FLOP through two measurements; neither is ever negative."""
    slope = (long - short) / (flops(many) - flops(few))
    slope = slope if slope > 0 else long / flops(many)
    return max(0.0, short - slope * flops(few)), slope


def _count(n: int | None) -> str:
    return "?" if n is None else f"{n:,}" if n else ""


def _memory(mb: float | None) -> str:
    return "?" if mb is None else f"{mb / 1024:.1f} GB" if mb >= 1024 else f"{mb:.0f} MB"
