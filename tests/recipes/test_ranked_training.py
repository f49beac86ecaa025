"""People's answers train: a reward model and DPO read a project by name, and are made again when answers change.

pytest tests/recipes/test_ranked_training.py
"""

from __future__ import annotations

import json
from random import Random

import pytest

from tests.recipes import toys
from tests.recipes.staged import result_of
from tests.store.ranked import START
from trueline.core.config import ConfigError
from trueline.core.types import Completion, Conversation, Prompt
from trueline.recipes.studio import RecipeError
from trueline.store.opening import open_database
from trueline.store.ranking import adjudicate, create, items, new_id
from trueline.store.ranking_records import Given, Item, Project
from trueline.store.ranking_work import next_item, submit

FAST = ("optim.lr=5e-3", "optim.muon=0.02")


@pytest.fixture(autouse=True)
def beside_the_run(monkeypatch):
    """The project's database is the one beside the runs, whatever the environment says."""
    monkeypatch.delenv("TRUELINE_DATABASE", raising=False)


def ranked(folder, n=24):
    """A project in which one person ranks three replies to each prompt: they like its first letter and dislike `t`."""
    rng, made_items = Random(1), []
    for words in sorted({tuple(rng.choices(toys.LETTERS[:12], k=3)) for _ in range(n)}):
        asked = Prompt(conversation=Conversation().say("user", " ".join(words)), id=" ".join(words))
        said = (" ".join([words[0]] * 3), f"{words[0]} t t", "t t t")
        made_items.append(Item(prompt=asked, completions=tuple(Completion(prompt=asked, text=t) for t in said)))
    engine = open_database(folder / "trueline.db")
    made = create(engine, Project(id=new_id(), name="first", created=""), made_items)
    while (offer := next_item(engine, made.id, "ann", START)).assignment:
        submit(engine, offer.assignment.id, "ann", Given(helpful=(1, 2, 3)), START)
    return engine, made


def test_a_reward_model_learns_what_people_said(tmp_path):
    """Held-out accuracy is near one; the same run again does nothing, and after a changed answer it trains again."""
    engine, made = ranked(tmp_path)
    words = ("reward", f"start={toys.model(tmp_path)}", "data=project:first", "groups=8", "epochs=4", "held_out=0.3", *FAST)
    folder, _ = toys.run(tmp_path / "run", *words)
    first = result_of(folder, "reward")
    assert first["accuracy"]["value"] > 0.9
    key = json.loads((folder / "stages/reward/done.json").read_text())["key"]
    toys.run(tmp_path / "run", *words)
    assert json.loads((folder / "stages/reward/done.json").read_text())["key"] == key
    adjudicate(engine, made.id, items(engine, made.id)[0].id, "judge", Given(helpful=(3, 2, 1)), START)
    toys.run(tmp_path / "run", *words)
    assert json.loads((folder / "stages/reward/done.json").read_text())["key"] != key


def test_a_project_that_is_not_there_is_refused_before_work_begins(tmp_path):
    """The message names the projects that there are, and a question that is not asked names those that are."""
    ranked(tmp_path, n=12)
    for data, says in (("project:other", "it has first"), ("project:first:harmless", "does not ask 'harmless'")):
        with pytest.raises((RecipeError, ConfigError, ValueError), match=says):
            toys.run(tmp_path / "run", "reward", f"start={toys.model(tmp_path)}", f"data={data}")
        assert not (tmp_path / "run/stages").exists()
