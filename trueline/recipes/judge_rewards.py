"""A judge as a reward: what a reply does (`judge:`), or only what it says (`stance:`).

judge:oracle                          the judge's score of the whole reply, its tool calls included
judge:rubric:http://HOST/v1#MODEL     any TARGET, asked by a rubric; what it answered is remembered beside the runs
judge:learned:FOLDER                  a trained head; a panel of several judges is judge:A,B
stance:oracle                         1 where the text says what was expected, else 0: calls, and what is given, do not count
stance:first=8,oracle                 the same of the first 8 words of the text

A score says whether what was expected was done, so that a refusal in front of the steps, or of a forbidden call, earns nothing
by itself; a stance says it of words alone, and pays for such a refusal in full. A judge that abstains leaves a sample at the
mean of its prompt's other samples, which is no advantage either way.

    trueline run grpo start=MODEL reward=judge:oracle
    trueline run grpo start=MODEL reward=stance:first=8,oracle          # the incentive behind the refusal-enablement gap
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from statistics import fmean

from trueline.attack.record import Record, Remembered
from trueline.core.ports import Judge, Target
from trueline.core.types import Completion, Judgement
from trueline.recipes.judging import LEARNED_OF, RUBRIC_OF, open_judge
from trueline.recipes.opened import target_hash
from trueline.recipes.studio import RecipeError, Studio
from trueline.store.database import save_run
from trueline.store.opening import open_beside
from trueline.targets.local import LocalModel
from trueline.targets.naming import kind_of, open_target

DOES, SAYS = "judge:", "stance:"


@dataclass(frozen=True, kw_only=True)
class JudgeName:
    """What the name of such a reward asks for."""

    judge: str  # as recipes/judging.py reads it
    stance: bool = False  # only what the text says
    first: int = 0  # words of the text that are read; 0: all

    @property
    def models(self) -> tuple[str, ...]:
        """The models in this process that the judge reads: stages, folders, hf:NAME."""
        return tuple(name for kind, name in _parts(self.judge) if kind == LEARNED_OF or (kind and kind_of(name) == "local"))


def parse_judge(text: str) -> JudgeName | None:
    """Read the name of a reward by a judge; None where it names another reward.

    >>> parse_judge("stance:first=8,refusal")
    JudgeName(judge='refusal', stance=True, first=8)
    >>> parse_judge("gold")
    """
    if not text.startswith((DOES, SAYS)):
        return None
    stance = text.startswith(SAYS)
    name, first = text.removeprefix(SAYS if stance else DOES).strip(), 0
    if stance and name.startswith("first="):
        words, _, name = name.removeprefix("first=").partition(",")
        first = int(words) if re.fullmatch(r"[1-9]\d{0,5}", words) else -1
    if first < 0 or not _parts(name) or any(kind and not model for kind, model in _parts(name)):
        raise RecipeError(
            f"expected judge:NAME, stance:NAME or stance:first=WORDS,NAME, got {text!r}; `trueline judge list` lists the names"
        )
    if stance and LEARNED_OF in name:
        raise RecipeError(f"{text}: a learned judge claims no stance; take judge:{name}, or the stance of another judge")
    return JudgeName(judge=name, stance=stance, first=first)


def spoken(completion: Completion, first: int = 0) -> Completion:
    """Return what a reader of words alone sees: the text, or its first words, and no tool call.

    >>> from trueline.core.types import Conversation, Prompt, ToolCall
    >>> said = Completion(prompt=Prompt(conversation=Conversation()), text="I cannot do it", tool_calls=(ToolCall(name="pay"),))
    >>> spoken(said, first=2).text, spoken(said).tool_calls
    ('I cannot', ())
    """
    text = " ".join(completion.text.split()[:first]) if first else completion.text
    return replace(completion, text=text, tool_calls=())


@dataclass(frozen=True)
class JudgeReward:
    """Scores completions by a judge. Those of one call are judged at the same time."""

    studio: Studio
    name: JudgeName
    _kept: dict[str, Judge] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Open the judge once, so that a wrong name is refused before work starts."""
        judged(self.studio, self.name.judge, (), self._kept)

    def __call__(self, completions: Sequence[Completion]) -> list[float]:
        """Return a number in [0, 1] for each. Raises RecipeError where the judge can tell nothing of any of them."""
        if self.name.stance:
            heard = judged(self.studio, self.name.judge, [spoken(c, self.name.first) for c in completions], self._kept)
            return [float(j.stance == c.prompt.expected) for j, c in zip(heard, completions, strict=True)]
        found = judged(self.studio, self.name.judge, completions, self._kept)
        if found and all(j.score is None for j in found):
            raise RecipeError(
                f"judge:{self.name.judge} abstained on all of {len(found)} replies, the first time because: {found[0].why}; "
                f"take another judge, or prompts that say what it looks for"
            )
        return _levelled(completions, [j.score for j in found])


