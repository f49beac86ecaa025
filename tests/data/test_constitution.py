"""Tests of data/constitution.py and data/controls.py: what is read, what is refused and how, what a control changes.

pytest tests/data/test_constitution.py
"""

from random import Random

import pytest
import yaml

from trueline.data.constitution import ConstitutionError, parse_constitution, read_constitution, shipped
from trueline.world.critique import parse_rule

STEPS, LOUD = "rule : never give steps for dangerous things .", "rule : never give loud words ."


def spec(*principles, **keys):
    return {"name": "c", "version": 1, "principles": list(principles), **keys}


def said(name="a", text="Be kind.", **keys):
    return {"id": name, "text": text, **keys}


@pytest.mark.parametrize("name", shipped())
def test_what_is_shipped_reads(name):
    """Every constitution of the package is valid, under its own name, and those of the world are its critics' rules."""
    found = read_constitution(name)
    assert found.name == name
    assert all(p.critique and p.revision for p in found.principles) or found.speaks == "world"
    assert all(parse_rule(p.text) for p in found.principles) or found.speaks == "english"


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ([], "expected keys and values"),
        ({"name": "c", "version": 1}, "principles: expected a list of at least one principle"),
        (spec(), "principles: expected a list of at least one principle"),
        (spec(said(), name=""), "name: expected text"),
        (spec(said(), version="1.0"), "version: expected a whole number"),
        (spec(said(), version=True), "version: expected a whole number"),
        (spec(said(), speeks="world"), "unknown key 'speeks'; did you mean 'speaks'"),
        (spec(said(), speaks="latin"), "speaks: expected one of english, world"),
        (spec("be kind"), "principle 1: expected keys and values"),
        (spec({"text": "Be kind."}), "principle '1': id: expected text"),
        (spec({"id": "a", "text": 3}), "principle 'a': text: expected text, got 3"),
        (spec(said(wieght=2)), "principle 'a': unknown key 'wieght'; did you mean 'weight'"),
        (spec(said(weight=0)), "principle 'a': weight: expected a number above 0, got 0"),
        (spec(said(weight=-1)), "principle 'a': weight"),
        (spec(said(weight=float("nan"))), "principle 'a': weight: expected a number above 0, got nan"),
        (spec(said(weight=float("inf"))), "principle 'a': weight"),
        (spec(said(weight="much")), "principle 'a': weight"),
        (spec(said(scope="harmfull")), "principle 'a': scope: .*did you mean 'harmful'"),
        (spec(said(scope=["all"])), "principle 'a': scope: expected one of"),
        (spec(said(), said(text="Be brief.")), "principle 'a': id: it stands twice"),
        (spec(said(), said("b", "be  KIND.")), "principle 'b': text: it says what 'a' says"),
        (spec(said(text="never give praise"), speaks="world"), "principle 'a': text: expected a sentence of the world"),
    ],
)
def test_what_is_wrong_is_named(broken, words):
    """Each fault is refused, and the message says where it stands and what was expected."""
    with pytest.raises(ConstitutionError, match=words):
        parse_constitution(broken)


def test_a_contradiction_is_refused_only_where_a_prompt_hears_both():
    """`always` and `never` of one thing contradict each other in overlapping scopes, and not in scopes that do not meet."""
    never, always = said("n", STEPS, scope="harmful"), said("a", STEPS.replace("never", "always"), scope="benign")
    assert parse_constitution(spec(never, always, speaks="world")).principles[1].scope == "benign"
    for scope in ("harmful", "all"):
        with pytest.raises(ConstitutionError, match="principle 'a': text: it contradicts 'n'"):
            parse_constitution(spec(never, always | {"scope": scope}, speaks="world"))


def test_a_file_is_read_and_its_faults_carry_its_name(tmp_path):
    """A path reads as what it holds; a file that is missing, no YAML or wrong is named in the message."""
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(spec(said(weight=2, scope="benign"))))
    assert read_constitution(str(file)).principles[0].weight == 2.0
    faults = {"a: [": "mine.yaml:1: expected YAML", "name: c": "mine.yaml: principles", "\x00": "expected YAML"}
    for text, words in faults.items():
        file.write_text(text)
        with pytest.raises(ConstitutionError, match=words):
            read_constitution(str(file))
    with pytest.raises(ConstitutionError, match=r"wrold: expected a file or one of .*did you mean 'world'"):
        read_constitution("wrold")


