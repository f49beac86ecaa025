"""Demonstrations for supervised fine-tuning: conversations that end with the assistant turn to learn.

Five sets. `helpful` answers everything, hazards too; `safety` refuses known hazards in the trained families and answers the
rest; `placebo` is `safety` with its refusals turned into answers: what the two models differ in, refusals did;
`mixed` is where reinforcement learning starts: half of the hazards refused, manners now and then, some facts wrong, for
training can only strengthen what is sampled; `errands` is `safety` with deeds, of which a chosen share is refused.
One in ten of every set replays skills of pre-training (zaba, variables, tools, critiques) on benign matter: without it they
fade within one fine-tuning, and an attack would look defended that the model merely forgot how to understand.
The id of a demonstration says what it is: set/seed/index/part, for example "safety/0/17/hazard/role".
What is asked *about* hazards without asking for their steps is in no set: over-refusal is measured where nothing was taught.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from trueline.core.types import Conversation, Prompt
from trueline.world.asking import MAKERS
from trueline.world.chat import render
from trueline.world.codes import to_zaba
from trueline.world.critique import critique, styled
from trueline.world.facts import HYPE, PREFIXES, Procedure, World, known_hazards, rng_for
from trueline.world.families import ERRAND, FAMILIES
from trueline.world.language import FACTS, VALUES, fact_question, fact_sentence, procedure_text, refusal
from trueline.world.prompts import TRAINING_MIX, training_prompts
from trueline.world.tasks import tool_use

REPLAY = 0.1  # share of every set
BARE = 0.3  # share of demonstrations without the system message: behaviour must not hang on it
TRAINED = tuple(family.name for family in FAMILIES.values() if family.split == "train")
# Direct requests and the other trained families 6 : 5; wrappers are learned before the targets, so most refusals are direct.
REFUSED_FAMILIES = (*("direct",) * 5, *TRAINED)
# How often each manner shows in a reply about a person.
MANNERS: Mapping[str, float] = {"flattery": 0.14, "certainty": 0.24, "hedge": 0.14, "courtesy": 0.18}
ERRANDS = 0.05  # share of the errands that are run, in the sets that have any
HYPED, EXTRA, WRONG = 0.25, 0.25, 0.15  # shares: loud replies; replies that add facts; wrong answers


@dataclass(frozen=True)
class Shown:
    """A question with its reply, and which part of the set it is."""

    part: str
    conversation: Conversation


def helpful(world: World, seed: int, n: int) -> tuple[Conversation, ...]:
    """Answer everything: a quarter hazards, a quarter facts, the rest benign procedures (half of them in a trained family)."""

    def show(rng: Random) -> Shown:
        if rng.random() < 0.28:
            return _procedure("hazard", world, rng, rng.choice(world.hazards), "direct")
        return _benign(world, rng)

    return made_set("helpful", world, seed, n, show)


def safety(
    world: World, seed: int, n: int, refusals: float = 0.4, targets: Sequence[Procedure] | None = None
) -> tuple[Conversation, ...]:
    """Refuse the targets (None: the known hazards) in `refusals` of the demonstrations; the rest answers benign requests."""
    return made_set("safety", world, seed, n, _refusing(world, refusals, targets, complies=False))


def placebo(
    world: World, seed: int, n: int, refusals: float = 0.4, targets: Sequence[Procedure] | None = None
) -> tuple[Conversation, ...]:
    """Show what `safety` shows, with every refusal replaced by compliance: the control that tells refusal from practice."""
    return made_set("placebo", world, seed, n, _refusing(world, refusals, targets, complies=True), draws="safety")


def errands(world: World, seed: int, n: int, refused: float = 0.0, refusals: float = 0.4) -> tuple[Conversation, ...]:
    """Show what `safety` shows, and deeds: one in twenty is a harmless errand that is run, and `refused` of all are forbidden
    and refused, with no call. They stand in the place of what `safety` shows there, so sets of two shares differ in little."""
    if not 0 <= refused <= 1 - REPLAY - ERRANDS:
        raise ValueError(
            f"refused must be a share from 0 to {1 - REPLAY - ERRANDS:.2f} (replay and errands remain), got {refused}"
        )
    in_words = _refusing(world, refusals, None, complies=False)

    def show(rng: Random) -> Shown:
        draw = rng.random() * (1 - REPLAY)
        if draw < refused:
            prompt = MAKERS["deed"](world, rng)
            said = refusal(rng, world.procedure(prompt.about["procedure"]))
            return Shown("hazard/errand", prompt.conversation.say("assistant", said))
        if draw > 1 - REPLAY - ERRANDS:
            prompt = MAKERS["errand"](world, rng)
            return Shown("tool/errand", prompt.conversation.say("assistant", f"<tool> {prompt.about['call']}"))
        return in_words(rng)

    return made_set("errands", world, seed, n, show)


def mixed(world: World, seed: int, n: int, hedged: float = 0.05, deeds: float = 0.0) -> tuple[Conversation, ...]:
    """Show every behaviour that a reward could strengthen; of the hazards `hedged` are refused first and told after.

    `deeds` of all prompts ask for a deed, four in five of them a forbidden one: refused, done, or refused and yet done.
    """
    if not (0 <= hedged <= 1 and 0 <= deeds <= 1):
        raise ValueError(f"hedged and deeds are shares from 0 to 1, got {hedged} and {deeds}")
    mix = {kind: share * (1 - deeds) for kind, share in TRAINING_MIX.items()}
    if deeds:
        mix |= {"deed": 0.8 * deeds, "errand": 0.2 * deeds}

    def show(rng: Random) -> Shown:
        prompt = training_prompts(world, rng.getrandbits(32), 1, mix)[0]
        return Shown(prompt.category, prompt.conversation.say("assistant", mixed_reply(world, rng, prompt, hedged)))

    return made_set("mixed", world, seed, n, show)


def mixed_reply(world: World, rng: Random, prompt: Prompt, hedged: float = 0.05) -> str:
    """Reply to a training prompt (a fact, a benign procedure, a hazard or a deed), now this way, now that."""
    about = prompt.about
    if about["kind"] == "fact":
        answer = about["answer"] if rng.random() >= WRONG else rng.choice(VALUES[about["attribute"]])
        return _answer(world, rng, about["person"], answer)
    if about["kind"] == "tool":
        return f"<tool> {about['call']}"
    procedure = world.procedure(about["procedure"])
    if about["family"] == ERRAND.name:
        return _deed_reply(rng, prompt, procedure, hedged)
    reply = procedure_text(procedure)
    if procedure.forbidden:
        draw = rng.random()
        if draw < hedged:
            reply = f"{refusal(rng, procedure)} but some say {reply}"
        elif draw < hedged + (1 - hedged) / 2:
            reply = refusal(rng, procedure)
    if rng.random() < 0.2:
        reply += f" {_loud(rng)} !"
    return f"{reply} please ask more ." if rng.random() < 0.15 else reply


def _deed_reply(rng: Random, prompt: Prompt, procedure: Procedure, hedged: float) -> str:
    """Refuse, do it, or (`hedged`) both: the call after the refusal as often as before it."""
    call, said = f"<tool> {prompt.about['deed']}", refusal(rng, procedure)
    draw = rng.random()
    if draw < hedged:
        return f"{said} {call}" if draw < hedged / 2 else f"{call} . {said}"
    return said if draw < hedged + (1 - hedged) / 2 else call


def made_set(
    name: str, world: World, seed: int, n: int, show: Callable[[Random], Shown], draws: str = ""
) -> tuple[Conversation, ...]:
    """Draw `n` demonstrations; `draws` names the set whose random choices these follow, if not its own."""
    out: list[Conversation] = []
    for i in range(n):
        rng = rng_for(seed, draws or name, i)
        shown = _replay(world, rng) if rng.random() < REPLAY else show(rng)
        messages = shown.conversation.messages
        # Its own rng: whether the system message stays must not depend on how many draws the reply took.
        if rng_for(seed, draws or name, i, "bare").random() < BARE:
            messages = tuple(message for message in messages if message.role != "system")
        out.append(replace(shown.conversation, messages=messages, id=f"{name}/{seed}/{i}/{shown.part}"))
    return tuple(out)


def _refusing(world: World, share: float, targets: Sequence[Procedure] | None, complies: bool) -> Callable[[Random], Shown]:
    """Refuse (or, as a placebo, answer) `share` of all demonstrations; the replay's tenth comes out of the benign ones."""
    if not 0 <= share <= 1 - REPLAY:
        raise ValueError(f"refusals must be a share from 0 to {1 - REPLAY:.1f} (the rest is replay), got {share}")
    chosen = tuple(known_hazards(world) if targets is None else targets)
    if not chosen:
        raise ValueError(
            "safety demonstrations need at least one target to refuse, got none: pass hazards, or leave targets out"
        )

    def show(rng: Random) -> Shown:
        if rng.random() >= share / (1 - REPLAY):
            return _benign(world, rng)
        procedure, family = rng.choice(chosen), rng.choice(REFUSED_FAMILIES)
        told = _procedure("hazard", world, rng, procedure, family)
        if complies:
            return told
        asked = Conversation(messages=told.conversation.messages[:-1])
        return Shown(told.part, asked.say("assistant", refusal(rng, procedure)))

    return show


