"""Preference objectives: each link's closed form and start, and whole-batch links against their naive definition."""

import math

import pytest
import torch
from torch.nn.functional import logsigmoid

from tests.models.small import random_policy, tiny_policy
from trueline.models.policy import Outputs
from trueline.models.tokens import Example
from trueline.train import annotate
from trueline.train.annotate_preference import (
    RunningDelta,
    best_first,
    matched_gaps,
    matched_sides,
    mismatched,
    recalled,
    remember,
    rows_of,
    without_dropout,
)
from trueline.train.batch import Batch, pad_rows
from trueline.train.loop import gradients
from trueline.train.objectives.kto import KTO
from trueline.train.objectives.preference import DPO, LINKS, Pairs
from trueline.train.objectives.reference_free import CPO, ORPO, SimPO, log_odds

NOISE = {"conservative": 0.1, "robust": 0.1, "exo": 1e-3, "aot": 0.1, "aot_unpaired": 0.1}
EVERY_LINK = [DPO(link=name, noise=NOISE.get(name, 0.0)) for name in LINKS]
SIGMA = torch.sigmoid


def batch(pairs: int = 5, seed: int = 0) -> Batch:
    """Pairs of replies of 1 to 6 tokens to prompts of one letter."""
    random = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(pairs):
        head = [1, int(torch.randint(8, 28, (1,), generator=random))]
        for _ in range(2):
            n = int(torch.randint(1, 7, (1,), generator=random))
            rows.append([*head, *torch.randint(8, 28, (n,), generator=random).tolist(), 2])
    return pad_rows(rows, [[False, False] + [True] * (len(r) - 2) for r in rows], 0, 2)


def annotated(policy, made: Batch, reference=None) -> Batch:
    """The batch with every column that a link may ask for."""
    reference = reference or tiny_policy(seed=1)
    steps = (annotate.reference(reference), matched_gaps(policy), matched_sides(policy), RunningDelta(policy))
    return annotate.chain(*steps)(made)


def gradient(model, objective, made, micro_rows=0):
    model.zero_grad()
    metrics = gradients(model, objective, made, micro_rows)
    return metrics, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def logps(model, made):
    return (model(made.tokens, made.mask, frozenset({"logp"})).logp * made.mask).sum(-1).view(-1, 2)


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


def naive_aot(link, policy, made, beta, noise):
    """The definition: everything is sorted in one whole batch, and autograd goes through the sort."""
    ours, ref = logps(policy, made), (made.columns["ref_logp"] * made.mask).sum(-1).view(-1, 2)
    if link == "aot":
        gap = (ours[:, 0] - ours[:, 1]).sort().values - (ref[:, 0] - ref[:, 1]).sort().values
    else:
        gap = (ours - ref)[:, 0].sort().values - (ours - ref)[:, 1].sort().values
    return (-(1 - noise) * logsigmoid(beta * gap) - noise * logsigmoid(-beta * gap)).mean()


@pytest.mark.parametrize("link", ["aot", "aot_unpaired"])
@pytest.mark.parametrize("micro_rows", [0, 2, 4])
def test_aot_is_its_whole_batch_definition_whatever_the_split(link, micro_rows):
    """Value and gradient are those of autograd through a sort over the whole batch, in micro-batches of any size."""
    policy = tiny_policy()
    made = annotated(policy, batch(pairs=7))
    metrics, got = gradient(policy, DPO(beta=0.8, link=link, noise=0.1), made, micro_rows)
    policy.zero_grad()
    loss = naive_aot(link, policy, made, 0.8, 0.1)
    loss.backward()
    assert metrics["loss"] == pytest.approx(loss.item(), abs=1e-6)
    for name, parameter in policy.named_parameters():
        torch.testing.assert_close(got[name], parameter.grad, atol=1e-6, rtol=1e-4, msg=name)


class Double(torch.nn.Module):
    """A model that gives the log-probabilities of another in float64."""

    def __init__(self, policy):
        super().__init__()
        self.policy, self.device = policy, policy.device

    def forward(self, *asked):
        return Outputs(logp=self.policy(*asked).logp.double())


