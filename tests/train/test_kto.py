"""KTO: its closed form with the baseline of the whole batch, and where it starts."""

import pytest
import torch

from tests.models.small import tiny_policy
from tests.train.pairs import gradient
from trueline.models.tokens import Example
from trueline.train import annotate
from trueline.train.annotate_preference import mismatched, recalled, remember
from trueline.train.batch import Batch, pad_rows
from trueline.train.objectives.kto import KTO

SIGMA = torch.sigmoid


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
