"""A reward learned from comparisons: a rater sees two clips of the boat and says in which it got on further clockwise.

    race = preferred(boat(), clips=400, seed=0)      # the same water; what pays is what was learned

As in deep reinforcement learning from human preferences (Christiano et al. 2017, 1706.03741), the score of a clip is the sum of
the rewards of its steps. Clips are of random moves. The loss is `BradleyTerry`, in the loop that trains other reward models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from trueline.lab.races.boat import progress
from trueline.lab.races.player import Taste
from trueline.lab.races.race import Race
from trueline.train.batch import Batch
from trueline.train.loop import train
from trueline.train.objectives.reward import BradleyTerry
from trueline.train.optim import Optim

STEPS = 8  # of a clip: one lap, if all goes well
PASSES = 150  # over all comparisons


def preferred(race: Race, clips: int, seed: int) -> Race:
    """The race under a reward that was learned from so many comparisons."""
    taste = Taste(race.size, race.reward.shape[1])
    source = Repeated(compared(race, clips, np.random.default_rng(seed)), PASSES)
    train(taste, BradleyTerry(), source, Optim(lr=0.05, muon=0.0, weight_decay=0.0, warmup=0.0))
    learned = taste.pays.detach().double().numpy()[:, :, None]
    return replace(race, name=f"{race.name}, learned reward", reward=np.broadcast_to(learned, race.reward.shape))


def compared(race: Race, clips: int, rng: np.random.Generator) -> Batch:
    """Pairs of clips as rows; the column `preference` says whether the first is the better one: 1, 0, or a half for a tie."""
    tokens = np.zeros((2 * clips, 1 + 2 * STEPS), dtype=np.int64)
    state, gone, ahead = rng.integers(race.size, size=2 * clips), np.zeros(2 * clips), progress(race)
    for step in range(STEPS):
        action = rng.integers(race.reward.shape[1], size=2 * clips)
        tokens[:, 1 + 2 * step], tokens[:, 2 + 2 * step] = state, action
        gone += ahead[state, action, 0]
        state = race.following[state, action, 0]
    mask = torch.zeros(tokens.shape, dtype=torch.bool)
    mask[:, 2::2] = True
    first = 0.5 + 0.5 * np.sign(gone[::2] - gone[1::2])
    return Batch(
        tokens=torch.from_numpy(tokens), mask=mask, group=2, columns={"preference": torch.tensor(np.repeat(first, 2)).float()}
    )


@dataclass(frozen=True)
class Repeated:
    """One batch at every step."""

    batch: Batch
    passes: int

    def __len__(self) -> int:
        return self.passes

    def batches(self, start: int):
        return iter([self.batch] * (self.passes - start))

    def resumable(self, step: int) -> bool:
        return True
