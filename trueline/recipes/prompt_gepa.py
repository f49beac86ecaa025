"""GEPA on our own graders: a reflective optimiser rewrites a system prompt, and the search measures what it made of it.

    trueline prompt search openai:MODEL --variants prompts/ --suite refusal=harmful.jsonl --optimizer gepa --helper openai:MODEL

GEPA (Agrawal et al. 2025, arXiv:2507.19457; the package `gepa`, which is asked for only here) keeps a population of prompts,
and lets a language model rewrite one after it has read where it failed. What it reads is what our judges say: beside a score it
gets the reply, what was expected, and the judge's reason. It learns from items that the search does not measure on.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from trueline.attack.goals import WORLD
from trueline.core.config import to_spec
from trueline.core.ports import BudgetSpentError, Target
from trueline.core.registry import find
from trueline.core.types import Conversation, Sampling
from trueline.data.rows import DataError
from trueline.evaluate.interview import Door
from trueline.evaluate.suites import Item, Measured, Suite
from trueline.guard.opening import open_target
from trueline.guard.prompting.parts import Variant
from trueline.recipes.evaluating import Evaluating, items_of
from trueline.recipes.judging import open_judge
from trueline.recipes.opened import target_hash
from trueline.recipes.progress import Show
from trueline.recipes.prompt_search import Searching, Variants
from trueline.recipes.usual import usual_judge
from trueline.store.folders import digest
from trueline.targets.deployment import read_deployment
from trueline.targets.errors import TargetKeyError, UnknownModelError
from trueline.targets.http import Asking
from trueline.targets.naming import kind_of
from trueline.targets.wrappers import Deployment

COMPONENT = "system_prompt"
REWRITING = Sampling(temperature=1.0, max_tokens=2048)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One item, with what puts it and judges it."""

    suite: Suite
    item: Item
    door: Callable[[Target], Door]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """What came of a task under one prompt: 1 is good, and the feedback says in words why it is not more."""

    asked: str
    reply: str
    score: float
    feedback: str


@dataclass(frozen=True, kw_only=True)
class PromptAdapter:
    """What GEPA calls: it has prompts graded, and gets told in words how they did. `grade` takes a prompt and tasks."""

    grade: Callable[[str, Sequence[Task]], list[Graded]]
    propose_new_texts: None = None  # GEPA's own way to rewrite

    def evaluate(self, batch: Sequence[Task], candidate: Mapping[str, str], capture_traces: bool = False) -> Any:
        """Grade a candidate on a batch; no failure of one task ends it."""
        graded = self.grade(candidate[COMPONENT], batch)
        kind = importlib.import_module("gepa.core.adapter").EvaluationBatch
        return kind(
            outputs=[one.reply for one in graded],
            scores=[one.score for one in graded],
            trajectories=graded if capture_traces else None,
        )

    def make_reflective_dataset(
        self, candidate: Mapping[str, str], eval_batch: Any, components_to_update: Sequence[str]
    ) -> dict[str, list[dict[str, str]]]:
        """What the rewriting model reads of each task."""
        records = [
            {"Inputs": one.asked, "Generated Outputs": one.reply, "Feedback": one.feedback}
            for one in eval_batch.trajectories or ()
        ]
        return dict.fromkeys(components_to_update, records)


def optimised(
    asked: Searching, start: Variant, *, helper: str, calls: int, show: Show, asking: Asking = Asking(),  # noqa: B008 - frozen
) -> Variants:  # fmt: skip
    """Let GEPA rewrite a prompt within so many graded answers; return it with what came out, to be measured side by side.

    Raises ValueError where the package, a helper or items to learn from are missing.
    """
    gepa = _package()
    if not helper:
        raise ValueError("expected --helper with --optimizer: a TARGET that rewrites the prompt, such as openai:MODEL")
    with _grader(asked, helper, asking) as (tasks, grade, rewrite):
        show.say("gepa", f"rewrites {start.name} on {len(tasks)} items, with at most {calls} answers")
        found = gepa.optimize(
            seed_candidate={COMPONENT: start.text}, trainset=tasks, valset=tasks, adapter=PromptAdapter(grade=grade),
            reflection_lm=rewrite, max_metric_calls=calls, seed=asked.seed, logger=_Silent(),
            run_dir=str(_folder(asked, start, helper, calls)),
        )  # fmt: skip
    text = found.best_candidate[COMPONENT].strip()
    if text == start.text.strip():
        raise ValueError(f"GEPA found nothing better than {start.name} with {calls} answers; give it more with --calls")
    return Variants(prompts=(start, Variant(name="gepa", text=text)))


