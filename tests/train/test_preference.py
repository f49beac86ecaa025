"""Preference objectives: each link's closed form and start, and those without a reference by hand."""

import math

import pytest
import torch
from torch.nn.functional import logsigmoid

from tests.models.small import tiny_policy
from tests.train.pairs import annotated, batch, gradient, logps
from trueline.train.objectives.preference import DPO, LINKS, Pairs
from trueline.train.objectives.reference_free import CPO, ORPO, SimPO, log_odds

NOISE = {"conservative": 0.1, "robust": 0.1, "exo": 1e-3, "aot": 0.1, "aot_unpaired": 0.1}
EVERY_LINK = [DPO(link=name, noise=NOISE.get(name, 0.0)) for name in LINKS]
SIGMA = torch.sigmoid


def loss_of(link: str, chosen: float, rejected: float, beta: float, noise: float = 0.0, beside=(0.0, 0.0)) -> float:
    pairs = Pairs(torch.tensor([chosen]), torch.tensor([rejected]), torch.tensor([beside]))
    return LINKS[link].loss(DPO(beta=beta, link=link, noise=noise), pairs).item()


@pytest.mark.parametrize("objective", EVERY_LINK, ids=lambda o: o.link)
def test_a_link_starts_where_it_must(objective):
    """With policy equal to reference every link's own start check passes, and log-ratios and margin are zero."""
    policy = tiny_policy()
    metrics, _ = gradient(policy, objective, annotated(policy, batch(), reference=policy))
    assert list(objective.at_start(metrics)) == []
    for name in ("chosen", "rejected", "margin"):
        assert metrics[name] == pytest.approx(0, abs=1e-5)
    assert metrics["chosen_logp"] < 0 < metrics["chosen_length"]


@pytest.mark.parametrize(
    ("link", "start"),
    [
        ("sigmoid", math.log(2)), ("sigmoid_norm", math.log(2)), ("ipo", 25.0), ("ipo_sum", 25.0), ("nca", 2 * math.log(2)),
        ("bco", 2 * math.log(2)), ("sppo", 50.0), ("apo_zero", 1.0), ("apo_down", 1.0), ("aot", math.log(2)),
        ("aot_unpaired", math.log(2)), ("discopop", 0.5 * math.log(2) + 0.5),
    ],
)  # fmt: skip
def test_the_loss_at_the_start_is_known(link, start):
    """At log-ratios of zero and beta 0.1 a link has the value that its paper's formula has there."""
    assert loss_of(link, 0.0, 0.0, 0.1) == pytest.approx(start, rel=1e-6)


@pytest.mark.parametrize(("chosen", "rejected", "beta"), [(1.5, -0.5, 0.5), (-2.0, -3.0, 0.1), (-1.0, 2.0, 0.3)])
def test_links_by_hand(chosen, rejected, beta):
    """Each link has its closed form at log-ratios of any signs."""
    w, r, z = (torch.tensor(x, dtype=torch.float64) for x in (beta * chosen, beta * rejected, beta * (chosen - rejected)))
    q, gate = SIGMA(z), SIGMA(z / 0.05)
    expected = {
        "sigmoid": -logsigmoid(z),
        "hinge": (1 - z).clamp(min=0),
        "ipo": (z / beta - 1 / (2 * beta)) ** 2,
        "nca": -logsigmoid(w) - 0.5 * logsigmoid(-w) - 0.5 * logsigmoid(-r),
        "sppo": (chosen - 1 / (2 * beta)) ** 2 + (rejected + 1 / (2 * beta)) ** 2 + 0 * z,
        "apo_zero": 1 - SIGMA(w) + SIGMA(r),
        "apo_down": SIGMA(w) + 1 - SIGMA(z),
        "discopop": -logsigmoid(z) * (1 - gate) + torch.exp(-z) * gate,
    }
    for link, value in expected.items():
        assert loss_of(link, chosen, rejected, beta) == pytest.approx(value.item(), rel=1e-5), link
    assert loss_of("exo", chosen, rejected, beta, 0.2) == pytest.approx(
        (q * torch.log(q / 0.8) + (1 - q) * torch.log((1 - q) / 0.2)).item(), rel=1e-4, abs=1e-6
    )
    smooth = -0.8 * logsigmoid(z) - 0.2 * logsigmoid(-z)
    assert loss_of("conservative", chosen, rejected, beta, 0.2) == pytest.approx(smooth.item(), rel=1e-5)
    shifted = -logsigmoid(w - beta * 0.4) - logsigmoid(-(r - beta * 0.4))
    assert loss_of("bco", chosen, rejected, beta, beside=(0.4, 0.4)) == pytest.approx(shifted.item(), rel=1e-5)


