"""Hardening: a model that refuses when it is asked plainly learns to refuse when it is pushed.   docs/hardening.md

Every way reads the same data: pairs of what should be refused, whose chosen completion refuses and whose rejected one tells,
and benign conversations to be answered as before. The world's pairs hold known hazards and trained families alone.

    trueline run recovery start=MODEL                                     # goes back to a refusal from a harmful beginning
    trueline run circuit_breakers start=MODEL layers=1,2                  # harmful states are turned aside
    trueline run latent_adversarial start=MODEL radius=0.3                # refuses under the worst latent perturbation
    trueline run recovery start=MODEL data=pairs.jsonl benign=chat.jsonl  # rows: prompt, chosen (refusal), rejected (harmful)

Against perturbed inputs, in place of states, there is recipes/online_adversarial.py; recipes/harden.py compares them all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from torch import nn

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Conversation, Prompt
from trueline.models.adapters import Adapter
from trueline.models.perturbed import Perturbed
from trueline.models.policy import Policy
from trueline.models.residual import LayerError, Seeing, check_layers
from trueline.models.tokens import Codec, Example, audit
from trueline.recipes.looking import look_at_layers
from trueline.recipes.reading import comparisons, context_of, conversations, pairs_of
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.train.annotate_hidden import hidden_of
from trueline.train.batch import Annotate, Objective
from trueline.train.kinds import Draw, Kind, Kinds, in_turn, places
from trueline.train.loop import Keeper, train
from trueline.train.objectives.likelihood import NextToken, Unlikelihood
from trueline.train.objectives.reroute import Reroute
from trueline.train.optim import Optim
from trueline.world.harmful import benign, harmful_pairs

HARMFUL, BENIGN = "world/harmful", "world/benign"
Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """What should be refused, in tokens: the prompt, the refusal, and the reply that it keeps back; both end the turn."""

    prompt: Prompt
    head: Ids
    refusal: Ids
    harmful: Ids

    @classmethod
    def of(cls, codec: Codec, prompt: Prompt, refusal: str, harmful: str) -> Pair:
        """Encode a prompt with both replies."""
        examples = [codec.example(prompt.conversation.say("assistant", text), "last") for text in (refusal, harmful)]
        audit(codec, examples)
        first, second = (tuple(i for i, m in zip(e.ids, e.mask, strict=True) if m) for e in examples)
        return cls(prompt, examples[0].ids[: examples[0].mask.index(True)], first, second)

    def refused(self, after: int = 0) -> Example:
        """The prompt, `after` tokens of the harmful reply, and the refusal, which alone is trained on."""
        before = (*self.head, *self.harmful[:after])
        return Example((*before, *self.refusal), (False,) * len(before) + (True,) * len(self.refusal))

    def told(self) -> Example:
        """The prompt and the harmful reply."""
        return Example((*self.head, *self.harmful), (False,) * len(self.head) + (True,) * len(self.harmful))

    @property
    def longest(self) -> int:
        return len(self.head) + len(self.harmful) + len(self.refusal)


@dataclass(frozen=True, kw_only=True)
class Arranged:
    """What a way of hardening trains: a model around the policy, an objective, the kinds of rows beside the benign ones."""

    model: nn.Module
    objective: Objective
    kinds: Mapping[str, Kind]
    benign: float = 1.0  # weight of the benign rows
    annotate: Annotate = field(default=lambda batch: batch)
    keep: Mapping[str, Keeper] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Hardening(ABC):
    """What every way has in common: harmful pairs and benign conversations, some rows of each in a step."""

    start: str = "safety"  # the model to harden: a stage, a folder, or hf:NAME
    data: str = HARMFUL  # world/harmful, a stage that ranked, or a file of preferences: chosen refuses, rejected tells
    benign: str = BENIGN  # world/benign, a stage of `demonstrate`, or a file of conversations, to be answered as before
    n: int = 800  # pairs to use; 0: all of a file
    benign_n: int = 2400  # benign conversations to use; 0: all of a file
    steps: int = 100  # of training
    rows: int = 8  # pairs a step
    benign_rows: int = 16  # benign conversations a step
    micro_rows: int = 0  # rows per forward pass; 0: all of a step
    context: int = 0  # longest row, tokens; what may grow longer is left out and counted. 0: what the model has room for
    adapter: Adapter = Adapter()
    optim: Optim = Optim(lr=1e-3, muon=0.003, decay=0.6)

    def __post_init__(self) -> None:
        if min(self.steps, self.rows, self.benign_rows) < 1 or min(self.n, self.benign_n) < 0:
            raise ConfigError("steps, rows and benign_rows must each be at least 1; n and benign_n must not be negative")
        world = {HARMFUL: (self.data, self.n), BENIGN: (self.benign, self.benign_n)}
        for name, (asked, n) in world.items():
            if asked.startswith("world/") and asked != name:
                raise ConfigError(f"expected {name} or a file, got {asked!r}; the world has no other data of this kind")
            if asked == name and n < 1:
                raise ConfigError(f"{name} is made, not read: say how many with n and benign_n of at least 1")
        self.check()

    @abstractmethod
    def check(self) -> None:
        """Refuse settings of this way that make no sense. Raises ConfigError."""

    @abstractmethod
    def arrange(self, policy: Policy, pairs: Sequence[Pair], seed: int) -> Arranged:
        """Say what is trained, and on which rows."""

    def reads(self) -> tuple[str, ...]:
        return (self.start, *("" if name.startswith("world/") else name for name in (self.data, self.benign)))

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start, adapter=self.adapter)
        limit = context_of(policy.codec, policy.model.config.max_position_embeddings, self.context)
        every = [Pair.of(policy.codec, *found) for found in self._harmful(studio)]
        pairs = [pair for pair in every if pair.longest <= limit]
        shown = [policy.codec.example(c, "last") for c in self._benign(studio)]
        audit(policy.codec, shown)
        kept = [e for e in shown if len(e.ids) <= limit]
        if not pairs or not kept:
            what = "benign conversations" if pairs else "pairs"
            raise RecipeError(f"all {what} are longer than {limit} tokens; raise context or shorten them")
        try:
            done = self.arrange(policy, pairs, studio.seed)
        except LayerError as error:
            raise RecipeError(f"{self.start}: {error}") from error
        draw = in_turn(kept, self.benign_rows, f"{studio.seed}/benign")
        kinds = {**done.kinds, "benign": Kind(draw, done.benign)}
        source = Kinds(kinds=kinds, steps=self.steps, pad=policy.codec.pad, annotate=done.annotate)
        studio.show.steps(room.name, len(source))
        shown_as = ("loss", "unlikelihood", "reroute", "retain", "attack_loss")
        loop = replace(room.loop(shown_as, self.micro_rows), keep=done.keep)
        trained = train(done.model, done.objective, source, self.optim, loop)
        policy.save(room.folder / "model")
        last = room.curve()[-1]
        return {
            "tokens": trained.tokens,
            "seconds": trained.seconds,
            "pairs": len(pairs),
            "too_long": len(every) - len(pairs) + len(shown) - len(kept),
            **{name: last[name] for name in shown_as if name in last},
        }

    def _harmful(self, studio: Studio) -> list[tuple[Prompt, str, str]]:
        if self.data == HARMFUL:
            found = list(harmful_pairs(studio.world, studio.seed, self.n))
        else:
            found = [pair for ranking in comparisons(studio, self.data, self.n) for pair in pairs_of(ranking)]
        return [(pair.prompt, pair.chosen.text, pair.rejected.text) for pair in found]

    def _benign(self, studio: Studio) -> list[Conversation]:
        if self.benign == BENIGN:
            return list(benign(studio.world, studio.seed, self.benign_n))
        return conversations(studio, studio.file(self.benign, "demonstrations.jsonl"), self.benign_n)


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Recovery(Hardening):
    """Refuse after a harmful beginning too. Qi et al. 2024 (2406.05946), section 3.1.

    alpha E[-log p(refusal | prompt, first k tokens of the harmful reply)] + (1 - alpha) E[-log p(reply | benign prompt)];
    k is 0 with probability `plain`, else uniform from 1 to `depth`, and always less than the reply.
    """

    alpha: float = 0.2  # weight of the refusals; benign replies weigh the rest
    plain: float = 0.5  # share of refusals with no harmful token before them
    depth: int = 100  # most harmful tokens before a refusal

    def check(self) -> None:
        if not 0 < self.alpha < 1 or not 0 <= self.plain <= 1 or self.depth < 1:
            got = f"{self.alpha}, {self.plain} and {self.depth}"
            raise ConfigError(f"alpha lies between 0 and 1, plain is a share and depth at least 1; got {got}")

    def arrange(self, policy: Policy, pairs: Sequence[Pair], seed: int) -> Arranged:
        def draw(step: int) -> list[Example]:
            rng = Random(f"recovery/{seed}/{step}")
            return [self._begun(pairs[i], rng) for i in places(len(pairs), self.rows, step, f"{seed}/harmful")]

        kinds = {"harmful": Kind(draw, self.alpha)}
        return Arranged(model=policy, objective=NextToken(), kinds=kinds, benign=1 - self.alpha)

    def _begun(self, pair: Pair, rng: Random) -> Example:
        most = min(self.depth, len(pair.harmful) - 1)
        return pair.refused(rng.randint(1, most) if rng.random() >= self.plain and most > 0 else 0)


@register("recipe", "circuit_breakers")
@dataclass(frozen=True, kw_only=True)
class CircuitBreakers(Hardening):
    """Turn the states of harmful replies aside. Zou et al. 2024 (2406.04313), algorithm 1.

    The states of benign replies are kept, and those of refusals, without which a model forgets to refuse.
    """

    layers: tuple[int, ...] = ()  # whose states are turned aside and kept; empty: a third and two thirds of the way up
    objective: Reroute = Reroute()
    optim: Optim = Optim(lr=3e-3, muon=0.01, decay=0.6)  # larger steps: at the start the objective is flat

    def check(self) -> None:
        if any(layer < 1 for layer in self.layers):
            raise ConfigError(f"layers: the embeddings (0) say nothing of a reply; expected 1 or more, got {self.layers}")

    def foresee(self, studio: Studio) -> None:
        """Refuse layers that the start does not have."""
        look_at_layers(self.start, self.layers)

    def arrange(self, policy: Policy, pairs: Sequence[Pair], seed: int) -> Arranged:
        count = policy.model.config.num_hidden_layers
        layers = self.layers or tuple(max(1, round(count * share)) for share in (1 / 3, 2 / 3))
        kinds = {
            "harmful": Kind(in_turn([pair.told() for pair in pairs], self.rows, f"{seed}/harmful")),
            "refusal": Kind(in_turn([pair.refused() for pair in pairs], self.rows, f"{seed}/harmful"), 0.5),
        }
        return Arranged(
            model=Seeing(policy, layers),
            objective=self.objective,
            kinds=kinds,
            benign=0.5,  # with the refusals' half, one mean over what is kept
            annotate=hidden_of(Seeing(policy.frozen(), layers)),
        )


@register("recipe", "latent_adversarial")
@dataclass(frozen=True, kw_only=True)
class LatentAdversarial(Hardening):
    """Refuse under the worst perturbation of latent states. Casper et al. 2024 (2403.05030), Sheshadri et al. (2407.15549).

    toward: -log p(refusal); away: -log(1 - p(harmful token)); both under attack, on the same prompts; benign rows without.
    """

    layers: tuple[int, ...] = ()  # that are perturbed, 0 being the embeddings; empty: halfway up
    radius: float = 0.3  # most that a state is moved, as a share of its norm; 0: plain training, the control
    attack_steps: int = 4  # of projected gradient descent
    targeted: bool = True  # toward the harmful reply (Sheshadri et al.), else away from the refusal (Casper et al.)
    away: float = 1.0  # weight of making the harmful reply unlikely; 0 leaves it out

    def check(self) -> None:
        if min(self.radius, self.away) < 0 or self.attack_steps < 1 or any(layer < 0 for layer in self.layers):
            raise ConfigError("radius, away and layers must not be negative, and attack_steps at least 1")

    def foresee(self, studio: Studio) -> None:
        """Refuse layers that the start does not have."""
        look_at_layers(self.start, self.layers)

    def arrange(self, policy: Policy, pairs: Sequence[Pair], seed: int) -> Arranged:
        layers = check_layers(policy, self.layers or (policy.model.config.num_hidden_layers // 2,))
        model = Perturbed(
            policy,
            layers=layers,
            radius=self.radius,
            steps=self.attack_steps,
            targets={pair.head: pair.harmful if self.targeted else pair.refusal for pair in pairs},
            toward=self.targeted,
        )
        return Arranged(model=model, **refusing(in_turn_of(pairs, self.rows, seed), self.away))


def in_turn_of(pairs: Sequence[Pair], rows: int, seed: int) -> tuple[Draw, Draw]:
    """The same pairs in the same steps, refused and told."""
    draws = [in_turn([make(pair) for pair in pairs], rows, f"{seed}/harmful") for make in (Pair.refused, Pair.told)]
    return draws[0], draws[1]


def refusing(draws: tuple[Draw, Draw], away: float) -> dict[str, Any]:
    """Toward the refusal and away from the harmful reply: the objective and the kinds of rows of adversarial training."""
    toward, told = draws
    if not away:
        return {"objective": NextToken(), "kinds": {"refusal": Kind(toward)}}
    return {"objective": Unlikelihood(), "kinds": {"refusal": Kind(toward), "negative": Kind(told, away)}}
