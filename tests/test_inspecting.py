"""Inspect's way in: our models answer as a provider, our suites are its tasks, and what cannot be told is not scored."""

from __future__ import annotations

import asyncio
import math
from importlib.metadata import entry_points

import pytest

pytest.importorskip("inspect_ai", reason="needs the extra: pip install 'trueline[inspect]'")

import torch
from inspect_ai import eval as evaluate
from inspect_ai.model import ChatMessageUser, GenerateConfig, ModelOutput
from inspect_ai.tool import ToolInfo

from trueline import inspecting
from trueline.core.types import Completion, Conversation, Prompt, Sampling, Tool
from trueline.evaluate.exports.inspect_chat import conversation, output, tools_of
from trueline.evaluate.interview import Door
from trueline.evaluate.suites import suites
from trueline.judges.oracle import WorldOracle
from trueline.models.policy import tiny
from trueline.models.tokens import word_tokenizer
from trueline.targets.local import LocalModel
from trueline.world.facts import make_world
from trueline.world.language import procedure_text, vocabulary

WORLD = make_world(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random model over the world's words, saved."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "tiny"
    tiny(word_tokenizer(vocabulary()), width=32, layers=1, heads=2).eval().save(path)
    return path


def run(task, folder, tmp_path, **more):
    (log,) = evaluate(task, model=f"trueline/{folder}", display="none", log_dir=str(tmp_path), log_realtime=False, **more)
    assert log.status == "success", log.error
    return log


def test_a_task_gives_the_values_of_its_suite(folder, tmp_path):
    """`inspect eval trueline/refusal` finds task and provider, and scores each item as `trueline eval` does."""
    log = run("trueline/refusal", folder, tmp_path, task_args={"n": 6})
    suite = suites()["refusal"]()
    door = Door(target=LocalModel.load(str(folder)), by=WorldOracle(), sampling=Sampling(temperature=0.0, max_tokens=60))

    async def values():
        return {item.id: (await suite.measure(item, door)).values for item in suite.on_world(WORLD, 6, 0)}

    scores = {sample.id: sample.scores["measured"].value for sample in log.samples}
    wanted = {
        name: {k: math.nan if v is None else v for k, v in found.items()} for name, found in asyncio.run(values()).items()
    }
    assert {k: str(v) for k, v in scores.items()} == {k: str(v) for k, v in wanted.items()}
    assert all(sample.output.usage is None or sample.output.usage.output_tokens <= 60 for sample in log.samples)


def test_a_suite_of_several_questions_with_tools_is_a_task_too(folder, tmp_path):
    """Items are put as the suite puts them: the log has the conversation that was judged, and every value its mean."""
    log = run("trueline/gap", folder, tmp_path, task_args={"n": 2})
    assert len(log.samples) == 2
    assert {score.name for score in log.results.scores} == {m.name for m in suites()["gap"]().metrics if m.pooled is None}


def test_every_suite_is_a_task():
    """Nothing has to be listed by hand."""
    assert set(inspecting.TASKS) == set(suites())


def test_the_package_declares_itself_to_inspect():
    """The entry point names the module, so that nothing has to be imported by hand."""
    found = {entry.value for entry in entry_points(group="inspect_ai")}
    assert "trueline.inspecting" in found


def test_questions_that_are_asked_at_once_share_a_batch(folder, monkeypatch):
    """Inspect's concurrent questions reach the model together, and it is loaded once."""
    batches = []
    from trueline.targets import local

    drawn = local.sample
    monkeypatch.setattr(
        local, "sample", lambda policy, heads, **more: batches.append(len(heads)) or drawn(policy, heads, **more)
    )

    async def ask_all():
        api = inspecting.TruelineAPI(str(folder))
        ask = [ChatMessageUser(content=f"what is {thing} ?") for thing in WORLD.things[:5]]
        config = GenerateConfig(max_tokens=2)
        said = await asyncio.gather(*(api.generate([one], [], "none", config) for one in ask))
        await api.aclose()
        return said

    assert len(asyncio.run(ask_all())) == 5
    assert batches == [5]


def test_a_model_that_is_not_there_is_an_error_for_every_question():
    """Who waits for a target that cannot be opened is told why, and the provider can be asked again."""

    async def ask_twice():
        api = inspecting.TruelineAPI("nowhere/at/all")
        for _ in range(2):
            with pytest.raises(ValueError, match="nowhere"):
                await api.generate([ChatMessageUser(content="hello")], [], "none", GenerateConfig())

    asyncio.run(ask_twice())


def test_what_cannot_be_told_and_what_failed_is_not_scored(monkeypatch):
    """A reply that the judge cannot place, and one that never came, are NaN for Inspect: in no mean, and no zero."""

    class Says:
        """A model of Inspect that says one thing."""

        def __init__(self, said):
            self.said = said

        async def generate(self, *_, **__):
            return self.said

    async def solved(said, suite="refusal_enablement"):
        monkeypatch.setattr(inspecting, "get_model", lambda: Says(said))
        task = inspecting.TASKS[suite](n=1)
        sample = task.dataset[0]
        state = inspecting.TaskState(
            model="m", sample_id=sample.id, epoch=1, input=sample.input, messages=list(sample.input), metadata=sample.metadata
        )
        return (await task.scorer[0](await task.solver(state, None), None)).value

    prompt = Prompt(conversation=Conversation())
    hazard = WORLD.hazards[0]
    gives = f"i cannot help with that . {procedure_text(hazard)}"
    told = asyncio.run(solved(output(Completion(prompt=prompt, text=gives))))
    assert told["refuse_gave"] == 1.0
    lost = asyncio.run(solved(ModelOutput(error="no answer")))
    unclear = asyncio.run(solved(output(Completion(prompt=prompt, text="lamp"))))
    assert all(math.isnan(value) for value in lost.values())
    assert math.isnan(unclear["refuse_gave"])


@pytest.mark.parametrize(
    ("written", "kept"), [('{"type": "object", "properties": {"to": {"type": "string"}}}', {"to"}), ("[]", set())]
)
def test_tools_go_to_inspect_with_their_schema(written, kept):
    """Parameters that are a schema of an object survive, others are left out."""
    (info,) = tools_of(Conversation(tools=(Tool(name="send", description="sends", parameters=written),)))
    assert isinstance(info, ToolInfo)
    assert set(info.parameters.properties) == kept
    assert conversation([], [info]).tools[0].name == "send"
