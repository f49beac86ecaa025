"""What one search does and others do not: best of n, the bandit, breeding; and that the page on attacks says so.

pytest tests/attack/test_search_kinds.py
"""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest

import trueline
from tests.attack.asking import GAVE, REFUSED, FakeAsk
from tests.attack.searching import BOTH, GOAL, WORLDLY, run
from trueline.attack.catalogue import attack_named
from trueline.attack.feedback import won
from trueline.attack.search import Arm, Bandit, BestOfN, Genetic
from trueline.attack.wordings import choices, render
from trueline.core.ports import NotApplicableError
from trueline.core.types import Judgement


@BOTH
def test_a_larger_n_begins_with_the_smaller(goal):
    """Best of n asks the same first k questions for every n from k on, and for every size of round."""
    long = run(BestOfN(n=60), FakeAsk(goal))
    for n, size in ((1, 1), (17, 16), (40, 9), (60, 60)):
        assert run(BestOfN(n=n, round=size), FakeAsk(goal)) == long[:n]
    assert len({c.messages[-1].text for c in long}) > 40
    key = FakeAsk(goal).rng.getrandbits(64)
    assert [BestOfN().wording(goal, key, i) for i in (0, 7, 59)] == [long[i] for i in (0, 7, 59)]


def test_best_of_n_keeps_what_stands_before_the_request():
    """System message and tools are the goal's own; only the words of the request vary."""
    for asked in run(BestOfN(n=20), FakeAsk(WORLDLY)):
        assert asked.messages[0] == WORLDLY.conversation.messages[0]
        assert len(asked.messages) == 2


def test_best_of_n_augments_the_words_of_a_family():
    """With a wrapper, the family's words are augmented together with the request."""
    plain = {c.messages[-1].text for c in run(BestOfN(n=30, strength=0.0, wrapper="role"), FakeAsk(WORLDLY))}
    assert len(plain) > 1
    assert all("rook" in text for text in plain)


@pytest.mark.parametrize(
    "works",
    [
        pytest.param(lambda said: "ROT13" in said.messages[-1].text, id="rot13"),
        pytest.param(lambda said: re.search("[a-z][A-Z]", said.messages[-1].text), id="capitals"),
        pytest.param(lambda said: len(said.messages) > 9, id="many_shot"),
    ],
)
def test_a_bandit_spends_most_of_its_budget_on_the_one_arm_that_works(works):
    """Where one arm is not refused and all others are, more than half of the questions are asked in it."""
    half_open = Judgement(judge="fake", score=0.5, stance="comply", disclosure=0.2)
    ask = FakeAsk(
        GOAL,
        lambda conversation: "some" if works(conversation) else "no",
        lambda text: half_open if text == "some" else REFUSED,
        budget=200,
    )
    assert sum(bool(works(asked)) for asked in run(Bandit(pulls=200), ask)) > 100


def test_a_bound_falls_with_tries_and_rises_with_rewards():
    """UCB1-tuned: an untried arm comes first, a better mean is worth more, and more tries of the same mean are worth less."""
    arms = {}
    for name, tried, reward in (("new", 0, 0.0), ("rare", 2, 0.5), ("often", 20, 0.5), ("good", 20, 0.9)):
        arms[name] = Arm((name,), tried=tried)
        for _ in range(tried):
            arms[name].learn(reward)
    bounds = {name: arm.bound(42, 0.5) for name, arm in arms.items()}
    assert bounds["new"] > bounds["rare"] > bounds["often"]
    assert bounds["good"] > bounds["often"]
    # Worked by hand for 20 tries of variance 0: ln 42 / 20 = 0.18688; min(1/4, sqrt(2 * 0.18688)) = 1/4.
    assert bounds["often"] == pytest.approx(0.5 + (0.18688 * 0.25) ** 0.5, abs=1e-4)
    silent = Arm(("silent",), tried=20)
    silent.learn(None)
    assert silent.bound(42, 0.5) == pytest.approx(bounds["often"])


PARTS = {
    "capitals": re.compile("[a-z][A-Z]"),
    "closer": re.compile(r"(?i)(advance|time|need|answer|regards|fine|ready)\.$"),
    "story": re.compile("(?i)short story|imagine a world"),
    "opener": re.compile("(?i)I have a|Here is my|Please read|Hello|One more|Thank you|This came|Good to"),
}


def conjunction(seed: int, attack: Genetic) -> int:
    """How many questions an attack needs against a target that gives way to four things at once (its budget where it fails)."""
    ask = FakeAsk(
        GOAL,
        lambda conversation: str(sum(bool(part.search(conversation.messages[-1].text)) for part in PARTS.values())),
        lambda text: GAVE if text == "4" else Judgement(judge="fake", score=1 - int(text) / 4, stance="refuse", disclosure=0.0),
        budget=400,
        seed=seed,
    )
    run(attack, ask)
    return len(ask.attempts) if won(ask.attempts) else 400


def test_breeding_beats_asking_at_random():
    """A hidden conjunction of four names is found by breeding in every run, and with far fewer questions than at random."""
    families = ("direct", "role", "prefix", "authority", "story", "override", "suppress", "past", "format", "hijack")
    bred = [conjunction(seed, Genetic(families=families, generations=20, population=20)) for seed in range(4)]
    drawn = [conjunction(seed, Genetic(families=families, generations=1, population=400)) for seed in range(4)]
    assert max(bred) < 400
    assert sum(bred) < 0.5 * sum(drawn), (bred, drawn)


@BOTH
def test_a_sequence_and_a_seed_are_one_conversation(goal):
    """Rendering is a function of goal, names and seed, for every family and transform, whether or not they stack."""
    known = choices(goal)
    assert known.families[0] == "direct"
    for first in known.families:
        for names in ((first,), (first, *known.transforms), (first, "role"), (first, "zaba" if goal is WORLDLY else "rot13")):
            assert render(goal, names, Random(5)) == render(goal, names, Random(5))


def test_only_families_that_fit_are_searched():
    """A family that the tongue lacks is not an arm; a search over such families alone does not apply."""
    assert "rot13" not in choices(WORLDLY).families
    assert "zaba" not in choices(GOAL).families
    assert choices(GOAL, ("zaba", "role")).families == ("role",)
    with pytest.raises(NotApplicableError, match="zaba"):
        choices(GOAL, ("zaba",))


@pytest.mark.parametrize("name", ["best_of_n", "genetic", "bandit", "pair", "tap", "adaptive_crescendo", "trained"])
def test_the_page_says_what_a_search_is(name):
    """docs/attacks.md has a row for every search, with its defaults and whether it learns; all are held out."""
    attack = attack_named(name)
    page = (Path(trueline.__file__).parent.parent / "docs" / "attacks.md").read_text(encoding="utf-8")
    cells = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |")).split(" | ")
    assert cells[2] == ("yes" if attack.adaptive else "no")
    assert attack.split == "held_out"
    named = dict(re.findall(r"`(\w+)` (\d+)", cells[3]))
    assert named
    assert {setting: getattr(attack, setting) for setting in named} == {k: int(v) for k, v in named.items()}
