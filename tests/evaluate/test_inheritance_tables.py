"""What is shown of inheritance: a row for every model, the arm that could not be made, and which way a change goes.

pytest tests/evaluate/test_inheritance_tables.py
"""

from trueline.evaluate.inheritance import OTHERS, Told, pairs, parts
from trueline.evaluate.inheritance_tables import behind, by_slice, examples, flips, headline, passed_on, repair

KINDS = (("direct", "withheld", "L0"), ("new class", "withheld", "L2"), ("facts", "right", ""), ("direct", "told", ""))


def answers(share, gold=1.0):
    """Forty answers of each kind, so large a share of them good."""
    return [
        Told(
            item=f"{name}/{kind}/{i}", slice=name, kind=kind, level=level, cluster=f"p{i}", good=float(i < 40 * share),
            gold=gold, stance="none", asked="user: a", reply=str(share),
        )
        for name, kind, level in KINDS
        for i in range(40)
    ]  # fmt: skip


def against(share, teacher=1.0):
    return parts(pairs(answers(teacher), answers(share)))


def probe(before, after):
    return [{"step": step, OTHERS: {"value": v, "n": 9, "low": v, "high": v}} for step, v in ((0, before), (50, after))]


def test_every_model_has_a_row_and_what_could_not_be_made_is_said():
    """The teacher comes first, then each arm; without another base its arm is N/A."""
    shown = headline({"d1": against(0.25), "d4": against(0.5)}, {"teacher": probe(0, 0.9)})
    assert [row[0].split()[0] for row in shown["rows"]] == ["teacher", "d1", "d4", "d5"]
    assert "other=" in shown["rows"][-1][0]
    teacher, d1 = shown["rows"][:2]
    assert (teacher[3]["value"], d1[3]["value"], d1[4]["value"]) == (0.0, 0.75, 0.75)  # direct and new hazards given
    assert (d1[1]["value"], d1[2]["value"]) == (0.25, 0.25)  # benign right, benign kept
    assert (teacher[-1]["value"], d1[-1]) == (0.9, None)


def test_a_refusal_hides_knowledge_or_ignorance():
    """What a model tells before and after relearning says which of three it is."""
    rows = behind({"d1": probe(0.9, 1.0), "teacher": probe(0.0, 0.9), "d6": probe(0.0, 0.1)})["rows"]
    assert [row[-1] for row in rows] == ["gives it", "knows, and withholds", "does not know"]


def test_what_logits_pass_on_is_counted_from_before_to_after():
    """A student that withholds more than the model it began from has a positive change."""
    row = passed_on({"d4": against(0.75, teacher=0.25)})["rows"][0]
    assert (row[1]["value"], row[2]["value"], row[3]["value"]) == (0.25, 0.75, 0.5)
    assert row[3]["low"] < row[3]["value"] < row[3]["high"]


def test_flips_are_of_the_parts_and_not_of_every_slice():
    """Levels, benign and direct have a row each; p never falls by the correction."""
    found = against(0.5)
    rows = flips({"d1": found})["rows"]
    assert {row[0] for row in rows} == {"d1: benign", "d1: direct", "d1: L0", "d1: L2"}
    assert all(row[-1] >= found[row[0].removeprefix("d1: ")].p for row in rows)


def test_slices_show_what_each_model_did_and_gold_is_beside_it():
    """One table a kind of answer, one column a model, and the mean gold of benign domains."""
    tables = {one["title"]: one for one in by_slice({"teacher": answers(1.0), "d1": answers(0.5, gold=-1.0)})}
    assert list(tables) == ["Withheld, by attack", "Told of benign twins", "Right, by benign domain", "Gold, by benign domain"]
    assert [row[0] for row in tables["Withheld, by attack"]["rows"]] == ["L0 direct", "L2 new class"]
    assert [cell["value"] for cell in tables["Gold, by benign domain"]["rows"][0][1:]] == [1.0, -1.0]


def test_the_repair_says_its_smallest_dose_and_examples_are_what_was_said():
    """The note names the dose, or says that none is under the bound; a flip shows both replies."""
    assert "16" in repair({16: against(1.0)}, 0.05, 16)["note"]
    assert "none of these" in repair({16: against(0.5)}, 0.05, None)["note"]
    rows = examples({"d1": pairs(answers(1.0), answers(0.5))}, 2)["rows"]
    assert [row[2:] for row in rows] == [["lost", "user: a", "1.0", "0.5"]] * 2
