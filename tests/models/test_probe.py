"""A probe of a small random model: what it reads, what it is fitted to, and the files it is kept in.

pytest tests/models/test_probe.py
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.models.small import random_policy, tiny_policy
from trueline.models.policy import Policy
from trueline.models.probe import REST, WEIGHTS, Probe, ProbeError, fit, identity_of
from trueline.models.prompt_states import READS, last_token, prompt_states
from trueline.models.residual import LayerError

HEADS = [[1, 9, 10, 11], [1, 12], [1, 9, 14, 15, 16, 17, 18], [1, 13, 9], [8]]
FAMILIES = ("qwen3", "gpt2")


def probe_of(policy: Policy, reads: str = "last") -> Probe:
    """A probe with weights drawn by chance."""
    weights = torch.randn(32, generator=torch.Generator().manual_seed(0))
    return Probe(
        weights=weights, bias=0.5, threshold=1.0, layer=1, reads=reads, model=identity_of(policy), trained={"texts": 7}
    )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("reads", READS)
def test_a_score_is_the_same_in_any_batch(family, reads):
    """Alone, beside longer prompts, in another order: the same up to rounding; and it is what `transformers` has there."""
    policy = random_policy(family)
    together = prompt_states(policy, HEADS, (0, 1), read=READS[reads])
    turned = prompt_states(policy, HEADS[::-1], (1, 0), read=READS[reads]).flip(0)
    torch.testing.assert_close(turned, together, atol=2e-5, rtol=1e-4)
    probe = probe_of(policy, reads)
    for row, head in enumerate(HEADS):
        with torch.no_grad():
            states = policy.model(input_ids=torch.tensor([head]), output_hidden_states=True).hidden_states
        wanted = torch.stack([state[0, -1] if reads == "last" else state[0].mean(0) for state in states[:2]])
        torch.testing.assert_close(together[row], wanted, atol=2e-5, rtol=1e-4)
        assert probe.score(policy, head) == pytest.approx(float(probe.scores(together[row, 1:])), abs=1e-3)


def test_reading_leaves_no_trace():
    """The pass that ends at a layer leaves the policy as it was: its log-probabilities are the same to the last bit."""
    policy, tokens = tiny_policy(), torch.tensor([HEADS[0]])
    before = policy(tokens, torch.ones_like(tokens), frozenset({"logp"})).logp
    prompt_states(policy, HEADS, (0,))
    assert policy.packs
    assert policy.fast.residual is None
    assert torch.equal(policy(tokens, torch.ones_like(tokens), frozenset({"logp"})).logp, before)


@pytest.mark.parametrize("heads", [[[]], [[1] * 129]])
def test_prompts_that_cannot_be_read_are_refused(heads):
    """None without a token, and none that is longer than the model's context."""
    with pytest.raises(ValueError, match="expected 1 to 128 tokens"):
        prompt_states(tiny_policy(), heads, (0,))


def test_layers_that_are_not_there_are_refused():
    """As everywhere else."""
    with pytest.raises(LayerError, match=r"0 \(the embeddings\) to 1"):
        prompt_states(tiny_policy(), HEADS, (2,))


def test_the_fit_does_not_depend_on_scale_or_on_how_often_a_label_stands():
    """States in other units, or all rows of one label twice, give the same log-odds; what never changes has weight 0."""
    rng = torch.Generator().manual_seed(3)
    labels = torch.arange(60) % 3 == 0
    states = torch.randn(60, 5, generator=rng) + labels[:, None] * torch.tensor([1.0, -1.0, 0.0, 0.5, 0.0])
    states[:, 4] = 7.0
    one = torch.ones(60)
    plain = fit(states, labels, one)
    units = torch.tensor([1.0, 100.0, 0.01, 3.0, 2.0])
    scaled = fit(states * units, labels, one)
    torch.testing.assert_close(scaled.scores(states * units), plain.scores(states), atol=1e-3, rtol=1e-3)
    assert plain.weights[4] == 0
    weighed = fit(states, labels, torch.where(labels, 2.0, 1.0))
    torch.testing.assert_close(weighed.scores(states), plain.scores(states), atol=1e-3, rtol=1e-3)
    assert float(plain.scores(states)[labels].mean()) > float(plain.scores(states)[~labels].mean()) + 1


def test_one_label_alone_cannot_be_fitted():
    """There is nothing to tell apart."""
    with pytest.raises(ValueError, match="only attacks"):
        fit(torch.randn(4, 2), torch.ones(4, dtype=torch.bool), torch.ones(4))


def test_what_is_kept_is_what_is_read(tmp_path):
    """Saved and loaded, a probe has the same digest and the same scores to the last bit."""
    policy = tiny_policy()
    probe = probe_of(policy)
    probe.save(tmp_path)
    again = Probe.load(tmp_path, policy)
    assert again.digest == probe.digest
    assert [again.score(policy, head) for head in HEADS] == [probe.score(policy, head) for head in HEADS]


def test_a_probe_of_another_model_is_refused(tmp_path):
    """Other weights, or another chat template, are another model; the same ones elsewhere are not."""
    policy = tiny_policy()
    probe_of(policy).save(tmp_path)
    with pytest.raises(ProbeError, match="one of another"):
        Probe.load(tmp_path, tiny_policy(seed=1))
    plain = tiny_policy()
    plain.codec = plain.codec.with_template("plain")
    with pytest.raises(ProbeError, match="chat template differ"):
        Probe.load(tmp_path, plain)
    policy.save(tmp_path / "model")
    assert Probe.load(tmp_path, Policy.load(tmp_path / "model")).layer == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda folder: _edited(folder, threshold=9.0), "the files were changed"),
        (lambda folder: _edited(folder, reads="first"), "reads last or mean, got 'first'"),
        (lambda folder: _edited(folder, more=1), "what `trueline guard probe` writes"),
        (lambda folder: save_file({"weights": torch.zeros(32)}, folder / WEIGHTS), "the files were changed"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"\x80\x04N."), "the weights of a probe"),
        (lambda folder: (folder / WEIGHTS).unlink(), "the weights of a probe"),
        (lambda folder: (folder / REST).write_text("[]"), "expected an object"),
        (lambda folder: (folder / REST).unlink(), "wrote"),
    ],
)
def test_a_folder_that_was_changed_is_refused(tmp_path, change, says):
    """Any other number, a missing file, a pickle: an error that names what is wrong, and never a probe."""
    policy = tiny_policy()
    probe_of(policy).save(tmp_path)
    change(tmp_path)
    with pytest.raises(ProbeError, match=says):
        Probe.load(tmp_path, policy)


def test_padding_is_no_part_of_a_mean():
    """A mean over the prompt's own tokens, and a last token that is the prompt's own."""
    states, sizes = torch.arange(12.0).view(2, 3, 2), torch.tensor([3, 1])
    assert READS["mean"](states, sizes).tolist() == [[2.0, 3.0], [6.0, 7.0]]
    assert np.array_equal(last_token(states, sizes), [[4.0, 5.0], [6.0, 7.0]])


def _edited(folder, **changes) -> None:
    told = json.loads((folder / REST).read_text())
    (folder / REST).write_text(json.dumps({**told, **changes}))
