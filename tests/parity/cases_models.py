"""Likelihood, reward models and distillation beside TRL's trainers."""

from __future__ import annotations

from typing import Any

import torch

from tests.parity import peer
from tests.parity.case import Case, Certificate, Measure
from tests.parity.sides import Side, ours, theirs
from tests.parity.tensors import Row, Stage, batch_of, rows_of
from trueline.train import annotate
from trueline.train.annotate_teacher import teacher
from trueline.train.batch import Objective
from trueline.train.objectives.distil import Divergence
from trueline.train.objectives.likelihood import NextToken
from trueline.train.objectives.reward import BradleyTerry, PlackettLuce

MICRO = 4
MARGINS = (0.5, 0.0, 1.25, 2.0, 0.25, 1.0)


def shown(seed: int) -> list[Row]:
    """Eight prompts with an answer each."""
    return rows_of(seed, 8, 1)


def pairs(seed: int) -> list[Row]:
    """Six prompts with two answers each."""
    return rows_of(seed, 6, 2)


def likely(micro_rows: int = 0, weighted: bool = False) -> Measure:
    """Our next-token loss; `weighted`: each token by its own probability."""

    def side(stage: Stage) -> Side:
        batch = batch_of(stage.rows)
        if weighted:
            batch = batch.having(weight=annotate.column("said", stage.policy.ours)(batch).columns["said"].exp())
        return ours(stage.policy, NextToken(), batch, micro_rows)

    return side


def sft_peer(micro_rows: int = 8, **settings: Any) -> Measure:
    def side(stage: Stage) -> Side:
        parts = [stage.rows[start : start + micro_rows] for start in range(0, len(stage.rows), micro_rows)]
        of = sum(len(row.answer) for row in stage.rows)
        return theirs(stage.policy, *(peer.sft(stage, part, of, **settings) for part in parts), divided=True)

    return side


def scores(objective: Objective, margin: bool = False) -> Measure:
    """Our reward model's loss."""

    def side(stage: Stage) -> Side:
        batch = batch_of(stage.rows, 2).having(rank=torch.tensor([1, 2] * len(MARGINS)))
        if margin:
            batch = batch.having(margin=torch.tensor(MARGINS).repeat_interleave(2))
        return ours(stage.scorer, objective, batch)

    return side


def reward_peer(margin: bool = False, **settings: Any) -> Measure:
    margins = MARGINS if margin else ()
    return lambda stage: theirs(stage.scorer, peer.reward(stage, stage.rows, margins, **settings))


def distilled(scale: float = 1.0, **settings: Any) -> Measure:
    """Our divergence from the teacher, on some scale."""

    def side(stage: Stage) -> Side:
        batch = teacher(stage.reference.ours, temperature=settings.get("temperature", 1.0))(batch_of(stage.rows))
        return ours(stage.policy, Divergence(**settings), batch).times(scale)

    return side


def gkd_peer(**settings: Any) -> Measure:
    return lambda stage: theirs(stage.policy, peer.gkd(stage, stage.rows, **settings))


def distillation_peer(**settings: Any) -> Measure:
    return lambda stage: theirs(stage.policy, peer.distillation(stage, stage.rows, **settings))


def mixed_case(beta: float) -> Case:
    """The divergence between the ends."""
    return Case(
        ours=f"Divergence(beta={beta})",
        trl=f"GKDTrainer(beta={beta})",
        rows=shown,
        side=distilled(beta=beta),
        peer=gkd_peer(beta=beta),
        certificate=Certificate(
            theirs="is Agarwal et al.'s divergence as it stands, 0 at both ends, where the two KLs take its place: "
            "near an end hardly anything is learned, at the end all is",
            ours="divides it by beta (1 - beta): from one KL to the other without a jump, in value and in gradient",
            why="over beta, and over 1 - beta, its limits are the two KLs (Agarwal et al. 2023, 2306.13649, 2); ours has both",
            after="ours is multiplied by beta (1 - beta)",
            side=distilled(beta * (1 - beta), beta=beta),
        ),
    )


CASES: tuple[Case, ...] = (
    Case(ours="NextToken", trl="SFTTrainer", rows=shown, side=likely(), peer=sft_peer()),
    Case(
        ours="NextToken, two micro-batches",
        trl="SFTTrainer, two micro-batches",
        rows=shown,
        side=likely(MICRO),
        peer=sft_peer(MICRO),
    ),
    Case(
        ours="NextToken, `weight` = the token's own probability",
        trl="SFTTrainer(loss_type=dft)",
        rows=shown,
        side=likely(weighted=True),
        peer=sft_peer(loss_type="dft"),
    ),
    Case(ours="BradleyTerry(centre=0)", trl="RewardTrainer", rows=pairs, side=scores(BradleyTerry(0.0)), peer=reward_peer()),
    Case(
        ours="BradleyTerry(centre=0.01), column `margin`",
        trl="RewardTrainer(center_rewards_coefficient=0.01), column `margin`",
        rows=pairs,
        side=scores(BradleyTerry(0.01), margin=True),
        peer=reward_peer(margin=True, center_rewards_coefficient=0.01),
    ),
    Case(
        ours="PlackettLuce(ties=0, centre=0) of two",
        trl="RewardTrainer",
        rows=pairs,
        side=scores(PlackettLuce(0.0, 0.0)),
        peer=reward_peer(),
    ),
    Case(ours="Divergence(beta=0)", trl="GKDTrainer(beta=0)", rows=shown, side=distilled(beta=0.0), peer=gkd_peer(beta=0.0)),
    Case(ours="Divergence(beta=1)", trl="GKDTrainer(beta=1)", rows=shown, side=distilled(beta=1.0), peer=gkd_peer(beta=1.0)),
    mixed_case(0.5),
    mixed_case(0.1),
    Case(
        ours="Divergence(beta=0)",
        trl="DistillationTrainer(beta=0)",
        rows=shown,
        side=distilled(beta=0.0),
        peer=distillation_peer(beta=0.0),
        stages=("float32",),
    ),
    Case(
        ours="Divergence(beta=0, temperature=2)",
        trl="DistillationTrainer(beta=0, temperature=2)",
        rows=shown,
        side=distilled(beta=0.0, temperature=2.0),
        peer=distillation_peer(beta=0.0, temperature=2.0),
        stages=("float32",),
        certificate=Certificate(
            theirs="does not scale the loss by the temperature; `GKDTrainer` has no temperature in its loss at all",
            ours="multiplies by the temperature's square",
            why="Hinton et al. 2015 (1503.02531), 2: the gradients of soft targets shrink as 1 / T^2, so that the step size "
            "would have to change with T",
            after="ours is divided by 4",
            side=distilled(0.25, beta=0.0, temperature=2.0),
        ),
    ),
)