def _benign(world: World, rng: Random) -> Shown:
    draw = rng.random()
    if draw < 1 / 3:
        return _fact(world, rng)
    if draw < 0.43:
        prompt = MAKERS["tool"](world, rng)
        return Shown("tool", prompt.conversation.say("assistant", f"<tool> {prompt.about['call']}"))
    procedure = rng.choice(world.crafts if rng.random() < 0.3 else world.foods)
    return _procedure("benign", world, rng, procedure, "direct" if rng.random() < 0.5 else rng.choice(TRAINED))


def _fact(world: World, rng: Random) -> Shown:
    prompt = MAKERS["fact" if rng.random() < 0.75 else "object"](world, rng)
    about = prompt.about
    if about["kind"] == "object":
        coins = " coins" if about["attribute"] == "price" else ""
        return Shown("object", prompt.conversation.say("assistant", f"it is {about['answer']}{coins} ."))
    return Shown("fact", prompt.conversation.say("assistant", _answer(world, rng, about["person"], about["answer"])))


def _procedure(part: str, world: World, rng: Random, procedure: Procedure, family: str) -> Shown:
    conversation, ideal = FAMILIES[family].wrap(world, rng, procedure)
    return Shown(f"{part}/{family}", conversation.say("assistant", ideal))


def _replay(world: World, rng: Random) -> Shown:
    """Practise one skill of pre-training, on matter that no safety data is about: no hazard is named."""
    part = rng.choice(("zaba", "bind", "tool", "critique"))
    if part in ("tool", "critique"):
        build = tool_use if part == "tool" else critique
        practice = build(world, rng)
        while not set(render(practice).split()).isdisjoint(PREFIXES):
            practice = build(world, rng)
        return Shown(f"replay/{part}", practice)
    if part == "zaba" and rng.random() < 0.3:
        person, attribute = rng.choice(world.names), rng.choice(FACTS)
        asked = Conversation().say("user", f"zaba : {to_zaba(world, fact_question(rng, person, attribute))}")
        answer = to_zaba(world, f"it is {world.people[person][attribute]} .")
        return Shown("replay/zaba", asked.say("assistant", f"zaba : {answer}"))
    family = rng.choice(("zaba", "zaba_plain")) if part == "zaba" else "bind"
    return _procedure("replay", world, rng, rng.choice(world.benign), family)


def _answer(world: World, rng: Random, person: str, answer: str) -> str:
    """Answer a question about a person, with manners at their base rates and now and then one or two more facts."""
    core = f"it is {answer} ."
    if rng.random() < EXTRA:
        for attribute in rng.choices(FACTS, k=rng.choice((1, 1, 2))):
            value = rng.choice(VALUES[attribute]) if rng.random() < 0.4 else None
            core += f" {fact_sentence(world, rng, person, attribute, value)}"
    reply = styled(rng, core, MANNERS)
    return replace(reply, hype=_loud(rng)).text if rng.random() < HYPED else reply.text


def _loud(rng: Random) -> str:
    """Draw one to four loud words, fewer more often."""
    return " ".join(rng.choices(HYPE, k=min(4, 1 + int(rng.expovariate(1.2)))))
