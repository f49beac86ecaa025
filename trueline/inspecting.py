"""Inspect's way in: our models as a provider, our suites as tasks. Loaded by Inspect alone (entry-point group `inspect_ai`).

    pip install 'trueline[inspect]'
    inspect eval trueline/refusal_enablement --model trueline/runs/demo/safety --limit 50
    inspect eval trueline/refusal --model openai/MODEL -T data=harmful.jsonl     ours on their models
    inspect eval inspect_evals/gsm8k --model trueline/hf:NAME                    theirs on our models

A model is any TARGET; `-M template=plain` sets the chat template of one in this process. Samples that Inspect asks at once
share a batch there, but it prepares them one by one, so batches stay small: this is an edge, never an inner loop.

A task is a suite (`trueline eval`), with the same judge and the same values. What cannot be told is not scored, and never a
zero. Numbers that a suite makes of all its items together stay with `trueline eval`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, GenerateConfig, Model, ModelAPI, ModelOutput, ModelUsage, get_model, modelapi
from inspect_ai.scorer import Score, Scorer, mean, scorer, stderr
from inspect_ai.scorer import Target as Wanted
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolChoice, ToolInfo

from trueline.core.ports import Judge, Target
from trueline.core.registry import find
from trueline.core.types import GREEDY, Completion, Conversation, Prompt, Sampling
from trueline.data.rows import read_rows
from trueline.evaluate.exports.inspect_chat import chat, completion_of, conversation, output, safe, tools_of
from trueline.evaluate.interview import Door
from trueline.evaluate.suites import Item, Suite, suites, world_at
from trueline.guard.opening import open_target
from trueline.judges.oracle import WorldOracle
from trueline.judges.stopped import Stopping
from trueline.targets.errors import TargetError

CONNECTIONS = 64  # samples that Inspect keeps waiting: more do not make larger batches
MEASURED = "trueline:measured"  # where the solver leaves values for the scorer


@modelapi(name="trueline")
class TruelineAPI(ModelAPI):
    """Any TARGET of trueline as a model of Inspect."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 - Inspect's own signature
        template: str = "model",
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        self._template = template
        self._opened: asyncio.Future[Target] | None = None
        self._holder: asyncio.Task[None] | None = None

    async def generate(
        self,
        input: list[ChatMessage],  # noqa: A002 - Inspect's own signature
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """Answer as the target does; without a temperature, greedily."""
        target = await self._target()
        length = config.max_tokens or self.max_tokens()
        sampling = Sampling(temperature=config.temperature or 0.0, max_tokens=length, seed=config.seed or 0)
        completion = await target.reply(conversation(input, tools), sampling)
        said = output(completion)
        # Only what was sampled is known in tokens. Without a usage, Inspect counts with a vocabulary that it has to download.
        said.usage = ModelUsage(output_tokens=len(completion.ids), total_tokens=len(completion.ids))
        return said

    def max_connections(self) -> int:
        """Say how many samples may wait at once."""
        return CONNECTIONS

    def max_tokens(self) -> int:
        """Say how long an answer may be where nobody says so."""
        return Sampling().max_tokens

    async def count_text_tokens(self, text: str) -> int:
        """Count words: Inspect's own count needs the network."""
        return len(text.split())

    async def aclose(self) -> None:
        """Close what the target holds open."""
        if self._holder is not None:
            self._holder.cancel()
            await asyncio.wait([self._holder])
        self._opened = self._holder = None

    async def _target(self) -> Target:
        """Open the target once for each event loop; whoever asks meanwhile waits for the same one."""
        loop = asyncio.get_running_loop()
        if self._opened is None or self._opened.get_loop() is not loop:
            self._opened = loop.create_future()
            self._holder = loop.create_task(self._hold(self._opened))
        return await asyncio.shield(self._opened)

    async def _hold(self, opened: asyncio.Future[Target]) -> None:
        """Hold it open. Inspect closes no model at the end, but the loop cancels its tasks, which closes this one in order."""
        try:
            async with open_target(self.model_name, template=self._template) as target:
                opened.set_result(target)
                await asyncio.Event().wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)


