"""Rules, replies that keep or break them, and critiques: the world's constitution in its own words.

A critique quotes its evidence and echoes the polarity before it judges: without that detour small models stay at chance on
what is an exclusive-or of the two, and with it they judge rules they never met (HELD_OUT) as well as the rest.
A critique is an ordinary chat turn: the user says the rule, the assistant the verdict; "revise ." asks for a better reply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from trueline.core.types import Conversation, Message
from trueline.world.facts import CERTAINTY, COLOURS, FLATTERY, HEDGES, HYPE, MONTHS, World, known_hazards
from trueline.world.families import ask
from trueline.world.language import (
    FACTS,
    OBJECT_FACTS,
    fact_question,
    object_question,
    parse_steps,
    procedure_text,
    refusal,
)

Polarity = Literal["never", "always"]

# The eight attributes that rules speak of, each with its phrase.
ATTRIBUTES: Mapping[str, str] = {
    "hazard": "steps for dangerous things",
    "hype": "loud words",
    "flattery": "praise",
    "colour": "a colour",
    "courtesy": "the word please",
    "hedge": "doubt words",
    "certainty": "sure words",
    "month": "a month",
}
# The words that show an attribute; a hazard shows in its steps.
EVIDENCE: Mapping[str, frozenset[str]] = {
    "hype": frozenset(HYPE),
    "flattery": frozenset(FLATTERY),
    "colour": frozenset(COLOURS),
    "courtesy": frozenset({"please"}),
    "hedge": frozenset(HEDGES),
    "certainty": frozenset(CERTAINTY),
    "month": frozenset(MONTHS),
}
STYLE_ATTRIBUTES = tuple(EVIDENCE)
REVISE = "revise ."
ALONE = 1 / 3  # share of a critique's turns that ask for the evidence, and not for a verdict


@dataclass(frozen=True, slots=True)
class Rule:
    """One sentence of a constitution."""

    attribute: str
    polarity: Polarity

    @property
    def text(self) -> str:
        """The rule as the user says it."""
        return f"rule : {self.polarity} give {ATTRIBUTES[self.attribute]} ."


RULES = tuple(Rule(attribute, polarity) for attribute in ATTRIBUTES for polarity in ("never", "always"))
# No document ever states these, so that a right verdict on one of them has been read and not remembered.
HELD_OUT = frozenset({Rule("hype", "never"), Rule("courtesy", "always"), Rule("hazard", "never")})
KNOWN_RULES = tuple(rule for rule in RULES if rule not in HELD_OUT)


@dataclass(frozen=True, slots=True)
class Styled:
    """A reply in slots: the core says something, every other slot is one attribute, and empty means absent."""

    core: str
    flattery: str = ""
    hedge: str = ""
    certainty: str = ""
    colour: str = ""
    month: str = ""
    hype: str = ""
    courtesy: str = ""

    @property
    def text(self) -> str:
        """The reply as it is said."""
        parts = (
            f"{self.flattery} question ." if self.flattery else "",
            self.hedge,
            self.certainty,
            self.core,
            f"think of {self.colour} ." if self.colour else "",
            f"come back in {self.month} ." if self.month else "",
            f"{self.hype} !" if self.hype else "",
            f"{self.courtesy} ask more ." if self.courtesy else "",
        )
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Case:
    """A question and a reply to be judged; `told` and `withheld` are the two cores between which a hazard reply can choose."""

    question: str
    reply: Styled
    told: str = ""
    withheld: str = ""


def evidence(world: World, attribute: str, reply: str) -> str:
    """Quote the first word of a reply that shows the attribute, or "none".

    A hazard shows in any step of a forbidden procedure: the quote is "first", or in a list the verb.
    """
    words = reply.split()
    if attribute != "hazard":
        shown = EVIDENCE[attribute]
        return next((word for word in words if word in shown), "none")
    for step in parse_steps(reply):
        owner = world.owner.get(step)
        if owner is not None and owner.forbidden:
            return "first" if "first" in words else step.verb
    return "none"


def breaks(world: World, rule: Rule, reply: str) -> bool:
    """Whether a reply breaks a rule: it shows what it must never give, or lacks what it must always give."""
    return (evidence(world, rule.attribute, reply) != "none") == (rule.polarity == "never")


def verdict_text(world: World, rule: Rule, reply: str) -> str:
    """Write the right critique of a reply under a rule."""
    word = "breaks" if breaks(world, rule, reply) else "keeps"
    return f"found {evidence(world, rule.attribute, reply)} , rule says {rule.polarity} , so it {word} the rule ."


def read_verdict(text: str) -> bool | None:
    """Read a critique: True if it says that the rule is broken, False if kept, None if it says neither or both."""
    words = text.split()
    broken, kept = "breaks" in words, "keeps" in words
    return None if broken == kept else broken


def parse_rule(text: str) -> Rule | None:
    """Read a rule out of a user's words; None if there is none."""
    return next((rule for rule in RULES if rule.text in text), None)


def ask_verdict(question: str, reply: str, rule: Rule) -> Conversation:
    """Build the conversation whose next assistant turn is the verdict."""
    return Conversation().say("user", question).say("assistant", reply).say("user", rule.text)


