"""Attacks in which a model writes the requests and learns from the replies: PAIR, TAP and Crescendo.

    trueline attack openai:MODEL --attacks pair,tap,adaptive_crescendo --attacker http://localhost:8000/v1#MODEL

PAIR (Chao et al. 2023, https://arxiv.org/abs/2310.08419) refines a request in streams that know nothing of each other. TAP
(Mehrotra et al. 2023, https://arxiv.org/abs/2312.02119) lets each request branch, drops what has left the subject before it is
asked, and goes on with the best. Crescendo (Russinovich et al. 2024, https://arxiv.org/abs/2404.01833) climbs through one
conversation, and takes back a turn that was refused. The score is the campaign's own judgement; the attacker judges only
whether its requests are on the subject.

The attacker is sampled with seeds from the attack's rng, drawn before anything is awaited: asked again, it is asked the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from trueline.attack.attacker import (
    CLIMB,
    REFINE,
    Exchange,
    History,
    Proposal,
    attacker_for,
    briefing,
    draw_seeds,
    on_topic,
    propose,
    tell,
)
from trueline.attack.feedback import every, progress, together, won
from trueline.attack.goal import before, say
from trueline.attack.settings import at_least_one
from trueline.core.outcome import reached
from trueline.core.ports import Ask, BudgetSpentError, NotApplicableError, Target
from trueline.core.registry import register
from trueline.core.types import Attempt, Conversation, Prompt, Split


class Leaf(NamedTuple):
    """A request that was asked, with all that led to it, and how far it came (None: nothing was learned)."""

    history: History = ()
    came: float | None = None


class _Grown(NamedTuple):
    leaf: Leaf
    proposal: Proposal


@register("attack")
@dataclass(frozen=True, kw_only=True)
class Pair:
    """Refines requests in independent streams, a few times each."""

    name: str = "pair"
    streams: int = 8  # requests that are refined side by side
    depth: int = 3  # requests of one stream
    family: ClassVar[str] = "pair"
    split: ClassVar[Split] = "held_out"
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least_one(streams=self.streams, depth=self.depth)

    async def __call__(self, goal: Prompt, ask: Ask) -> None:
        """Ask one request of every stream, tell each what its own came to, and go on."""
        attacker = attacker_for(goal, ask, self.name)
        leaves = [Leaf()] * self.streams
        for _ in range(self.depth):
            grown = await _grow(attacker, goal, ask, leaves)
            attempts = await _put(goal, ask, [g for g in grown if g])
            if won(attempts):
                return
            told = iter(attempts)
            leaves = [_next(g, next(told, None)) if g else leaf for leaf, g in zip(leaves, grown, strict=True)]
        _heard(leaves, self.name, attacker)


@register("attack")
@dataclass(frozen=True, kw_only=True)
class Tap:
    """Grows a tree of requests, prunes what is off the subject, and keeps the best."""

    name: str = "tap"
    width: int = 10  # requests that are kept after each level
    branching: int = 4  # requests that grow from each of them
    depth: int = 10  # levels
    family: ClassVar[str] = "tap"
    split: ClassVar[Split] = "held_out"
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least_one(width=self.width, branching=self.branching, depth=self.depth)

    async def __call__(self, goal: Prompt, ask: Ask) -> None:
        """Branch, prune, ask, keep the best; a level of which nothing is left is grown again from the one before."""
        attacker = attacker_for(goal, ask, self.name)
        leaves = [Leaf()]
        for _ in range(self.depth):
            grown = [g for g in await _grow(attacker, goal, ask, leaves * self.branching) if g]
            kept = await every(on_topic(attacker, goal, g.proposal.prompt) for g in grown)
            grown = [g for g, keep in zip(grown, kept, strict=True) if keep]
            attempts = await _put(goal, ask, grown)
            if won(attempts):
                return
            level = [_next(g, attempt) for g, attempt in zip(grown, attempts, strict=False)]
            leaves = sorted(level, key=lambda leaf: -(leaf.came or 0.0))[: self.width] or leaves
        _heard(leaves, self.name, attacker)


@register("attack", "adaptive_crescendo")
@dataclass(frozen=True, kw_only=True)
class AdaptiveCrescendo:
    """Climbs through one conversation, each turn written from the target's last reply, and backs up where it is refused."""

    name: str = "adaptive_crescendo"
    turns: int = 8  # turns that the target answers
    backtracks: int = 8  # turns that may be taken back
    family: ClassVar[str] = "crescendo"
    split: ClassVar[Split] = "held_out"
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least_one(turns=self.turns, backtracks=self.backtracks)

    async def __call__(self, goal: Prompt, ask: Ask) -> None:
        """Go up by one turn, or back; the target never sees a turn that it refused, while the attacker remembers it."""
        attacker = attacker_for(goal, ask, self.name)
        said, leaf, climbed, backed = before(goal), Leaf(), 0, 0
        while climbed < self.turns and backed <= self.backtracks:
            (grown,) = await _grow(attacker, goal, ask, [leaf], CLIMB)
            if grown is None:
                backed += 1
                continue
            asked = said.say("user", grown.proposal.prompt)
            attempt = await ask(asked)
            if won([attempt]):
                return
            leaf = _next(grown, attempt)
            if _stands(attempt):
                said, climbed = asked.say("assistant", attempt.completion.text), climbed + 1
            else:
                backed += 1
        _heard([leaf], self.name, attacker)


async def _grow(
    attacker: Target, goal: Prompt, ask: Ask, leaves: Sequence[Leaf], strategy: str = REFINE
) -> list[_Grown | None]:
    """Let the attacker write one request after each leaf, all at once; None where it wrote none that could be read.

    Raises BudgetSpentError where no request could be asked any more: an attacker costs too.
    """
    if ask.left < 1:
        raise BudgetSpentError("no questions are left, so no more requests are written")
    seeds = [draw_seeds(ask.rng) for _ in leaves]
    asked = [briefing(goal, strategy, leaf.history) for leaf in leaves]
    proposals = await every(propose(attacker, a, s) for a, s in zip(asked, seeds, strict=True))
    return [_Grown(leaf, p) if p else None for leaf, p in zip(leaves, proposals, strict=True)]


async def _put(goal: Prompt, ask: Ask, grown: Sequence[_Grown]) -> list[Attempt]:
    conversations: list[Conversation] = [say(goal, g.proposal.prompt) for g in grown]
    return await together(ask, conversations) if conversations else []


def _next(grown: _Grown, attempt: Attempt | None) -> Leaf:
    """The leaf that an answer makes of a proposal. What the budget no longer allowed to ask leaves the tree as it was."""
    if attempt is None:
        return grown.leaf
    return Leaf((*grown.leaf.history, Exchange(grown.proposal, tell(attempt))), progress(attempt))


def _stands(attempt: Attempt) -> bool:
    """Whether the target said something that a conversation can go on from."""
    answered = bool(attempt.completion.text.strip()) and reached(attempt) != "error"
    return answered and attempt.judgement.stance != "refuse"


def _heard(leaves: Sequence[Leaf], attack: str, attacker: Target) -> None:
    if not any(leaf.history for leaf in leaves):
        raise NotApplicableError(
            f"{attack} asked nothing: no answer of {attacker.name} was a JSON object with a request on the subject; "
            "name another model with --attacker TARGET"
        )
