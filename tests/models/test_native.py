"""The kernels compute what torch computes, gradients included."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)

from tests.models.small import random_policy
from trueline.models import native, native_decode
from trueline.models.fused import norm_linear, swiglu_linear
from trueline.models.generate import sample
from trueline.models.packed import Layout, split_heads
from trueline.models.products import log_probabilities

pytestmark = pytest.mark.skipif(native.library() is None, reason="the kernels were not built: install with a C++ compiler")


def assert_close(ours, theirs, at=2e-5):
    torch.testing.assert_close(ours, theirs, atol=at, rtol=at)


def both(monkeypatch, function, *given):
    """Value and gradients of a function by the kernels and by torch, weighted so that no element is like another."""
    found = []
    for off in (False, True):
        with monkeypatch.context() as patch:
            if off:
                patch.setattr(native, "library", lambda: None)
            leaves = [g.clone().requires_grad_() if g.is_floating_point() else g for g in given]
            out = function(*leaves)
            out = out if isinstance(out, tuple) else (out,)
            total = sum((o * torch.linspace(0.5, 1.5, o.numel()).view(o.shape)).sum() for o in out)
            total.backward()
            found.append((out, [leaf.grad for leaf in leaves if leaf.is_floating_point()]))
    return found


def assert_same_by_torch(monkeypatch, function, *given):
    (ours, our_grads), (theirs, their_grads) = both(monkeypatch, function, *given)
    for a, b in zip((*ours, *our_grads), (*theirs, *their_grads), strict=True):
        assert_close(a, b)


@pytest.mark.parametrize("width", [32, 24, 7])
def test_norms_are_those_of_torch(width, monkeypatch):
    """RMSNorm, alone and after a sum, at widths that fill vectors and that do not."""
    torch.manual_seed(0)
    x, y, w = torch.randn(9, width), torch.randn(9, width), torch.rand(width) + 0.5
    assert_same_by_torch(monkeypatch, lambda x, w: native.norm(x, w, 1e-5), x, w)
    assert_same_by_torch(monkeypatch, lambda x, y, w: native.add_norm(x, y, w, 1e-5), x, y, w)


def test_a_sum_whose_norm_is_not_used_passes_its_gradient_on():
    """add_norm's first result alone has the gradient of a sum."""
    x, y = torch.randn(3, 16, requires_grad=True), torch.randn(3, 16, requires_grad=True)
    native.add_norm(x, y, torch.ones(16), 1e-5)[0].sum().backward()
    assert (x.grad == 1).all()
    assert (y.grad == 1).all()


def test_head_norms_leave_values_alone():
    """Queries and keys are normed head by head as torch does it, values are copied."""
    torch.manual_seed(0)
    qkv, norms = torch.randn(5, (4 + 2 * 2) * 8), (torch.rand(8), torch.rand(8), 1e-6)
    with torch.no_grad():
        by_kernel = native.norm_heads(qkv, norms, (4, 2))
    assert_close(by_kernel, native.norm_heads(qkv, norms, (4, 2)))  # where gradients are wanted, torch has them
    assert torch.equal(by_kernel[:, 48:], qkv[:, 48:])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("width", [32, 7])
def test_a_norm_and_its_product_in_one_are_both(width, bias, monkeypatch):
    """Values and gradients, though what lies between them is not kept."""
    torch.manual_seed(0)
    x, y, w, matrix = torch.randn(9, width), torch.randn(9, width), torch.rand(width) + 0.5, torch.randn(5, width)
    more = torch.randn(5) if bias else torch.zeros(5)

    def alone(x, w, matrix, more):
        return norm_linear(x, None, w, 1e-5, matrix, more if bias else None)

    def after_a_sum(x, y, w, matrix):
        return norm_linear(x, y, w, 1e-5, matrix)

    assert_same_by_torch(monkeypatch, after_a_sum, x, y, w, matrix)
    assert_same_by_torch(monkeypatch, lambda *given: alone(*given)[1] + 0 * given[3], x, w, matrix, more)


@pytest.mark.parametrize("inner", [32, 20])
def test_a_swiglu_and_its_product_in_one_are_both(inner, monkeypatch):
    """Values and gradients, whether or not the kernel knows the size."""
    torch.manual_seed(0)
    assert_same_by_torch(monkeypatch, swiglu_linear, torch.randn(6, 2 * inner), torch.randn(5, inner))


def test_what_can_be_made_again_is_not_kept():
    """Between two layers, a norm with its product and a SwiGLU with its product keep their inputs and the weights alone."""
    x, y, norm = (torch.randn(*shape, requires_grad=True) for shape in ((8, 16), (8, 16), (16,)))
    into, out = torch.randn(64, 16, requires_grad=True), torch.randn(16, 32, requires_grad=True)
    kept: dict[int, int] = {}

    def note(tensor):
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        total, both = norm_linear(x, y, norm, 1e-5, into)
        swiglu_linear(both, out)
    assert sorted(kept.values()) == sorted(t.numel() for t in (total, norm, into, both, out))


