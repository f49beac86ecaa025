"""The residual stream of a policy, to be looked at and to be changed: what each block reads, on any architecture.

Layer i is what block i reads: 0 are the embeddings, and there are as many layers as blocks. On the lean forward pass the
stream is handed over between two blocks; through `transformers` a hook on the block does the same.

    with through(policy, rows=len(tokens), change=lambda layer, states: states + shift if layer == 2 else states):
        policy(tokens, mask, needs)

`Seeing` is a policy that also gives these states, as the column `hidden` of its outputs; `models/perturbed.py` changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trueline.models.policy import Outputs, Policy

Change = Callable[[int, Tensor], Tensor]  # the layer and its states (N, T, D); gives the states to go on with


class LayerError(ValueError):
    """A layer that the model does not have."""


@contextmanager
def through(policy: Policy, rows: int, change: Change) -> Iterator[None]:
    """Within this context a forward pass of `rows` rows goes on, at each layer, with what `change` makes of its states."""
    packs = policy.packs
    policy.packs = False  # states in rows as the tokens are: a prompt that rows share would stand there once
    with ExitStack() as stack:
        stack.callback(setattr, policy, "packs", packs)
        if policy.fast is not None:
            policy.fast.residual = lambda layer, flat: change(layer, flat.unflatten(0, (rows, -1))).flatten(0, 1)
            stack.callback(setattr, policy.fast, "residual", None)
        else:
            for layer, block in enumerate(blocks_of(policy)):
                hook = block.register_forward_pre_hook(_hook(layer, change), with_kwargs=True)
                stack.callback(hook.remove)
        yield


def blocks_of(policy: Policy) -> nn.ModuleList:
    """The blocks of a policy's model, in order."""
    count = policy.model.config.num_hidden_layers
    return next(m for m in policy.model.modules() if isinstance(m, nn.ModuleList) and len(m) == count)


def check_layers(policy: Policy, layers: Sequence[int]) -> tuple[int, ...]:
    """The layers in order, each once. Raises LayerError for one that the model does not have."""
    return layers_among(policy.model.config.num_hidden_layers, layers)


def layers_among(count: int, layers: Sequence[int]) -> tuple[int, ...]:
    """The layers in order, each once, of a model of so many blocks. Raises LayerError for one that it does not have."""
    wrong = [layer for layer in layers if not 0 <= layer < count]
    if wrong or not layers:
        raise LayerError(
            f"layers: expected some of 0 (the embeddings) to {count - 1} (what the last of {count} blocks reads), "
            f"got {', '.join(map(str, wrong)) or 'none'}"
        )
    return tuple(sorted(set(layers)))


class Seeing(nn.Module):
    """A policy that also gives the states of some layers: the column `hidden`, (M, layers, D), of the masked tokens alone.

    Row after row, as `logits`; but the state of a token is that of its own place, where the model has read it.
    """

    def __init__(self, policy: Policy, layers: Sequence[int]) -> None:
        super().__init__()
        self.policy = policy
        self.layers = check_layers(policy, layers)
        self.training = policy.training

    def train(self, mode: bool = True) -> Seeing:
        """Train or not; the policy inside drops nothing either way, for its states are compared with a reference's."""
        super().train(mode)
        self.policy.eval()
        return self

    def forward(self, tokens: Tensor, mask: Tensor, needs: frozenset[str], temperature: float = 1.0) -> Outputs:
        """As the policy's own forward pass, with `hidden` where it is needed."""
        if "hidden" not in needs:
            return self.policy(tokens, mask, needs, temperature)
        seen: list[Tensor] = []

        def look(layer: int, states: Tensor) -> Tensor:
            if layer in self.layers:
                seen.append(states)
            return states

        with through(self.policy, len(tokens), look):
            out = self.policy(tokens, mask, needs - {"hidden"}, temperature)
        at = mask.bool().clone()
        at[:, 0] = False  # never predicted, and so never trained
        out.hidden = torch.stack([states[at] for states in seen], dim=1)
        return out


def _hook(layer: int, change: Change) -> Callable[..., Any]:
    def before(block: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if given:
            return (change(layer, given[0]), *given[1:]), named
        return given, {**named, "hidden_states": change(layer, named["hidden_states"])}

    return before
