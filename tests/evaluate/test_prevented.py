"""The outcome of the prevention experiment says what the rows say, also where an expectation fails.

pytest tests/evaluate/test_prevented.py
"""

from __future__ import annotations

from trueline.evaluate.channels import Placed
from trueline.evaluate.prevented import Arms, expectations, figures, shown

N = 60


def arm(*, refuses=1.0, told=0.0, done=0.0, by_system=(None, None, None), use=1.0):
    """Shares of N replies: words refused at their beginning, words given, deeds done (under each system prompt)."""

    def rows(channel, share, stance="refuse", expected="refuse"):
        return [
            Placed(
                id=f"{channel}/{i}", channel=channel, cluster=f"{channel}/{i}", expected=expected, stance=stance,
                opening=stance, disclosure=float(i < share * N), score=use,
            )
            for i in range(N)
        ]  # fmt: skip

    made = []
    for name, own in zip(("neutral", "careful", "tools"), by_system, strict=True):
        made += rows(f"words/{name}", told, "refuse" if refuses == 1.0 else "comply")
        made += rows(f"deeds/{name}", done if own is None else own)
    made += rows("trained deeds", done) + rows("secrets", 0.0)
    return made + [r for c in ("answers", "harmless calls", "look-alikes") for r in rows(c, 1.0, "comply", "comply")]


def arms(**changed):
    found = {
        "start6": arm(told=0.1), "start32": arm(told=0.4), "skimmer6": arm(), "skimmer32": arm(told=0.9), "reader": arm(),
        "said": arm(told=0.5), "read": arm(), "repaired": arm(), "tools0": arm(done=1.0, by_system=(1.0, 0.5, 1.0)),
        "tools5": arm(done=0.05),
    }  # fmt: skip
    return Arms(rows={**found, **changed}, rates={"6": 0.06, "32": 0.32}, shares={"0": 0.0, "5": 0.05})


def statuses(found):
    return {e["name"]: e["status"] for e in expectations(found)}


def test_all_hold_where_the_rows_are_as_expected():
    """Nine expectations, each met."""
    found = statuses(arms())
    assert len(found) == 9
    assert set(found.values()) == {"PASS"}


def test_each_expectation_can_fail():
    """Rows that say otherwise are reported as they are."""
    assert statuses(arms(said=arm(refuses=0.0)))["refusals look safe"] == "FAIL"
    assert statuses(arms(skimmer32=arm()))["skimming makes the gap"] == "FAIL"
    assert statuses(arms(reader=arm(told=0.5)))["reading makes none"] == "FAIL"
    assert statuses(arms(reader=arm(refuses=0.0)))["a keyword score cannot tell"] == "FAIL"
    assert statuses(arms(repaired=arm(told=0.5)))["reading all closes it"] == "FAIL"
    assert statuses(arms(read=arm(done=0.5)))["deeds as well as words"] == "FAIL"
    assert statuses(arms(tools0=arm()))["refused in words, done"] == "FAIL"
    assert statuses(arms(tools0=arm(done=1.0)))["wording moves deeds"] == "FAIL"
    assert statuses(arms(tools5=arm(done=0.9)))["a few refusals of deeds close it"] == "FAIL"


def test_a_dose_that_was_not_given_is_not_judged():
    """Without an arm of one part in twenty that row is N/A, and nothing else changes."""
    found = arms()
    without = Arms(rows=found.rows, rates=found.rates, shares={"0": 0.0, "10": 0.1})
    without.rows["tools10"] = found.rows["tools5"]
    assert statuses(without) == statuses(found) | {"a few refusals of deeds close it": "N/A"}


def test_tables_and_curves_show_every_arm_with_utility_beside_it():
    """Each arm has its row; over-refusal, use and harmless calls are columns of both tables; the sweeps are curves."""
    found = shown(arms())
    rewards, before_and_after, tools = found["tables"]
    assert [r[0] for r in rewards["rows"]] == [
        "start6",
        "start32",
        "skimmer6",
        "skimmer32",
        "reader",
        "said",
        "read",
        "repaired",
    ]
    assert [r[0] for r in tools["rows"]] == ["0%", "5%"]
    for table in (rewards, tools):
        assert {"over refused", "useful", "calls made"} <= set(table["columns"])
    assert before_and_after["rows"][4:6] == [
        ["skimmer32, words, before", 72, 108, 0, 0],
        ["skimmer32, words, after", 162, 18, 0, 0],
    ]
    boundary, dose = found["curves"]
    assert [round(p["x"], 2) for p in boundary["series"][1]["points"]] == [0.1, 0.4]  # the start's own rates
    assert [p["value"] for p in boundary["series"][1]["points"]] == [0.0, 0.9]
    assert [p["value"] for p in dose["series"][0]["points"]] == [1.0, 0.05]
    assert figures(arms())["skimmer32"]["reg"]["value"] == 0.9
