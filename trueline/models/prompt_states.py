"""What a model holds of a prompt before it says a word: its states at the last token, or their mean over all tokens.

The last token alone has read all of the prompt, and the first word of the reply is predicted from what stands there, so what
the model has decided about its reply can be read there at the latest. The mean also has what stood in the middle and was passed
over. A pass ends at the deepest layer that is asked for.

    states = prompt_states(policy, [policy.codec.prompt(conversation)], layers=(2,))      # (1, 1, D)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from trueline.models.policy import Policy
from trueline.models.residual import check_layers, through

BATCH = 4_096  # tokens of a batch, padding included
Read = Callable[[Tensor, Tensor], Tensor]  # states (N, T, D) of prompts of so many tokens (N,): what is kept of each, (N, D)


class _SeenError(Exception):
    """All that was asked for has been seen, so the pass need not go on."""


def last_token(states: Tensor, sizes: Tensor) -> Tensor:
    """The states of the last token."""
    return states[torch.arange(len(states), device=states.device), sizes - 1]


def mean_of_tokens(states: Tensor, sizes: Tensor) -> Tensor:
    """The mean of the states of all tokens, those of the chat template too."""
    inside = torch.arange(states.shape[1], device=states.device) < sizes[:, None]  # (N, T)
    return (states * inside[..., None]).sum(1) / sizes[:, None]


READS: Mapping[str, Read] = {"last": last_token, "mean": mean_of_tokens}


@torch.no_grad()
def prompt_states(
    policy: Policy,
    heads: Sequence[Sequence[int]],
    layers: Sequence[int],
    *,
    read: Read = last_token,
    progress: Callable[[int], None] = lambda _: None,
) -> Tensor:
    """What `read` keeps of the states of N prompts, (N, layers, D) float32, on the processor.

    Prompts of like length share a batch, and `progress` is told how many are read. A row is what it is alone, up to rounding.
    Raises LayerError for a layer that the model does not have, and ValueError for a prompt without a token or too long.
    """
    layers = check_layers(policy, layers)
    most = getattr(policy.model.config, "max_position_embeddings", None)
    for number, head in enumerate(heads):
        if not head or (most is not None and len(head) > most):
            raise ValueError(
                f"prompt {number}: expected 1 to {most} tokens, which this model reads, got {len(head)}; leave it out"
            )
    found = torch.empty(len(heads), len(layers), policy.model.config.hidden_size)
    done = 0
    for rows in _batches([len(head) for head in heads]):
        found[rows] = _seen(policy, [heads[row] for row in rows], layers, read)
        progress(done := done + len(rows))
    return found


def _seen(policy: Policy, heads: Sequence[Sequence[int]], layers: Sequence[int], read: Read) -> Tensor:
    sizes = torch.tensor([len(head) for head in heads], device=policy.device)  # (N,)
    tokens = torch.full((len(heads), max(2, *map(len, heads))), policy.codec.pad, device=policy.device)  # (N, T)
    for row, head in enumerate(heads):
        tokens[row, : len(head)] = torch.tensor(head)
    seen: list[Tensor] = []

    def look(layer: int, states: Tensor) -> Tensor:
        if layer in layers:
            seen.append(read(states.float(), sizes).cpu())
        if layer == layers[-1]:
            raise _SeenError
        return states

    try:
        with through(policy, len(heads), look):
            policy(tokens, torch.ones_like(tokens, dtype=torch.bool), frozenset())
    except _SeenError:
        pass
    return torch.stack(seen, dim=1)


def _batches(sizes: Sequence[int]) -> list[list[int]]:
    """Rows in batches, those of like length together."""
    batches: list[list[int]] = []
    for row in sorted(range(len(sizes)), key=lambda row: sizes[row]):
        if batches and (len(batches[-1]) + 1) * sizes[row] <= BATCH:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
