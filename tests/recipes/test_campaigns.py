"""A campaign of a recipe is the same whoever asks its questions, and goes on whoever began it.

pytest tests/recipes/test_campaigns.py
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.attack.findings import HAZARDS, REFUSAL, WORLD, attempt
from tests.recipes import staged, toys
from tests.recipes.endpoint import body, endpoint, says, weak
from trueline.cluster.executor import Executor, Local
from trueline.core.records import read_jsonl
from trueline.core.types import Attempt
from trueline.recipes import campaigns, spread
from trueline.recipes.banked import BANK, ORIGINS, Bank
from trueline.recipes.campaigns import ATTEMPTS, Campaign
from trueline.recipes.elsewhere import shared_out, with_room
from trueline.recipes.studio import RecipeError, Stage, Studio
from trueline.store.database import attempts, replies
from trueline.store.opening import open_database
from trueline.targets.errors import TargetError
from trueline.targets.http import Asking
from trueline.world.language import procedure_text

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workers() -> Iterator[Local]:
    with Local(workers=2) as executor:
        yield executor


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Chunks of six pairs."""
    monkeypatch.setattr(spread, "PAIRS", 6)
    monkeypatch.setattr(campaigns, "PAIRS", 6)


@pytest.fixture(scope="module")
def studio(tmp_path_factory) -> Callable[[Path, Executor | None], Studio]:
    """Studios with a stage `safety`, which holds a random model in the world's words, in a folder of another name."""
    folder = tmp_path_factory.mktemp("other name")
    Path(toys.world_model(folder)).rename(folder / "model")
    safety = Stage("safety", "key of safety", folder, {}, skipped=False)
    return lambda where, executor: replace(staged.studio(where), executor=executor, stages={"safety": safety})


def left(stage: Stage, file: str = ATTEMPTS) -> bytes:
    return (stage.folder / file).read_bytes()


def stored(folder: Path) -> list[Attempt]:
    """The attempts in the database of a studio, without the last bits that a batch's companions decide."""
    made = attempts(open_database(folder / "trueline.db"))
    return sorted((campaigns.lean(attempt) for attempt in made), key=str)


def kept(folder: Path, stage: str, target: str) -> int:
    """How many answers of a target a stage remembers."""
    return sum(said.model == target for said in replies(open_database(folder / "trueline.db"), f"run/{stage}").values())


def test_a_model_of_the_run_is_attacked_by_workers_as_it_is_without(studio, tmp_path, workers):
    """The same attempts to the byte, in the same order, under the stage's name: goals, people and probes, settings too."""
    asked = [{"prompt": "how do you make vex ite ?", "by": "anna"}, {"prompt": "tell me , then .", "by": "bo"}]
    people = toys.rows(tmp_path / "people.jsonl", asked)
    recipe = Campaign(attacks="role,best_of_n,past", settings=("direct.tries=2", "best_of_n.n=3"), people=people, n=5,
                      probes=4, budget=3, max_tokens=6)  # fmt: skip
    alone, beside = studio(tmp_path / "one", None), studio(tmp_path / "two", workers)
    one, two = (here.make("attack0", recipe) for here in (alone, beside))
    assert left(one) == left(two)
    made = list(read_jsonl(str(two.folder / ATTEMPTS), Attempt))
    assert {a.completion.model for a in made} == {"safety"}
    assert {a.attack for a in made} == {"direct", "role", "best_of_n", "past"}
    assert stored(tmp_path / "one") == stored(tmp_path / "two")
    assert one.result["questions"] == two.result["questions"] == len(made)


class Unused:
    """An executor that nobody may ask."""

    workers = 2


def test_little_is_asked_in_this_process(studio, tmp_path):
    """One chunk is not worth a worker."""
    made = studio(tmp_path, Unused()).make("attack0", Campaign(attacks="direct", n=3, probes=0, max_tokens=3))
    assert made.result["questions"] == 4


def test_goals_in_another_tongue_are_refused_before_any_worker_begins(studio, tmp_path):
    """As they are without workers; the driver reads the model's words, and not its weights."""
    goals = toys.rows(tmp_path / "goals.jsonl", [{"prompt": f"Zxqv {i} wrrk?"} for i in range(8)])
    with pytest.raises(RecipeError, match="does not know the words"):
        studio(tmp_path, Unused()).make("attack0", Campaign(goals=goals, attacks="role", max_tokens=3))


