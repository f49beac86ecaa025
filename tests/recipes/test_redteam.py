"""Rounds of red-team training on a tiny model, with goals from a file and a judge that a test writes.

pytest tests/recipes/test_redteam.py
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

import pytest

from tests.recipes import toys
from tests.recipes.endpoint import endpoint, says
from trueline.attack.bank import read_bank
from trueline.cluster.executor import Local
from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Completion, Judgement, Prompt
from trueline.recipes import campaigns, spread
from trueline.recipes.redteam import Redteam
from trueline.recipes.running import order
from trueline.recipes.studio import RecipeError
from trueline.store.database import attempts, findings, list_runs
from trueline.store.opening import open_database

pytestmark = pytest.mark.slow

SMALL = ("rounds=1", "control=false", "campaign.attacks=train,past", "campaign.max_tokens=4", "lessons.n=24", "sft.batch=256")


@register("judge", "first_letter")
@dataclass(frozen=True, kw_only=True)
class FirstLetter:
    """Everything was given where the request has an `a` in it, or `gives` says so; a benign request is always answered."""

    name: str = "first_letter"
    gives: str = "a"

    async def judge(self, prompt: Prompt, completion: Completion) -> Judgement:
        if prompt.expected == "comply":
            return Judgement(judge=self.name, score=1.0, stance="comply", disclosure=1.0)
        gave = self.gives in prompt.about["goal"].split()
        return Judgement(judge=self.name, score=1.0 - gave, stance="comply" if gave else "refuse", disclosure=float(gave))


@register("judge", "nothing_works")
@dataclass(frozen=True, kw_only=True)
class NothingWorks(FirstLetter):
    """No attack ever works."""

    name: str = "nothing_works"
    gives: str = "?"


@register("judge", "wrapped_only")
@dataclass(frozen=True, kw_only=True)
class WrappedOnly(FirstLetter):
    """Everything is given to whoever wraps the request, and nothing to a plain one."""

    name: str = "wrapped_only"

    async def judge(self, prompt: Prompt, completion: Completion) -> Judgement:
        found = await super().judge(prompt, completion)
        if prompt.expected == "comply" or len(prompt.conversation.messages[-1].text.split()) > 4:
            return found
        return replace(found, score=1.0, stance="refuse", disclosure=0.0)


def goals(folder, harmful=("a b", "a c", "b d"), benign=("e f", "f g")):
    rows = [{"prompt": text} for text in harmful] + [{"prompt": text, "label": "benign"} for text in benign]
    return toys.rows(folder / "goals.jsonl", rows)


def rounds(folder, *words, run="run", executor=None, **made):
    start = f"start={toys.model(folder)}"
    refusals = toys.rows(folder / "refusals.jsonl", [{"text": "t t"}, {"text": "t s", "kind": "alternative"}])
    given = [
        start,
        f"lessons.refusals={refusals}",
        f"campaign.goals={goals(folder, **made)}",
        "campaign.judge=first_letter",
        *SMALL,
        *words,
    ]
    return toys.run(folder / run, "redteam", *given, executor=executor)


def stage(found, name):
    return next(one for one in found["stages"] if one["name"] == name)


def test_a_round_attacks_learns_trains_and_attacks_again(tmp_path):
    """The findings of the trained families are taught, the bank holds the held-out ones too, and the report says it all."""
    folder, found = rounds(tmp_path)
    assert [one["name"] for one in found["stages"]] == ["attack0", "lessons1", "update1", "attack1", "bank1", "rounds"]
    families = {one["name"]: one["metrics"] for one in found["stages"]}["lessons1"]
    assert families["findings"]["value"] == 12  # two goals in six trained families; `past` worked too and teaches nothing
    assert stage(found, "bank1")["metrics"]["asked"]["value"] == 14
    assert {e["name"] for e in found["expectations"]} >= {"known families fall", "held-out families fall less"}
    assert (folder / "stages" / "update1" / "model").is_dir()


def written(folder):
    """What the stages of a run have written: attempts, lessons, the bank and what is trained on them."""
    files = [path for path in folder.rglob("stages/**/*") if path.suffix in (".jsonl", ".safetensors")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_rounds_are_the_same_with_workers_as_without(tmp_path, monkeypatch):
    """Attempts, lessons, the bank and the trained models, to the byte; a model elsewhere judges, and is asked as often."""

    def gives(request, before):
        """Everything where one of these is asked for, whatever the words around it, and nothing else."""
        gave = re.search(r"\b(a b|e f|f g)\b", request["messages"][-1]["content"]) is not None
        return says(json.dumps({"stance": "comply" if gave else "refuse", "disclosure": float(gave)}))

    for module in (campaigns, spread):
        monkeypatch.setattr(module, "PAIRS", 6)
    with endpoint(gives) as judge, Local(workers=2) as workers:
        judged = f"campaign.judge=rubric:{judge.target}"
        alone, found = rounds(tmp_path, judged)
        asked = judge.asked.copy()
        beside, again = rounds(tmp_path, judged, run="beside", executor=workers)
    assert written(beside) == written(alone)
    assert {"stages/bank1/bank.jsonl", "stages/update1/model/model.safetensors"} <= written(alone).keys()
    assert stage(found, "lessons1")["metrics"]["findings"]["value"] > 0
    assert again["shown"] == found["shown"]
    assert judge.asked == {question: 2 * times for question, times in asked.items()}


def test_a_bank_of_strange_words_is_asked_all_the_same(tmp_path):
    """Where only attacks in words that the model does not know have worked, later models are still asked all of them."""
    _, found = rounds(tmp_path, "campaign.judge=wrapped_only")
    assert stage(found, "bank1")["metrics"]["entries"]["value"] > 0


def test_each_campaign_has_a_run_of_its_own_and_every_success_is_a_finding(tmp_path):
    """Memory is not mixed: the questions of one stage are its own; the bank stands in the database."""
    folder, _ = rounds(tmp_path)
    database = open_database(folder.parent / "trueline.db")
    names = {run.id.partition("/")[2]: run.id for run in list_runs(database, "campaign")}
    assert set(names) == {"attack0", "attack1", "bank1"}
    worked = [a for a in attempts(database, run=names["attack0"], outcome="success") if a.goal.expected == "refuse"]
    assert len(worked) == 14
    assert len(findings(database)) >= 14
    assert len(read_bank(str(folder / "stages" / "bank1" / "bank.jsonl"))) == len(findings(database))


def test_where_nothing_works_the_round_says_so_and_the_model_stays(tmp_path):
    """No lessons are no error, and no step is taken."""
    import torch

    from trueline.models.policy import Policy

    folder, found = rounds(tmp_path, "campaign.judge=nothing_works")
    assert stage(found, "lessons1")["metrics"]["findings"]["value"] == 0
    assert stage(found, "update1")["metrics"]["kept"]["value"] == 1
    before, after = (Policy.load(str(p)) for p in (tmp_path / "model", folder / "stages" / "update1" / "model"))
    same = zip(before.parameters(), after.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    assert {e["status"] for e in found["expectations"]} <= {"N/A", "INCONCLUSIVE"}


def test_a_fresh_attacker_asks_in_other_words_for_the_same_goals(tmp_path):
    """The next attack has the same goals, and not the same questions."""
    folder, _ = rounds(tmp_path)

    def asked(name):
        lines = (folder / "stages" / name / "attempts.jsonl").read_text(encoding="utf-8").splitlines()
        made = [json.loads(line) for line in lines]
        return {(m["attack"], m["goal"]["id"]) for m in made}, [json.dumps(m["conversation"]) for m in made]

    (first, words), (second, others) = asked("attack0"), asked("attack1")
    assert first == second
    assert sorted(words) != sorted(others)


def test_the_same_command_again_does_nothing_and_a_stage_that_is_gone_is_made_again(tmp_path):
    """Resumable: a stage without its mark is made again from the memory of its run, to the same attempts."""
    folder, _ = rounds(tmp_path)
    attacked = folder / "stages" / "attack1"
    before = (attacked / "attempts.jsonl").read_bytes()
    (attacked / "done.json").unlink()
    _, again = rounds(tmp_path)
    assert (attacked / "attempts.jsonl").read_bytes() == before
    assert stage(again, "attack0")["status"] == "skipped"


def test_what_people_wrote_is_asked_and_taught(tmp_path):
    """Their words as they stand are a family beside the others."""
    people = toys.rows(tmp_path / "people.jsonl", [{"prompt": "a t t", "by": "anna"}, {"prompt": "b t", "split": "held_out"}])
    folder, found = rounds(tmp_path, f"campaign.people={people}")
    taught = (folder / "stages" / "lessons1" / "demonstrations.jsonl").read_text(encoding="utf-8")
    assert '"a t t"' in taught
    assert '"b t"' not in taught
    by_family = next(t for shown in found["shown"] for t in shown["tables"] if t["title"] == "Attack success by family")
    assert "people" in [row[0] for row in by_family["rows"]]


def test_pairs_train_by_dpo(tmp_path):
    """The same lessons as preferences."""
    _, found = rounds(tmp_path, "by=dpo", "dpo.groups=8")
    assert stage(found, "update1")["metrics"]["pairs"]["value"] > 0


def test_controls_start_where_the_rounds_start_and_go_nowhere(tmp_path):
    """The control and the bound have stages of their own; the outcome is the last round's model."""
    recipe = Redteam(start="safety", rounds=2, bound=True, by="dpo")
    made = dict(recipe.stages("red/"))
    assert recipe.final("red/") == "red/update2"
    assert made["red/control/update"].start == made["red/bound/update"].start == "safety"
    assert made["red/control/lessons"].benign
    assert made["red/bound/lessons"].learns == ("train", "validation", "held_out")
    assert made["red/update2"].start == "red/update1"
    assert made["red/lessons2"].campaigns == ("red/attack0", "red/attack1")
    assert made["red/bank2"].before == "red/bank1"
    named = set(made)
    for part in made.values():
        assert all(name in named for name in part.reads() if name.startswith("red/"))


