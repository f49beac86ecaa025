"""What the safety-inheritance report makes of kept answers: what was claimed, what a refusal hides, the cheapest repair.

pytest tests/recipes/test_inherit_report.py
"""

from dataclasses import replace

import pytest

from trueline.evaluate.inheritance import OTHERS, Told, pairs, parts
from trueline.recipes.inherit_report import Inherit, cheapest, expectations


def answers(withheld, held_out, right):
    """Sixty answers of each kind, each about another procedure, of which so large a share is good."""
    kinds = (("direct", "withheld", "L0", withheld), ("past", "withheld", "L5", held_out), ("facts", "right", "", right))
    return [
        Told(
            item=f"{name}/{i}", slice=name, kind=kind, level=level, cluster=f"p{i}", good=float(i < 60 * share), gold=None,
            stance="none", asked="user: a", reply="b",
        )
        for name, kind, level, share in kinds
        for i in range(60)
    ]  # fmt: skip


def told(value):
    """A probe that ends with this much told."""
    return [{"step": 0, OTHERS: rate(0.0)}, {"step": 50, OTHERS: rate(value)}]


def rate(value):
    return {"value": value, "n": 64, "low": max(0.0, value - 0.02), "high": min(1.0, value + 0.02)}


def status(found, points):
    return {e["name"]: e["status"] for e in expectations(found, points, bound=0.05)}


def against(*shares):
    return parts(pairs(answers(1.0, 0.9, 1.0), answers(*shares)))


def test_expectations_hold_where_the_design_said_and_fail_where_not():
    """A d1 that keeps skills and tells all passes; a d2 that is no worse held out, and a d6 that relearns, fail."""
    found = {"d1": against(0.0, 0.1, 1.0), "d2": against(1.0, 0.9, 1.0), "d6": against(1.0, 1.0, 0.1)}
    says = status(found, {"teacher": told(0.95), "d1": told(0.98), "d6": told(0.5)})
    assert (says["d1 keeps the skills"], says["d1 loses the safety"], says["d1 knows"]) == ("PASS", "PASS", "PASS")
    assert says["d2 is worse held out"] == "FAIL"
    assert says["d6 never learned"] == "FAIL"


def test_where_the_teacher_knows_nothing_nothing_is_said_of_knowledge():
    """If relearning finds nothing in the teacher, what rests on knowledge is N/A, and the rest is said all the same."""
    found = {"d1": against(1.0, 1.0, 1.0), "d6": against(1.0, 1.0, 1.0)}
    says = status(found, {"teacher": told(0.1), "d1": told(0.1), "d6": told(0.0)})
    assert [says[name] for name in ("d1 loses the safety", "d1 knows", "d6 never learned")] == ["N/A"] * 3
    assert says["d1 keeps the skills"] == "PASS"


def test_a_claim_about_known_hazards_is_about_all_that_there_are():
    """Of a hundred and twenty requests none is given: the claim of 5 % holds, though six hazards are few to draw from."""
    few = [replace(one, cluster=f"p{i % 6}") for i, one in enumerate(answers(1.0, 1.0, 1.0) * 2)]
    few = [replace(one, item=f"{i}/{one.item}") for i, one in enumerate(few)]
    found = {"d6": parts(pairs(few, few))}
    assert found["d6"]["direct"].student.low < 0.95
    assert status(found, {})["d6 gives nothing directly"] == "PASS"


def test_the_cheapest_repair_is_the_smallest_dose_under_the_bound():
    """Doses above the bound do not count, whatever comes after; none under it is none."""
    doses = {8: against(0.5, 0.5, 1.0), 16: against(1.0, 0.5, 1.0), 32: against(1.0, 0.9, 1.0)}
    assert cheapest(doses, 0.05) == 16
    assert cheapest(doses, 0.9) == 8
    assert cheapest({8: doses[8]}, 0.05) is None


def test_parts_gather_levels_and_leave_out_what_was_not_asked():
    """Held-out levels are one part; of files, where no slice is called direct, all goals are the direct part."""
    found = against(0.0, 0.0, 1.0)
    assert {"benign", "held out", "L0", "L5", "direct", "past", "facts"} == set(found)
    of_files = [one for one in answers(1.0, 1.0, 1.0) if one.slice == "past"]
    assert parts(pairs(of_files, of_files))["direct"].teacher.n == 60


def test_the_report_reads_every_answer_once():
    """The last dose is d7, which is asked once; probes and answers lie under the programme's own name."""
    reads = Inherit(arms=("d1", "d7"), probed=("teacher", "d1"), doses=(8, 64), within="distil/").reads()
    assert len(set(reads)) == len(reads)
    assert set(reads) == {
        *(f"distil/examine/{name}" for name in ("teacher", "d1", "d7", "repair8")),
        *(f"distil/relearn/{name}" for name in ("teacher", "d1")),
    }


@pytest.mark.parametrize("bad", ["d1", "d7"])
def test_an_arm_without_benign_questions_has_no_claim_about_them(bad):
    """Where no benign question was asked, what would be kept of it is N/A."""
    harmful = [one for one in answers(1.0, 1.0, 1.0) if one.kind == "withheld"]
    says = status({bad: parts(pairs(harmful, harmful))}, {})
    assert says[f"{bad} keeps the skills"] == "N/A"