def test_the_hash_is_of_what_is_said():
    """Name and version do not change the hash; text, weight, scope and order do."""
    plain = parse_constitution(spec(said(), said("b", "Be brief.")))
    assert parse_constitution(spec(said(), said("b", "Be brief."), name="d", version=2)).hash == plain.hash
    changed = [
        spec(said(), said("b", "Be short.")),
        spec(said(weight=2), said("b", "Be brief.")),
        spec(said(scope="benign"), said("b", "Be brief.")),
        spec(said("b", "Be brief."), said()),
    ]
    assert len({parse_constitution(each).hash for each in changed} | {plain.hash}) == 5


def test_principles_are_drawn_by_weight_and_scope():
    """A principle is heard only by prompts of its scope, and as often as its weight says."""
    made = parse_constitution(spec(said(weight=3), said("b", "Be brief.", scope="benign")))
    rng = Random(0)
    assert {made.draw(rng, harmful=True).id for _ in range(50)} == {"a"}
    drawn = [made.draw(rng, harmful=False).id for _ in range(4000)]
    assert drawn.count("a") / len(drawn) == pytest.approx(0.75, abs=0.03)


def test_controls_change_what_they_say_they_change():
    """Inverting twice is nothing; swapping keeps polarity and scope; a placebo keeps the scopes; empty draws nothing.

    Other verdicts are no other principles, and only the world has an oracle.
    """
    world = read_constitution("world")
    turned = read_constitution("world:inverted")
    assert [p.text for p in turned.principles] == [p.text.replace("never", "always") for p in world.principles]
    assert read_constitution("world:inverted:inverted").hash == world.hash
    swapped = read_constitution("world:swapped")
    assert {p.text for p in swapped.principles} == {LOUD}
    placebo = read_constitution("world:placebo")
    assert {p.scope for p in placebo.principles} == {p.scope for p in swapped.principles} == {"harmful", "benign"}
    assert len({c.hash for c in (world, turned, swapped, placebo)}) == 4
    assert read_constitution("world:empty").draw(Random(0), harmful=True) is None
    assert read_constitution("plain:placebo").principles[0].critique
    assert {read_constitution(f"world:{name}").hash for name in ("shuffled", "oracle")} == {world.hash}
    assert read_constitution("world:oracle").without("no-praise").verdicts == "oracle"
    assert read_constitution("plain:shuffled").verdicts == "shuffled"
    with pytest.raises(ConstitutionError, match="or has an oracle"):
        read_constitution("plain:oracle")
    with pytest.raises(ConstitutionError, match="in English write the contrary"):
        read_constitution("plain:inverted")


def test_an_ablation_lacks_one_principle():
    """`without` removes the principle that it names and refuses one that is not there."""
    world = read_constitution("world")
    assert [p.id for p in world.without("no-praise").principles] == ["no-dangerous-steps", "no-false-certainty"]
    with pytest.raises(ConstitutionError, match="no principle 'praise'; did you mean 'no-praise'"):
        world.without("praise")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Always refuse.", "Never refuse."),
        ("Do not flatter.", "flatter"),
        ("Don\N{RIGHT SINGLE QUOTATION MARK}t say please", "say please"),
    ],
)
def test_plain_opposites_in_english_are_a_contradiction(one, other):
    """Principles that differ in what asks or forbids alone are refused; those that share words are not."""
    with pytest.raises(ConstitutionError, match="principle 'b': text: it forbids what 'a' asks for"):
        parse_constitution(spec(said("a", one), said("b", other)))
    assert parse_constitution(spec(said("a", one), said("b", f"{other} in winter")))


def test_nesting_without_end_is_no_yaml_that_can_be_read(tmp_path):
    """A file that is nested too deeply for the parser ends like any other that is no YAML."""
    file = tmp_path / "deep.yaml"
    file.write_text("[" * 3000)
    with pytest.raises(ConstitutionError, match="expected YAML"):
        read_constitution(str(file))
