"""Products and log-probabilities equal the plain ones, in value and in gradient, whichever library and chunk computes them."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from trueline.models import products


@pytest.fixture
def numbers():
    """States (M, D), weight (V, D) and targets (M,) of a small head."""
    rng = torch.Generator().manual_seed(0)
    states, weight = torch.randn(13, 6, generator=rng), torch.randn(9, 6, generator=rng)
    return states, weight, torch.randint(0, 9, (13,), generator=rng)


def _gradients(value, *leaves):
    return torch.autograd.grad(value, leaves)


@pytest.mark.parametrize("onednn", [False, True])
def test_a_product_and_its_gradients_are_those_of_torch(numbers, onednn, monkeypatch):
    """`linear` gives what torch's gives, with and without oneDNN and bias, for any number of leading dimensions."""
    monkeypatch.setattr(products, "onednn_is_better", lambda: onednn)
    monkeypatch.setattr(products, "SELDOM", 0)
    weight, bias = numbers[1].requires_grad_(), torch.randn(9, requires_grad=True)
    x = torch.randn(2, 5, 6, requires_grad=True)
    ours, theirs = products.linear(x, weight, bias), F.linear(x, weight, bias)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    for a, b in zip(
        _gradients(ours.sin().sum(), x, weight, bias), _gradients(theirs.sin().sum(), x, weight, bias), strict=True
    ):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_the_switch_to_onednn_is_put_back():
    """Products outside of ours are computed as if we were not there, whatever happens inside."""
    before = torch.backends.mkldnn.matmul.fp32_precision
    with pytest.raises(ZeroDivisionError), products._onednn():
        _ = 1 / 0
    assert torch.backends.mkldnn.matmul.fp32_precision == before


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("with_weight", [True, False])
@pytest.mark.parametrize(("chunk", "kept"), [(4096, 2**26), (5, 2**26), (5, 0)])
def test_log_probabilities_and_gradients_are_those_of_the_softmax(numbers, temperature, with_weight, chunk, kept, monkeypatch):
    """Values and gradients of log-probability and entropy equal a plain log-softmax, in chunks, kept or made again."""
    monkeypatch.setattr(products, "CHUNK", chunk)
    monkeypatch.setattr(products, "KEPT", kept)
    states, weight, targets = numbers
    head = weight.requires_grad_() if with_weight else None
    given = states.requires_grad_() if with_weight else (states @ weight.T).detach().requires_grad_()
    leaves = (given, head) if with_weight else (given,)
    before = given.detach().clone()

    def plain():
        scores = ((F.linear(given, head) if with_weight else given) / temperature).log_softmax(-1)
        return scores.gather(-1, targets[:, None])[:, 0], -(scores.exp() * scores).sum(-1)

    for entropy in (True, False):
        ours, theirs = products.log_probabilities(given, head, targets, temperature, entropy), plain()
        torch.testing.assert_close(ours[0], theirs[0], atol=1e-5, rtol=1e-5)
        assert entropy == (ours[1] is not None)
        losses = [v[0].exp().sum() + (v[1].square().sum() if entropy else 0) for v in (ours, theirs)]
        for a, b in zip(_gradients(losses[0], *leaves), _gradients(losses[1], *leaves), strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
        if entropy:
            torch.testing.assert_close(ours[1], theirs[1], atol=1e-5, rtol=1e-5)
    assert torch.equal(given.detach(), before)  # what was given is not written over


def test_no_tokens_have_no_log_probabilities(numbers):
    """An empty mask gives empty results and gradients of zero."""
    states, weight, targets = numbers
    empty = states[:0].requires_grad_()
    logp, nothing = products.log_probabilities(empty, weight, targets[:0])
    assert logp.shape == (0,)
    assert nothing is None
    assert _gradients(logp.sum(), empty)[0].shape == (0, 6)


def test_a_speed_is_that_of_the_shortest_call():
    """By a clock that says 10 ms a product, the speed is its FLOPs over 10 ms, in every way of computing it."""
    ticks = iter(i * 0.01 for i in range(1000))
    found = products.speeds(0.1, lambda: next(ticks))
    assert found.keys() == {"torch", "float32", "bfloat16"}
    assert found["float32"] == pytest.approx(2 * 1536 * 128 * 704 / 0.01 / 1e9)