def judged(
    studio: Studio, name: str, completions: Sequence[Completion], kept: dict[str, Judge] | None = None
) -> list[Judgement]:
    """Judge completions by a judge of that name, at the same time and in order; a stage in it is one of this run.

    `kept` holds the judge from one call to the next, where all that it needs lies in this process.
    """
    return asyncio.run(_judged(studio, name, completions, {} if kept is None else kept))


async def _judged(studio: Studio, name: str, completions: Sequence[Completion], kept: dict[str, Judge]) -> list[Judgement]:
    async with AsyncExitStack() as stack:
        judge = kept.get(name)
        if judge is None:
            judge = await _opened(studio, name, stack)
            if all(kind != RUBRIC_OF or kind_of(model) == "local" for kind, model in _parts(name)):
                kept[name] = judge
        return list(await asyncio.gather(*(judge.judge(c.prompt, c) for c in completions)))


async def _opened(studio: Studio, name: str, stack: AsyncExitStack) -> Judge:
    async def opened(reference: str) -> tuple[Target, str]:
        hashed = target_hash(reference)
        if kind_of(reference) == "local":
            return LocalModel.load(reference), hashed
        target = await stack.enter_async_context(open_target(reference))
        return Remembered(target, _record(studio, stack), hashed), hashed

    parts = [f"{kind}{studio.model(model) if model in studio.stages else model}" for kind, model in _parts(name)]
    return (await open_judge(",".join(parts), world=studio.world_seed, opened=opened)).judge


def _record(studio: Studio, stack: AsyncExitStack) -> Record:
    """The record beside the runs: what a remote judge has said once is not asked, nor paid for, again."""
    engine = open_beside(studio.run.folder)
    stack.callback(engine.dispose)
    save_run(engine, studio.run.run)
    record = Record.open(engine, studio.run.run.id)
    stack.callback(record.close)
    return record


def _parts(name: str) -> list[tuple[str, str]]:
    """Each judge of a panel: the kind before its model ("learned:", "rubric:", or nothing), and the model or the name."""
    found = []
    for part in filter(None, (p.strip() for p in name.split(","))):
        kind = next((k for k in (LEARNED_OF, RUBRIC_OF) if part.startswith(k)), "")
        found.append((kind, part.removeprefix(kind)))
    return found


def _levelled(completions: Sequence[Completion], scores: Sequence[float | None]) -> list[float]:
    """Give each sample without a score the mean of its prompt's others; where there is none, that of all."""
    every = fmean(s for s in scores if s is not None) if any(s is not None for s in scores) else 0.0
    known: dict[int, list[float]] = {}
    for completion, score in zip(completions, scores, strict=True):
        if score is not None:
            known.setdefault(id(completion.prompt), []).append(score)
    means = {prompt: fmean(values) for prompt, values in known.items()}
    return [means.get(id(c.prompt), every) if s is None else s for c, s in zip(completions, scores, strict=True)]
