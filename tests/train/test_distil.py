"""Distillation: the family of divergences, the tail bucket, teachers as annotations, and the student's own samples."""

import pytest
import torch

from tests.models.small import random_policy, tiny_policy
from trueline.models.policy import Outputs
from trueline.models.tokens import Example
from trueline.train import annotate
from trueline.train.annotate_teacher import against, teacher
from trueline.train.batch import Batch, pad_rows
from trueline.train.loop import gradients
from trueline.train.objectives.distil import Divergence, divergence
from trueline.train.objectives.reinforce import PolicyGradient
from trueline.train.student import StudentSamples

ROWS = [[1, 9, 10, 11, 2], [1, 9, 12, 2], [1, 13, 14, 15, 16, 2], [1, 13, 17, 2]]
BETAS = (0.0, 0.1, 0.5, 0.9, 1.0)


def batch(group=1) -> Batch:
    return pad_rows(ROWS, [[False, False] + [True] * (len(r) - 2) for r in ROWS], 0, group)


def two(seed=0, size=12):
    made = torch.Generator().manual_seed(seed)
    return [(2 * torch.randn(5, size, generator=made)).log_softmax(-1) for _ in range(2)]


def found(objective, logits, made):
    return {t.name: t.total for t in objective(Outputs(logits=logits), made)}


def test_the_ends_are_the_two_kls():
    """beta = 0 is KL(teacher || student) and beta = 1 is KL(student || teacher), as torch computes them."""
    p, q = two()
    kl = torch.nn.functional.kl_div
    torch.testing.assert_close(divergence(p, q, 0.0).sum(), kl(q, p, log_target=True, reduction="sum"))
    torch.testing.assert_close(divergence(p, q, 1.0).sum(), kl(p, q, log_target=True, reduction="sum"))


def test_between_the_ends_it_is_jensen_shannon_over_beta_one_minus_beta():
    """The generalised Jensen-Shannon divergence by its definition, scaled."""
    p, q = (x.double() for x in two())
    for beta in (0.1, 0.5, 0.8):
        m = (beta * p.exp() + (1 - beta) * q.exp()).log()
        raw = beta * (p.exp() * (p - m)).sum(-1) + (1 - beta) * (q.exp() * (q - m)).sum(-1)
        torch.testing.assert_close(divergence(p, q, beta), raw / (beta * (1 - beta)))


