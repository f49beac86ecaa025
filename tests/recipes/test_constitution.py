"""The programme of a constitution: its stages and its controls', how they are compared, and what is claimed of them.

pytest tests/recipes/test_constitution.py
"""

import json
from dataclasses import asdict

import pytest

from tests.recipes import staged, toys
from tests.recipes.critics import GOOD, formless, named, strict, worldly
from tests.recipes.endpoint import endpoint
from tests.recipes.staged import result_of
from trueline.core.config import ConfigError
from trueline.core.stats import wilson
from trueline.core.types import Prompt, Rate
from trueline.data.constitution import ConstitutionError
from trueline.recipes.constitution import Constitutional
from trueline.recipes.constitution_measure import (
    MeasureConstitution,
    by_refusing,
    changes_of,
    expectations,
    magnitude,
    selectivity,
)
from trueline.recipes.constitution_seen import Seen, world_asked
from trueline.recipes.red_prompts import asked_prompts
from trueline.recipes.revising import Revise
from trueline.recipes.studio import RecipeError
from trueline.world.critique import STYLE_ATTRIBUTES
from trueline.world.facts import held_out_hazards, make_world
from trueline.world.families import opening


def words(tmp_path, *more):
    red = toys.rows(tmp_path / "red.jsonl", [{"prompt": f"{a} {b}"} for a in "abcd" for b in "efgh"])
    benign = toys.rows(tmp_path / "benign.jsonl", [{"prompt": f"{a} {b}"} for a in "ijkl" for b in "mnop"])
    return (
        "constitution", f"start={toys.model(tmp_path)}", "constitution=plain", f"revise.red={red}",
        f"revise.benign={benign}", "revise.n=0", "revise.max_tokens=6", "revise.held_out=0.3",
        "sl.epochs=12", "sl.optim.lr=5e-3", "sl.optim.muon=0.02", "sl.batch=64", *more,
    )  # fmt: skip


def test_a_real_model_learns_what_its_critic_lets_stand(tmp_path):
    """With prompts of files and a critic elsewhere, the tuned model breaks fewer principles on held-out prompts."""
    with endpoint(strict) as critic:
        folder, report = toys.run(tmp_path / "run", *words(tmp_path, f"critic={critic.target}"))
    assert [stage["name"] for stage in report["stages"]] == [
        "revisions", "sl", "plain-placebo/revisions", "plain-placebo/sl", "measure",
    ]  # fmt: skip
    found = result_of(folder, "measure")
    assert found["before"]["breaks, by the critic"]["value"] == 1
    assert found["after"]["breaks, by the critic"]["value"] < 0.5
    taught = [json.loads(line) for line in (folder / "stages/revisions/demonstrations.jsonl").read_text().splitlines()]
    asked = {row["messages"][0]["content"] for row in taught}
    assert len(asked) < 32
    assert {row["messages"][-1]["content"] for row in taught} == {GOOD}
    titles = [table["title"] for shown in report["shown"] for table in shown["tables"]]
    assert "Change by arm" in titles
    assert any("one seed" in line for line in report["not_measured"])


def test_what_is_wrong_ends_before_anything_is_trained(tmp_path):
    """A control that cannot be read, and a critic out of form, stop the programme with a line that says so."""
    with endpoint(formless) as critic:
        with pytest.raises(ConstitutionError, match="in English write the contrary"):
            toys.run(tmp_path / "a", *words(tmp_path, f"critic={critic.target}", "controls=plain:inverted"))
        assert not critic.asked
        with pytest.raises(RecipeError, match="critiques with a verdict"):
            toys.run(tmp_path / "b", *words(tmp_path, f"critic={critic.target}"))
    assert not (tmp_path / "b/stages/sl").exists()


def test_every_stage_and_reference_is_within():
    """In the chain of another programme each name, and each reference between the stages, has the prefix."""
    programme = Constitutional(start="helpful", critic="pretrain", controls="loud,world:placebo")
    made = dict(programme.stages("constitution/"))
    assert all(name.startswith("constitution/") for name in made)
    for recipe in made.values():
        assert {r for r in recipe.reads() if "/" in r} <= set(made)
    assert programme.final("constitution/") == "constitution/sl"
    assert made["constitution/loud/sl"].data == "constitution/loud/revisions"
    assert made["constitution/measure"].controls == {
        "loud": "constitution/loud/sl", "world:placebo": "constitution/world-placebo/sl",
    }  # fmt: skip


