"""Completions judged by a judge of any name (recipes/judging.py): the one way in which recipes judge many.

    found = judged(studio, "oracle", said)                                           # one judgement each, in their order
    found = judged(studio, "learned:reward,rubric:http://localhost:8000/v1#MODEL", said, kept)

A model in the name may be a stage of the run. What a remote one said is kept in the database beside the runs before it is used,
so that the same completions again cost no question, in whatever sitting. Models in this process stay loaded in `kept` from one
call to the next. A judge that fails on a completion abstains there; one that fails on all of them is no judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from trueline.attack.record import NotKeptError
from trueline.core.ports import Judge, Target
from trueline.core.types import Completion, Judgement
from trueline.recipes.answering import AT_ONCE, remembering
from trueline.recipes.judging import LEARNED_OF, RUBRIC_OF, NamedJudge, open_judge, panel_of
from trueline.recipes.opened import target_hash
from trueline.recipes.studio import RecipeError, Studio
from trueline.targets.local import LocalModel
from trueline.targets.naming import kind_of

Kept = dict[str, NamedJudge]  # judges whose models lie in this process, by name


def judged(studio: Studio, name: str, completions: Sequence[Completion], kept: Kept | None = None) -> list[Judgement]:
    """Return the judgement of each completion by a judge of that name; an answer that never came is left undecided.

    Raises RecipeError where the judge failed on all of them: no abstention, but a wrong key or a judge that is not there.
    """
    found = asyncio.run(_judged(studio, name, completions, {} if kept is None else kept))
    failed = [one for one in found if isinstance(one, Exception)]
    if failed and not any(isinstance(one, Judgement) for one in found):
        raise RecipeError(
            f"the judge {name} failed on all {len(failed)} answers: {failed[0]}; try it with: trueline judge list"
        )
    return [_settled(name, one) for one in found]


def refuse_undecided(name: str, found: Sequence[Judgement]) -> None:
    """Raise where a judge decided nothing at all, as one does that never answers in form: no rate can be made of that."""
    if found and not any(one.score is not None or one.disclosure is not None for one in found):
        why = next((one.why for one in found if one.why), "it gave no reason")
        raise RecipeError(
            f"the judge {name} decided on none of {len(found)} answers: {why!r:.200}; take another that can tell what a reply "
            f"gives: trueline judge list"
        )


def parts_of(judge: str) -> list[tuple[str, str]]:
    """Each judge of a panel: what stands before its model ("learned:", "rubric:" or nothing), and the model or its own name.

    >>> parts_of("learned:runs/harm, oracle")
    [('learned:', 'runs/harm'), ('', 'oracle')]
    """
    found = []
    for part in filter(None, (p.strip() for p in judge.split(","))):
        kind = next((k for k in (LEARNED_OF, RUBRIC_OF) if part.startswith(k)), "")
        found.append((kind, part.removeprefix(kind)))
    return found


def models_behind(judge: str) -> tuple[str, ...]:
    """The models that a judge of that name reads: stages, folders, any TARGET.

    >>> models_behind("learned:runs/classifier,oracle")
    ('runs/classifier',)
    """
    return tuple(model for kind, model in parts_of(judge) if kind)


async def _judged(
    studio: Studio, name: str, completions: Sequence[Completion], kept: Kept
) -> list[Judgement | Exception | None]:
    """A judgement each, or what went wrong; None where there is nothing to judge."""
    async with AsyncExitStack() as stack:
        judge = await _opened(studio, name, kept, stack)
        batched = all(kind and _is_here(kind, model) for kind, model in parts_of(name))  # models here read all in one batch
        at_once = asyncio.Semaphore(max(1, len(completions)) if batched else AT_ONCE)

        async def one(completion: Completion) -> Judgement | Exception | None:
            if completion.finish == "error":
                return None
            async with at_once:
                try:
                    return await judge.judge(completion.prompt, completion)
                except NotKeptError:
                    raise
                except Exception as error:  # counted by the caller: one that fails is no reason to lose the others
                    return error

        return list(await asyncio.gather(*map(one, completions)))


async def _opened(studio: Studio, name: str, kept: Kept, stack: AsyncExitStack) -> Judge:
    async def opened(reference: str) -> tuple[Target, str]:
        hashed = target_hash(reference)
        if kind_of(reference) == "local":
            return LocalModel.load(reference), hashed
        return await stack.enter_async_context(remembering(studio, reference)), hashed

    found = []
    for kind, model in parts_of(name) or [("", "")]:
        part = f"{kind}{studio.model(model) if model in studio.stages else model}"
        named = kept.get(part) or await open_judge(part, world=studio.world_seed, opened=opened)
        if _is_here(kind, model):
            kept[part] = named
        found.append(named)
    return panel_of(found).judge


def _is_here(kind: str, model: str) -> bool:
    """Whether nothing that a judge needs lies outside of this process."""
    return kind != RUBRIC_OF or kind_of(model) == "local"


def _settled(name: str, found: Judgement | Exception | None) -> Judgement:
    if isinstance(found, Judgement):
        return found
    return Judgement(judge=name, score=None, why="the target gave no answer" if found is None else f"failed: {found}")
