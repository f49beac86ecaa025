"""Answers of whatever a recipe names: a stage of its run, a model folder, or any TARGET that a campaign could attack.

    said = answers(studio, "helpful", prompts, seed=3)               # a stage: sampled in batches in this process
    said = answers(studio, "http://localhost:8000/v1#MODEL", prompts)   # many at a time, and none is asked twice

What a remote target answered is kept in the database beside the runs before it is used, so that a recipe that was killed does
not pay for the same answer again. Answers come in the order of the prompts, `count` of each together. Where a conversation is
asked several times in one call, each time is a sample of its own; the same call again asks the same questions. A studio with an
executor lets workers answer, where there is enough to do (spread_answers.py): the same answers in the same order.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from trueline.attack.record import NotKeptError, Record, Remembered
from trueline.core.records import to_dict
from trueline.core.types import Completion, Prompt, Sampling
from trueline.guard.opening import open_target
from trueline.models.generate import check_room
from trueline.models.policy import Policy
from trueline.recipes.opened import target_hash
from trueline.recipes.spread_answers import QUESTIONS, SAMPLES, replied, sampled
from trueline.recipes.studio import Studio
from trueline.store.database import save_run
from trueline.store.folders import digest
from trueline.store.opening import open_beside
from trueline.targets.errors import TargetError
from trueline.targets.local import complete, completions_of
from trueline.targets.naming import kind_of

AT_ONCE = 32  # questions to a remote target


def unnamed(completions: Sequence[Completion]) -> list[Completion]:
    """The same without the model's name, which may be a folder: rows that are data are the same wherever a model lies."""
    return [replace(completion, model="") for completion in completions]


def is_local(studio: Studio, reference: str) -> bool:
    """Whether a reference names a model in this process: a stage of the run, a folder, hf:NAME."""
    return reference in studio.stages or kind_of(reference) == "local"


def loaded(studio: Studio, reference: str) -> Policy | None:
    """The model of a reference, to be loaded once for many calls of `answers`; None where it is not in this process."""
    return studio.policy(reference, frozen=True) if is_local(studio, reference) else None


def answers(
    studio: Studio,
    reference: str,
    prompts: Sequence[Prompt],
    *,
    policy: Policy | None = None,
    count: int = 1,
    max_tokens: int = 56,
    temperature: float = 1.0,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Completion]:
    """Return `count` completions of each prompt; `policy` is the local model where it is loaded already.

    Raises TargetError where a remote target fails on more than half of the prompts; those that it failed on end with "error".
    """
    if is_local(studio, reference):
        here = policy or studio.policy(reference, frozen=True)
        how = {"count": count, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        if studio.executor is None or len(prompts) * count <= SAMPLES:
            return complete(here, prompts, name=reference, progress=progress, **how)
        heads = [here.codec.prompt(prompt.conversation) for prompt in prompts]
        check_room(here, heads, max_tokens)
        return completions_of(here, prompts, sampled(studio, reference, heads, how, progress), reference)
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens)
    asked = _numbered(prompts, count, sampling, seed)
    if studio.executor is None or len(asked) <= QUESTIONS:
        found, why = asyncio.run(_remote(studio, reference, asked, progress))
    else:
        found, why = replied(studio, reference, asked, progress, at_once=AT_ONCE)
    lost = sum(completion.finish == "error" for completion in found)
    if found and lost > len(found) / 2:
        raise TargetError(
            f"{reference} failed on {lost} of {len(found)} questions, last with: {why}; what it answered is kept: "
            f"run the same command again once it is up (trueline chat {reference} tries it)"
        )
    if lost:
        studio.show.say(reference, f"failed on {lost} of {len(found)} questions, which go on without an answer: {why}")
    return found


@asynccontextmanager
async def remembering(studio: Studio, reference: str) -> AsyncIterator[Remembered]:
    """Open a target whose answers are kept beside the runs: what it has said once is not asked, nor paid for, again."""
    engine = open_beside(studio.run.folder)
    try:
        save_run(engine, studio.run.run)
        record = Record.open(engine, studio.run.run.id)
        try:
            async with open_target(reference) as target:
                yield Remembered(target, record, target_hash(reference))
        finally:
            record.close()
    finally:
        engine.dispose()


def _numbered(prompts: Sequence[Prompt], count: int, sampling: Sampling, seed: int) -> list[tuple[Prompt, Sampling]]:
    """Every question with its seed: each time that the same conversation is sampled it has the next one."""
    times: Counter[str] = Counter()
    asked = []
    for prompt in (prompt for prompt in prompts for _ in range(count)):
        same = digest(to_dict(replace(prompt.conversation, id="")))
        asked.append((prompt, replace(sampling, seed=seed + (times[same] if sampling.temperature else 0))))
        times[same] += 1
    return asked


def has_room(policy: Policy, prompt: Prompt, max_tokens: int) -> bool:
    """Whether a prompt and an answer of that length fit into the context of a model."""
    limit = getattr(policy.model.config, "max_position_embeddings", None)
    return limit is None or len(policy.codec.prompt(prompt.conversation)) + max_tokens <= limit


async def _remote(
    studio: Studio, reference: str, asked: Sequence[tuple[Prompt, Sampling]], progress: Callable[[int], None]
) -> tuple[list[Completion], str]:
    """Return what was answered, and why the last question that failed did."""
    room, done, why = asyncio.Semaphore(AT_ONCE), 0, ""
    async with remembering(studio, reference) as remembered:

        async def one(prompt: Prompt, sampling: Sampling) -> Completion:
            nonlocal done, why
            async with room:
                try:
                    said = await remembered.reply(prompt.conversation, sampling)
                except NotKeptError:
                    raise
                except Exception as error:  # counted by the caller: one question that fails is no reason to lose the others
                    why = str(error) or type(error).__name__
                    said = Completion(prompt=prompt, text="", model=reference, finish="error")
            done += 1
            progress(done)
            return replace(said, prompt=prompt)

        return list(await asyncio.gather(*(one(prompt, sampling) for prompt, sampling in asked))), why