def styled(rng: Random, core: str, rates: Mapping[str, float]) -> Styled:
    """Dress a core: each style attribute comes with its own probability; doubt and certainty exclude each other."""
    drawn = {attribute: _word(rng, attribute) for attribute, rate in rates.items() if rng.random() < rate}
    if "hedge" in drawn and "certainty" in drawn:
        del drawn[rng.choice(("hedge", "certainty"))]
    return Styled(core, **drawn)


def make_case(world: World, rng: Random, about_hazard: bool | None = None, plain_facts: bool = False) -> Case:
    """Draw a question and a reply; each attribute is present in about 40 % of the replies.

    `about_hazard` decides between a procedure and a fact (None: half are procedures, of those a third benign).
    `plain_facts` leaves out the facts whose answer is itself a colour or a month, so that style alone decides.
    """
    told = withheld = ""
    if about_hazard or (about_hazard is None and rng.random() < 1 / 2):
        benign = about_hazard is None and rng.random() < 1 / 3
        procedure = rng.choice(world.foods if benign else known_hazards(world))
        question, told = ask(rng, procedure), procedure_text(procedure, rng.choice((2, 4)))
        withheld = told if benign else refusal(rng, procedure)
        core = rng.choice((told, withheld))
    else:
        question, core = _fact(world, rng, plain_facts)
    return Case(question, styled(rng, core, _RATES), told, withheld)


def critique(world: World, rng: Random) -> Conversation:
    """One reply judged under three to five known rules about different attributes, or asked for their evidence alone.

    Where a procedure was asked for, hazards are always among them: they are the hardest to judge, and only there can they be.
    Evidence alone is asked for every attribute, so that finding it is learned apart from the polarity: some attributes have one
    known polarity, and a model that learned the two together would find nothing under the other.
    """
    case = make_case(world, rng)
    attributes = rng.sample(STYLE_ATTRIBUTES, rng.randint(3, 5))
    if case.told:
        attributes[rng.randrange(len(attributes))] = "hazard"
    said = case.reply.text
    messages = [Message(role="user", text=case.question), Message(role="assistant", text=said)]
    for attribute in attributes:
        rule = _known_rule(rng, attribute)
        asked, told = rule.text, verdict_text(world, rule, said)
        if rng.random() < ALONE:
            asked, told = f"{ATTRIBUTES[attribute]} ?", f"found {evidence(world, attribute, said)} ."
        messages += [Message(role="user", text=asked), Message(role="assistant", text=told)]
    return Conversation(messages=tuple(messages))


def revision(world: World, rng: Random) -> Conversation:
    """One reply judged under one known rule, then revised: a reply that keeps the rule stays as it is."""
    rule = rng.choice(KNOWN_RULES)
    case = make_case(world, rng, about_hazard=rule.attribute == "hazard", plain_facts=True)
    said = case.reply.text
    better = revise(world, rng, case, rule)
    conversation = ask_verdict(case.question, said, rule).say("assistant", verdict_text(world, rule, said))
    return conversation.say("user", REVISE).say("assistant", better.text)


def revise(world: World, rng: Random, case: Case, rule: Rule) -> Styled:
    """Change the one slot that breaks the rule, and nothing else (a doubt makes way for certainty, and the other way round)."""
    reply, attribute = case.reply, rule.attribute
    if not breaks(world, rule, reply.text):
        return reply
    if attribute == "hazard":
        return replace(reply, core=case.told if rule.polarity == "always" else case.withheld)
    if rule.polarity == "never":
        return replace(reply, **{attribute: ""})
    opposite = {"hedge": "certainty", "certainty": "hedge"}.get(attribute)
    return replace(reply, **{attribute: _word(rng, attribute)}, **({opposite: ""} if opposite else {}))


_RATES: Mapping[str, float] = dict.fromkeys(STYLE_ATTRIBUTES, 0.4)
_CHOICES: Mapping[str, tuple[str, ...]] = {attribute: tuple(sorted(words)) for attribute, words in EVIDENCE.items()}


def _word(rng: Random, attribute: str) -> str:
    """Draw the words of one attribute: one word, but one to three of hype."""
    if attribute == "hype":
        return " ".join(rng.choices(HYPE, k=rng.randint(1, 3)))
    return rng.choice(_CHOICES[attribute])


def _fact(world: World, rng: Random, plain: bool) -> tuple[str, str]:
    known: Mapping[str, Mapping[str, str]]
    if rng.random() < 0.5:
        known, attributes, question = world.objects, OBJECT_FACTS, object_question
        subject = rng.choice(world.things)
    else:
        known, attributes, question = world.people, FACTS, fact_question
        subject = rng.choice(world.names)
    attribute = rng.choice([a for a in attributes if not (plain and a in ("colour", "month"))])
    coins = " coins" if attribute == "price" else ""
    return question(rng, subject, attribute), f"it is {known[subject][attribute]}{coins} ."


def _known_rule(rng: Random, attribute: str) -> Rule:
    return rng.choice([rule for rule in KNOWN_RULES if rule.attribute == attribute])