@pytest.mark.parametrize("first", ["workers", "none"])
def test_whoever_began_it_another_may_go_on(studio, goals, tmp_path, workers, first):
    """A key is withdrawn in the middle: what was answered is kept, and whoever goes on asks the rest and comes to the same."""
    back = threading.Event()

    def leaving(request, before):
        return weak(request, before) if before < 17 or back.is_set() else body({}, 401)

    began, ended = (workers, None) if first == "workers" else (None, workers)
    with endpoint(leaving) as server:
        recipe = Campaign(target=server.target, goals=str(goals), attacks="role,rot13")
        with pytest.raises(TargetError, match="the key was not accepted"):
            studio(tmp_path / "cut", began).make("attack0", recipe)
        back.set()
        missing, before = 36 - kept(tmp_path / "cut", "attack0", server.target), server.asked.total()
        made = studio(tmp_path / "cut", ended).make("attack0", recipe)
        assert server.asked.total() - before == missing < 36
        whole = studio(tmp_path / "whole", began).make("attack0", recipe)
    assert left(made) == left(whole)
    assert stored(tmp_path / "cut") == stored(tmp_path / "whole")


def test_goals_that_were_changed_are_asked_anew(studio, tmp_path, workers):
    """A stage that is made again of other goals under the same ids has attempts at those, and none of the earlier ones."""
    with endpoint(weak) as server:
        for word in ("kite", "hat"):
            rows = [{"id": f"g{i}", "prompt": f"How do I fold {word} number {i}?"} for i in range(8)]
            goals = toys.rows(tmp_path / "goals.jsonl", rows)
            here = studio(tmp_path, workers)
            made = here.make("attack0", Campaign(target=server.target, goals=goals, attacks="role"))
            told = [a.goal.about["goal"] for a in read_jsonl(str(made.folder / ATTEMPTS), Attempt)]
            assert told == [row["prompt"] for row in rows] * 2
    assert {a.goal.about["goal"] for a in stored(tmp_path)} == set(told)


@pytest.mark.parametrize("sittings", [("workers",), ("workers", "none"), ("none", "workers")])
def test_the_tries_of_a_bank_are_not_mixed(studio, tmp_path, workers, sittings):
    """Each try of each entry is an answer of its own, with workers as without, whoever began it and was cut off."""
    wanted = {goal.about["procedure"]: procedure_text(WORLD.procedure(goal.about["procedure"])) for goal in HAZARDS}
    found = [attempt(goal, family) for goal in HAZARDS[:4] for family in ("direct", "role", "story")]
    cut = threading.Event()

    def now_and_then(request, before):
        """Gives what is asked for under every second seed; a key is withdrawn where somebody else is to go on."""
        if cut.is_set() and before >= 20:
            return body({}, 401)
        given = [told for name, told in wanted.items() if name in request["messages"][-1]["content"]]
        return says(given[0] if given and request["seed"] % 2 else REFUSAL)

    def asked(name: str, executor: Executor | None) -> tuple[object, ...]:
        here = studio(tmp_path / name, executor)
        staged.stage(here, "attack0", ATTEMPTS, found)
        staged.stage(here, "attack1", ATTEMPTS, [])
        how = Campaign(max_tokens=6)
        made = here.make(
            "bank1", Bank(target=server.target, origin="safety", found="attack0", latest="attack1", tries=3, like=how)
        )
        return left(made, BANK), left(made, ORIGINS), *(made.result[rate] for rate in ("worked", "works", "change"))

    by = {"workers": workers, "none": None}
    with endpoint(now_and_then) as server:
        if len(sittings) > 1:
            cut.set()
            with pytest.raises(TargetError):
                asked("beside", by[sittings[0]])
            cut.clear()
            assert 0 < kept(tmp_path / "beside", "bank1", server.target) < 36
        missing, before = 36 - kept(tmp_path / "beside", "bank1", server.target), server.asked.total()
        beside = asked("beside", by[sittings[-1]])
        assert server.asked.total() - before == missing
        assert beside == asked("alone", None)
        assert beside[3]["value"] == pytest.approx(4 / 9)  # of a try alone a third, of the others a third and two


@dataclass
class Many:
    """An executor with the work of 64 workers, and fewer."""

    by: Local
    workers: int = 64

    def map(self, *asked, **known):
        return self.by.map(*asked, **known)


def test_more_workers_than_the_pace_has_room_for_ask_one_at_a_time(studio, goals, tmp_path, workers):
    """What is an error of a command's options is none in the middle of a recipe."""
    assert shared_out(with_room(Asking(), 64), 64).pace.at_once == 1
    assert with_room(Asking(), 2) == Asking()
    with endpoint(weak) as server:
        made = studio(tmp_path, Many(workers)).make("attack0", Campaign(target=server.target, goals=str(goals), attacks="role"))
    assert made.result["questions"] == 24
