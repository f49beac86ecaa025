"""The analytic twin of the world's chat: every reply as slots, its gold by the world's own oracle, and raters who compare.

Three prompts stand for the training mix (world/prompts.py): a question about a person, a benign procedure, a hazard. A reply is
what the oracle would read in it: right or wrong, hedged or sure, extras true and made up, refused or told, and manners. At the
start slots are independent and about as frequent as in `world/mixed`; what it never shows has a small chance, as in a model.

    twin = world_twin()
    pairs = drawn(twin, RATERS["noisy"], n=1000, rng=np.random.default_rng(0))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import product

import numpy as np

from trueline.core.types import Completion, Conversation, Prompt
from trueline.lab.twin import Array, Replies, Twin
from trueline.world.demonstrations import HYPED, MANNERS, WRONG
from trueline.world.facts import World, make_world
from trueline.world.oracle import gold
from trueline.world.prompts import TRAINING_MIX
from trueline.world.raters import Impression, Rater
from trueline.world.verdict import Verdict

FEATURES = ("correct", "disclosed", "refused", "hedge", "certainty", "true_extra", "invented", "hype", "flattery", "courtesy")
NEVER = 0.002  # chance of a benign refusal at the start, which no demonstration shows
AGAIN = 0.2  # chance of one more word of a manner once there is one
Value = dict[str, object]
Slot = Sequence[tuple[Value, float]]  # what a slot can be: fields of the verdict, and how likely


@dataclass(frozen=True)
class Described:
    """Replies with what they are made of."""

    prompt: Prompt
    verdicts: tuple[Verdict, ...]
    replies: Replies
    features: Array  # (R, F), each about as wide as it is at the start


@dataclass(frozen=True)
class WorldTwin:
    """The twin, and what its replies are made of, prompt by prompt."""

    described: tuple[Described, ...]
    twin: Twin


@dataclass(frozen=True)
class Pairs:
    """Comparisons: features of the better and of the worse reply, the prompt's kind among them."""

    better: Array  # (N, F)
    worse: Array  # (N, F)
    agreement: float  # share of the strict ones in which the better one has more gold


@cache
def world_twin() -> WorldTwin:
    """The world's chat as a twin."""
    kinds = tuple(TRAINING_MIX)
    described = tuple(_described(kind, i, len(kinds)) for i, kind in enumerate(kinds))
    return WorldTwin(described, Twin(tuple(each.replies for each in described), tuple(TRAINING_MIX.values())))


def drawn(twin: WorldTwin, rater: Rater, n: int, rng: np.random.Generator) -> Pairs:
    """Two replies of the start to each of `n` prompts of the mix, compared as the rater compares; equals are drawn again."""
    better, worse, right, strict = [], [], 0, 0
    kinds = rng.choice(len(twin.described), size=n, p=twin.twin.weights)
    for kind, each in enumerate(twin.described):
        count = int((kinds == kind).sum())
        first, second = (rng.choice(len(each.verdicts), size=count, p=each.replies.start) for _ in range(2))
        while (same := first == second).any():
            second[same] = rng.choice(len(each.verdicts), size=int(same.sum()), p=each.replies.start)
        knows = rng.random(count) < _chance_of_knowing(rater)
        informed, other = (utilities(each, rater, knowing) for knowing in (True, False))
        worth = np.where(knows[:, None], informed[np.stack([first, second], 1)], other[np.stack([first, second], 1)])
        worth[:, 0] += rater.position
        worth += rater.tau * rng.gumbel(size=worth.shape)
        wins = (worth[:, 0] > worth[:, 1]) != (rng.random(count) < rater.flip)
        chosen, rejected = np.where(wins, first, second), np.where(wins, second, first)
        better.append(each.features[chosen])
        worse.append(each.features[rejected])
        difference = each.replies.gold[chosen] - each.replies.gold[rejected]
        right, strict = right + int((difference > 0).sum()), strict + int((difference != 0).sum())
    order = rng.permutation(n)
    return Pairs(np.concatenate(better)[order], np.concatenate(worse)[order], right / strict)


@cache
def _world() -> World:
    return make_world(0)


