"""A batch without padding and with every prompt once gives the same numbers as the padded one."""

import pytest
import torch

from tests.models.small import random_policy
from trueline.models import policy as policies
from trueline.models.packed import STEP, _Segments, layout
from trueline.models.policy import RewardModel

NEEDS = frozenset({"logp", "entropy", "value"})


def batch(groups, seed=0, vocabulary=27):
    """Rows of groups of (prompt length, tail lengths): neighbours in a group share their prompt; tails carry the mask."""
    rng = torch.Generator().manual_seed(seed)
    rows, masks = [], []
    for prompt, tails in groups:
        head = torch.randint(8, vocabulary, (prompt,), generator=rng).tolist()
        for tail in tails:
            rows.append(head + torch.randint(8, vocabulary, (tail,), generator=rng).tolist())
            masks.append([False] * prompt + [True] * tail)
    width = max(map(len, rows)) + 2
    tokens = torch.tensor([r + [0] * (width - len(r)) for r in rows])
    mask = torch.tensor([m + [False] * (width - len(m)) for m in masks])
    return tokens, mask


BATCHES = {
    "pairs": [(9, [3, 5]), (12, [4, 1]), (4, [6, 6])],
    "groups of four and a single row": [(10, [2, 3, 4, 5]), (3, [7])],
    "padding alone": [(3, [30]), (4, [2]), (2, [3]), (5, [1])],
    "one group": [(15, [1, 2, 3])],
}


def results(model, tokens, mask, packed, monkeypatch):
    """Outputs and gradients of a loss that reads every masked log-probability, entropy and value."""
    with monkeypatch.context() as patch:
        if not packed:
            patch.setattr(policies, "layout", lambda *_: None)
        model.zero_grad()
        out = model(tokens, mask, NEEDS, 0.8)
        weights = torch.linspace(0.5, 1.5, mask.numel()).view(mask.shape) * mask
        ((out.logp * weights).sum() + (out.entropy * weights).sum() + (out.value.square() * weights).sum()).backward()
    return out, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", ["qwen3", "llama", "qwen2"])
@pytest.mark.parametrize("name", BATCHES)
def test_a_packed_batch_gives_what_the_padded_one_gives(family, name, monkeypatch):
    """Log-probabilities, entropies, values and every gradient agree within rounding."""
    policy = random_policy(family)
    policy.add_value_head()
    torch.nn.init.normal_(policy.value_head.weight)
    tokens, mask = batch(BATCHES[name])
    assert layout(tokens, mask) is not None
    ours, our_gradients = results(policy, tokens, mask, True, monkeypatch)
    theirs, their_gradients = results(policy, tokens, mask, False, monkeypatch)
    for what in NEEDS:
        torch.testing.assert_close(getattr(ours, what), getattr(theirs, what), atol=2e-5, rtol=2e-5)
    assert our_gradients.keys() == their_gradients.keys()
    for parameter, gradient in our_gradients.items():
        torch.testing.assert_close(gradient, their_gradients[parameter], atol=2e-4, rtol=2e-4, msg=parameter)


def test_a_packed_reward_model_scores_as_the_padded_one(monkeypatch):
    """The score at the last token of each row does not depend on the layout."""
    reward = RewardModel.start_from(random_policy("qwen3"))
    torch.nn.init.normal_(reward.model.score.weight)
    tokens, mask = batch(BATCHES["pairs"])
    with torch.no_grad():
        ours = reward(tokens, mask).value
        monkeypatch.setattr(policies, "layout", lambda *_: None)
        torch.testing.assert_close(ours, reward(tokens, mask).value, atol=1e-5, rtol=1e-5)


def test_every_token_that_matters_is_computed_once():
    """Prompts stand once, tails follow, padding and what comes after the last trained token are left out."""
    tokens, mask = batch(BATCHES["pairs"])
    found = layout(tokens, mask)
    real = found.at >= 0
    needed = sum(prompt + sum(tails) for prompt, tails in BATCHES["pairs"])
    assert len(found.at[real].unique()) == needed
    assert len(found.ids) == (needed + STEP - 1) // STEP * STEP  # filled up to a round number
    assert torch.equal(found.ids[found.at[real]], tokens[real])
    assert torch.equal(found.positions[found.at[real]], torch.arange(tokens.shape[1]).expand_as(tokens)[real])
    assert torch.equal(real.sum(-1), torch.tensor([12, 14, 16, 13, 10, 10]))


def test_rows_are_not_shared_unless_all_before_the_first_trained_token_is_the_same():
    """A prompt that differs in its first token, or is of another length, is another prompt."""
    tokens, mask = batch([(9, [3, 3])])
    assert len(layout(tokens, mask).ids) == 15
    other = tokens.clone()
    other[1, 0] += 1
    assert layout(other, mask).shared == 0
    moved = mask.clone()
    moved[1, 8] = True
    assert layout(tokens, moved).shared == 0


def test_a_full_batch_is_left_as_it_is():
    """Without padding and shared prompts there is nothing to gain."""
    tokens = torch.randint(8, 27, (4, 10), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(tokens, dtype=torch.bool)
    mask[:, 0] = False
    assert layout(tokens, mask) is None


def test_a_row_without_trained_tokens_does_no_harm():
    """An empty mask contributes zeros, and its neighbours are what they are without it."""
    policy = random_policy("qwen3")
    tokens, mask = batch(BATCHES["padding alone"])
    mask[1] = False
    with torch.no_grad():
        found = policy(tokens, mask, frozenset({"logp"})).logp
        alone = policy(tokens[:1], mask[:1], frozenset({"logp"})).logp
    assert (found[1] == 0).all()
    torch.testing.assert_close(found[:1], alone, atol=1e-5, rtol=1e-5)


def test_padding_and_taking_it_off_again_changes_nothing():
    """pad and unpad are inverse to each other, gradients included."""
    segments = _Segments.of(torch.tensor([2, 5, 1]))
    flat = torch.arange(16.0).view(8, 2).requires_grad_()
    again = segments.unpad(segments.pad(flat))
    assert torch.equal(again, flat)
    (again * torch.arange(16.0).view(8, 2)).sum().backward()
    assert torch.equal(flat.grad, torch.arange(16.0).view(8, 2))
