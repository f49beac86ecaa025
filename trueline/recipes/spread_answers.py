"""What a recipe asks of a model or of a target, put by workers: answers in the order of the prompts, each exactly once.

    groups = sampled(studio, "helpful", heads, how)                        # a model in a folder: each worker loads it once
    said, why = replied(studio, "openai:MODEL", questions, at_once=32)     # any other target: its answers are kept

`answering.py` asks so where its studio has an executor, and there is more to do than one chunk. A sample is a function of its
prompt, its seed, and how many like it came before, which goes with it: so it does not matter how prompts are cut, or who draws
(log-probabilities differ in the last bits where batches do). What a target said in one chunk is stored in one transaction
before it is used: who was killed goes on behind it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing, nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from trueline.attack.record import NOTHING, question_of
from trueline.cluster.bench import Bench
from trueline.core.ports import Target
from trueline.core.records import from_dict, to_dict
from trueline.core.types import Completion, Conversation, Prompt, Sampling
from trueline.guard.opening import open_target
from trueline.models.generate import Sample, sample
from trueline.models.policy import Policy
from trueline.recipes.elsewhere import running, same
from trueline.recipes.opened import Placed, target_hash
from trueline.recipes.studio import Studio
from trueline.store.database import replies, save_replies, save_run
from trueline.store.folders import digest
from trueline.store.opening import beside

DRAWING = "trueline.recipes.spread_answers:draw"
REPLYING = "trueline.recipes.spread_answers:reply"
SAMPLES = 64  # in a chunk
QUESTIONS = 32  # to a target, in a chunk: what is lost with a worker, and asked again
Json = dict[str, Any]


def sampled(
    studio: Studio, reference: str, heads: Sequence[Sequence[int]], how: Mapping[str, Any], progress: Callable[[int], None]
) -> list[list[Sample]]:
    """What `models.generate.sample` gives for prompts in tokens; `how` is its count, max_tokens, temperature and seed."""
    assert studio.executor is not None
    scene = to_dict(placed(studio, reference))
    seen: Counter[tuple[int, ...]] = Counter()
    rows = []
    for head in heads:
        rows.append([list(head), seen[tuple(head)]])
        seen[tuple(head)] += 1
    size, found = max(1, SAMPLES // how["count"]), list[list[Sample]]()
    items = (
        {"chunk": f"{reference}: prompts from {at} on", "scene": scene, "how": how, "rows": rows[at : at + size]}
        for at in range(0, len(rows), size)
    )
    with closing(studio.executor.map(DRAWING, items)) as results:
        for groups in results:
            found += [[Sample(tuple(ids), tuple(logs), finish) for ids, logs, finish in group] for group in groups]
            progress(len(found))
    return found


def draw(item: Json, bench: Bench) -> list[list[Any]]:
    """Draw a chunk's samples in a worker: of each prompt rows of ids, log-probabilities and how it ended."""
    scene, (heads, earlier) = item["scene"], zip(*item["rows"], strict=True)
    policy = bench.warm(digest(scene), lambda: nullcontext(loaded(from_dict(Placed, scene))))
    groups = sample(policy, heads, **item["how"], earlier=earlier)
    return [[[one.ids, one.logprobs, one.finish] for one in group] for group in groups]


def placed(studio: Studio, reference: str) -> Placed:
    """The model that a reference names, for workers to load as the studio would."""
    model, dtype = studio.model(reference), str(studio.compute_dtype).removeprefix("torch.")
    return Placed(model=model, hash=_hash(model, _touched(model)), device=studio.device, dtype=dtype)


def loaded(there: Placed) -> Policy:
    """Load it in a worker. Raises RuntimeError where the folder holds another model than the driver's."""
    same("model", there.model, target_hash(there.model), there.hash)
    policy = Policy.load(there.model).to(there.device)
    policy.compute_in(getattr(torch, there.dtype))
    return policy.requires_grad_(False)


@cache
def _hash(model: str, touched: tuple[tuple[str, int, int], ...]) -> str:
    """A model's hash; one that lies as it lay is not read again for every batch of prompts."""
    return target_hash(model)


def _touched(model: str) -> tuple[tuple[str, int, int], ...]:
    there = [(path, path.stat()) for path in sorted(Path(model).rglob("*"))]
    return tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in there)


def replied(
    studio: Studio,
    reference: str,
    asked: Sequence[tuple[Prompt, Sampling]],
    progress: Callable[[int], None],
    *,
    at_once: int,
) -> tuple[list[Completion], str]:
    """Return what was answered, and why the last question that failed did; `at_once` is for all workers together."""
    assert studio.executor is not None
    hashed, run = target_hash(reference), studio.run.run
    names = [question_of(hashed, prompt.conversation, sampling) for prompt, sampling in asked]
    share = max(1, at_once // studio.executor.workers)
    scene, why = {"target": reference, "hash": hashed, "at_once": share}, ""
    with beside(studio.run.folder) as engine:
        save_run(engine, run)
        known = replies(engine, run.id)
        waiting = {name: one for name, one in zip(names, asked, strict=True) if name not in known}
        rows = [[name, to_dict(prompt.conversation), to_dict(how)] for name, (prompt, how) in waiting.items()]
        done = len(names) - len(rows)
        items = (
            {"chunk": f"{reference}: questions from {at} on", "scene": scene, "rows": rows[at : at + QUESTIONS]}
            for at in range(0, len(rows), QUESTIONS)
        )
        with closing(studio.executor.map(REPLYING, items)) as results:
            for came in results:
                answered = {name: from_dict(Completion, said) for name, said in came["replies"].items()}
                save_replies(engine, run.id, answered)
                known |= answered
                why = came["why"] or why
                done += len(answered) + came["failed"]
                progress(done)
    lost = Completion(prompt=NOTHING, text="", model=reference, finish="error")
    return [replace(known.get(name, lost), prompt=prompt) for name, (prompt, _) in zip(names, asked, strict=True)], why


def reply(item: Json, bench: Bench) -> Json:
    """Put a chunk's questions to a target in a worker; return replies by question, how many failed, and why the last did."""
    here = bench.warm(digest(item["scene"]), lambda: running(_opened(item["scene"], bench)))
    return here.run(_replies(here.held, item))


@asynccontextmanager
async def _opened(scene: Json, bench: Bench) -> AsyncIterator[Target]:
    same("target", scene["target"], target_hash(scene["target"]), scene["hash"])
    async with open_target(scene["target"], limiter=bench) as target:
        yield target


async def _replies(target: Target, item: Json) -> Json:
    room = asyncio.Semaphore(item["scene"]["at_once"])

    async def one(conversation: Json, how: Json) -> Completion | str:
        async with room:
            try:
                said = await target.reply(from_dict(Conversation, conversation), from_dict(Sampling, how))
            except Exception as error:  # counted by the driver: one question that fails is no reason to lose the others
                return str(error) or type(error).__name__
            return replace(said, prompt=NOTHING) if said.finish != "error" else "it ended with an error"

    said = await asyncio.gather(*(one(*row) for _, *row in item["rows"]))
    found = {name: to_dict(c) for (name, *_), c in zip(item["rows"], said, strict=True) if isinstance(c, Completion)}
    failed = [text for text in said if isinstance(text, str)]
    return {"replies": found, "failed": len(failed), "why": failed[-1] if failed else ""}
