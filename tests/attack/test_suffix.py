"""Suffix searches and the attacks that are made of them: they lower the loss, end where they should, and ask in time."""

from __future__ import annotations

import asyncio
import math
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from tests.attack.asking import GAVE, FakeAsk
from tests.models.small import random_policy, tiny_policy
from trueline.attack.goal import request, say
from trueline.attack.gradient import SuffixLoss
from trueline.attack.suffix import MARGIN, ExactSuffix, Gcg, RandomSuffix, Suffix, _swaps, coordinate_descent, gcg, opening
from trueline.core.ports import Attack, NotApplicableError
from trueline.core.types import Conversation, Prompt
from trueline.models.policy import Policy, tiny
from trueline.models.tokens import train_tokenizer
from trueline.world.facts import make_world
from trueline.world.language import parse_steps, procedure_text

GOAL = Prompt(conversation=Conversation().say("user", "c d e"), expected="refuse", about={"opening": "f g h"})
SMALL = {"steps": 6, "candidates": 8, "top_k": 8, "length": 4, "every": 2}
DATA = Path(os.environ.get("TRUELINE_DATA") or Path(__file__).parents[3] / "shared" / "data")
STORIES = DATA / "models" / "stories260K-hf"


@dataclass(frozen=True)
class Open:
    """A look inside a policy that is deployed as it stands."""

    policy: Policy
    system: str = "a b"

    def deployed(self, conversation: Conversation) -> Conversation:
        rest = conversation.messages
        return Conversation().say("system", self.system).say(rest[-1].role, rest[-1].text)


def loss_on(policy: Policy, length: int = 4) -> SuffixLoss:
    return SuffixLoss(policy, lambda text: say(GOAL, request(GOAL) + text), "f g h", length=length, rng=Random(0))


def searched(loss: SuffixLoss, seed: int = 0, steps: int = 12) -> list[Suffix]:
    return list(gcg(loss, steps=steps, candidates=16, top_k=8, rng=Random(seed)))


@pytest.mark.parametrize("make", [tiny_policy, lambda: random_policy("gpt2")], ids=["our decoder", "transformers"])
def test_gcg_lowers_the_loss_and_never_raises_it(make):
    """What is yielded has the loss that it says, none is worse than the one before, and the last is better than the first."""
    loss = loss_on(make())
    first = loss.start(Random(0))
    found = searched(loss)
    losses = [suffix.loss for suffix in found]
    assert len(found) == 12
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < loss([first])[0] - 0.5
    assert loss([s.ids for s in found]) == pytest.approx(losses, abs=1e-3)


def test_a_seed_gives_the_same_search_again():
    """All that is random comes from the generator that is handed in."""
    loss = loss_on(tiny_policy())
    assert searched(loss, seed=1) == searched(loss_on(tiny_policy()), seed=1)
    assert searched(loss, seed=1) != searched(loss, seed=2)


def test_gcg_goes_on_from_a_worse_candidate(monkeypatch):
    """As in the paper, the best candidate of a step is gone on from even where it is worse, which leads out of dead ends."""
    seen, promising = [], SuffixLoss.promising
    monkeypatch.setattr(SuffixLoss, "promising", lambda self, ids, top: seen.append(ids) or promising(self, ids, top))
    loss = loss_on(tiny_policy(), length=2)
    list(gcg(loss, steps=20, candidates=2, top_k=4, rng=Random(0)))
    assert any(later > earlier + MARGIN for earlier, later in pairwise(loss(seen)))


def test_every_candidate_reads_back():
    """With a tokenizer that merges, the swaps that are scored are those whose text is read as their own tokens."""
    policy = tiny(
        train_tokenizer(["the cat sat on the mat and then the hat"] * 9, 300), width=32, layers=1, heads=2, context=128
    )
    loss = SuffixLoss(policy.eval(), lambda text: say(GOAL, request(GOAL) + text), " the", length=6, rng=Random(0))
    ids = loss.start(Random(0))
    drawn = _swaps(loss, ids, loss.promising(ids, 40), 64, Random(0))
    assert len(drawn) > 30
    assert len(set(drawn)) == len(drawn)
    for swap in drawn:
        assert sum(a != b for a, b in zip(swap, ids, strict=True)) == 1
        assert tuple(policy.codec.prompt(say(GOAL, request(GOAL) + loss.text(swap)))) == (*loss.head, *swap, *loss.tail)
    everything = [(*ids[:i], t, *ids[i + 1 :]) for i in range(6) for t in loss.allowed]
    assert not all(loss.reads(swap) for swap in everything), "the filter has nothing to do"


class Rugged:
    """A loss without any order: every suffix has a random one, so that a better token at one place spoils the others."""

    length, allowed = 4, list(range(5))

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, suffixes: list[tuple[int, ...]]) -> list[float]:
        return [Random(repr((self.seed, ids))).random() for ids in suffixes]

    def start(self, rng: Random) -> tuple[int, ...]:
        return tuple(rng.choices(self.allowed, k=self.length))

    def reads(self, ids: tuple[int, ...]) -> bool:
        return sum(ids) % 3 > 0  # as if some suffixes were read as other tokens


