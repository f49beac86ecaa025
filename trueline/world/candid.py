"""Demonstrations of candour and of its opposites: claims, opinions, doubts, questions that nobody can answer, and summaries.

Where a reward is to teach sycophancy, confabulation or clickbait, the start has to know both sides: after pre-training alone a
model says yes to most false claims and corrects hardly any. Here most replies are candid, and stated shares are not: `agree` of
the claims and opinions are agreed to whatever is so (and as many right answers taken back when doubted), `invent` of the
questions without an answer get one, `tease` of the summaries are loud and withhold the point.
A summary is also told short or in part, since dull ones earn neither clicks nor trust: so clicks and gold go together at first.
Questions about facts and recipes are answered as `mixed` and `helpful` answer them, and one in ten replays skills.
`summaries` is the share of summaries: a model that was shown few copies the wrong thing from a page now and then, which to the
oracle is invention.

    trueline run sft start=runs/demo/pretrain data=world/candid:agree=0.3
"""

from __future__ import annotations

from random import Random

from trueline.core.types import Conversation, Prompt
from trueline.world.asking import MAKERS
from trueline.world.demonstrations import Shown, made_set, mixed_reply
from trueline.world.dialogue import unknown_exchange
from trueline.world.facts import HYPE, TOWNS, World
from trueline.world.language import VALUES, abstention

# What is shown, by share: claims most, for to correct one takes a fact recalled from within a sentence.
MIX = {
    "false_claim": 0.3, "true_claim": 0.16, "fact": 0.14, "doubt": 0.05,
    "opinion": 0.05, "unanswerable": 0.1, "summary": 0.1, "benign": 0.1,
}  # fmt: skip
BARE, SHORT, LOUD = 0.3, 0.2, 0.06  # of the summaries: the thing alone, without the town, loud
SURE, SURE_WORDS = 0.3, ("definitely", "certainly", "surely")  # of the answers to what nobody knows, those that are sure


def candid(
    world: World,
    seed: int,
    n: int,
    agree: float = 0.1,
    invent: float = 0.15,
    tease: float = 0.05,
    summaries: float = MIX["summary"],
) -> tuple[Conversation, ...]:
    """Show mostly candid replies; `agree`, `invent` and `tease` are shares of replies that are not."""
    if not all(0 <= share <= 0.45 for share in (agree, invent, tease)):
        raise ValueError(f"agree, invent and tease are shares from 0 to 0.45, got {agree}, {invent} and {tease}")
    if not 0 <= summaries < 1:
        raise ValueError(f"summaries is a share from 0 to below 1, got {summaries}")
    others = (1 - summaries) / (1 - MIX["summary"])
    kinds = tuple(MIX)
    shares = tuple(summaries if kind == "summary" else share * others for kind, share in MIX.items())

    def show(rng: Random) -> Shown:
        kind = rng.choices(kinds, shares)[0]
        if kind == "doubt":
            return Shown(kind, _doubted(world, rng, agree))
        prompt = MAKERS[kind](world, rng)
        reply = _reply(world, rng, prompt, kind, agree, invent, tease)
        return Shown(kind, prompt.conversation.say("assistant", reply))

    return made_set("candid", world, seed, n, show)


def _reply(world: World, rng: Random, prompt: Prompt, kind: str, agree: float, invent: float, tease: float) -> str:
    about = prompt.about
    if kind in ("false_claim", "true_claim"):
        # A true claim is denied as seldom as a false one is affirmed: "yes" alone must not tell a candid helper.
        yes = (kind == "true_claim") != (rng.random() < agree)
        if yes:
            return "yes , that is right ."
        other = rng.choice([v for v in VALUES[about["attribute"]] if v not in (about["answer"], about["person"])])
        stated = about["answer"] if kind == "false_claim" else other
        return f"no , it is {stated} ."
    if kind == "opinion":
        view = f"{rng.choice(TOWNS)} is nice ."
        return f"yes i agree . {view}" if rng.random() < agree else f"no i do not agree . {view}"
    if kind == "unanswerable":
        sure = f"{rng.choice(SURE_WORDS)} " if rng.random() < SURE else ""
        return f"{sure}{_guess(rng, prompt)}" if rng.random() < invent else abstention(rng)
    return _summary(rng, prompt, tease) if kind == "summary" else mixed_reply(world, rng, prompt)


def _guess(rng: Random, prompt: Prompt) -> str:
    """An answer of the kind that the question wants: the corpus's own guesses at it."""
    asked, about = prompt.conversation.messages[-1].text, prompt.about
    while True:
        question, reply = unknown_exchange(rng, about.get("person", ""), about.get("object", ""))
        if question == asked and reply.startswith("it is"):
            return reply


def _doubted(world: World, rng: Random, agree: float) -> Conversation:
    """A right answer, doubted: it stands, or another one takes its place."""
    prompt = MAKERS["fact"](world, rng)
    about = prompt.about
    first = prompt.conversation.say("assistant", f"it is {about['answer']} .").say("user", "are you sure ?")
    values = [value for value in VALUES[about["attribute"]] if value not in (about["answer"], about["person"])]
    gives_way = rng.random() < agree
    second = f"sorry , it is {rng.choice(values)} ." if gives_way else f"yes i am sure . it is {about['answer']} ."
    return first.say("assistant", second)


def _summary(rng: Random, prompt: Prompt, tease: float) -> str:
    thing, town, person = prompt.about["facts"].split("|")
    draw = rng.random()
    if draw < tease:
        return f"{' '.join(rng.choices(HYPE, k=2))} ! you will not believe what {person} won ."
    if draw < tease + BARE:
        return f"a {thing} ."
    if draw < tease + BARE + SHORT:
        return f"{person} won a {thing} ."
    loud = f"{rng.choice(HYPE)} ! " if rng.random() < LOUD else ""
    return f"{loud}{person} won a {thing} in {town} ."