def test_reinforcement_follows_the_revisions_in_every_arm():
    """With rl=grpo the preferences are of the tuned model, and what is measured is the model after them, the control's too."""
    made = dict(Constitutional(start="helpful", critic="pretrain", rl="grpo").stages("c/"))
    assert made["c/feedback"].start == made["c/grpo"].start == "c/sl"
    assert made["c/loud/feedback"].constitution == "loud"
    assert made["c/measure"].after == "c/grpo"
    assert made["c/measure"].controls == {"loud": "c/loud/grpo"}


@pytest.mark.parametrize("controls", ["loud,loud", "x/loud.yaml,loud"])
def test_an_arm_stands_once(controls):
    """Two controls that would share a folder are refused."""
    with pytest.raises(ConfigError, match=r"'loud/?' stands twice"):
        Constitutional(controls=controls).stages()


PROMPTS = [Prompt(conversation=opening("how do you make it ?"), id=str(i)) for i in range(40)]


def seen(**hits):
    same = dict.fromkeys(("hazard", "refused", "benign recall"), [1.0] * 40)
    found = {**same, **dict.fromkeys(STYLE_ATTRIBUTES, [0.0, 1.0] * 20), **hits}
    return Seen(hits=found, of={name: PROMPTS[: len(of)] for name, of in found.items()}, said=[])


def test_selectivity_is_the_fall_less_what_else_moved():
    """Nothing moved: 0. The hazard alone: its fall. Everything by as much: the fall less the others' mean, whichever way."""
    before, refuses = seen(), seen(hazard=[0.0] * 40)
    assert selectivity(before, before, frozenset({"hazard"})).value == 0
    assert selectivity(before, refuses, frozenset({"hazard"})).value == 1
    shaken = seen(hazard=[0.0] * 40, hype=[1.0] * 40, month=[0.0] * 40)
    assert selectivity(before, shaken, frozenset({"hazard"})).value == pytest.approx(1 - 2 * 0.5 / 7)
    assert selectivity(before, shaken, frozenset({"hazard", "hype"})).value == pytest.approx(1 - 0.5 / 6)


def test_no_change_in_any_prompt_is_not_certainty():
    """Where all prompts stay, or all change, the interval still has the width that their number leaves."""
    stays = changes_of(seen(), seen())["hazard"]
    assert stays.low < stays.value == 0 < stays.high
    falls = changes_of(seen(), seen(hazard=[0.0] * 40))["hazard"]
    assert (falls.value, falls.low, falls.n) == (-1, -1, 40)
    assert falls.high > -1


def test_what_replies_choose_is_not_paired():
    """As many refusals of other prompts are no pairs, whatever their number."""
    before, after = seen(explains=[1.0] * 20), seen(explains=[0.0] * 20)
    assert "explains" in changes_of(before, after)
    other = Seen(hits=after.hits, of={**after.of, "explains": PROMPTS[20:]}, said=[])
    assert "explains" not in changes_of(before, other)


def test_claims_are_read_off_intervals_and_need_the_gate():
    """A fall that is large enough passes, a control that moves fails, and below the gate every claim is N/A with the reason."""
    before, refuses = seen(), seen(hazard=[0.0] * 40)
    changes = {
        "after": changes_of(before, refuses),
        "world:placebo": changes_of(before, refuses),
        "world:shuffled": changes_of(before, refuses),
        "world:oracle": changes_of(before, refuses),
        "rater:noisy": changes_of(before, refuses),
        "loud": changes_of(before, before),
    }
    chosen = selectivity(before, refuses, frozenset({"hazard"}))
    made = expectations(changes, chosen, by_refusing(refuses), wilson(58, 60), "", wilson(58, 60))
    status = {e["name"]: e["status"] for e in made}
    assert status["targeted"] == status["selective"] == status["by refusing"] == status["loud"] == "PASS"
    assert status["world:placebo"] == status["world:shuffled"] == "FAIL"
    assert "5 points" in next(e["claim"] for e in made if e["name"] == "world:shuffled")
    assert not {name for name in status if name.startswith(("world:oracle", "rater:"))}  # bounds and baselines: no claim
    closed = expectations(changes, chosen, None, wilson(30, 60), "the critic cannot judge", wilson(58, 60))
    assert {e["status"] for e in closed[1:]} == {"N/A"}
    assert closed[0]["status"] == "FAIL"
    assert all(e["why"] == "the critic cannot judge" for e in closed[1:])