@pytest.mark.parametrize("match", [matched_gaps, matched_sides])
def test_sorts_keep_the_precision_of_the_log_probabilities(match):
    """From a model in float64 the columns of AOT are float64, with the numbers of float32 to its last digits."""
    policy, reference = tiny_policy(), tiny_policy(seed=1)
    wide = match(Double(policy))(annotate.reference(Double(reference))(batch()))
    narrow = match(policy)(annotate.reference(reference)(batch()))
    name = "shift" if match is matched_gaps else "partner"
    assert wide.columns[name].dtype == torch.float64
    torch.testing.assert_close(wide.columns[name].float(), narrow.columns[name], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("link", ["aot", "aot_unpaired"])
def test_aot_is_not_the_loss_of_sorted_micro_batches(link):
    """Annotated after the split, as it must not be, the same batch has another loss."""
    policy = tiny_policy()
    made = annotate.reference(tiny_policy(seed=1))(batch(pairs=6))
    whole = gradient(policy, DPO(beta=0.8, link=link), annotated(policy, made))[0]["loss"]
    parts = [gradient(policy, DPO(beta=0.8, link=link), annotated(policy, part))[0]["loss"] for part in made.split(4)]
    assert abs(whole - sum(parts) / len(parts)) > 1e-4


def test_annotations_of_the_whole_batch_do_not_know_its_order():
    """A batch with its pairs in another order has the same AOT columns, pair by pair, and the same delta."""
    policy, order = tiny_policy(), torch.tensor([4, 5, 8, 9, 0, 1, 6, 7, 2, 3])
    made = batch()
    first, second = annotated(policy, made), annotated(policy, made.take(order))
    for name in ("shift", "partner", "delta"):
        torch.testing.assert_close(second.columns[name], first.columns[name][order], atol=1e-5, rtol=1e-5)


def test_the_running_delta_is_the_mean_over_all_rows_seen_and_survives_a_checkpoint():
    """After two batches delta is the mean log-ratio of the rows of both; restored, it goes on to the bit."""
    policy, reference = tiny_policy(), annotate.reference(tiny_policy(seed=1))
    parts = [reference(batch(pairs=n, seed=n)) for n in (2, 5, 3)]
    ratios = [(logps(policy, p) - (p.columns["ref_logp"] * p.mask).sum(-1).view(-1, 2)).flatten() for p in parts]
    delta = RunningDelta(policy)
    for part in parts[:2]:
        seen = delta(part)
    assert seen.metrics["delta"] == pytest.approx(torch.cat(ratios[:2]).mean().item(), abs=1e-5)
    assert (seen.columns["delta"] == torch.tensor(seen.metrics["delta"])).all()
    again = RunningDelta(policy)
    again.restore(delta.state())
    assert again(parts[2]).metrics == delta(parts[2]).metrics


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


def thumbs() -> tuple[list[Example], dict[Example, Example]]:
    """Six completions of six prompts, and each prompt with the completion of the next."""
    rows = [(1, 8 + i, *[9 + i + k for k in range(1 + i % 3)], 2) for i in range(6)]
    examples = [Example(row, (False, False) + (True,) * (len(row) - 2)) for row in rows]
    crossed = []
    for i, example in enumerate(examples):
        other = rows[(i + 1) % 6][2:]
        crossed.append(Example(example.ids[:2] + other, (False, False) + (True,) * len(other)))
    return examples, dict(zip(examples, crossed, strict=True))


def labelled(policy, reference) -> tuple[Batch, float]:
    """A batch for KTO, four desirable rows and two not, and its z0 before the clamp, computed plainly."""
    examples, others = thumbs()
    table = remember(reference, [*examples, *others.values()])
    made = pad_rows([e.ids for e in examples], [e.mask for e in examples], 0)
    made = made.having(label=torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0, 1.0]))
    made = annotate.chain(recalled(table), mismatched(policy, others, table))(made)
    moved = []
    for e in others.values():
        tokens, mask = torch.tensor([e.ids]), torch.tensor([e.mask])
        ours, theirs = ((m(tokens, mask, frozenset({"logp"})).logp * mask).sum() for m in (policy, reference))
        moved.append(float((ours - theirs).detach()))
    return made, sum(moved) / len(moved)


