"""DPO and its links beside `DPOTrainer` and `OnlineDPOTrainer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tests.parity import peer
from tests.parity.case import Case, Certificate, Measure
from tests.parity.sides import Side, ours, theirs
from tests.parity.tensors import Row, Stage, batch_of, rows_of
from trueline.train import annotate
from trueline.train.annotate_preference import MATCHED, RunningDelta, best_first
from trueline.train.batch import Objective
from trueline.train.objectives.likelihood import NextToken
from trueline.train.objectives.preference import DPO, LINKS

PAIRS = 6
MICRO = 4  # rows of a micro-batch, where there are several
REWARDS = (0.0, 1.0, 2.0, 0.5, 1.0, 0.0, 0.0, 3.0, 1.5, 1.0, 0.0, 0.5)


def pairs(seed: int) -> list[Row]:
    """Six prompts with two answers each."""
    return rows_of(seed, PAIRS, 2)


def linked(link: str, micro_rows: int = 0, delta: float | None = None, nll: float = 0.0, **settings: Any) -> Measure:
    """Our DPO with that link, and whatever columns it asks for; `delta`: a threshold in the place of the running one."""
    objective = DPO(link=link, nll=nll, **settings)

    def side(stage: Stage) -> Side:
        batch = annotate.reference(stage.reference.ours)(batch_of(stage.rows, 2))
        if LINKS[link].column in MATCHED:
            batch = MATCHED[LINKS[link].column](stage.policy.ours)(batch)
        elif LINKS[link].column:
            batch = RunningDelta(stage.policy.ours)(batch)
            batch = batch if delta is None else batch.having(delta=torch.full_like(batch.columns["delta"], delta))
        return ours(stage.policy, objective, batch, micro_rows)

    return side


def dpo_peer(loss: str | Sequence[str], micro_rows: int = 2 * PAIRS, **settings: Any) -> Measure:
    """TRL's DPO with that loss type, in micro-batches of so many rows."""

    def side(stage: Stage) -> Side:
        parts = [stage.rows[start : start + micro_rows] for start in range(0, len(stage.rows), micro_rows)]
        return theirs(stage.policy, *(peer.dpo(stage, part, loss_type=loss, **settings) for part in parts))

    return side


def link_case(link: str, loss: str, certificate: Certificate | None = None, beta: float = 0.1, noise: float = 0.0) -> Case:
    said = f", noise={noise}" if noise else ""
    smooth = {"label_smoothing": noise} if noise else {}
    return Case(
        ours=f"DPO(link={link}{said})",
        trl=f"DPOTrainer(loss_type={loss}{', label_smoothing=' + str(noise) if noise else ''})",
        rows=pairs,
        side=linked(link, beta=beta, noise=noise),
        peer=dpo_peer(loss, beta=beta, **smooth),
        certificate=certificate,
    )


def on_chosen(stage: Stage, weight: float, whole: bool = False) -> Side:
    """The likelihood of the chosen answers, a mean over all their tokens; `whole`: their prompts too."""
    return ours(stage.policy, NextToken(), batch_of(stage.rows[::2], whole=whole)).times(weight)


def sampled(stage: Stage, objective: Objective) -> Side:
    """Our online DPO: the better of two samples against the worse."""
    batch = best_first(batch_of(stage.rows, 2).having(reward=torch.tensor(REWARDS)))
    return ours(stage.policy, objective, annotate.reference(stage.reference.ours)(batch))


def online_peer(**settings: Any) -> Measure:
    return lambda stage: theirs(stage.policy, peer.online_dpo(stage, stage.rows, REWARDS, **settings))


def sorted_case(link: str) -> Case:
    """The same link where a step is split: the sort must not be."""
    return Case(
        ours=f"DPO(link={link}), three micro-batches",
        trl=f"DPOTrainer(loss_type={link}), three micro-batches",
        rows=pairs,
        side=linked(link, MICRO),
        peer=dpo_peer(link, MICRO),
        certificate=Certificate(
            theirs="sorts the pairs of one micro-batch, so that the loss of a step depends on how the step is split",
            ours="sorts the pairs of the whole step before it is split",
            why="Melnyk et al. 2024 (2406.05882) compare two distributions, to which more pairs are nearer",
            after="the step is one micro-batch",
            peer=dpo_peer(link),
        ),
    )


CASES: tuple[Case, ...] = (
    link_case("sigmoid", "sigmoid"),
    link_case("sigmoid_norm", "sigmoid_norm", beta=2.0),
    link_case("hinge", "hinge"),
    link_case("ipo", "ipo"),
    Case(
        ours="DPO(link=ipo_sum)",
        trl="OnlineDPOTrainer(loss_type=ipo)",
        rows=pairs,
        side=lambda stage: sampled(stage, DPO(link="ipo_sum")),
        peer=online_peer(loss_type="ipo", beta=0.1),
    ),
    Case(
        ours="DPO on sampled pairs (`best_first`)",
        trl="OnlineDPOTrainer(loss_type=sigmoid)",
        rows=pairs,
        side=lambda stage: sampled(stage, DPO()),
        peer=online_peer(loss_type="sigmoid", beta=0.1),
    ),
    link_case("exo", "exo_pair", noise=0.001),
    link_case("nca", "nca_pair"),
    link_case("robust", "robust", noise=0.1),
    link_case(
        "conservative",
        "sigmoid",
        Certificate(
            theirs="ignores `label_smoothing` in the loss type sigmoid, without a word",
            ours="weighs both orders of a pair by the noise, and refuses a noise that a link does not read",
            why='Mitchell 2023, "A note on DPO with noisy preferences": the expected loss if that share of labels is flipped',
            after="TRL's loss type is `aot` on micro-batches of one pair, where nothing is sorted and the noise is read",
            peer=dpo_peer("aot", 2, beta=0.1, label_smoothing=0.1),
        ),
        noise=0.1,
    ),
    link_case(
        "bco",
        "bco_pair",
        Certificate(
            theirs="has no threshold: both log-ratios are judged against zero",
            ours="judges them against delta, the mean log-ratio of all rows seen so far",
            why="Jung et al. 2024 (2404.04656), 4.2: the shift that tightens the classifier's loss as a bound of DPO's",
            after="delta is 0",
            side=linked("bco", delta=0.0),
        ),
    ),
    link_case("sppo", "sppo_hard"),
    link_case("apo_zero", "apo_zero"),
    link_case("apo_down", "apo_down"),
    link_case("discopop", "discopop"),
    link_case("aot", "aot", noise=0.1),
    sorted_case("aot"),
    link_case("aot_unpaired", "aot_unpaired", noise=0.1),
    sorted_case("aot_unpaired"),
    Case(
        ours="DPO(nll=0.5)",
        trl="DPOTrainer(loss_type=[sigmoid, sft], loss_weights=[1, 0.5])",
        rows=pairs,
        side=linked("sigmoid", nll=0.5),
        peer=dpo_peer(["sigmoid", "sft"], loss_weights=[1.0, 0.5], beta=0.1),
        certificate=Certificate(
            theirs="averages the likelihood over all chosen tokens of the micro-batch: a long answer weighs more",
            ours="averages over the tokens of each chosen answer, then over pairs, whatever the split",
            why="Pang et al. 2024 (2404.19733), eq. 1: the likelihood of an answer is divided by its own length",
            after="the likelihood is `NextToken` on the chosen rows",
            side=lambda stage: linked("sigmoid")(stage).plus(on_chosen(stage, 0.5)),
        ),
    ),
)