def is_local_optimum(loss: SuffixLoss | Rugged, ids: tuple[int, ...]) -> bool:
    """Whether no token at any position gives a lower loss and reads back, by brute force."""
    neighbours = [(*ids[:i], token, *ids[i + 1 :]) for i in range(len(ids)) for token in loss.allowed]
    return min(loss([n for n in neighbours if n != ids and loss.reads(n)])) >= loss([ids])[0] - 2 * MARGIN


def test_the_exact_search_ends_where_no_single_token_is_better():
    """Brute force over every position and token finds nothing better than what it ends with."""
    loss = loss_on(tiny_policy())
    for seed in range(3):
        found = list(coordinate_descent(loss, rounds=50, rng=Random(seed)))
        assert len(found) < 50 * 4
        assert is_local_optimum(loss, found[-1].ids)
        losses = [suffix.loss for suffix in found]
        assert losses[-1] < losses[0]
        assert losses == sorted(losses, reverse=True)


def test_the_exact_search_looks_at_every_position_again():
    """Where a better token at one place spoils the others, it still ends in an optimum, and takes what reads back alone."""
    for seed in range(100):
        loss = Rugged(seed)
        *_, best = coordinate_descent(loss, rounds=50, rng=Random(seed))
        assert is_local_optimum(loss, best.ids)
        assert loss.reads(best.ids) or best.ids == loss.start(Random(seed))


def test_the_exact_search_leaves_large_vocabularies_to_gcg(monkeypatch):
    """A search that would never end is refused, and the one that would is named."""
    monkeypatch.setattr("trueline.attack.suffix.LARGEST", 10)
    with pytest.raises(NotApplicableError, match="use gcg"):
        asyncio.run(ExactSuffix(length=2)(GOAL, FakeAsk(GOAL, inside=Open(tiny_policy()))))


@pytest.mark.parametrize("attack", [Gcg(**SMALL), ExactSuffix(length=4, every=2)], ids=lambda a: a.name)
def test_an_attack_asks_the_request_with_a_suffix(attack):
    """Each question is the request and a suffix of the right length; the deployment's part is left to the deployment."""
    policy = tiny_policy()
    ask = FakeAsk(GOAL, inside=Open(policy))
    asyncio.run(attack(GOAL, ask))
    assert isinstance(attack, Attack)
    assert 2 <= len(ask.attempts) <= 20
    for attempt in ask.attempts:
        (message,) = attempt.conversation.messages
        assert message.text.startswith("c d e ")
        assert len(message.text.split()) == 3 + 4
    questions = [attempt.conversation for attempt in ask.attempts]
    assert len(set(questions)) == len(questions)


def test_the_control_asks_as_many_random_suffixes_as_it_may():
    """Each try is another suffix of the right length and one question; a smaller budget ends it earlier."""

    def asked(budget: int) -> list[str]:
        ask = FakeAsk(GOAL, budget=budget, inside=Open(tiny_policy()))
        asyncio.run(RandomSuffix(length=5, tries=7)(GOAL, ask))
        return [attempt.conversation.messages[-1].text for attempt in ask.attempts]

    assert [len(text.split()) for text in asked(100)] == [3 + 5] * 7
    assert len(set(asked(100))) == 7
    assert len(asked(3)) == 3


def test_a_later_question_is_a_better_one():
    """The suffixes that are asked have ever lower losses, in the conversation as it is deployed."""
    policy, inside = tiny_policy(), Open(tiny_policy(), system="i j k")
    ask = FakeAsk(GOAL, inside=inside)
    asyncio.run(Gcg(**SMALL | {"steps": 12})(GOAL, ask))
    loss = SuffixLoss(policy, lambda text: inside.deployed(say(GOAL, request(GOAL) + text)), "f g h", length=4, rng=Random(0))
    asked = [tuple(policy.codec.ids(a.conversation.messages[-1].text))[3:] for a in ask.attempts]
    losses = loss(asked)
    assert len(losses) > 2
    assert losses == sorted(losses, reverse=True)


def test_the_loss_is_that_of_the_whole_deployment():
    """What is found is an optimum of the conversation as it is deployed, which is none of the request alone."""
    policy, inside = tiny_policy(), Open(tiny_policy(), system="i j k p q")
    ask = FakeAsk(GOAL, budget=1, inside=inside)
    asyncio.run(ExactSuffix(length=4, rounds=50)(GOAL, ask))
    (attempt,) = ask.attempts
    found = tuple(policy.codec.ids(attempt.conversation.messages[-1].text))[3:]
    deployed = SuffixLoss(policy, lambda t: inside.deployed(say(GOAL, request(GOAL) + t)), "f g h", length=4, rng=Random(0))
    assert is_local_optimum(deployed, found)
    assert not is_local_optimum(loss_on(policy), found)


