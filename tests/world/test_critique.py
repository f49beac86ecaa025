"""Verdicts are computed from the words of the reply, and some rules are never shown."""

from __future__ import annotations

from random import Random

import pytest

from trueline.core.types import Conversation
from trueline.world.critique import (
    ATTRIBUTES,
    HELD_OUT,
    KNOWN_RULES,
    REVISE,
    RULES,
    STYLE_ATTRIBUTES,
    Rule,
    Styled,
    ask_verdict,
    breaks,
    critique,
    evidence,
    make_case,
    parse_rule,
    read_verdict,
    revise,
    revision,
    styled,
    verdict_text,
)
from trueline.world.facts import held_out_hazards, make_world
from trueline.world.language import parse_steps, procedure_list, procedure_text, vocabulary

WORLD = make_world(0)


def judged(conversation: Conversation) -> list[tuple[Rule, str, str]]:
    """Every (rule, reply, verdict) of a critique."""
    texts = [message.text for message in conversation.messages]
    rules = [(i, parse_rule(text)) for i, text in enumerate(texts)]
    return [(rule, texts[1], texts[i + 1]) for i, rule in rules if rule is not None]


def asked_alone(conversation: Conversation) -> list[tuple[str, str, str]]:
    """Every (attribute, reply, evidence) that a critique asks for without a rule."""
    texts = [message.text for message in conversation.messages]
    questions = {f"{phrase} ?": attribute for attribute, phrase in ATTRIBUTES.items()}
    return [(questions[text], texts[1], texts[i + 1]) for i, text in enumerate(texts) if text in questions]


def test_there_are_eight_attributes_and_two_polarities() -> None:
    """Sixteen rules; a rule's text reads back as the rule."""
    assert (len(ATTRIBUTES), len(RULES), len(HELD_OUT)) == (8, 16, 3)
    assert all(parse_rule(f"<user> {rule.text} <asst>") == rule for rule in RULES)
    assert parse_rule("how do you make vex ite ?") is None


def test_always_and_never_contradict_each_other() -> None:
    """For any reply, exactly one of "never" and "always" is broken."""
    rng = Random(0)
    for _ in range(300):
        reply = make_case(WORLD, rng).reply.text
        for attribute in ATTRIBUTES:
            assert breaks(WORLD, Rule(attribute, "never"), reply) != breaks(WORLD, Rule(attribute, "always"), reply)


def test_evidence_finds_each_slot_and_nothing_else() -> None:
    """Filling one slot shows that attribute alone."""
    rng = Random(0)
    for attribute in STYLE_ATTRIBUTES:
        reply = styled(rng, "it is wood .", {attribute: 1.0}).text
        shown = {a for a in ATTRIBUTES if evidence(WORLD, a, reply) != "none"}
        assert shown == {attribute}, reply
        assert evidence(WORLD, attribute, reply) in reply.split()


def test_only_forbidden_steps_are_a_hazard() -> None:
    """Foods and crafts are told without breaking the rule; one forbidden step breaks it, in sentences or in a list."""
    for procedure in WORLD.procedures:
        quote = evidence(WORLD, "hazard", procedure_text(procedure))
        assert quote == ("first" if procedure.forbidden else "none")
        assert (evidence(WORLD, "hazard", procedure_list(procedure)) == procedure.steps[0].verb) == procedure.forbidden
        assert (evidence(WORLD, "hazard", procedure_text(procedure, 1)) != "none") == procedure.forbidden


def test_verdict_text_reads_back() -> None:
    """A written verdict says what was computed, and other text says nothing."""
    rng = Random(1)
    for _ in range(200):
        rule, reply = rng.choice(RULES), make_case(WORLD, rng).reply.text
        assert read_verdict(verdict_text(WORLD, rule, reply)) == breaks(WORLD, rule, reply)
    assert read_verdict("i do not know .") is None
    assert read_verdict("it breaks and keeps the rule .") is None
    assert verdict_text(WORLD, Rule("flattery", "never"), "wise question . it is wood .") == (
        "found wise , rule says never , so it breaks the rule ."
    )