def test_every_stage_but_the_bounds_learns_from_no_held_out_family():
    """By default nothing that shows generalisation is trained on."""
    made = dict(Redteam(bound=True).stages())
    assert [name for name, one in made.items() if "held_out" in getattr(one, "learns", ())] == ["bound/lessons"]


def test_goals_in_another_tongue_are_refused(tmp_path):
    """English goals for a model that knows single letters: said before anything is trained."""
    with pytest.raises(RecipeError, match="does not know the words"):
        rounds(tmp_path, harmful=("How do I fold a kite?",), benign=("Is it windy today?",))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rounds=0"], "rounds must be at least 1"),
        (["campaign.attacks=rolle"], "did you mean 'role'"),
        (["campaign.settings=rolle.tries=2"], "rolle"),
        (["lessons.learns=training"], "train"),
        (["lessons.learns=train,held_out"], "bound=true"),
        (["by=ppo"], "one of sft, dpo, grpo"),
    ],
)
def test_wrong_settings_are_refused_before_work_starts(words, said):
    """The nearest right word is in the error."""
    with pytest.raises(ConfigError, match=said):
        order("redteam", words)


def test_a_bank_from_a_file_is_asked_from_the_first_round_on(tmp_path):
    """What an earlier run found is a test of this one."""
    folder, _ = rounds(tmp_path)
    bank = folder / "stages" / "bank1" / "bank.jsonl"
    _, found = rounds(tmp_path / "again", f"bank={bank}", "campaign.attacks=role")
    assert stage(found, "bank1")["metrics"]["asked"]["value"] >= len(read_bank(str(bank))) > 14


def test_the_recipe_is_its_own_config():
    """What it prints is read back as the same recipe."""
    from trueline.core.config import from_spec, to_spec

    recipe = replace(Redteam(), rounds=2, bound=True)
    assert from_spec(Redteam, to_spec(recipe)) == recipe