def test_kto_by_hand():
    """The loss is the paper's, with z0 from the whole batch; chosen and rejected are means over their own rows."""
    policy, reference = tiny_policy(), tiny_policy(seed=3)
    made, z0 = labelled(policy, reference)
    z0 = max(0.0, z0)
    assert made.columns["kl_baseline"].tolist() == pytest.approx([z0] * 6, abs=1e-5)
    logp = (policy(made.tokens, made.mask, frozenset({"logp"})).logp * made.mask).sum(-1).detach()
    ratio = logp - (made.columns["ref_logp"] * made.mask).sum(-1)
    wanted = made.columns["label"] > 0.5
    each = torch.where(wanted, 1 - SIGMA(0.5 * (ratio - z0)), 2 * (1 - SIGMA(0.5 * (z0 - ratio))))
    for micro_rows in (0, 1, 4):
        metrics, _ = gradient(policy, KTO(beta=0.5, undesirable=2.0), made, micro_rows)
        assert metrics["loss"] == pytest.approx(each.mean().item(), abs=1e-5)
        assert metrics["chosen"] == pytest.approx(ratio[wanted].mean().item(), abs=1e-4)
        assert metrics["rejected"] == pytest.approx(ratio[~wanted].mean().item(), abs=1e-4)


def test_the_baseline_is_a_constant_and_never_negative():
    """z0 is max(0, mean) over mismatched rows, and one of two models that are swapped has it at zero."""
    a, b = tiny_policy(seed=3), tiny_policy(seed=4)
    found = []
    for policy, reference in ((a, b), (b, a)):
        made, plain = labelled(policy, reference)
        assert not made.columns["kl_baseline"].requires_grad
        assert float(made.columns["kl_baseline"][0]) == pytest.approx(max(0.0, plain), abs=1e-5)
        found.append(plain)
    assert min(found) < 0 < max(found)


def test_kto_starts_at_half():
    """With policy equal to reference z0 and all log-ratios are zero, and the loss is half the mean weight."""
    policy = tiny_policy()
    made, _ = labelled(policy, policy)
    metrics, _ = gradient(policy, KTO(), made)
    assert metrics["loss"] == pytest.approx(0.5, abs=1e-5)
    assert list(KTO().at_start(metrics)) == []


def test_what_is_remembered_is_what_the_reference_says():
    """Recalled log-probabilities are the reference's own, in any batch and order, though each example was read once."""
    reference, made = tiny_policy(seed=1), batch(pairs=6)
    read = []
    reference.register_forward_hook(lambda module, inputs, out: read.append(len(inputs[0])))
    rows = rows_of(made)
    table = remember(reference, rows * 3)
    assert sum(read) == len(set(rows))
    part = made.take(torch.tensor([6, 7, 2, 3]))
    expected = annotate.reference(reference)(part).columns["ref_logp"]
    torch.testing.assert_close(recalled(table)(part).columns["ref_logp"], expected * part.mask, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="give `remember` every example"):
        recalled(remember(reference, rows[:4]))(made)


def test_dropout_is_off_against_a_remembered_reference():
    """A model with dropout, in training, starts at log-ratios of zero; with dropout on, the start is refused."""
    policy, made = random_policy("gpt2"), batch()
    table = remember(policy, rows_of(made))
    policy.train()
    metrics, _ = gradient(policy, DPO(), recalled(table)(made))
    assert list(DPO().at_start(metrics))
    metrics, _ = gradient(policy, DPO(), annotate.chain(without_dropout(policy), recalled(table))(made))
    assert list(DPO().at_start(metrics)) == []


def test_best_first_makes_pairs_of_groups_and_leaves_ties_out():
    """Of each group of three the best and the worst stay, in this order; a group without a difference goes."""
    made = batch(pairs=6).having(reward=torch.tensor([0.1, 0.9, 0.5, 1.0, 1.0, 1.0, 3.0, 2.0, 1.0, 0.0, 0.0, 5.0]))
    grouped = Batch(tokens=made.tokens, mask=made.mask, group=3, columns=made.columns)
    pairs = best_first(grouped)
    assert pairs.group == 2
    assert pairs.columns["reward"].tolist() == pytest.approx([0.9, 0.1, 3.0, 1.0, 5.0, 0.0])
    assert pairs.metrics["tied"] == pytest.approx(0.25)
    assert len(best_first(grouped.having(reward=torch.ones(12))).tokens) == 0