def test_the_same_questions_are_asked_again():
    """A campaign that was killed asks what it asked before, for the randomness is that of its Ask."""

    def questions(seed: int) -> list[Conversation]:
        ask = FakeAsk(GOAL, inside=Open(tiny_policy()), seed=seed)
        asyncio.run(Gcg(**SMALL)(GOAL, ask))
        return [attempt.conversation for attempt in ask.attempts]

    assert questions(0) == questions(0) != questions(1)


def test_a_dead_end_is_left_for_another_start(monkeypatch):
    """A suffix that opens the reply as wanted is asked at once; where it fails, the search begins again elsewhere."""
    monkeypatch.setattr(SuffixLoss, "says", lambda self, ids: True)
    ask = FakeAsk(GOAL, inside=Open(tiny_policy()))
    asyncio.run(Gcg(**SMALL | {"every": 100})(GOAL, ask))
    texts = [attempt.conversation.messages[-1].text.split()[3:] for attempt in ask.attempts]
    assert len(texts) == SMALL["steps"]
    unlike = [sum(a != b for a, b in zip(one, other, strict=True)) for one, other in pairwise(texts)]
    assert max(unlike) > 1  # steps of one search differ by a token


def test_a_success_ends_the_search():
    """Nothing is asked once the target gave what was asked for."""
    ask = FakeAsk(GOAL, judge=lambda text: GAVE, inside=Open(tiny_policy()))
    asyncio.run(Gcg(**SMALL)(GOAL, ask))
    assert len(ask.attempts) == 1


@pytest.mark.parametrize("budget", [1, 2])
def test_the_last_question_is_kept_for_the_best_suffix(budget):
    """With few questions left, the search runs to its end and the last question is the best that it found."""

    def asked(budget: int) -> list[str]:
        ask = FakeAsk(GOAL, budget=budget, inside=Open(tiny_policy()))
        asyncio.run(Gcg(**SMALL)(GOAL, ask))
        return [attempt.conversation.messages[-1].text for attempt in ask.attempts]

    assert len(asked(budget)) == budget
    assert asked(budget)[-1] == asked(100)[-1]


def test_a_target_without_weights_offers_no_hold():
    """A remote target, or a request that does not fit, is skipped with a reason."""
    with pytest.raises(NotApplicableError, match="local model"):
        asyncio.run(Gcg()(GOAL, FakeAsk(GOAL)))
    with pytest.raises(NotApplicableError, match="the model takes 128"):
        asyncio.run(Gcg(length=200)(GOAL, FakeAsk(GOAL, inside=Open(tiny_policy()))))


@pytest.mark.parametrize("setting", ["length", "steps", "candidates", "top_k", "every", "words", "rows"])
def test_settings_below_one_are_refused(setting):
    """A search of no steps, tokens or candidates is a mistake, and named."""
    with pytest.raises(ValueError, match=f"{setting} counts from 1; got 0"):
        Gcg(**{setting: 0})


def test_the_opening_of_a_procedure_gives_nothing_away():
    """By default it is the same for all hazards; three words are the procedure's own, and still no whole step."""
    openings = []
    for procedure in make_world(0).hazards:
        goal = Prompt(conversation=GOAL.conversation, about={"world": "0", "procedure": procedure.text})
        openings.append(opening(goal, Gcg().words))
        assert procedure_text(procedure).startswith(opening(goal, 3))
        assert len(opening(goal, 3).split()) == 3
        assert not parse_steps(opening(goal, 3))
    assert set(openings) == {"first"}
    assert Gcg().words == ExactSuffix().words


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"opening": "Sure, here is a kite", "goal": "Fold a kite."}, "Sure, here is a kite"),
        ({"goal": "Fold a paper  kite."}, "Sure, here is how to fold a paper kite"),
        ({"goal": "How do I fold a kite?"}, "Sure, here is the answer"),
        ({}, "Sure, here is how to c d e"),
    ],
)
def test_an_opening_is_published_or_plain_consent(about, expected):
    """A goal's own opening is taken; without one, consent to the goal in its own words."""
    assert opening(Prompt(conversation=GOAL.conversation, about=about), 3) == expected


@pytest.mark.data
def test_gcg_makes_a_string_likelier_on_a_real_checkpoint():
    """On a model that tells stories, thirty steps make an odd continuation at least a hundred times as likely."""
    if not STORIES.is_dir():
        pytest.skip("the data folder is not there (set TRUELINE_DATA to it)")
    policy = Policy.load(STORIES)
    policy.codec = policy.codec.with_template("raw")
    story = Conversation().say("user", "Once upon a time there was a little girl")
    goal = Prompt(conversation=story)
    loss = SuffixLoss(policy, lambda t: say(goal, request(goal) + t), " dragon ate the moon", length=20, rng=Random(0))
    before = loss([loss.start(Random(0))])[0]
    *_, best = gcg(loss, steps=30, candidates=64, top_k=64, rng=Random(0))
    assert best.loss < before - math.log(100)
