"""The residual stream: what is seen is what `transformers` computes, and what is changed is what blocks go on with.

pytest tests/models/test_residual.py
"""

import pytest
import torch

from tests.models.small import random_policy, tiny_policy
from trueline.models.residual import LayerError, Seeing, through

TOKENS = torch.tensor([[1, 9, 10, 11, 2], [1, 9, 12, 2, 0]])
MASK = torch.tensor([[False, False, True, True, True], [False, False, True, True, False]])
FAMILIES = ("qwen3", "llama", "gpt2")


@pytest.mark.parametrize("family", FAMILIES)
def test_states_are_those_of_transformers(family):
    """At the masked tokens, row after row, layers 0 and 1 are `output_hidden_states` 0 and 1, on and off the lean pass."""
    policy = random_policy(family)
    hidden = Seeing(policy, (1, 0))(TOKENS, MASK, frozenset({"hidden"})).hidden
    with torch.no_grad():
        wanted = policy.model(input_ids=TOKENS, output_hidden_states=True).hidden_states
    assert hidden.shape == (5, 2, 32)
    for place, layer in enumerate((0, 1)):
        torch.testing.assert_close(hidden[:, place], wanted[layer][MASK], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_looking_changes_nothing(family):
    """With `hidden` asked for, the log-probabilities are those of the bare policy, and afterwards too."""
    policy = random_policy(family)
    bare = policy(TOKENS, MASK, frozenset({"logp"})).logp
    out = Seeing(policy, (1,))(TOKENS, MASK, frozenset({"logp", "hidden"}))
    torch.testing.assert_close(out.logp, bare, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(policy(TOKENS, MASK, frozenset({"logp"})).logp, bare, atol=0, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_change_is_what_the_blocks_go_on_with(family):
    """A shift of one row at one layer moves that row alone; its gradient is that of a small difference."""
    policy = random_policy(family)
    shift = torch.zeros(2, 5, 32, requires_grad=True)

    def logp():
        with through(policy, 2, lambda layer, states: states + shift if layer == 1 else states):
            return policy(TOKENS, MASK, frozenset({"logp"})).logp

    still = logp()
    (slope,) = torch.autograd.grad(still.sum(), shift)
    assert torch.isfinite(slope).all()
    with torch.no_grad():
        shift[0, 1, 3] += 1e-2
        moved = logp()
    assert (moved[1] == still[1]).all()
    assert (moved - still).sum().item() / 1e-2 == pytest.approx(float(slope[0, 1, 3]), abs=2e-2, rel=0.1)


def test_rows_that_share_a_prompt_are_not_packed_meanwhile():
    """Two rows of one prompt can be changed apart, and the policy packs again afterwards, even after an error."""
    policy = tiny_policy()
    same = TOKENS[:1].expand(2, -1)
    only = torch.tensor([1.0, 0.0]).view(2, 1, 1)
    with through(policy, 2, lambda layer, states: states * (1 + only)):
        logp = policy(same, MASK[:1].expand(2, -1), frozenset({"logp"})).logp
    assert (logp[0] - logp[1]).abs().max() > 1e-4
    with pytest.raises(ZeroDivisionError), through(policy, 2, lambda layer, states: 1 / 0):
        policy(same, MASK, frozenset({"logp"}))
    assert policy.packs
    assert policy.fast.residual is None


@pytest.mark.parametrize("layers", [(2,), (-1,), ()])
def test_layers_that_are_not_there_are_refused(layers):
    """The message says which layers a model of two blocks has."""
    with pytest.raises(LayerError, match=r"0 \(the embeddings\) to 1"):
        Seeing(tiny_policy(), layers)