def test_exo_is_a_divergence():
    """EXO's loss is never negative, and is zero exactly where sigmoid(z) is the softened label."""
    z = torch.linspace(-30, 30, 61)
    losses = LINKS["exo"].loss(DPO(beta=1.0, link="exo", noise=0.1), Pairs(z, torch.zeros(61), torch.zeros(61, 2)))
    assert losses.min() >= -1e-6
    assert loss_of("exo", math.log(0.9 / 0.1), 0.0, 1.0, 0.1) == pytest.approx(0, abs=1e-6)


def test_robust_dpo_is_unbiased_under_flips():
    """Averaged over labels flipped with the assumed share, rDPO is the loss on clean labels."""
    for h in (-3.0, -0.5, 0.0, 2.0):
        noisy = 0.7 * loss_of("robust", h, 0.0, 0.7, 0.3) + 0.3 * loss_of("robust", -h, 0.0, 0.7, 0.3)
        assert noisy == pytest.approx(loss_of("sigmoid", h, 0.0, 0.7), abs=1e-6)


@pytest.mark.parametrize("objective", EVERY_LINK, ids=lambda o: o.link)
def test_a_link_is_finite_far_out(objective):
    """At log-ratios of a thousand nats either way the loss and its gradient are finite numbers."""
    ratios = torch.tensor([[1000.0, -1000.0], [-1000.0, 1000.0], [0.0, 0.0]], requires_grad=True)
    losses = LINKS[objective.link].loss(objective, Pairs(*ratios.unbind(-1), torch.zeros(3, 2)))
    losses.sum().backward()
    assert losses.isfinite().all()
    assert ratios.grad.isfinite().all()


def test_averaged_links_divide_by_the_length_and_summed_ones_do_not():
    """`ipo` sees log-ratios a token, `ipo_sum` a reply; both log them a reply."""
    policy, made = tiny_policy(), annotated(tiny_policy(), batch())
    ratio = (logps(policy, made) - (made.columns["ref_logp"] * made.mask).sum(-1).view(-1, 2)).detach()
    length = made.mask.sum(-1).view(-1, 2)
    for link, seen in (("ipo", ratio / length), ("ipo_sum", ratio)):
        metrics, _ = gradient(policy, DPO(beta=0.5, link=link), made)
        assert metrics["loss"] == pytest.approx((seen[:, 0] - seen[:, 1] - 1).square().mean().item(), rel=1e-4)
        assert metrics["chosen"] == pytest.approx(ratio[:, 0].mean().item(), rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"beta": 0.0}, "beta"),
        ({"noise": 0.5, "link": "robust"}, "noise"),
        ({"noise": 0.1}, "does not read noise"),
        ({"link": "exo"}, "exo needs noise"),
        ({"link": "dpo"}, "unknown link"),
        ({"nll": -1.0}, "nll"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(settings, said):
    """Label noise for a link that would ignore it, EXO without it, and values out of range are errors."""
    with pytest.raises(ValueError, match=said):
        DPO(**settings)


def test_reference_free_objectives_by_hand():
    """SimPO compares means, CPO sums, ORPO odds; the chosen's nll is a mean over its tokens. None needs a reference."""
    policy, made = tiny_policy(), batch()
    logp = logps(policy, made).detach()
    average = logp / made.mask.sum(-1).view(-1, 2)
    nll = -average[:, 0].mean().item()
    simpo, _ = gradient(policy, SimPO(beta=2.5, margin=0.7), made)
    assert simpo["loss"] == pytest.approx(-logsigmoid(2.5 * (average[:, 0] - average[:, 1]) - 0.7).mean().item(), rel=1e-5)
    cpo, _ = gradient(policy, CPO(beta=0.2, weight=0.5), made)
    assert cpo["total"] == pytest.approx(-logsigmoid(0.2 * (logp[:, 0] - logp[:, 1])).mean().item() + 0.5 * nll, rel=1e-5)
    odds = average.exp() / (1 - average.exp())
    orpo, _ = gradient(policy, ORPO(weight=0.3), made)
    ratio = (odds[:, 0].log() - odds[:, 1].log()).double()
    assert orpo["total"] == pytest.approx(nll - 0.3 * logsigmoid(ratio).mean().item(), rel=1e-4)
    for objective, metrics in ((SimPO(), simpo), (CPO(), cpo), (ORPO(), orpo)):
        assert objective.requires == frozenset()
        assert list(objective.at_start(metrics)) == []


def test_log_odds_lose_no_digits_at_either_end():
    """log p - log(1 - p) in float32 is within 1e-5 of float64 from p = 1e-30 to 1 - 1e-5, and finite with its gradient at 1."""
    x = torch.cat([-torch.logspace(-5, 1.8, 60), torch.tensor([-0.6931, -0.6932])])
    exact = x.double() - (-torch.expm1(x.double())).log()
    torch.testing.assert_close(log_odds(x).double(), exact, atol=1e-5, rtol=1e-5)
    certain = torch.zeros(1, requires_grad=True)
    log_odds(certain).backward()
    assert log_odds(certain).isfinite().all()
    assert certain.grad.isfinite().all()