def graded(task: Task, measured: Measured) -> Graded:
    """What the values of an item come to: the mean over its metrics, each turned so that 1 is good; untold counts as 0."""
    sides = {metric.name: metric.better for metric in task.suite.metrics if not metric.chosen and metric.better != "neither"}
    values = {name: value for name, value in measured.values.items() if name in sides}
    goods = [0.0 if v is None else v if sides[name] == "higher" else 1 - v for name, v in values.items()]
    wrong = [name for (name, v), good in zip(values.items(), goods, strict=True) if good < 1]
    judge = measured.judgement
    said = [f"expected: {task.item.prompts[0].expected}"]
    said += [f"not as wanted: {', '.join(wrong)}"] if wrong else ["as wanted"]
    said += [f"the judge: stance {judge.stance}, disclosure {judge.disclosure}; {judge.why}"] if judge else []
    return Graded(
        asked=task.item.prompts[0].conversation.messages[-1].text, reply=measured.completion.text,
        score=fmean(goods) if goods else 0.0, feedback=". ".join(said),
    )  # fmt: skip


@contextmanager
def _grader(
    asked: Searching, helper: str, asking: Asking
) -> Iterator[tuple[list[Task], Callable[[str, Sequence[Task]], list[Graded]], Callable[[Any], str]]]:
    """What is open while GEPA works, on one loop: the model, the judges, the model that rewrites."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        def opened(reference: str) -> Target:
            there = open_target(reference, template=asked.template, asking=asking)
            return runner.run(stack.enter_async_context(there))

        async def for_judge(reference: str) -> tuple[Target, str]:
            there = await stack.enter_async_context(open_target(reference, template=asked.template, asking=asking))
            return there, target_hash(reference, asked.template)

        try:
            model, writer = opened(asked.model), opened(helper)
            there = read_deployment(Path(asked.target)) if kind_of(asked.target) == "deployment" else None
            tools, documents = (there.tools, there.documents) if there else ((), ())

            def deployed(system: str) -> Deployment:
                return Deployment(label=COMPONENT, target=model, system=system, tools=tools, documents=documents)

            async def together(system: str, batch: Sequence[Task]) -> list[Graded]:
                return list(await asyncio.gather(*(_one(task, deployed(system)) for task in batch)))

            def rewrite(prompt: Any) -> str:
                text = prompt if isinstance(prompt, str) else "\n\n".join(str(message["content"]) for message in prompt)
                return runner.run(writer.reply(Conversation().say("user", text), REWRITING)).text

            yield runner.run(_tasks(asked, for_judge)), lambda system, batch: runner.run(together(system, batch)), rewrite
        finally:
            runner.run(stack.aclose())


async def _tasks(asked: Searching, opened: Callable[[str], Any]) -> list[Task]:
    """The items that come after those which the search measures on, of every suite."""
    tasks: list[Task] = []
    for data, suites in asked.by_data.items():
        evaluation = Evaluating(
            target=asked.target, suites=suites, data=data, max_tokens=asked.max_tokens, temperature=asked.temperature,
            world_seed=asked.world_seed, seed=asked.seed,
        )  # fmt: skip
        judge = await open_judge(asked.judge or usual_judge(data == WORLD), world=asked.world_seed, opened=opened)

        def door(target: Target, by: Any = judge.judge, sampling: Sampling = evaluation.sampling) -> Door:
            return Door(target=target, by=by, sampling=sampling)

        for name in suites:
            suite = find("suite", name)()
            rest = items_of(evaluation, suite, 2 * asked.n)[asked.n :]
            if not rest:
                raise DataError(
                    f"{data}: expected more than --n {asked.n} rows: the optimizer learns from those not measured on"
                )
            tasks += [Task(suite=suite, item=item, door=door) for item in rest]
    return tasks


async def _one(task: Task, target: Target) -> Graded:
    try:
        return graded(task, await task.suite.measure(task.item, task.door(target)))
    except (BudgetSpentError, TargetKeyError, UnknownModelError):
        raise
    except Exception as error:  # one task's failure is its own
        asked = task.item.prompts[0].conversation.messages[-1].text
        return Graded(asked=asked, reply="", score=0.0, feedback=f"no reply: {type(error).__name__}: {error}")


def _folder(asked: Searching, start: Variant, helper: str, calls: int) -> Path:
    """Where GEPA keeps its state, by which it goes on after a kill."""
    spec = [to_spec(asked), target_hash(asked.target, asked.template), start.text, helper, calls]
    return Path("runs") / f"gepa-{digest(spec)[:8]}"


class _Silent:
    """GEPA prints every step; standard output is for results."""

    def log(self, message: str) -> None:
        del message


def _package() -> Any:
    try:
        return importlib.import_module("gepa")
    except ImportError:
        raise ValueError("--optimizer gepa needs the package gepa, which is not installed: pip install gepa") from None
