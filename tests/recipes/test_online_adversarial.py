"""The pool of online adversarial training: it persists, gets worse for the model, begins again in part, and can be kept.

pytest tests/recipes/test_online_adversarial.py
"""

import torch

from tests.models.small import tiny_policy
from tests.recipes.staged import rows_of
from tests.recipes.test_hardening import harden
from trueline.core.types import Conversation, Prompt
from trueline.recipes.hardening import Pair
from trueline.recipes.online_adversarial import OnlineAdversarial, Pool, Search

SETTINGS = OnlineAdversarial(rows=2, every=3, reset=0.5, suffix=Search(length=5, steps=1, candidates=8, top_k=8, words=2))


def pool(policy, **changes):
    prompts = [Prompt(conversation=Conversation().say("user", text)) for text in ("a b", "c d", "e f", "g h")]
    pairs = [Pair.of(policy.codec, prompt, "t t", "k l m n") for prompt in prompts]
    return Pool(policy, pairs, SETTINGS, seed=0)


def test_a_step_refreshes_what_it_draws_and_nothing_else():
    """Two of four suffixes are searched for; asked again at one step, the pool gives the same rows under both replies."""
    made = pool(tiny_policy())
    before = list(made.suffixes)
    refused = made.rows(Pair.refused, 0)
    told = made.rows(Pair.told, 0)
    assert made.rows(Pair.refused, 0) == refused
    changed = [i for i in range(4) if made.suffixes[i] != before[i]]
    assert set(changed) <= set(made.drawn)
    swaps = [sum(a != b for a, b in zip(made.suffixes[i], before[i], strict=True)) for i in changed]
    assert swaps
    assert max(swaps) <= 1  # the search goes on from the suffix that there was, one swap a step
    heads = [e.ids[: e.mask.index(True)] for e in refused]
    assert heads == [e.ids[: e.mask.index(True)] for e in told]
    assert all(head[4:9] == made.suffixes[i] for head, i in zip(heads, made.drawn, strict=True))  # <bos> <user> a b ...


def test_the_search_makes_the_harmful_reply_likelier():
    """Against a model that stands still, the loss of a suffix falls from visit to visit."""
    made = pool(tiny_policy())
    first: dict[int, float] = {}
    for step in range(3):
        made.rows(Pair.told, step)
        for i, loss in zip(made.drawn, made.found, strict=True):
            assert loss <= first.setdefault(i, loss)
    for i, start in first.items():
        assert made.losses[i]([made.suffixes[i]])[0] <= start + 1e-4


def test_some_suffixes_begin_again():
    """After `every` steps half of the pool has suffixes that no search has touched."""
    made = pool(tiny_policy())
    for step in range(3):
        made.rows(Pair.told, step)
    before = list(made.suffixes)
    made.rows(Pair.told, 3)
    chosen = made._rng("reset", 3).sample(range(4), 2)
    untouched = [i for i in chosen if i not in made.drawn]
    assert untouched
    for i in untouched:
        assert made.suffixes[i] == made.losses[i].start(made._rng("reset/3", i)) != before[i]


def test_a_pool_that_is_kept_is_the_same_pool():
    """State and restore give the suffixes back, whatever the other began with."""
    policy = tiny_policy()
    made, other = pool(policy), pool(policy)
    made.rows(Pair.told, 0)
    other.restore(made.state())
    assert other.suffixes == made.suffixes
    assert made.state()["suffixes"].dtype == torch.int64


def test_the_recipe_logs_what_the_attack_reached(tmp_path):
    """Refusals of suffixed requests are learned, and each step says how likely the attack had made the harmful reply."""
    folder = harden(tmp_path, "online_adversarial", "pool=8", "suffix.length=3", "suffix.candidates=8", "suffix.words=2")
    rows = rows_of(folder)
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert all(row["attack_loss"] > 0 for row in rows)
