"""KTO, and what needs no reference, beside `KTOTrainer`, `CPOTrainer` and `ORPOTrainer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tests.parity import peer
from tests.parity.case import Case, Certificate, Measure
from tests.parity.cases_dpo import MICRO, linked, on_chosen, pairs
from tests.parity.sides import Side, Without, ours, theirs
from tests.parity.tensors import Row, Stage, batch_of, rows_of
from trueline.train import annotate
from trueline.train.annotate_preference import mismatched, remember
from trueline.train.batch import Objective
from trueline.train.objectives.kto import KTO
from trueline.train.objectives.reference_free import CPO, ORPO, SimPO

LABELS = (True, True, False, True, True, False, True, False, True, True, False, True)


def singles(seed: int) -> list[Row]:
    """Twelve prompts with one answer each, and each prompt with the answer of the row before it in its part of four."""
    rows = rows_of(seed, len(LABELS), 1)
    return [*rows, *others_of(rows)]


def others_of(rows: Sequence[Row], part: int = MICRO) -> list[Row]:
    """Each prompt with the answer of the row before it, within parts of that many rows: how TRL mismatches them."""
    before = [rows[start : start + part] for start in range(0, len(rows), part)]
    answers = [row.answer for rows in before for row in (rows[-1], *rows[:-1])]
    return [Row(row.prompt, answer) for row, answer in zip(rows, answers, strict=True)]


def compared(objective: Objective) -> Measure:
    """An objective on pairs that needs nothing else."""
    return lambda stage: ours(stage.policy, objective, batch_of(stage.rows, 2))


def reference_free_peer(trainer: str, **settings: Any) -> Measure:
    return lambda stage: theirs(stage.policy, peer.reference_free(trainer, stage, stage.rows, **settings))


def unpaired(stage: Stage, objective: KTO, micro_rows: int = 0, part: int = MICRO) -> Side:
    """Our KTO on the first twelve rows, with z0 from answers to other prompts."""
    rows = stage.rows[: len(LABELS)]
    swapped = others_of(rows, part)
    known = {row.example: other.example for row, other in zip(rows, swapped, strict=True)}
    table = remember(stage.reference.ours, known.values())
    labelled = batch_of(rows).having(label=torch.tensor([float(label) for label in LABELS]))
    steps = (annotate.reference(stage.reference.ours), mismatched(stage.policy.ours, known, table))
    return ours(stage.policy, objective, annotate.chain(*steps)(labelled), micro_rows)


def kto_peer(micro_rows: int = len(LABELS), **settings: Any) -> Measure:
    def side(stage: Stage) -> Side:
        rows = stage.rows[: len(LABELS)]
        swapped = others_of(rows)
        parts = [slice(start, start + micro_rows) for start in range(0, len(rows), micro_rows)]
        losses = [peer.kto(stage, rows[part], swapped[part], LABELS[part], **settings) for part in parts]
        return theirs(stage.policy, *losses)

    return side


def apo_unpaired(stage: Stage) -> Side:
    """TRL's APO of rows, without a KL."""
    labels = [True, False] * (len(stage.rows) // 2)
    loss = peer.kto(stage, stage.rows, None, labels, loss_type="apo_zero_unpaired")
    return theirs(stage.policy, loss)


CASES: tuple[Case, ...] = (
    Case(
        ours="KTO(desirable=1.5, undesirable=0.5)",
        trl="KTOTrainer(desirable_weight=1.5, undesirable_weight=0.5)",
        rows=singles,
        side=lambda stage: unpaired(stage, KTO(desirable=1.5, undesirable=0.5)),
        peer=kto_peer(desirable_weight=1.5, undesirable_weight=0.5),
        rounded="z0, on our side",
    ),
    Case(
        ours="KTO, three micro-batches",
        trl="KTOTrainer, three micro-batches",
        rows=singles,
        side=lambda stage: unpaired(stage, KTO(), MICRO),
        peer=kto_peer(MICRO),
        rounded="z0, on our side",
        certificate=Certificate(
            theirs="estimates z0 on one micro-batch, and cuts it at zero there",
            ours="estimates z0 on the whole step, and cuts it at zero once",
            why="Ethayarajh et al. 2024 (2402.01306), 4.1: z0 is the KL, of which more rows are a better estimate; "
            "a maximum with zero of a smaller sample is larger on average",
            after="the step is one micro-batch",
            peer=kto_peer(),
        ),
    ),
    Case(
        ours="DPO(link=apo_zero)",
        trl="KTOTrainer(loss_type=apo_zero_unpaired)",
        rows=pairs,
        side=linked("apo_zero"),
        peer=apo_unpaired,
        certificate=Certificate(
            theirs="is a mean over rows",
            ours="is a mean over pairs, of which each has two rows",
            why="D'Oosterlinck et al. 2024 (2408.06266), eq. 7, is a loss of pairs",
            after="ours is halved",
            side=lambda stage: linked("apo_zero")(stage).times(0.5),
        ),
    ),
    Case(
        ours="SimPO(beta=2, margin=1)",
        trl="CPOTrainer(loss_type=simpo, beta=2, simpo_gamma=1, cpo_alpha=0)",
        rows=pairs,
        side=compared(SimPO(beta=2.0, margin=1.0)),
        peer=reference_free_peer("cpo", loss_type="simpo", beta=2.0, simpo_gamma=1.0, cpo_alpha=0.0),
    ),
    Case(
        ours="CPO(weight=0)",
        trl="CPOTrainer(cpo_alpha=0)",
        rows=pairs,
        side=compared(CPO(weight=0.0)),
        peer=reference_free_peer("cpo", cpo_alpha=0.0),
    ),
    Case(
        ours="CPO",
        trl="CPOTrainer",
        rows=pairs,
        side=compared(CPO()),
        peer=reference_free_peer("cpo"),
        certificate=Certificate(
            theirs="averages the likelihood over all chosen tokens of the micro-batch: a long answer weighs more",
            ours="averages over the tokens of each chosen answer, then over pairs, whatever the split",
            why="Xu et al. 2024 (2401.08417), eq. 5, is an expectation over pairs; which average of tokens is inside it does "
            "not say, and ours weighs every pair alike, as the other term does",
            after="the likelihood is `NextToken` on the chosen rows",
            side=lambda stage: compared(Without(CPO(), "nll"))(stage).plus(on_chosen(stage, 1.0)),
        ),
    ),
    Case(
        ours="ORPO",
        trl="ORPOTrainer",
        rows=pairs,
        side=compared(ORPO()),
        peer=reference_free_peer("orpo"),
        rounded="the odds, on TRL's side",
        certificate=Certificate(
            theirs="takes the likelihood of prompt and chosen answer together, averaged over all tokens of the micro-batch",
            ours="takes that of the chosen answer given the prompt, averaged over its tokens, then over pairs",
            why="Hong et al. 2024 (2403.07691), eq. 3 and 6: the likelihood is that of y given x",
            after="the likelihood is `NextToken` on the chosen rows with their prompts",
            side=lambda stage: compared(Without(ORPO(), "nll"))(stage).plus(on_chosen(stage, 1.0, whole=True)),
        ),
    ),
)