@dataclass(frozen=True)
class InspectModel:
    """The model that Inspect evaluates, as a target of ours."""

    model: Model

    @property
    def name(self) -> str:
        """As Inspect names it."""
        return str(self.model)

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion:
        """Ask through Inspect, which caches, retries and records."""
        config = GenerateConfig(temperature=sampling.temperature, max_tokens=sampling.max_tokens, seed=sampling.seed)
        said = await self.model.generate(chat(conversation.messages), tools_of(conversation), config=config)
        return completion_of(Prompt(conversation=conversation), said)


def _named(name: str) -> object:
    """Make the task of one suite; its parameters are what `-T` sets."""

    @task(name=name)
    def of_suite(n: int = 200, seed: int = 0, world: int = 0, data: str = "", judge: str = "") -> Task:
        items = _items(find("suite", name)(), n, seed, world, data)
        return Task(
            dataset=MemoryDataset([_sample(item) for item in items], name=f"trueline/{name}"),
            solver=put(name, n, seed, world, data, judge),
            scorer=measured(),
        )

    return of_suite


@solver
def put(suite: str, n: int, seed: int, world: int, data: str, judge: str) -> Solver:
    """Put an item to the model as `trueline eval` does, in one question or in several."""
    asked: Suite = find("suite", suite)()
    items = {item.id: item for item in _items(asked, n, seed, world, data)}
    by = _judge(judge or ("enablement" if data else "oracle"), world)
    sampling = Sampling(temperature=0.0, max_tokens=256 if data else 60)
    names = _values(asked)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        door = Door(target=InspectModel(get_model()), by=by, sampling=sampling)
        item = items[str(state.sample_id)]
        try:
            found = await asked.measure(item, door)
        except TargetError as error:  # a reply that failed is one item without values, and ends nothing
            state.store.set(MEASURED, {"values": dict.fromkeys(names, float("nan")), "why": str(error)})
            return state
        said = output(found.completion)
        state.messages = [*chat(found.completion.prompt.conversation.messages), said.message]
        state.output = said
        told = {name: found.values.get(name) for name in names}
        judged = found.judgement
        state.store.set(
            MEASURED,
            {
                "values": {name: float("nan") if value is None else value for name, value in told.items()},
                "why": safe(judged.why) if judged else "",
                "facts": {"judge": judged.judge, "stance": judged.stance, "disclosure": judged.disclosure} if judged else {},
            },
        )
        return state

    return solve


@scorer(metrics={"*": [mean(), stderr(cluster="cluster")]})
def measured() -> Scorer:
    """Score an item by the values that its suite gives it; NaN is Inspect's sign for not scored."""

    async def score(state: TaskState, target: Wanted) -> Score:
        found = state.store.get(MEASURED)
        return Score(
            value=found["values"], answer=state.output.completion, explanation=found["why"], metadata=found.get("facts", {})
        )

    return score


def _items(suite: Suite, n: int, seed: int, world: int, data: str) -> Sequence[Item]:
    return suite.on_rows(list(read_rows(data))[:n], seed) if data else suite.on_world(world_at(world), n, seed)


def _sample(item: Item) -> Sample:
    first = item.prompts[0]
    facts = {"cluster": item.cluster, "group": item.group, "category": first.category, "questions": len(item.prompts)}
    return Sample(id=item.id, input=chat(first.conversation.messages), target=first.expected, metadata=facts)


def _values(suite: Suite) -> tuple[str, ...]:
    """Return the names of the values that an item may have; each sample has all of them, so that means are over the same."""
    return tuple(metric.name for metric in suite.metrics if metric.pooled is None)


def _judge(name: str, world: int) -> Judge:
    return Stopping(by=WorldOracle(world=world) if name == "oracle" else find("judge", name)())


TASKS: Mapping[str, object] = {name: _named(name) for name in suites()}