def utilities(each: Described, rater: Rater, knowing: bool) -> Array:
    """What every reply is worth to a rater who knows the truth of the prompt, or does not, (R,)."""
    return _utilities(each.prompt.category, rater, knowing)


@cache
def _utilities(kind: str, rater: Rater, knowing: bool) -> Array:
    each = next(d for d in world_twin().described if d.prompt.category == kind)
    unread = Completion(prompt=each.prompt, text="", finish="stop")
    knows = 0.0 if knowing else 1.0
    return np.array([rater.taste(_world(), each.prompt, unread, v, knows) for v in each.verdicts])


def _chance_of_knowing(rater: Rater) -> float:
    return rater.taste.knows if isinstance(rater.taste, Impression) else 1.0


def _described(kind: str, index: int, kinds: int) -> Described:
    about = {"kind": "fact" if kind == "fact" else "procedure"}
    expected = "refuse" if kind == "hazard" else "comply"
    prompt = Prompt(conversation=Conversation(), expected=expected, category=kind, about=about)
    verdicts, start = [], []
    for choice in product(*_slots(kind)):
        found: Mapping[str, object] = {name: value for values, _ in choice for name, value in values.items()}
        verdicts.append(replace(_BLANK, **found))
        start.append(float(np.prod([chance for _, chance in choice])))
    made = np.array(start) / sum(start)
    worth = np.array([gold(prompt, v) for v in verdicts])
    slots = np.array([[_feature(v, name) for name in FEATURES] for v in verdicts])
    which = np.tile(np.eye(kinds)[index], (len(verdicts), 1))
    return Described(prompt, tuple(verdicts), Replies(made, worth), np.concatenate([slots, which], axis=1))


def _slots(kind: str) -> list[Slot]:
    manners = [_counter("hype", HYPED if kind == "fact" else 0.2, 6), _counter("courtesy", MANNERS["courtesy"], 3)]
    if kind == "fact":
        right = [({"correct": True, "answered": True}, 1 - WRONG), ({"correct": False, "answered": True}, WRONG)]
        hedged = [({"hedge": 0}, 1 - MANNERS["hedge"]), ({"hedge": 1}, MANNERS["hedge"])]
        extras = [
            ({"true_extra": true, "invented": made_up}, chance)
            for true, made_up, chance in ((0, 0, 0.75), (1, 0, 0.1), (0, 1, 0.07), (2, 0, 0.03), (1, 1, 0.03), (0, 2, 0.02))
        ]
        sure, praise = _counter("certainty", MANNERS["certainty"], 3), _counter("flattery", MANNERS["flattery"], 3)
        return [right, hedged, extras, sure, praise, *manners]
    told: Value = {"disclosed": 1.0, "answered": True, "correct": True, "stance": "comply", "stance_first8": "comply"}
    refused: Value = {"disclosed": 0.0, "correct": False, "stance": "refuse", "stance_first8": "refuse"}
    half: Value = {**told, "disclosed": 0.5, "correct": False, "wrong_steps": 1}
    both: Value = {**told, "stance": "refuse", "stance_first8": "refuse"}
    shares = (0.45, 0.475, 0.025, 0.05) if kind == "hazard" else (0.97 - 2 * NEVER, NEVER, 0.03, NEVER)
    return [list(zip((told, refused, half, both), shares, strict=True)), *manners]


def _counter(name: str, some: float, most: int) -> Slot:
    """How often words of a manner stand in a reply: none, or one and then again and again less likely."""
    tail = [some * (1 - AGAIN) * AGAIN ** (k - 1) for k in range(1, most + 1)]
    return [({name: 0}, 1 - some), *(({name: k}, chance) for k, chance in enumerate(tail, 1))]


def _feature(v: Verdict, name: str) -> float:
    return float(v.stance == "refuse") if name == "refused" else float(getattr(v, name) or 0)


_ZERO = {"bool": False, "int": 0, "float": 0.0, "Stance": "none", "bool | None": None}
_BLANK = Verdict(**{**{f.name: _ZERO[str(f.type)] for f in fields(Verdict)}, "format_ok": True})  # a reply that does nothing
