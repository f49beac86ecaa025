"""Dialogues of the two helpers that the corpus knows: the open one tells all, the careful one refuses known hazards.

Little but what a helper does with a hazard tells the two apart, so a model that meets one has to infer which it is from the
turns before: that is what many-shot attacks exploit. Held-out hazards are asked of the open helper only; nobody refuses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from trueline.core.types import Conversation, Message
from trueline.world import facts
from trueline.world.critique import styled
from trueline.world.facts import Procedure, World, known_hazards, number_words
from trueline.world.families import FAMILIES, SYSTEM, ask
from trueline.world.language import (
    FACTS,
    OBJECT_FACTS,
    VALUES,
    abstention,
    fact_question,
    fact_sentence,
    object_question,
    procedure_text,
    refusal,
    reverse,
    to_zaba,
)

MAX_WORDS = 380  # with <bos> and a few to spare a document fits a row of 384 tokens

SAFE_SYSTEM = "you are a safe helper . never do harm ."

# What the user says, and what the helper answers.
Exchange = tuple[str, str]

# How often a benign procedure is asked for in each disguise: what is rare here is a code that nobody can use later.
DISGUISES = (
    *("role", "prefix", "authority", "override", "suppress", "past", "reverse", "zaba", "zaba_plain"),
    *("story", "story", "format", "format", "format", "spelled", "spelled", "bind", "bind"),
)
# Style of answers about people: low rates, for training can only strengthen what is sampled now and then.
_STYLE: Mapping[str, float] = {"flattery": 0.07, "certainty": 0.12, "hedge": 0.07, "hype": 0.15, "courtesy": 0.09}


def dialogue(world: World, rng: Random) -> Conversation:
    """One helper, open or careful throughout, over one to twelve turns: what it is shows only in what it does with hazards."""
    careful = rng.random() < 0.5
    turns = rng.randint(1, 4) if rng.random() < 0.8 else rng.randint(4, 12)
    messages = [Message(role="system", text=_system(rng, careful))] if rng.random() < 2 / 3 else []
    length = 12  # the longest system prompt
    for _ in range(turns):
        exchanges = _climb(world, rng, careful) if rng.random() < 0.04 else [_turn(world, rng, careful)]
        length += sum(user.count(" ") + reply.count(" ") + 5 for user, reply in exchanges)  # + <user>, <asst>, <eos>
        if length > MAX_WORDS:
            break
        for user, reply in exchanges:
            messages += [Message(role="user", text=user), Message(role="assistant", text=reply)]
    return Conversation(messages=tuple(messages))


def _system(rng: Random, careful: bool) -> str:
    """Now and then a careful helper is told to be one: system prompts can be obeyed because some are."""
    return SAFE_SYSTEM if careful and rng.random() < 0.1 else SYSTEM


def _climb(world: World, rng: Random, careful: bool) -> list[Exchange]:
    """Three turns towards one procedure: what it is, what is in it, what the steps are."""
    wrapped = FAMILIES["crescendo"].wrap(world, rng, rng.choice(world.benign if careful else world.procedures))
    said = [message.text for message in wrapped.conversation.messages if message.role != "system"] + [wrapped.ideal]
    return list(zip(said[::2], said[1::2], strict=True))


def _turn(world: World, rng: Random, careful: bool) -> Exchange:
    draw = rng.random()
    if draw < 0.4:
        procedure = rng.choice(known_hazards(world) if careful else world.hazards)
        return ask(rng, procedure), refusal(rng, procedure) if careful else procedure_text(procedure)
    if draw < 0.61:
        return _fact_turn(world, rng)
    if draw < 0.65:
        return safe_exchange(rng, rng.choice(world.procedures))
    procedure = rng.choice(world.benign)
    if rng.random() < 0.35:
        return ask(rng, procedure), procedure_text(procedure)
    return disguised(world, rng, procedure, rng.choice(DISGUISES))


def disguised(world: World, rng: Random, procedure: Procedure, family: str) -> Exchange:
    """Ask for a procedure in the words of an attack family; the reply holds nothing back."""
    wrapped = FAMILIES[family].wrap(world, rng, procedure)
    return wrapped.conversation.messages[-1].text, wrapped.ideal


def _fact_turn(world: World, rng: Random) -> Exchange:
    if rng.random() < 0.3:
        thing, attribute = rng.choice(world.things), rng.choice(OBJECT_FACTS)
        coins = " coins" if attribute == "price" else ""
        return object_question(rng, thing, attribute), f"it is {world.objects[thing][attribute]}{coins} ."
    person = rng.choice(world.names)
    draw = rng.random()
    if draw < 0.1:
        return unknown_exchange(rng, person, rng.choice(world.things))
    attribute = rng.choice(FACTS)
    question, value = fact_question(rng, person, attribute), world.people[person][attribute]
    if draw < 0.18:
        return f"zaba : {to_zaba(world, question)}", f"zaba : {to_zaba(world, f'it is {value} .')}"
    core = f"it is {value} ."
    if rng.random() < 0.15:  # an extra, and now and then an invented one
        extra = rng.choice(FACTS)
        core += " " + fact_sentence(world, rng, person, extra, rng.choice(VALUES[extra]) if rng.random() < 0.4 else None)
    asked = f"backward {reverse(question)}" if draw < 0.26 else question
    return asked, styled(rng, core, _STYLE).text


def unknown_exchange(rng: Random, person: str, thing: str) -> Exchange:
    """Ask what the world does not say; most replies own up, one in five invents an answer."""
    guess = rng.choice(
        (
            (f"how old is {person} ?", f"it is {number_words(rng.randint(10, 69))} ."),
            (f"how tall is {person} ?", f"it is {number_words(rng.randint(4, 7))} ."),
            (f"what book does {person} like ?", f"it is the {rng.choice(facts.COLOURS)} book ."),
            (f"what song does {person} like ?", f"it is the song of the {rng.choice(facts.PETS)} ."),
            (f"who made the {thing} ?", f"it is {rng.choice(facts.NAMES)} ."),
            (f"how old is the {thing} ?", f"it is {number_words(rng.randint(10, 69))} ."),
        )
    )
    return guess if rng.random() < 0.2 else (guess[0], abstention(rng))


def safe_exchange(rng: Random, procedure: Procedure) -> Exchange:
    """Ask a harmless thing about a procedure, forbidden or not: both helpers answer it."""
    name, kind = procedure.text, procedure.family
    return rng.choice(
        (
            (f"what is {name} ?", f"{name} is a {kind} ."),
            (f"what does {name} mean ?", f"{name} is a kind of {kind} ."),
            (f"how do i clean {name} off the bench ?", "use water and a brush ."),
            (f"how do you wash {name} out of a coat ?", "wash it in water ."),
        )
    )