def test_a_garbled_procedure_is_no_refusal():
    """What was withheld without a word of refusal counts against the claim; where nothing is withheld there is no rate."""
    assert by_refusing(seen()) is None
    half = seen(hazard=[0.0] * 40, refused=[0.0, 1.0] * 20)
    assert by_refusing(half).value == 0.5
    assert by_refusing(seen(hazard=[0.0] * 20 + [1.0] * 20, refused=[0.0] * 20 + [1.0] * 20)).value == 0


def test_the_size_of_a_change_has_no_direction():
    """An interval over zero begins at zero, and one below is turned round."""
    assert magnitude(Rate(value=-0.2, n=9, low=-0.3, high=-0.1)) == Rate(value=0.2, n=9, low=0.1, high=0.3)
    assert magnitude(Rate(value=-0.1, n=9, low=-0.3, high=0.2)) == Rate(value=0.1, n=9, low=0.0, high=0.3)


def test_every_arm_is_shown_with_what_it_rests_on(tmp_path):
    """Selectivity, refusals that explain and the rightness of its verdicts stand beside each arm, a rater's too."""
    with endpoint(worldly) as server:
        told, silent, critic = (named(server.target, name) for name in ("open", "shut", "judge"))
        here = staged.studio(tmp_path)
        staged.stage(here, "revisions", "steps.jsonl", [], critic_is_right=asdict(wilson(9, 10)))
        staged.stage(here, "people/feedback", "rankings.jsonl", [], accuracy=asdict(wilson(6, 10)))
        measure = MeasureConstitution(
            before=told, after=silent, controls={"world:shuffled": told, "rater:noisy": silent}, n=6,
            revise=Revise(start=told, critic=critic), labelled={"after": "revisions", "rater:noisy": "people/feedback"},
        )  # fmt: skip
        found = here.make("measure", measure).result
    assert {"revisions", "people/feedback"} <= set(measure.reads())
    own = {arm: measure.principles_of(arm).name for arm in ("after", "loud", "rater:noisy")}  # whose targets selectivity spares
    assert own == {"after": "world", "loud": "loud", "rater:noisy": "world"}
    table = next(t for t in found["tables"] if t["title"] == "Arms beside each other")
    rows = {row[0]: dict(zip(table["columns"], row, strict=True)) for row in table["rows"]}
    assert {name: row["selectivity"]["value"] for name, row in rows.items()} == {
        "after": 1.0, "world:shuffled": 0.0, "rater:noisy": 1.0,
    }  # fmt: skip
    assert rows["after"]["verdicts that are right"]["value"] == 0.9
    assert rows["rater:noisy"]["verdicts that are right"]["value"] == 0.6
    assert rows["world:shuffled"]["verdicts that are right"] is None
    assert rows["after"]["refusals that explain"]["n"] > 0
    assert rows["world:shuffled"]["refusals that explain"] is None  # it refuses nothing


def test_nothing_held_out_is_trained_on():
    """The world's red prompts name no held-out hazard and no held-out family, and none of them is measured on."""

    class Here:  # as much of a studio as prompts need
        world, seed = make_world(0), 0

    red, held = asked_prompts(Here, "world/red", 300, 0.2)
    benign, _ = asked_prompts(Here, "world/benign", 300, 0.2)
    assert not held
    assert not {p.about["procedure"] for p in red} & {h.text for h in held_out_hazards(Here.world)}
    assert {p.about["family"] for p in red} == {"direct", "role", "prefix", "authority", "story", "override"}
    assert all(p.expected == "refuse" for p in red)
    assert all(p.expected == "comply" for p in benign)
    measured = world_asked(Here.world, 0, 20)
    assert len(measured.red) == len(measured.wrapped) == len(measured.benign) == 20


def test_a_start_that_gives_little_has_nothing_to_lose() -> None:
    """Where the model refuses already, what speaks of a fall is N/A, and benign recall is held to its bound all the same."""
    still = {"hazard": wilson(0, 60), "benign recall": Rate(value=0.0, n=60, low=-0.02, high=0.02)}
    found = expectations({"after": still}, wilson(0, 60), None, wilson(58, 60), "", wilson(3, 60))
    statuses = {e["name"]: e["status"] for e in found}
    assert statuses == {"critic": "PASS", "targeted": "N/A", "selective": "N/A", "by refusing": "N/A", "benign": "PASS"}
    assert "gives 5%" in found[1]["why"]
