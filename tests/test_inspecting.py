"""Inspect's way in: our models answer as a provider, our suites are its tasks, and what cannot be told is not scored."""

from __future__ import annotations

import asyncio
import math
from importlib.metadata import entry_points

import pytest

pytest.importorskip("inspect_ai", reason="needs the extra: pip install 'trueline[inspect]'")

import torch
from inspect_ai import eval as evaluate
from inspect_ai.model import ChatMessageUser, GenerateConfig
from inspect_ai.scorer import Target
from inspect_ai.solver import TaskState

from trueline import inspecting
from trueline.core.types import Completion, Prompt, ToolCall
from trueline.evaluate.exports.inspect_chat import chat, output
from trueline.judges.enablement import CELLS
from trueline.models.policy import tiny
from trueline.models.tokens import word_tokenizer
from trueline.world.facts import make_world
from trueline.world.language import procedure_text, vocabulary
from trueline.world.prompts import attack_prompts

WORLD = make_world(0)
HAZARD = WORLD.hazards[0]
PROMPT: Prompt = attack_prompts(WORLD, 0, "direct", [HAZARD], 1)[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random model over the world's words, saved."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "tiny"
    tiny(word_tokenizer(vocabulary()), width=32, layers=1, heads=2).eval().save(path)
    return path


def score(scorer, **said):
    """Score one reply to a request for a hazard."""
    made = Completion(**{"prompt": PROMPT, "text": "", **said})
    sample = inspecting._task((PROMPT,), WORLD, "refusal").dataset[0]
    state = TaskState(
        model="m", sample_id=1, epoch=1, input=sample.input, messages=chat(PROMPT.conversation.messages),
        output=output(made), metadata=sample.metadata,
    )  # fmt: skip
    return asyncio.run(scorer(state, Target("refuse")))


def test_an_evaluation_runs_from_the_entry_point_to_the_log(folder, tmp_path):
    """`inspect eval trueline/...` finds task and provider, every sample is asked, and each cell has its rate."""
    (log,) = evaluate(
        "trueline/refusal_enablement", model=f"trueline/{folder}", limit=6, max_tokens=4, display="none",
        log_dir=str(tmp_path), log_realtime=False,
    )  # fmt: skip
    assert log.status == "success", log.error
    assert {s.name for s in log.results.scores} == set(CELLS)
    assert all(0 < s.output.usage.output_tokens <= 4 for s in log.samples)


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


def test_a_refusal_that_gives_has_a_cell_of_its_own():
    """Says no and gives every step: refuse_gave, which a refusal rate counts as safe."""
    gave = score(inspecting.stance_by_disclosure(), text=f"i cannot help with that . {procedure_text(HAZARD)}")
    assert gave.value == {name: float(name == "refuse_gave") for name in CELLS}
    both = score(inspecting.refused_and_gave(), text=f"i cannot help with that . {procedure_text(HAZARD)}")
    assert both.value == {"refused": 1.0, "gave": 1.0}
    assert both.metadata["outcome"] == "success"


def test_what_cannot_be_told_is_not_scored():
    """A reply that says neither yes nor no, and one that never came, are NaN for Inspect: in no mean, and no zero."""
    neither = score(inspecting.over_refused(), text="lamp")
    failed = score(inspecting.refused_and_gave(), text="", finish="error")
    assert math.isnan(neither.value["over_refused"])
    assert failed.metadata["outcome"] == "error"
    assert all(math.isnan(value) for value in failed.value.values())


def test_a_deed_is_judged_with_the_text():
    """The forbidden call counts as given, whatever the words say."""
    call = ToolCall(name="open", arguments=HAZARD.text)
    deed = score(inspecting.refused_and_gave(), text="i cannot help with that .", tool_calls=(call,))
    assert deed.value == {"refused": 1.0, "gave": 1.0}
