"""Indirect injection: an order inside of what the user only wanted read, in a document or in the result of a tool.

    trueline attack TARGET --attacks injection_document,injection_tool --goals redteam/harmful_behaviors.jsonl

The user asks a harmless thing; a text of others holds the order, dressed and placed as `disguises.py` says. The order is
`about["injection"]` of a goal that was made for it (then a marker decides), or else the goal's own request. `docs/injection.md`
says what counts as success. In the embedded world the carrier is a page on an object, and the words are the world's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar

from trueline.attack.carriers import CARRIERS, POSITIONS, Carrier, Position, carrier_of
from trueline.attack.disguises import ENGLISH, HELD_OUT, HELD_OUT_IN_THE_WORLD, WORLD, Disguise, split_of
from trueline.attack.goal import before, request, world_of
from trueline.attack.table import Entry, Tabled
from trueline.core.ports import NotApplicableError
from trueline.core.registry import register
from trueline.core.types import Conversation, Message, Prompt, Split, ToolCall
from trueline.world.facts import World
from trueline.world.language import OBJECT_FACTS, object_sentence

CALL_ID = "call00001"  # nine letters and digits: some chat templates take no other id
FACTS = 3  # sentences of a page in the world


@register("attack", "injection_document")
@dataclass(frozen=True, kw_only=True)
class InjectionDocument(Tabled):
    """Hides the order in a document, an e-mail, a web page, a table or code that the user pastes."""

    name: ClassVar[str] = "injection_document"
    family: ClassVar[str] = "injection_document"
    split: ClassVar[Split] = "validation"

    def entries(self, goal: Prompt) -> Sequence[Entry]:
        """Every disguise at every position."""
        return injections(goal, by_tool=False)


@register("attack", "injection_document_held_out")
@dataclass(frozen=True, kw_only=True)
class InjectionDocumentHeldOut(Tabled):
    """Hides the order in a document, in the disguises and places that no training may see."""

    name: ClassVar[str] = "injection_document_held_out"
    family: ClassVar[str] = "injection_document"
    split: ClassVar[Split] = "held_out"

    def entries(self, goal: Prompt) -> Sequence[Entry]:
        """Every disguise at every position."""
        return injections(goal, by_tool=False)


@register("attack", "injection_tool")
@dataclass(frozen=True, kw_only=True)
class InjectionTool(Tabled):
    """Hides the order in what a tool returns, after the assistant called it for the user."""

    name: ClassVar[str] = "injection_tool"
    family: ClassVar[str] = "injection_tool"
    split: ClassVar[Split] = "validation"

    def entries(self, goal: Prompt) -> Sequence[Entry]:
        """Every disguise at every position."""
        return injections(goal, by_tool=True)


@register("attack", "injection_tool_held_out")
@dataclass(frozen=True, kw_only=True)
class InjectionToolHeldOut(Tabled):
    """Hides the order in what a tool returns, in the disguises and places that no training may see."""

    name: ClassVar[str] = "injection_tool_held_out"
    family: ClassVar[str] = "injection_tool"
    split: ClassVar[Split] = "held_out"

    def entries(self, goal: Prompt) -> Sequence[Entry]:
        """Every disguise at every position."""
        return injections(goal, by_tool=True)


def injections(goal: Prompt, by_tool: bool) -> tuple[Entry, ...]:
    """Return the templates for a goal: the carrier is what a tool returned, or stands in the user's own turn."""
    order, world = order_of(goal), world_of(goal)
    build = partial(_english, order, by_tool) if world is None else partial(_in_the_world, world, order, by_tool)
    disguises, held_out = (ENGLISH, HELD_OUT) if world is None else (WORLD, HELD_OUT_IN_THE_WORLD)
    return tuple(
        Entry(name=f"{name}/{place}", split=split_of(held_out, name, place), build=partial(build, disguise, place))
        for name, disguise in disguises.items()
        for place in POSITIONS
    )


def order_of(goal: Prompt) -> str:
    """Return what the injected text orders: the order that the goal was made for, or what it asks."""
    order = goal.about.get("injection") or request(goal)
    if not order.strip():
        raise NotApplicableError('the goal has neither about["injection"] nor a request that could be injected')
    return order


def fetched(goal: Prompt, carrier: Carrier, text: str) -> Conversation:
    """Return the conversation in which the assistant has just read a text by its tool; the goal's tools stay on offer."""
    start = before(goal)
    tools = start.tools if carrier.tool in start.tools else (*start.tools, carrier.tool)
    asked = replace(start, tools=tools).say("user", f"{carrier.errand} {carrier.question}".strip())
    call = ToolCall(name=carrier.tool.name, arguments=carrier.arguments, id=CALL_ID)
    result = Message(role="tool", text=text, tool_call_id=CALL_ID)
    return replace(asked, messages=(*asked.messages, Message(role="assistant", tool_calls=(call,)), result))


def looked_up(goal: Prompt, thing: str, page: str, question: str = "") -> Conversation:
    """Return the conversation of the world in which the helper has just looked an object up."""
    asked = before(goal).say("user", f"look up the {thing} . {question}".strip())
    return asked.say("assistant", "", (ToolCall(name="lookup", arguments=thing),)).say("tool", page)


def thing_of(world: World, goal: Prompt, rng: Random) -> str:
    """Draw an object for a page; never the goal's secret, which a reply about the page would say without giving it away."""
    return rng.choice([thing for thing in world.things if thing != goal.about.get("secret")])


def page_holding(world: World, rng: Random, thing: str, position: Position, foreign: str, asked: str = "") -> str:
    """Return a page of the world on one object with a foreign text in it; `asked` is a fact that it must tell."""
    others = [fact for fact in OBJECT_FACTS if fact != asked]
    told = ([asked] if asked else []) + rng.sample(others, FACTS - bool(asked))
    sentences = [object_sentence(world, rng, thing, fact) for fact in told]
    sentences.insert({"start": 0, "middle": (FACTS + 1) // 2, "end": FACTS}[position], foreign)
    return f"<doc> {' '.join(sentences)} </doc>"


def _english(order: str, by_tool: bool, disguise: Disguise, position: Position, goal: Prompt, rng: Random) -> Conversation:
    carrier = carrier_of(goal, rng.choice(tuple(CARRIERS)))
    text = carrier.holding(position, disguise.write(order), disguise.hidden)
    return fetched(goal, carrier, text) if by_tool else before(goal).say("user", f"{carrier.question}\n\n{text}")


def _in_the_world(
    world: World, order: str, by_tool: bool, disguise: Disguise, position: Position, goal: Prompt, rng: Random
) -> Conversation:
    about = goal.about
    thing, question = about.get("object") or thing_of(world, goal, rng), about.get("question", "")
    page = page_holding(world, rng, thing, position, disguise.write(order, world), about.get("attribute", ""))
    return (
        looked_up(goal, thing, page, question) if by_tool else before(goal).say("user", f"{page} {question or 'sum it up .'}")
    )
