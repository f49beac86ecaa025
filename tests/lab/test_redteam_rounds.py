"""E9: rounds, controls and attackers hang together, the arm without twins is compared as it should be, and all is drawn.

pytest tests/lab/test_redteam_rounds.py
"""

from __future__ import annotations

import pytest

from tests.evaluate.test_rounds import campaign
from tests.lab.wrapped import drawn_from, on_base, stages_of, untaken
from tests.recipes import staged
from tests.recipes.test_trial import arm
from trueline.core.types import Rate
from trueline.evaluate.rounds import Round, story
from trueline.evaluate.shown import table
from trueline.lab.redteam_rounds import RedTeamRounds, Rise
from trueline.recipes.campaigns import ATTEMPTS
from trueline.recipes.studio import Room
from trueline.recipes.trial import RL, SHOWN_FAMILIES, _expectations


def rise(folder, without: float, twins: float) -> dict:
    """The arm without twins refuses so much of what is benign after a round, the round with them so much."""
    here = staged.studio(folder)
    for name, refused in (("attack0", 0.0), ("untwinned/attack", without), ("attack1", twins)):
        staged.stage(here, name, ATTEMPTS, campaign(0.0, 0.0, refused))
    return Rise(start="attack0", without="untwinned/attack", twins="attack1")(here, Room("rise", folder, here))


@pytest.mark.parametrize("size", ["quick", "full"])
def test_every_stage_reads_what_is_there(size, tmp_path):
    """Rounds start from the safety model; attackers are trained against a model of DPO made from rankings of the uneven one."""
    stages = stages_of(on_base(RedTeamRounds, size, tmp_path), tmp_path)
    assert stages["attack0"].target.endswith("/safety")
    assert {stages[f"attackers/{name}"].target for name in ("plain", "rl", "trial")} == {"dpo"}
    assert stages["dpo"].start == stages["rankings"].start
    assert {"able", "control/update", "bound/update"} <= stages.keys()


def test_the_arm_without_twins_differs_in_nothing_else(tmp_path):
    """The same start, findings and number of lessons as the first round, and the same fresh attack."""
    stages = stages_of(on_base(RedTeamRounds, "full", tmp_path), tmp_path)
    one, other = stages["lessons1"], stages["untwinned/lessons"]
    assert (other.twins, one.twins) == (0.0, 0.25)
    assert (one.campaigns, one.n, one.refused) == (other.campaigns, other.n, other.refused)
    assert stages["update1"].how == stages["untwinned/update"].how
    assert stages["attack1"].draw == stages["untwinned/attack"].draw


def test_what_is_registered_is_what_the_stages_state(tmp_path):
    """The rounds, the arm without twins and the trial of attackers each state what the file takes from them."""
    rounds = story([Round("start", []), Round("round 1", [])], learned=("train",))["expectations"]
    trial = _expectations({RL: arm(1.0), SHOWN_FAMILIES: arm(0.0)}, {})
    stated = [e["name"] for e in (*rounds, *trial, *rise(tmp_path, 0.0, 0.0)["expectations"])]
    assert untaken("E9", stated) == set()
    assert untaken("E9", [name for name in stated if "novelty" not in name]) == {"without novelty it collapses"}


def test_over_refusal_of_one_round_is_compared_with_the_start(tmp_path):
    """Half of the probes refused without twins is a rise of a half, and PASS; the round with twins stands beside it."""
    found = rise(tmp_path, without=0.5, twins=0.0)
    assert found["expectations"][0]["value"]["value"] == pytest.approx(0.5)
    assert [row[1]["value"] for row in found["tables"][0]["rows"]] == pytest.approx([0.5, 0.0])


def test_the_figure_shows_rounds_and_attackers(tmp_path):
    """A line runs through start and rounds alone; without attackers there is one panel, without rounds nothing."""
    rate = Rate(value=0.3, n=100, low=0.2, high=0.4)
    rows = [[name, rate, rate, rate, rate, rate] for name in ("start", "round 1", "control", "bound")]
    columns = ["model", "known families", "held out", "over-refusal", "twins refused", "benign right"]
    rounds = table("Rounds of red-team training", columns, rows)
    success = table("Success at 16 requests a goal", ["attacker", "a request, trained goals"], [["RL with novelty", rate]])
    varied = table("How much the requests differ", ["attacker", "families"], [["RL with novelty", rate]])

    def drawn(*tables):
        return RedTeamRounds.figure({"shown": [{"stage": "rounds", "tables": list(tables), "curves": []}]})

    alone, both = drawn(rounds), drawn(rounds, success, varied)
    assert alone is not None
    assert {row["model"]: row["control"] for row in drawn_from(alone)[0]} == {
        "start": False, "round 1": False, "benign steps": True, "all families": True,
    }  # fmt: skip
    assert both is not None
    assert [[row.get("attacker") for row in rows] for rows in drawn_from(both)][1] == ["RL with novelty"]
    assert drawn(success, varied) is None
