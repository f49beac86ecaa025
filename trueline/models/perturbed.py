"""Latent adversarial training: a policy whose forward pass carries the perturbation that harms it most.

Casper et al. 2024 (2403.05030) perturb latent states where others perturb inputs; Sheshadri et al. 2024 (2407.15549) aim the
perturbation at a harmful reply. While it is trained, a prompt x that is attacked is read with states h + d, where

    d = arg min  -log p(harmful reply | x, h + d)        over |d_t| <= radius |h_t| at every token t of the prompt

is sought by a few steps of projected gradient descent, from zero; the loss of whatever stands in the batch is then that of
the perturbed forward pass. The objective knows nothing of it, and neither does the batch: which prompts are attacked, and
with what in mind, is said once. So the perturbation is a function of weights and tokens alone, and neither a split nor a run
that is taken up changes it.

    perturbed = Perturbed(policy, layers=(1, 2), radius=0.3, steps=4, targets={prompt_ids: harmful_ids})
    train(perturbed, objective, source, optim)           # then save `policy`: it never changed its shape

Departures: the bound is a share of each state's own norm, so that it means the same for models of any width; a step moves every
token's perturbation by 2.5 radius / steps along its own gradient's direction (Madry et al. 2017, 1706.06083, for the 2.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from trueline.models.policy import Outputs, Policy
from trueline.models.residual import check_layers, through

Ids = tuple[int, ...]
STRIDE = 2.5  # the steps together could go so many radii


class Perturbed(nn.Module):
    """A policy that is attacked in training mode, on the prompts of `targets`, and is that policy otherwise.

    `targets` maps a prompt's ids to the reply that the perturbation makes likelier or, with `toward` off, less likely: with the
    trained reply as target that is the untargeted attack of Casper et al.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        layers: Sequence[int],
        radius: float,
        steps: int,
        targets: Mapping[Ids, Ids],
        toward: bool = True,
    ) -> None:
        super().__init__()
        if radius < 0 or steps < 1:
            raise ValueError(f"radius must not be negative and steps at least 1, got {radius} and {steps}")
        self.policy = policy
        self.layers = check_layers(policy, layers)
        self.radius, self.steps, self.toward = radius, steps, toward
        self.targets = dict(targets)

    def forward(self, tokens: Tensor, mask: Tensor, needs: frozenset[str], temperature: float = 1.0) -> Outputs:
        """As the policy's own forward pass; in training mode with the worst perturbation that was found."""
        heads = [self._head(*row) for row in zip(tokens, mask, strict=True)] if self.training and self.radius else []
        attacked = list(dict.fromkeys(head for head in heads if head in self.targets))
        if not attacked:
            return self.policy(tokens, mask, needs, temperature)
        found = self._attack(attacked)
        shifts = {layer: tokens.new_zeros(*tokens.shape, found[layer].shape[-1], dtype=torch.float32) for layer in found}
        for row, head in enumerate(heads):
            if head in self.targets:
                for layer, shift in shifts.items():
                    shift[row, : len(head)] = found[layer][attacked.index(head), : len(head)]
        return self._shifted(tokens, mask, needs, temperature, shifts)

    def _attack(self, heads: Sequence[Ids]) -> dict[int, Tensor]:
        """The perturbations (prompts, T, D) of each layer that the targets are likeliest under, within the bound."""
        rows = [(*head, *self.targets[head]) for head in heads]
        device = self.policy.device
        tokens = torch.full((len(rows), max(map(len, rows))), self.policy.codec.pad, device=device)
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        prompt = torch.zeros_like(mask)
        for i, (head, row) in enumerate(zip(heads, rows, strict=True)):
            tokens[i, : len(row)] = torch.tensor(row, device=device)
            mask[i, len(head) : len(row)] = prompt[i, : len(head)] = True
        norms = self._norms(tokens, mask)
        shifts = {layer: torch.zeros(*tokens.shape, width, device=device) for layer, (_, width) in norms.items()}
        for _ in range(self.steps):
            shifts = self._step(tokens, mask, prompt, norms, shifts)
        return shifts

    def _norms(self, tokens: Tensor, mask: Tensor) -> dict[int, tuple[Tensor, int]]:
        """Of each layer that is perturbed: the norm of every state, (N, T, 1), and how wide a state is."""
        found: dict[int, tuple[Tensor, int]] = {}

        def look(layer: int, states: Tensor) -> Tensor:
            if layer in self.layers:
                found[layer] = (states.float().norm(dim=-1, keepdim=True), states.shape[-1])
            return states

        with torch.no_grad(), through(self.policy, len(tokens), look):
            self.policy(tokens, mask, frozenset())
        return found

    def _step(
        self, tokens: Tensor, mask: Tensor, prompt: Tensor, norms: Mapping[int, tuple[Tensor, int]], shifts: dict[int, Tensor]
    ) -> dict[int, Tensor]:
        """One step along the gradient's direction at every token of the prompt, and back into the ball."""
        with torch.enable_grad():
            leaves = {layer: shift.requires_grad_() for layer, shift in shifts.items()}
            logp = self._shifted(tokens, mask, frozenset({"logp"}), 1.0, leaves).logp
            assert logp is not None
            slopes = torch.autograd.grad(logp.sum() if self.toward else -logp.sum(), list(leaves.values()))
        moved = {}
        for (layer, shift), slope in zip(shifts.items(), slopes, strict=True):
            bound = self.radius * norms[layer][0]  # (N, T, 1)
            direction = slope / slope.norm(dim=-1, keepdim=True).clamp(min=1e-12)
            to = shift.detach() + STRIDE / self.steps * bound * direction * prompt[..., None]
            moved[layer] = to * (bound / to.norm(dim=-1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)
        return moved

    def _shifted(
        self, tokens: Tensor, mask: Tensor, needs: frozenset[str], temperature: float, shifts: Mapping[int, Tensor]
    ) -> Outputs:
        def add(layer: int, states: Tensor) -> Tensor:
            return states + shifts[layer].to(states.dtype) if layer in shifts else states

        with through(self.policy, len(tokens), add):
            return self.policy(tokens, mask, needs, temperature)

    @staticmethod
    def _head(tokens: Tensor, mask: Tensor) -> Ids:
        """The ids before the first token that is trained on."""
        return tuple(tokens[: int(mask.int().argmax())].tolist())
