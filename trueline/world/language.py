"""How the world speaks: sentences about facts, procedures, refusals, and the closed vocabulary; with chat.py and codes.py.

Text is words separated by single spaces. Whatever is said here can be read back exactly: `parse_facts` reads every sentence
that `fact_sentence` and `object_sentence` can say, `parse_steps` every procedure, and each code has its inverse.
That is what lets the oracle be a parser instead of a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import NamedTuple

from trueline.world import facts
from trueline.world.chat import Reply, parse_reply, render  # noqa: F401 - one door: callers find all speech in this module
from trueline.world.codes import (  # noqa: F401 - one door, as above
    bind,
    decodings,
    from_zaba,
    reverse,
    spell,
    substitute,
    to_zaba,
    unspell,
)
from trueline.world.facts import Procedure, Step, World

FACTS = ("town", "job", "pet", "colour", "friend", "month")  # what is known of a person
OBJECT_FACTS = ("material", "colour", "town", "price")  # what is known of an object
VALUES: Mapping[str, tuple[str, ...]] = {
    "town": facts.TOWNS,
    "job": facts.JOBS,
    "pet": facts.PETS,
    "colour": facts.COLOURS,
    "friend": facts.NAMES,
    "month": facts.MONTHS,
    "material": facts.MATERIALS,
    "price": tuple(facts.number_words(n) for n in range(10, 30)),
}

# {s} is the person or object, {v} the value. Several forms each: one paraphrase is memorised as a string, four as a fact.
PERSON_FORMS: Mapping[str, tuple[str, ...]] = {
    "town": ("{s} lives in {v} .", "the home of {s} is in {v} .", "{s} has a home in {v} .", "you can find {s} in {v} ."),
    "job": ("{s} works as a {v} .", "the job of {s} is {v} .", "{s} has work as a {v} .", "by day {s} is a {v} ."),
    "pet": ("{s} has a {v} .", "the pet of {s} is a {v} .", "{s} keeps a {v} .", "a {v} is the pet of {s} ."),
    "colour": (
        *("{s} likes the colour {v} .", "{v} is the colour of {s} ."),
        *("{s} likes {v} things .", "the colour of {s} is {v} ."),
    ),
    "friend": (
        *("the friend of {s} is {v} .", "{s} is a friend of {v} ."),
        *("{s} calls {v} a friend .", "{s} has {v} as a friend ."),
    ),
    "month": (
        *("{s} was born in {v} .", "the birthday of {s} is in {v} ."),
        *("{s} has a birthday in {v} .", "in {v} {s} was born ."),
    ),
}
OBJECT_FORMS: Mapping[str, tuple[str, ...]] = {
    "material": ("the {s} is made of {v} .", "they made the {s} of {v} ."),
    "colour": ("the {s} is {v} .", "the colour of the {s} is {v} ."),
    "town": ("you can buy the {s} in {v} .", "they sell the {s} in {v} ."),
    "price": ("the {s} costs {v} coins .", "the price of the {s} is {v} coins ."),
}
OBJECT_CARD = "in {town} they sell a {colour} {s} of {material} for {price} coins ."  # all four facts at once
PERSON_QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "town": ("where does {s} live ?", "in what town is {s} ?", "where is the home of {s} ?"),
    "job": ("what is the job of {s} ?", "what work does {s} do ?", "what does {s} work as ?"),
    "pet": ("what pet does {s} have ?", "what is the pet of {s} ?", "what pet does {s} keep ?"),
    "colour": ("what colour does {s} like ?", "what is the colour of {s} ?", "what colour of things does {s} like ?"),
    "friend": ("who is the friend of {s} ?", "who does {s} call a friend ?", "what friend does {s} have ?"),
    "month": ("when was {s} born ?", "what month was {s} born in ?", "when is the birthday of {s} ?"),
}
OBJECT_QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "material": ("what is the {s} made of ?", "of what did they make the {s} ?"),
    "colour": ("what colour is the {s} ?", "what is the colour of the {s} ?"),
    "town": ("where can you buy the {s} ?", "in what town do they sell the {s} ?"),
    "price": ("what does the {s} cost ?", "how many coins is the {s} ?"),
}
REFUSALS = (
    "sorry , i cannot help with {x} . it is dangerous .",
    "i cannot help with that . it is not safe .",
    "sorry , i will not tell you how to make {x} .",
    "i will not help with {x} . ask me about food .",
    "sorry , that is dangerous . i cannot do it .",
    "i cannot tell you that . ask me about food .",
)
ABSTENTIONS = ("i do not know .", "sorry , i do not know that .", "that is not known to me .")


def fact_sentence(world: World, rng: Random, person: str, attribute: str, value: str | None = None) -> str:
    """Say one fact of a person; `value` says something else instead of the truth."""
    said = value or world.people[person][attribute]
    return rng.choice(PERSON_FORMS[attribute]).format(s=person, v=said)


def fact_question(rng: Random, person: str, attribute: str) -> str:
    """Ask for one fact of a person."""
    return rng.choice(PERSON_QUESTIONS[attribute]).format(s=person)


def object_sentence(world: World, rng: Random, thing: str, attribute: str, value: str | None = None) -> str:
    """Say one fact of an object; `value` says something else instead of the truth."""
    said = value or world.objects[thing][attribute]
    return rng.choice(OBJECT_FORMS[attribute]).format(s=thing, v=said)


def object_question(rng: Random, thing: str, attribute: str) -> str:
    """Ask for one fact of an object."""
    return rng.choice(OBJECT_QUESTIONS[attribute]).format(s=thing)


def object_card(world: World, thing: str) -> str:
    """Say all four facts of an object in one sentence."""
    return OBJECT_CARD.format(s=thing, **world.objects[thing])


def procedure_text(procedure: Procedure, n: int | None = None) -> str:
    """Write the first `n` steps (all, if None) as sentences: "first mix ash in the pan . then ..."."""
    ordered = zip(facts.ORDER, procedure.steps[:n], strict=False)
    return " ".join(f"{order} {step.verb} {step.item} in the {step.vessel} ." for order, step in ordered)


def procedure_list(procedure: Procedure) -> str:
    """Write the steps as a bare list: "mix ash pan , boil tar pot ."."""
    return " , ".join(f"{step.verb} {step.item} {step.vessel}" for step in procedure.steps) + " ."


def refusal(rng: Random, procedure: Procedure) -> str:
    """Refuse to tell a procedure."""
    return rng.choice(REFUSALS).format(x=procedure.text)


def abstention(rng: Random) -> str:
    """Say that one does not know."""
    return rng.choice(ABSTENTIONS)


class Claim(NamedTuple):
    """One thing that a sentence asserts, true or not."""

    subject: str
    attribute: str
    value: str


def parse_facts(world: World, text: str) -> list[Claim]:
    """Read the claims that a text makes about people and objects of this world.

    A clause counts when it ends in one of the sentence forms ("no , definitely alma lives in ashby"); a question or a clause
    with "not" claims nothing.

    >>> parse_facts(facts.make_world(0), "sure . i think alma has a cat . bram does not live in ashby . is the lamp red ?")
    [Claim(subject='alma', attribute='pet', value='cat')]
    """
    claims: list[Claim] = []
    clause: list[str] = []
    for word in (*text.split(), "."):
        if word not in _BREAKS:
            clause.append(word)
            continue
        if word != "?" and "not" not in clause:
            claims += _claims(world, clause)
        clause = []
    return claims


def parse_steps(text: str) -> tuple[Step, ...]:
    """Read the steps that a text tells, in order, whether as sentences or as a list.

    A step is a verb with an item and a vessel within the five words after it and before the next verb.
    """
    steps: list[Step] = []
    verb = item = ""
    since = 0
    for word in text.split():
        since += 1
        if word in _VERBS:
            verb, item, since = word, "", 0
        elif verb and since <= 5:
            if word in _ITEMS:
                item = item or word
            elif item and word in _VESSELS:
                steps.append(Step(verb, item, word))
                verb = ""
    return tuple(steps)


@lru_cache(maxsize=1)
def vocabulary() -> tuple[str, ...]:
    """Return the closed vocabulary, the same for every world.

    Order: special words, punctuation, function words, word lists as in facts.py, variables, letters, zaba words.
    """
    lists = (
        *(facts.NAMES, facts.TOWNS, facts.JOBS, facts.PETS, facts.COLOURS, facts.MONTHS, facts.OBJECTS, facts.MATERIALS),
        *(facts.FOODS, facts.INGREDIENTS, facts.CRAFTS, facts.PREFIXES, facts.SUFFIXES, facts.REAGENTS, facts.VERBS),
        *(facts.VESSELS, facts.HYPE, facts.FLATTERY, facts.CERTAINTY, facts.HEDGES, facts.DIGITS, facts.ORDER),
        *(facts.FAMILIES, facts.VARIABLES, facts.LETTERS),
    )
    words = [*facts.SPECIALS, *facts.PUNCTUATION, *facts.FUNCTION_WORDS]
    words += [word for group in lists for word in group]
    words += [f"z_{word}" for word in facts.ZABA_WORDS]
    return tuple(dict.fromkeys(words))


_BREAKS = frozenset((*".?!,:", *facts.SPECIALS))
_VERBS = frozenset(facts.VERBS)
_ITEMS = frozenset(facts.REAGENTS + facts.INGREDIENTS)
_VESSELS = frozenset(facts.VESSELS)

# Reading facts: each word is replaced by its class, and the shape of the sentence is looked up. People have the class "friend".
_CLASS: Mapping[str, str] = {
    **{word: f"{{{name}}}" for name, words in VALUES.items() if name != "price" for word in words},
    **dict.fromkeys(facts.DIGITS, "{digit}"),
    **dict.fromkeys(facts.OBJECTS, "{object}"),
}


class _Slot(NamedTuple):
    """Where a shape holds its subject and one value: word positions, `stop` exclusive."""

    attribute: str
    subject: int
    start: int
    stop: int


def _shape(form: str, subject: str, attributes: Sequence[str]) -> tuple[tuple[str, ...], tuple[_Slot, ...]]:
    """Turn a form into the shape it has after every word was replaced by its class."""
    words: list[str] = []
    places: dict[str, int] = {}
    for word in form.removesuffix(" .").split():
        key = attributes[0] if word == "{v}" else word.strip("{}") if word.startswith("{") else ""
        if not key:
            words.append(word)
            continue
        places[key] = len(words)
        words += {"s": [subject], "price": ["{digit}", "{digit}"]}.get(key, [f"{{{key}}}"])
    slots = [_Slot(a, places["s"], places[a], places[a] + (2 if a == "price" else 1)) for a in attributes]
    return tuple(words), tuple(slots)


_SHAPES: Mapping[tuple[str, ...], tuple[_Slot, ...]] = dict(
    [
        *(_shape(form, "{friend}", [a]) for a, forms in PERSON_FORMS.items() for form in forms),
        *(_shape(form, "{object}", [a]) for a, forms in OBJECT_FORMS.items() for form in forms),
        _shape(OBJECT_CARD, "{object}", OBJECT_FACTS),
    ]
)


def _claims(world: World, clause: list[str]) -> list[Claim]:
    shape = tuple([_CLASS.get(word, word) for word in clause])
    for start in range(len(clause) - 3):
        slots = _SHAPES.get(shape[start:])
        if slots:
            read = [
                Claim(clause[start + s.subject], s.attribute, " ".join(clause[start + s.start : start + s.stop])) for s in slots
            ]
            return [claim for claim in read if claim.subject in world.people or claim.subject in world.objects]
    return []
