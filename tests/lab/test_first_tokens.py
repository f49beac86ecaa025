"""The loss that holds first tokens: cross-entropy's gradient at the start, and a pull that fades where it should.

pytest tests/lab/test_first_tokens.py
"""

from __future__ import annotations

import pytest
import torch

from trueline.lab.first_tokens import FirstTokens
from trueline.models.policy import Outputs
from trueline.train.batch import Batch
from trueline.train.objectives.likelihood import NextToken

MASK = torch.tensor([[False, True, True, True, True, True, True, True], [False, False, False, True, True, False, False, False]])
LOGP = torch.log(torch.linspace(0.1, 0.9, 16).reshape(2, 8))


def slope(objective, moved: float = 0.0) -> torch.Tensor:
    """The gradient for the log-probabilities, where they lie `moved` above the reference."""
    logp = (LOGP * MASK).requires_grad_()
    batch = Batch(tokens=torch.zeros(2, 8, dtype=torch.long), mask=MASK, columns={"ref_logp": (LOGP * MASK) - moved})
    total = sum(term.total for term in objective(Outputs(logp=logp), batch))
    (found,) = torch.autograd.grad(total, logp)
    return found


def test_at_the_start_its_gradient_is_that_of_cross_entropy():
    """Qi et al. 2024: 2 / beta times beta times one half is one, whatever the betas."""
    assert torch.allclose(slope(FirstTokens()), slope(NextToken()))


def test_held_tokens_stop_learning_sooner_than_those_let_go():
    """Two nats above the reference, a token of beta 2 hardly moves any more and one of beta 0.1 still does."""
    found = -slope(FirstTokens(), moved=2.0)[0, 1:]
    assert found[1:5].tolist() == pytest.approx([found[1].item()] * 4)
    assert found[1] < 0.05 < 0.8 < found[5]
    assert found[0] == pytest.approx(2 * torch.sigmoid(torch.tensor(-1.0)).item(), abs=1e-5)


def test_places_are_counted_within_a_row_and_what_is_not_trained_has_no_gradient():
    """The second row's reply begins later, and is held from its own first token."""
    betas = FirstTokens().betas(MASK)
    assert betas[0, 1:].tolist() == pytest.approx([0.5, 2, 2, 2, 2, 0.1, 0.1])
    assert betas[1, 3:5].tolist() == pytest.approx([0.5, 2])
    assert not slope(FirstTokens(), moved=1.0)[~MASK].any()
