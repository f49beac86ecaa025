"""What the training loop needs of a model that races: a Player in place of a language model.

An episode is a row of tokens, as a conversation is: the world says states, the player answers with actions.

    learner  s0  a0  s1  a1  ...         tokens (N, 1 + 2T)
       .     .   x   .   x   ...         mask: only actions are trained on

Log-probability, entropy and value stand at the action, and speak of the state before it, as `train/batch.py` asks; so the loop,
the objectives and the advantages that align language models train this one unchanged (`sailing.py`). Many learners of one kind
are one Player with weights of their own: the first token says whose row it is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from trueline.lab.races.race import Race
from trueline.models.policy import Outputs


class Player(nn.Module):
    """A policy and its critic for each learner: tables of features of the state, or (hidden > 0) networks of one layer."""

    def __init__(
        self, seen: np.ndarray, horizon: int, actions: int, learners: int, hidden: int = 0, scatter: float = 0.1
    ) -> None:
        super().__init__()
        features = seen.shape[1] + 1  # and the share of the episode that is left
        self.horizon, self.learners = horizon, learners
        self.register_buffer("seen", torch.tensor(seen, dtype=torch.float32))
        self.actor = Heads(learners, features, hidden, actions, scatter)
        self.critic = Heads(learners, features, hidden, 1, 0.0)

    def forward(self, tokens: Tensor, mask: Tensor, needs: frozenset[str], temperature: float = 1.0) -> Outputs:
        """tokens, mask (N, 1 + 2T). What `needs` names, at the actions."""
        learner, states, actions = tokens[:, 0], tokens[:, 1::2], tokens[:, 2::2]
        seen, out = self.look(states, torch.arange(states.shape[1])), Outputs()
        if needs & {"logp", "entropy"}:
            logp = (self.actor(seen, learner) / temperature).log_softmax(-1)  # (N, T, A)
            out.logp = at_actions(logp.gather(-1, actions[..., None])[..., 0], mask)
            out.entropy = at_actions(-(logp.exp() * logp).sum(-1), mask)
        if "value" in needs:
            out.value = at_actions(self.critic(seen, learner)[..., 0], mask)
        return out

    @torch.no_grad()
    def policies(self) -> np.ndarray:
        """Every learner's policy, (learners, T, S, A) probabilities."""
        states = torch.arange(len(self.seen)).repeat(self.horizon)
        steps = torch.arange(self.horizon).repeat_interleave(len(self.seen))
        seen = self.look(states, steps).expand(self.learners, -1, -1)
        odds = self.actor(seen, torch.arange(self.learners)).softmax(-1)
        return odds.view(self.learners, self.horizon, len(self.seen), -1).numpy()

    def look(self, states: Tensor, steps: Tensor) -> Tensor:
        """Features (..., F) of states at steps of the episode."""
        left = 1 - steps / self.horizon
        return torch.cat([self.seen[states], left.expand(states.shape)[..., None]], -1)


class Heads(nn.Module):
    """For each learner a linear map of features, or a network with one hidden layer of tanh."""

    def __init__(self, learners: int, features: int, hidden: int, out: int, scatter: float) -> None:
        super().__init__()
        self.inner = nn.Parameter(torch.randn(learners, features, hidden) / features**0.5) if hidden else None
        self.outer = nn.Parameter(scatter * torch.randn(learners, hidden or features, out))

    def forward(self, seen: Tensor, learner: Tensor) -> Tensor:
        """seen (N, T, F), learner (N,) -> (N, T, out)."""
        if self.inner is not None:
            seen = torch.tanh(seen @ self.inner[learner])
        return seen @ self.outer[learner]


class Taste(nn.Module):
    """A reward for every state and action; the score of a clip is the sum of its steps' (Christiano et al. 2017)."""

    def __init__(self, states: int, actions: int) -> None:
        super().__init__()
        self.pays = nn.Parameter(torch.zeros(states, actions))

    def forward(self, tokens: Tensor, mask: Tensor, needs: frozenset[str], temperature: float = 1.0) -> Outputs:
        """The score up to each action, (N, 1 + 2T): the value that `BradleyTerry` reads at the last."""
        return Outputs(value=at_actions(self.pays[tokens[:, 1::2], tokens[:, 2::2]].cumsum(-1), mask))


def at_actions(values: Tensor, mask: Tensor) -> Tensor:
    """Values (N, T) of the actions in the frame of the tokens, (N, 1 + 2T); zero elsewhere."""
    out = values.new_zeros(mask.shape)
    out[:, 2::2] = values
    return out * mask


def one_hot(race: Race) -> np.ndarray:
    """Every state by itself, (S, S): over these a Player without a hidden layer is a table."""
    return np.eye(race.size)


def parts(race: Race, describe: Callable[[int], list[float]]) -> np.ndarray:
    """The cell, one of all, beside whatever else `describe` says of a state: features for a Player with a hidden layer."""
    cells = sorted({race.cell(state) for state in range(race.size)})
    where = np.eye(len(cells))[[cells.index(race.cell(state)) for state in range(race.size)]]
    return np.concatenate([where, [describe(state) for state in range(race.size)]], -1)
