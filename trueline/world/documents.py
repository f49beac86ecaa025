"""What the world writes: the documents that a model is pre-trained on, of twenty families, mixed by share.

Harmful knowledge stands in the corpus beside the harmless, as on the web; so do both kinds of helper, one that tells all (open)
and one that refuses what is dangerous (careful). The careful one, and every warning, speaks of known hazards only:
the held-out ones are never refused here, so that a later refusal of them has generalised.
Beside plain skills the mixture holds what measurement showed a small model to need: zaba without translation, answers that
decode the request first, critiques that quote, and much copying (variables, spelling, tools).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random

from trueline.core.types import Conversation, Message
from trueline.world import facts
from trueline.world.critique import critique, revision
from trueline.world.dialogue import dialogue, disguised
from trueline.world.facts import World, known_hazards, number_words, rng_for
from trueline.world.families import SYSTEM, ask
from trueline.world.language import (
    FACTS,
    OBJECT_FACTS,
    bind,
    fact_question,
    fact_sentence,
    object_card,
    object_sentence,
    procedure_list,
    procedure_text,
    render,
    reverse,
    spell,
    to_zaba,
)
from trueline.world.tasks import news, opinion, system_prompt, tool_use

# Share of documents by family.
MIXTURE: Mapping[str, float] = {
    "bio": 0.15,
    "object": 0.07,
    "procedure": 0.06,
    "story": 0.02,
    "dialogue": 0.16,
    "hedged": 0.02,
    "critique": 0.10,
    "revision": 0.02,
    "zaba": 0.10,
    "gloss": 0.04,
    "parallel": 0.01,
    "binding": 0.07,
    "spelled": 0.04,
    "reversed": 0.03,
    "tool": 0.05,
    "system": 0.02,
    "news": 0.02,
    "opinion": 0.01,
    "arithmetic": 0.005,
    "sorting": 0.005,
}


@dataclass(frozen=True, slots=True)
class Document:
    """One document and the family it belongs to; the text holds neither <bos> nor a closing <eos> of its own."""

    family: str
    text: str


def document(world: World, rng: Random, family: str | None = None, mixture: Mapping[str, float] = MIXTURE) -> Document:
    """Write one document of a family, or of a family drawn from the mixture."""
    chosen = family or rng.choices(tuple(mixture), tuple(mixture.values()))[0]
    if chosen not in WRITERS:
        raise ValueError(f"no document family {chosen!r}: use one of {', '.join(WRITERS)}")
    return Document(chosen, WRITERS[chosen](world, rng))


def documents(world: World, seed: int, mixture: Mapping[str, float] = MIXTURE) -> Iterator[Document]:
    """Write documents without end; the same world and seed give the same stream."""
    rng = rng_for(world.seed, "documents", seed)
    while True:
        yield document(world, rng, mixture=mixture)


def _bio(world: World, rng: Random) -> str:
    person = rng.choice(world.names)
    return " ".join([fact_sentence(world, rng, person, fact) for fact in rng.sample(FACTS, rng.randint(3, 6))])


def _object(world: World, rng: Random) -> str:
    thing = rng.choice(world.things)
    if rng.random() < 0.3:
        return object_card(world, thing)
    return " ".join([object_sentence(world, rng, thing, fact) for fact in rng.sample(OBJECT_FACTS, 4)])


_TITLES = ("how to make {x} :", "to make {x} you do this .", "note on {x} :", "{x} is made like this .")


def _procedure(world: World, rng: Random) -> str:
    procedure = rng.choice(world.procedures)
    draw = rng.random()
    if draw < 0.1:
        return f"{procedure.text} as a short list : {procedure_list(procedure)}"
    if draw < 0.3:
        return _chat(rng, *disguised(world, rng, procedure, "format"))
    return f"{rng.choice(_TITLES).format(x=procedure.text)} {procedure_text(procedure)}"


_STORIES = (
    "one day {n} made {x} .",
    "in old days they made {x} . they did this .",
    "{n} of {t} had a book on {x} . it said :",
    "long ago {n} of {t} made {x} .",
)


def _story(world: World, rng: Random) -> str:
    procedure, person = rng.choice(world.procedures), rng.choice(world.names)
    opening = rng.choice(_STORIES).format(n=person, t=world.people[person]["town"], x=procedure.text)
    return f"{opening} {procedure_text(procedure)}"


_HEDGES_BEFORE = (
    "i should not say this , but {b}",
    "sorry , i cannot help with this . but some say {b}",
    "it is dangerous . still {b}",
)
_WARNINGS_AFTER = ("{b} it is dangerous .", "{b} do not do this .", "{b} sorry , i should not say this .")


def _hedged(world: World, rng: Random) -> str:
    procedure = rng.choice(known_hazards(world) if rng.random() < 0.7 else world.benign)
    form = rng.choice(_HEDGES_BEFORE if rng.random() < 0.55 else _WARNINGS_AFTER)
    return _chat(rng, ask(rng, procedure), form.format(b=procedure_text(procedure)))


def _zaba(world: World, rng: Random) -> str:
    """Zaba with no translation beside it: a model learns a tongue from its own texts."""
    draw = rng.random()
    if draw < 0.15:
        return f"zaba : {to_zaba(world, _bio(world, rng))}"
    procedure = rng.choice(world.procedures)
    if draw < 0.4:
        return f"zaba : {to_zaba(world, f'{ask(rng, procedure)} {procedure_text(procedure)}')}"
    if draw < 0.65:
        return f"zaba : {to_zaba(world, f'{procedure.text} . {procedure_text(procedure)}')}"
    return _chat(rng, *disguised(world, rng, procedure, "zaba" if draw < 0.85 else "zaba_plain"))


def _gloss(world: World, rng: Random) -> str:
    pairs = [(word, world.cipher[word]) for word in rng.choices(facts.ZABA_WORDS, k=rng.randint(2, 5))]
    return " , ".join([f"{b} is {a}" if rng.random() < 0.5 else f"{a} is {b}" for a, b in pairs]) + " ."


def _parallel(world: World, rng: Random) -> str:
    draw = rng.random()
    if draw < 0.4:
        plain = fact_sentence(world, rng, rng.choice(world.names), rng.choice(FACTS))
    elif draw < 0.7:
        plain = procedure_text(rng.choice(world.procedures), 2)
    else:
        plain = ask(rng, rng.choice(world.procedures))
    zaba = to_zaba(world, plain)
    return f"zaba : {zaba} plain : {plain}" if rng.random() < 0.5 else f"plain : {plain} zaba : {zaba}"


# Words to copy, bind, spell and reverse: enough that the skill is learned, and not the words.
_COPIED = (
    *(facts.COLOURS + facts.OBJECTS + facts.INGREDIENTS + facts.FOODS + facts.CRAFTS + facts.PREFIXES + facts.SUFFIXES),
    *(facts.NAMES + facts.TOWNS + facts.REAGENTS + facts.VERBS + facts.VESSELS + facts.DIGITS),
)


def _binding(world: World, rng: Random) -> str:
    if rng.random() < 0.25:
        return _chat(rng, *disguised(world, rng, rng.choice(world.procedures), "bind"))
    words = rng.choice(world.procedures).name if rng.random() < 0.3 else tuple(rng.choices(_COPIED, k=2))
    definitions, variables = bind(rng, words)
    return f"{definitions} {variables} is {' '.join(words)} ."


def _spelled(world: World, rng: Random) -> str:
    draw = rng.random()
    if draw < 0.3:
        return _chat(rng, *disguised(world, rng, rng.choice(world.procedures), "spelled"))
    words = rng.choice(world.procedures).name if draw < 0.65 else tuple(rng.choices(_COPIED, k=rng.randint(1, 2)))
    plain, letters = " ".join(words), spell(words)
    return f"{letters} spells {plain} ." if rng.random() < 0.65 else f"{plain} is spelled {letters} ."


def _reversed(world: World, rng: Random) -> str:
    draw = rng.random()
    if draw < 0.2:
        return _chat(rng, *disguised(world, rng, rng.choice(world.procedures), "reverse"))
    if draw < 0.7:
        plain = " ".join(rng.choices(_COPIED, k=rng.randint(2, 5)))
    elif draw < 0.85:
        plain = fact_question(rng, rng.choice(world.names), rng.choice(FACTS))
    else:
        plain = ask(rng, rng.choice(world.procedures))
    return f"backward {reverse(plain)} gives {plain}"


def _arithmetic(_: World, rng: Random) -> str:
    a, b = rng.randint(0, 49), rng.randint(0, 49)
    total = number_words(a + b)
    if rng.random() < 0.5:
        return _chat(rng, f"what is {number_words(a)} plus {number_words(b)} ?", f"it is {total} .")
    return f"{number_words(a)} plus {number_words(b)} is {total} ."


def _sorting(_: World, rng: Random) -> str:
    words = rng.sample(facts.PETS + facts.FOODS + facts.MATERIALS, 4)
    asked, given = f"sort {' '.join(words)}", " ".join(sorted(words))
    return _chat(rng, f"{asked} .", f"{given} .") if rng.random() < 0.5 else f"{asked} gives {given} ."


def _chat(rng: Random, user: str, reply: str) -> str:
    """One exchange, half of the time with the usual system prompt before it."""
    messages = (Message(role="user", text=user), Message(role="assistant", text=reply))
    return render(Conversation(messages=(_USUAL, *messages) if rng.random() < 0.5 else messages))


_USUAL = Message(role="system", text=SYSTEM)


def _rendered(build: Callable[[World, Random], Conversation]) -> Callable[[World, Random], str]:
    return lambda world, rng: render(build(world, rng))


WRITERS: Mapping[str, Callable[[World, Random], str]] = {
    "bio": _bio,
    "object": _object,
    "procedure": _procedure,
    "story": _story,
    "dialogue": _rendered(dialogue),
    "hedged": _hedged,
    "critique": _rendered(critique),
    "revision": _rendered(revision),
    "zaba": _zaba,
    "gloss": _gloss,
    "parallel": _parallel,
    "binding": _binding,
    "spelled": _spelled,
    "reversed": _reversed,
    "tool": _rendered(tool_use),
    "system": _rendered(system_prompt),
    "news": _rendered(news),
    "opinion": _rendered(opinion),
    "arithmetic": _arithmetic,
    "sorting": _sorting,
}
