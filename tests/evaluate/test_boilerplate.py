"""Boilerplate is what replies to different prompts share, and nothing else.

pytest tests/evaluate/test_boilerplate.py
"""

from __future__ import annotations

from random import Random

import pytest

from trueline.core.stats import wilson
from trueline.evaluate.boilerplate import boilerplate

PHRASE = "you are valid and valued always"


def _varied(n: int, seed: int = 0) -> list[str]:
    rng = Random(seed)
    return [" ".join(f"w{rng.randrange(10_000)}" for _ in range(12)) for _ in range(n)]


def test_replies_that_share_nothing_hold_no_boilerplate() -> None:
    """Replies without a common phrase have a share of zero, an interval above it, and no phrase to show."""
    found = boilerplate([f"q{i}" for i in range(40)], _varied(40))
    assert found.share.value == 0
    assert found.share.high > 0
    assert found.share.n == 40
    assert found.phrases == ()
    assert not any(found.held)


def test_a_phrase_that_is_put_into_some_replies_is_found_and_counted() -> None:
    """The share is that of the replies it was put into, and the phrase is named once, not once for each of its windows."""
    replies = [f"{text} {PHRASE}" if i < 30 else text for i, text in enumerate(_varied(40))]
    found = boilerplate([f"q{i}" for i in range(40)], replies, words=4)
    assert found.share.value == 0.75
    assert found.held == (True,) * 30 + (False,) * 10
    assert len(found.phrases) == 1
    assert found.phrases[0][1].value == 0.75


def test_what_one_prompt_is_answered_over_and_over_is_no_boilerplate() -> None:
    """Samples of one prompt agree for its sake: only other prompts count, and the interval is that of six prompts."""
    replies = [PHRASE] * 5 + _varied(5)
    found = boilerplate(["same"] * 5 + [f"q{i}" for i in range(5)], replies)
    assert found.share.value == 0
    assert found.share.n == 10
    assert found.share.high == wilson(0, 6).high


def test_a_phrase_of_the_prompt_is_left_out() -> None:
    """A reply that repeats its question holds the question, which is no boilerplate."""
    found = boilerplate([f"{PHRASE} {i}" for i in range(4)], [PHRASE] * 4)
    assert found.share.value == 0


def test_order_case_and_punctuation_change_nothing() -> None:
    """The same replies in another order, in capitals and with other punctuation have the same share and phrases."""
    prompts = [f"q{i}" for i in range(20)]
    replies = [f"{text} {PHRASE}" if i % 2 else text for i, text in enumerate(_varied(20))]
    loud = [reply.upper().replace(" ", ", ") for reply in reversed(replies)]
    first, second = boilerplate(prompts, replies), boilerplate(prompts[::-1], loud)
    assert first.share == second.share
    assert first.phrases == second.phrases
    assert first.held == second.held[::-1]


def test_a_phrase_must_be_common_enough() -> None:
    """Two prompts of a hundred are below a tenth, and above a hundredth."""
    replies = [f"{text} {PHRASE}" if i < 2 else text for i, text in enumerate(_varied(100))]
    prompts = [f"q{i}" for i in range(100)]
    assert boilerplate(prompts, replies, often=0.1).share.value == 0
    assert boilerplate(prompts, replies, often=0.01).share.value == 0.02


@pytest.mark.parametrize("prompts", [["only"] * 3, ["a", "b"]])
def test_one_prompt_or_a_missing_one_is_refused(prompts: list[str]) -> None:
    """Boilerplate of one prompt, or of replies without their prompts, is no number."""
    with pytest.raises(ValueError, match="two different prompts"):
        boilerplate(prompts, ["x"] * 3)