@pytest.mark.parametrize("inner", [32, 48, 20])
def test_swiglu_is_that_of_torch(inner, monkeypatch):
    """Also far out, where the exponential would overflow."""
    torch.manual_seed(0)
    assert_same_by_torch(monkeypatch, native.swiglu, torch.randn(6, 2 * inner) * 5)
    assert torch.isfinite(native.swiglu(torch.full((1, 64), -500.0))).all()


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("size", [64, 37])
def test_log_probabilities_and_entropies_are_those_of_torch(temperature, size, monkeypatch):
    """Values and gradients, whether or not the vocabulary fills vectors."""
    torch.manual_seed(0)
    states, weight, targets = torch.randn(11, 16), torch.randn(size, 16), torch.randint(0, size, (11,))
    assert_same_by_torch(monkeypatch, lambda s, w: log_probabilities(s, w, targets, temperature, True), states, weight)


@pytest.mark.parametrize(("heads", "size"), [((4, 4), 32), ((4, 2), 16), ((6, 1), 10), ((2, 2), 64)])
def test_attention_over_pieces_is_that_of_torch(heads, size, monkeypatch):
    """Prompts that tails share, tails of one token, pieces of more than one block, any head size and any sharing of keys."""
    torch.manual_seed(0)
    pieces = torch.tensor([[0, 9, 0, 0], [9, 40, 0, 0], [49, 5, 0, 9], [54, 1, 0, 9], [55, 37, 9, 40]])
    count, (queries, keys) = 92, heads
    found = Layout(torch.zeros(count), torch.zeros(count), torch.zeros(count), pieces, shared=2)
    qkv, angles = torch.randn(count, (queries + 2 * keys) * size), torch.randn(count, size // 2)
    cos, sin = angles.cos(), angles.sin()
    assert_same_by_torch(monkeypatch, lambda x: found.attend(x, cos, sin, heads), qkv)


def test_attention_without_sharing_is_causal_attention():
    """For rows of equal length it is torch's own."""
    torch.manual_seed(0)
    qkv, angles = torch.randn(3 * 20, 3 * 4 * 8), torch.zeros(60, 4)
    rows = Layout.of_rows(torch.zeros(3, 20, dtype=torch.long))
    q, k, v = (x.view(3, 20, 4, 8).transpose(1, 2) for x in split_heads(qkv, angles.cos(), angles.sin(), (4, 4)))
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(60, 32)
    assert_close(rows.attend(qkv, angles.cos(), angles.sin(), (4, 4)), expected)


def test_threads_change_nothing(monkeypatch):
    """A call that is cut among threads gives the same values, and gradients that differ by rounding at most."""
    monkeypatch.setattr(native, "WORTH", 1)
    torch.manual_seed(0)
    x, w = torch.randn(40, 32), torch.rand(32)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            leaf, weight = x.clone().requires_grad_(), w.clone().requires_grad_()
            (native.norm(leaf, weight, 1e-5) * x).sum().backward()
            found.append((leaf.grad, weight.grad))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0][0], found[1][0])
    assert_close(found[0][1], found[1][1])


@pytest.mark.parametrize("temperature", [0.0, 1.0, 0.5])
def test_draws_are_those_of_torch(temperature, monkeypatch):
    """The same token for the same uniform number, and its log-probability."""
    from trueline.models.generate import _draw

    logits, u = torch.randn(200, 53) * 3, torch.rand(200, dtype=torch.float64)
    given = None if temperature == 0 else u
    ours = _draw(logits.clone(), temperature, given)
    monkeypatch.setattr(native, "library", lambda: None)
    theirs = _draw(logits.clone(), temperature, given)
    assert torch.equal(ours[0], theirs[0])
    assert_close(ours[1], theirs[1])


@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 16, 32), (7, 24, 50), (14, 33, 64), (29, 128, 96), (500, 20, 33)])
def test_products_with_panels_are_those_of_torch(rows, inputs, outputs):
    """For any sizes, with a bias and without; and no row's result depends on the rows beside it, to the bit."""
    torch.manual_seed(0)
    x, weight, bias = torch.randn(rows, inputs), torch.randn(outputs, inputs), torch.randn(outputs)
    panels = native_decode.Panels.of(weight)
    assert_close(native_decode.product(x, panels), x @ weight.T, 1e-4)
    assert_close(native_decode.product(x, panels, bias), x @ weight.T + bias, 1e-4)
    one_by_one = torch.cat([native_decode.product(row[None], panels) for row in x])
    assert torch.equal(native_decode.product(x, panels), one_by_one)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_decoding_is_that_of_torch_and_rows_join_as_others_leave(family, threads, monkeypatch):
    """With room for a few rows at a time, samples are those of a decoder without the kernels, and of one with room for all.

    With one thread a whole step is one call where the processor has the registers for it; with two it is made of parts.
    """
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    policy = random_policy(family)
    assert native_decode.can_be_whole(policy.fast) == (threads == 1 and bool(native.library().wide_registers()))
    prompts = [list(range(8, 8 + n)) for n in (3, 17, 5, 9, 1, 12, 4)]
    wide = sample(policy, prompts, count=3, max_tokens=20, seed=1)
    narrow = sample(policy, prompts, count=3, max_tokens=20, seed=1, rows=6)
    assert [[s.ids for s in g] for g in wide] == [[s.ids for s in g] for g in narrow]
    monkeypatch.setattr(native, "library", lambda: None)
    plain = sample(policy, prompts, count=3, max_tokens=20, seed=1)
    assert [[s.ids for s in g] for g in wide] == [[s.ids for s in g] for g in plain]
    for ours, theirs in zip((s for g in wide for s in g), (s for g in plain for s in g), strict=True):
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=2e-5)
