"""What a recipe asks of models is the same whoever answers it, in order, and each question is put once.

pytest tests/recipes/test_spread_answers.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests.recipes import toys
from tests.recipes.endpoint import body, endpoint, says
from tests.recipes.staged import studio
from tests.recipes.test_feedback import likes_a
from trueline.cluster.executor import Local, TaskFailedError
from trueline.core.types import Completion, Conversation, Prompt
from trueline.recipes import spread_answers
from trueline.recipes.answering import answers
from trueline.targets.errors import TargetError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workers() -> Iterator[Local]:
    with Local(workers=2) as executor:
        yield executor


def asks(n: int) -> list[Prompt]:
    """So many prompts, of which every seventh is the same, `a a`."""
    places = [i if i % 7 else 0 for i in range(n)]
    texts = [f"{toys.LETTERS[i // 20]} {toys.LETTERS[i % 20]}" for i in places]
    return [Prompt(conversation=Conversation().say("user", text), id=str(i)) for i, text in enumerate(texts)]


def same(one: list[Completion], two: list[Completion]) -> None:
    assert [(c.prompt, c.text, c.ids, c.finish, c.model) for c in one] == [
        (c.prompt, c.text, c.ids, c.finish, c.model) for c in two
    ]
    for a, b in zip(one, two, strict=True):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-5)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_samples_are_those_of_one_process(tmp_path, workers, temperature):
    """However prompts are cut: equal ones in different chunks are samples of their own, as they are together."""
    model, here = toys.model(tmp_path), studio(tmp_path)
    how = {"count": 2, "max_tokens": 8, "temperature": temperature, "seed": 5}
    alone = answers(here, model, asks(80), **how)
    told: list[int] = []
    beside = answers(replace(here, executor=workers), model, asks(80), progress=told.append, **how)
    same(alone, beside)
    assert told == [32, 64, 80]
    again = [c.ids for c in alone if c.prompt.conversation.messages[0].text == "a a"]
    assert (len(set(again)) == 1) == (temperature == 0.0)


def test_what_is_too_long_is_refused_before_any_worker_begins(tmp_path):
    """As it is in one process."""
    here = replace(studio(tmp_path), executor=Unused())
    with pytest.raises(ValueError, match="exceed the model's context"):
        answers(here, toys.model(tmp_path), asks(80), max_tokens=100_000)


def test_a_model_that_has_changed_is_opened_again(tmp_path, workers):
    """A worker keeps a model from one call to the next, and goes by what its files hold."""
    here = replace(studio(tmp_path), executor=workers)
    model = Path(toys.model(tmp_path))
    before = answers(here, str(model), asks(80), max_tokens=8)
    weights = model / "model.safetensors"
    save_file({name: -value for name, value in load_file(weights).items()}, weights)
    after = answers(here, str(model), asks(80), max_tokens=8)
    same(after, answers(replace(here, executor=None), str(model), asks(80), max_tokens=8))
    assert [c.ids for c in before] != [c.ids for c in after]


def test_little_is_asked_in_this_process(tmp_path):
    """One chunk is not worth a worker."""
    here = replace(studio(tmp_path), executor=Unused())
    assert len(answers(here, toys.model(tmp_path), asks(8), max_tokens=4)) == 8


def test_a_target_is_asked_once_by_workers_and_its_answers_are_kept(tmp_path, workers):
    """Answers stand at their prompts' places; the same call again, with workers or without, asks nothing."""
    here = studio(tmp_path)
    with endpoint(lambda request, before: says(f"seed {request['seed']}: {request['messages'][-1]['content']}")) as server:
        beside = answers(replace(here, executor=workers), server.target, asks(80), seed=5)
        assert server.asked.total() == 80
        assert answers(here, server.target, asks(80), seed=5) == beside
        assert answers(replace(here, executor=workers), server.target, asks(80), seed=5) == beside
        assert server.asked.total() == 80
    assert [c.prompt for c in beside] == asks(80)
    assert all(c.text.endswith(c.prompt.conversation.messages[-1].text) for c in beside)
    assert [c.text for c in beside if c.prompt.conversation == asks(1)[0].conversation][:2] == [
        "seed 5: a a", "seed 6: a a",
    ]  # fmt: skip


def test_a_driver_that_ended_in_the_middle_goes_on_behind_the_last_chunk(tmp_path, workers):
    """What a chunk was answered is stored before it is used; what was lost with the driver is asked again."""
    here = replace(studio(tmp_path), executor=workers)

    def killed(done: int) -> None:
        raise KeyboardInterrupt

    with endpoint(lambda request, before: says("so")) as server:
        with pytest.raises(KeyboardInterrupt):
            answers(here, server.target, asks(320), progress=killed)
        before = server.asked.total()
        found = answers(here, server.target, asks(320))
        assert {c.text for c in found} == {"so"}
        assert server.asked.total() - before <= 320 - spread_answers.QUESTIONS


def test_a_target_that_fails_on_most_says_why(tmp_path, workers):
    """As it does in one process; what was answered is kept."""
    refusing = endpoint(lambda request, before: body({"error": {"message": "out of paper"}}, 400))
    with refusing as server, pytest.raises(TargetError, match=r"failed on 80 of 80 questions, last with: .*out of paper"):
        answers(replace(studio(tmp_path), executor=workers), server.target, asks(80))


def test_a_worker_with_another_model_is_refused(tmp_path):
    """Machines of a cluster must have the same files."""
    item = {"scene": {"model": toys.model(tmp_path), "hash": "another", "device": "cpu", "dtype": "float32"}}
    with Local(workers=1) as executor, pytest.raises(TaskFailedError, match="another than the driver's"):
        list(executor.map(spread_answers.DRAWING, [item | {"how": {"count": 1}, "rows": [[[1], 0]]}]))


class Unused:
    """An executor that nobody may ask."""

    workers = 2


def without_logprobs(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: without_logprobs(inner) for key, inner in found.items() if key != "logprobs"}
    return [without_logprobs(inner) for inner in found] if isinstance(found, list) else found


@pytest.mark.parametrize("recipe", ["demonstrate", "rank", "feedback", "iterative_dpo"])
def test_a_recipe_makes_the_same_data_with_workers_as_without(tmp_path, workers, recipe):
    """Sampling for demonstrations, rankings and AI feedback, best-of-k for rounds of dpo: the same rows in the same order."""
    lists = tmp_path / "letters.yaml"
    lists.write_text("name: letters\nversion: 1\nprinciples:\n  - {id: say-a, text: Say the letter a.}\n", encoding="utf-8")
    start, asked = toys.model(tmp_path), toys.prompts(tmp_path)
    letters = (f"start={start}", f"prompts={asked}", "max_tokens=8")
    with endpoint(likes_a) as critic:
        words = {
            "demonstrate": (*letters, "count=6"),
            "rank": (f"start={toys.world_model(tmp_path)}", "n=60", "max_tokens=8"),
            "feedback": (*letters[:2], "max_tokens=3", "k=6", f"critic={critic.target}", f"constitution={lists}"),
            "iterative_dpo": (*letters, "n=16", "k=6", "reward=rule:contains=a", "rounds=1"),
        }[recipe]
        folders = [toys.run(tmp_path / how, recipe, *words, executor=by)[0] for how, by in (("one", None), ("two", workers))]
    file = "demonstrations.jsonl" if recipe == "demonstrate" else "rankings.jsonl"
    made = [[json.loads(line) for path in sorted(folder.rglob(file)) for line in path.open()] for folder in folders]
    assert made[0]
    assert without_logprobs(made[0]) == without_logprobs(made[1])