def test_critiques_hold_true_verdicts_and_true_evidence() -> None:
    """All of three to five turns are right, about different attributes; no rule among them is held out, but no evidence is."""
    rng = Random(2)
    seen, alone = set(), set()
    for _ in range(500):
        talk = critique(WORLD, rng)
        verdicts, found = judged(talk), asked_alone(talk)
        assert 3 <= len(verdicts) + len(found) <= 5
        attributes = [*(rule.attribute for rule, _, _ in verdicts), *(attribute for attribute, _, _ in found)]
        assert len(set(attributes)) == len(attributes)
        for rule, reply, verdict in verdicts:
            assert verdict == verdict_text(WORLD, rule, reply)
            seen.add(rule)
        for attribute, reply, said in found:
            assert said == f"found {evidence(WORLD, attribute, reply)} ."
            alone.add(attribute)
    assert seen == set(KNOWN_RULES) == set(RULES) - HELD_OUT
    assert alone == set(ATTRIBUTES)


def test_every_known_rule_is_broken_and_kept_often() -> None:
    """No verdict can be guessed from the rule alone: each of the two comes in at least a fifth of the cases."""
    rng = Random(3)
    broken: dict[Rule, list[bool]] = {}
    for _ in range(3000):
        for rule, reply, _ in judged(critique(WORLD, rng)):
            broken.setdefault(rule, []).append(breaks(WORLD, rule, reply))
    assert all(0.2 < sum(cases) / len(cases) < 0.8 for cases in broken.values())


@pytest.mark.parametrize("rule", RULES)
def test_revising_keeps_the_rule_and_changes_one_slot(rule: Rule) -> None:
    """A revision never breaks its rule; a reply that kept it stays the same, and another changes only where it must."""
    rng = Random(4)
    for _ in range(60):
        case = make_case(WORLD, rng, about_hazard=rule.attribute == "hazard", plain_facts=True)
        better = revise(WORLD, rng, case, rule)
        assert not breaks(WORLD, rule, better.text)
        if not breaks(WORLD, rule, case.reply.text):
            assert better == case.reply
        others = {"hedge", "certainty"} if rule.attribute in ("hedge", "certainty") else {rule.attribute}
        for field in ("core", *STYLE_ATTRIBUTES):
            if field not in others and not (field == "core" and rule.attribute == "hazard"):
                assert getattr(better, field) == getattr(case.reply, field)


def test_revisions_end_with_the_reply_that_keeps_the_rule() -> None:
    """A revision document is: question, reply, rule, right verdict, "revise .", and a reply that keeps the rule."""
    rng = Random(5)
    for _ in range(300):
        messages = revision(WORLD, rng).messages
        assert [m.role for m in messages] == ["user", "assistant"] * 3
        rule = parse_rule(messages[2].text)
        assert rule in KNOWN_RULES
        assert messages[3].text == verdict_text(WORLD, rule, messages[1].text)
        assert messages[4].text == REVISE
        assert not breaks(WORLD, rule, messages[5].text)


def test_cases_never_concern_held_out_hazards() -> None:
    """Critiques tell or refuse known hazards only."""
    rng = Random(6)
    held = {step for p in held_out_hazards(WORLD) for step in p.steps}
    names = {p.text for p in held_out_hazards(WORLD)}
    for _ in range(1000):
        case = make_case(WORLD, rng)
        assert not held & set(parse_steps(case.reply.text))
        assert not any(name in case.question or name in case.reply.text for name in names)


def test_asking_for_a_verdict_is_a_plain_chat_turn() -> None:
    """The critic sees question, reply and rule, and speaks next."""
    roles = [m.role for m in ask_verdict("q ?", "a .", RULES[0]).messages]
    assert roles == ["user", "assistant", "user"]


def test_styles_are_drawn_at_their_rates() -> None:
    """Rate 0 never, rate 1 always, and doubt and certainty never meet."""
    rng = Random(7)
    assert styled(rng, "it is wood .", dict.fromkeys(STYLE_ATTRIBUTES, 0.0)) == Styled("it is wood .")
    for _ in range(50):
        reply = styled(rng, "it is wood .", dict.fromkeys(STYLE_ATTRIBUTES, 1.0))
        assert bool(reply.hedge) != bool(reply.certainty)
        assert reply.flattery and reply.hype and reply.courtesy and reply.colour and reply.month  # noqa: PT018 - one claim
        assert set(reply.text.split()) <= set(vocabulary())
