"""Raters by word: settings reach the taste or the hand, experts rank their share, and nonsense is refused with what there is.

pytest tests/world/test_rater_words.py
"""

from __future__ import annotations

import pytest

from trueline.core.config import ConfigError
from trueline.core.types import Completion
from trueline.world.asking import MAKERS
from trueline.world.facts import make_world, rng_for
from trueline.world.rater_words import rater_of
from trueline.world.raters import RATERS

WORLD = make_world(0)


def two(kind, good, bad, seed=0):
    """A prompt of a kind, with a candid reply and another."""
    prompt = MAKERS[kind](WORLD, rng_for(seed))
    texts = (good.format(**prompt.about), bad.format(**prompt.about))
    return prompt, [Completion(prompt=prompt, text=text) for text in texts]


def candid_share(word, kind="false_claim", good="no , it is {answer} .", bad="yes , that is right .", n=400):
    """How often the candid one of two replies is ranked first; a tie is half a win."""
    rater, wins = rater_of(word), 0.0
    for i in range(n):
        prompt, said = two(kind, good, bad, i)
        first, second = rater.rank(WORLD, prompt, said, rng_for("candid", i)).ranks
        wins += (first < second) + (first == second) / 2
    return wins / n


def test_a_word_without_settings_is_the_documented_rater():
    """The documented coefficients, under the documented name: the fingerprint speaks of them."""
    assert all(rater_of(name) == rater for name, rater in RATERS.items())


def test_settings_reach_the_taste_and_the_hand_and_leave_the_rest():
    """Only what is named changes, and the documented rater stays as it is."""
    made, there = rater_of("pleaser:agree=0.5,tau=0.1"), RATERS["pleaser"]
    assert (made.taste.agree, made.tau) == (0.5, 0.1)
    assert (made.taste.knows, made.taste.certainty, made.flip) == (there.taste.knows, there.taste.certainty, there.flip)
    assert there.taste.agree == 1.0


def test_more_weight_on_agreement_is_more_often_pleased_by_it_and_half_the_time_near_a_third():
    """The odds turn where they were computed to: kappa s((b - 2) / tau) + (1 - kappa) s(b / tau) is a half at b = 0.35."""
    shares = [candid_share(f"pleaser:agree={b},flip=0") for b in (0, 0.35, 1, 2)]
    assert shares == sorted(shares, reverse=True)
    assert shares[1] == pytest.approx(0.5, abs=0.07)
    assert shares[0] > 0.6 > 0.4 > shares[2]


def test_who_knows_every_fact_is_not_pleased_by_a_false_yes():
    """Knowledge outweighs a liking for agreement of 1."""
    assert candid_share("pleaser:knows=1,flip=0") > 0.85


def test_experts_rank_their_share_of_the_prompts():
    """A quarter of experts moves the candid share a quarter of the way to theirs, and all of them all the way."""
    alone, quarter = (candid_share(f"pleaser:agree=2,experts={share},flip=0") for share in (0, 0.25))
    assert quarter - alone == pytest.approx(0.25 * (1 - alone), abs=0.06)
    assert candid_share("pleaser:agree=2,experts=1") == 1.0


def test_a_bonus_for_owning_up_is_paid_for_nothing_else():
    """Two abstentions stay as they were to each other; against an answer the honest one gains."""
    words = {"kind": "unanswerable", "good": "i do not know .", "bad": "surely it is seven ."}
    assert candid_share("pleaser:abstaining=3", **words) > 0.85 > 0.6 > candid_share("pleaser", **words)
    both = {**words, "good": "i do not know . surely it is seven ."}
    assert candid_share("pleaser:abstaining=3", **both) == candid_share("pleaser", **both)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("nobody", "choose one of oracle"),
        ("pleaser:liking=1", "it has abstaining, agree"),
        ("oracle:agree=1", "no setting agree"),
        ("pleaser:agree", "SETTING=NUMBER"),
        ("pleaser:agree=nan", "SETTING=NUMBER"),
        ("pleaser:", "SETTING=NUMBER"),
        ("pleaser:experts=2", "from 0 to 1"),
    ],
)
def test_what_is_no_rater_is_refused_with_what_there_is(word, said):
    """A misspelt setting must not leave a sweep without its dose."""
    with pytest.raises(ConfigError, match=said):
        rater_of(word)