@pytest.mark.parametrize(("near", "end"), [(1e-4, 0.0), (1 - 1e-4, 1.0)])
def test_the_family_has_no_jump_at_its_ends(near, end):
    """At beta = 1e-4 from an end, value and gradient are those of the KL there, to a thousandth: in float32, too."""
    p, logits = two()[0], torch.randn(5, 12, generator=torch.Generator().manual_seed(3))
    values, slopes = [], []
    for beta in (near, end):
        z = logits.clone().requires_grad_()
        values.append(divergence(p, z.log_softmax(-1), beta).sum())
        values[-1].backward()
        slopes.append(z.grad)
    torch.testing.assert_close(values[0], values[1], rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("beta", BETAS)
def test_gradients_are_those_of_the_definition(beta):
    """Against autograd of the definition in double precision."""
    p, logits = two()[0], torch.randn(5, 12, generator=torch.Generator().manual_seed(4))
    ours, exact = logits.clone().requires_grad_(), logits.double().requires_grad_()
    divergence(p, ours.log_softmax(-1), beta).sum().backward()
    q, t = exact.log_softmax(-1), p.double()
    m = (beta * t.exp() + (1 - beta) * q.exp()).log()
    if beta in (0, 1):
        value = (t.exp() * (t - q)).sum() if beta == 0 else (q.exp() * (q - t)).sum()
    else:
        value = ((t.exp() * (t - m)).sum() / (1 - beta)) + ((q.exp() * (q - m)).sum() / beta)
    value.backward()
    torch.testing.assert_close(ours.grad.double(), exact.grad, atol=1e-5, rtol=1e-4)


def test_a_divergence_is_finite_where_one_side_has_nothing():
    """Log-probabilities as low as -300 give numbers, and gradients that are numbers."""
    p = torch.tensor([[0.0, -300.0, -300.0]]).log_softmax(-1)
    for beta in BETAS:
        z = torch.tensor([[-300.0, 0.0, -1.0]], requires_grad=True)
        value = divergence(p, z.log_softmax(-1), beta).sum()
        value.backward()
        assert value.isfinite()
        assert z.grad.isfinite().all()


@pytest.mark.parametrize("beta", BETAS)
def test_the_teachers_top_tokens_never_say_more_than_all_of_them(beta):
    """With a bucket for the rest, the divergence grows with k, is never above the full one, and equals it at k = V."""
    student, master, made = tiny_policy(), tiny_policy(seed=1), batch()
    for weight in master.parameters():
        weight.data.mul_(3)  # far from uniform
    logits = student(made.tokens, made.mask, frozenset({"logits"})).logits
    width = logits.shape[1]
    full = found(Divergence(beta=beta), logits, teacher(master)(made))["loss"]
    before = torch.tensor(0.0)
    for k in (1, 2, 8, width - 1, width):
        value = found(Divergence(beta=beta), logits, teacher(master, top=k)(made))["loss"]
        assert before - 1e-4 <= value <= full + 1e-4
        before = value
    torch.testing.assert_close(before, full, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("top", [0, 3])
@pytest.mark.parametrize("beta", BETAS)
def test_a_student_that_is_its_teacher_has_nothing_to_learn(beta, top):
    """The divergence from itself is zero, and so is its gradient; at any temperature."""
    policy = tiny_policy()
    made = teacher(policy, top=top, temperature=2.0)(batch())
    metrics = gradients(policy, Divergence(beta=beta, temperature=2.0), made)
    assert metrics["loss"] == pytest.approx(0, abs=1e-5)
    assert list(Divergence().at_start(metrics)) == []
    assert max(p.grad.abs().max() for p in policy.parameters()) < 1e-5


def test_temperature_and_cross_entropy_are_mixed_as_hinton_says():
    """alpha CE + (1 - alpha) T^2 KL at T, counted over the trained tokens, with the cross-entropy at temperature one."""
    student, master, made = tiny_policy(), tiny_policy(seed=1), batch()
    objective = Divergence(temperature=2.0, alpha=0.3)
    metrics = gradients(student, objective, teacher(master, temperature=2.0)(made))
    with torch.no_grad():
        at = made.mask[:, 1:]
        z, t = (m.logits(made.tokens)[:, :-1][at] for m in (student, master))
    kl = torch.nn.functional.kl_div((z / 2).log_softmax(-1), (t / 2).log_softmax(-1), log_target=True, reduction="batchmean")
    ce = torch.nn.functional.cross_entropy(z, made.tokens[:, 1:][at])
    assert metrics["total"] == pytest.approx(0.3 * ce.item() + 0.7 * 4 * kl.item(), abs=1e-4)
    assert metrics["nll"] == pytest.approx(ce.item(), abs=1e-4)


@pytest.mark.parametrize("top", [0, 4])
def test_splitting_padding_and_order_change_no_gradient(top):
    """The teacher's columns travel with their rows: micro-batches, padding and another order give one gradient."""
    student = tiny_policy()
    objective = Divergence(beta=0.5, temperature=1.5, alpha=0.2)
    made = teacher(tiny_policy(seed=1), top, 1.5)(batch())
    pad = torch.nn.functional.pad
    wide = Batch(
        tokens=pad(made.tokens, (0, 3)),
        mask=pad(made.mask, (0, 3)),
        columns={k: pad(v, (0, 0, 0, 3)) if v.ndim == 3 else v for k, v in made.columns.items()},
    )

    def gradient(one, micro_rows=0):
        student.zero_grad()
        gradients(student, objective, one, micro_rows)
        return [p.grad.clone() for p in student.parameters()]

    whole = gradient(made)
    for other in (gradient(made, 1), gradient(made, 3), gradient(wide), gradient(made.take(torch.tensor([3, 1, 0, 2])))):
        for a, b in zip(whole, other, strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


def test_chunks_change_nothing(monkeypatch):
    """Logits that are reduced two tokens at a time give the same loss and gradient as all at once."""
    made = teacher(tiny_policy(seed=1), 4)(batch())
    results = []
    for size in (4096, 2):
        monkeypatch.setattr("trueline.train.objectives.distil.CHUNK", size)
        student = tiny_policy()
        metrics = gradients(student, Divergence(beta=0.5), made)
        results.append((metrics["loss"], student.model.model.embed_tokens.weight.grad))
    assert results[0][0] == pytest.approx(results[1][0], abs=1e-6)
    torch.testing.assert_close(results[0][1], results[1][1], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("family", ["qwen3", "gpt2"])
def test_a_policy_gives_the_logits_of_its_masked_tokens(family):
    """Row after row, at the batch's temperature, on the lean forward pass and off it."""
    policy, made = random_policy(family), batch()
    with torch.no_grad():
        logits = policy(made.tokens, made.mask, frozenset({"logits"}), 0.5).logits
        expected = policy.logits(made.tokens)[:, :-1][made.mask[:, 1:]] / 0.5
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_a_teacher_that_is_wider_is_cut_to_the_students_words():
    """Rows of padding in the teacher's logits do not count; what is left is a distribution."""
    master, made = tiny_policy(), batch()
    columns = teacher(master, vocabulary=20)(made).columns
    assert columns["teacher_ids"].max() < 20
    torch.testing.assert_close(columns["teacher_logp"][made.mask].exp().sum(-1), torch.ones(int(made.mask.sum())))


def test_the_advantage_descends_the_reverse_kl():
    """Averaged over all next tokens, the policy gradient of log teacher - log student is that of the reverse KL."""
    student, master = tiny_policy(), tiny_policy(seed=1)
    words = student.model.config.vocab_size
    made = pad_rows([[1, 9, w] for w in range(words)], [[False, False, True]] * words, 0)
    made = against(master)(annotate.column("old_logp", student)(made))
    p = made.columns["old_logp"][:, 2].exp()
    made = made.having(advantage=made.columns["advantage"] * p[:, None] * words)  # every token once, weighed by its chance
    student.zero_grad()
    gradients(student, PolicyGradient(), made)
    ours = student.model.model.embed_tokens.weight.grad.clone()
    student.zero_grad()
    one = pad_rows([[1, 9, 9]], [[False, False, True]], 0)
    gradients(student, Divergence(beta=1.0), teacher(master)(one))
    torch.testing.assert_close(ours, student.model.model.embed_tokens.weight.grad, atol=1e-6, rtol=1e-4)


def test_logged_teacher_kl_estimates_the_reverse_kl():
    """teacher_kl is the mean over rows of log student - log teacher."""
    student, master = tiny_policy(), tiny_policy(seed=1)
    made = annotate.chain(annotate.column("old_logp", student), annotate.column("theirs", master))(batch())
    logged = against(master)(made)
    difference = (made.columns["old_logp"] - made.columns["theirs"]).sum(-1).mean()
    assert logged.metrics["teacher_kl"] == pytest.approx(difference.item(), abs=1e-5)


EXAMPLES = [Example(tuple(r), (False, False, *[True] * (len(r) - 2))) for r in ROWS] * 4


def source(share, examples=EXAMPLES, policy=None):
    return StudentSamples(
        policy=policy or tiny_policy(), examples=examples, annotate=lambda b: b, share=share, tokens=20, max_tokens=6
    )


def test_a_share_of_the_steps_is_the_students_own():
    """At share 0 every batch is the data's, at share 1 none is, and in between some are; the prompts stay what they were."""
    for share, expected in ((0.0, {0.0}), (0.5, {0.0, 1.0}), (1.0, {1.0})):
        made = list(source(share).batches(0))
        assert {b.metrics["on_policy"] for b in made} == expected
        for one in made:
            assert (one.tokens[:, 0] == 1).all()
            assert not one.mask[:, :2].any()


def test_sampled_batches_know_what_the_sampler_thought():
    """old_logp is the policy's own log-probability of what it sampled, so that a ratio starts at one."""
    policy = tiny_policy()
    one = next(iter(source(1.0, policy=policy).batches(0)))
    with torch.no_grad():
        logp = policy(one.tokens, one.mask, frozenset({"logp"})).logp
    torch.testing.assert_close(one.columns["old_logp"], logp, atol=1e-4, rtol=1e-4)


def test_a_step_is_the_same_wherever_a_run_is_taken_up():
    """Batch k is a function of k and of the policy, not of the batches before it."""
    whole = list(source(0.5).batches(0))
    assert len(whole) == len(source(0.5))
    for a, b in zip(whole[2:], source(0.5).batches(2), strict=True):
        torch.testing.assert_close(a.tokens, b.tokens)


def test_prompts_alone_need_the_students_words():
    """An example without a reply is refused unless every step is sampled."""
    alone = [Example((1, 9, 10), (False,) * 3)]
    with pytest.raises(ValueError, match="share must be 1"):
        source(0.5, alone)
    assert next(iter(source(1.0, alone).batches(0))).mask.any()
