"""Policy gradients and advantages beside `GRPOTrainer` and `RLOOTrainer`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import trl

from tests.parity import peer
from tests.parity.case import Case, Certificate, Measure
from tests.parity.sides import Side, ours, theirs
from tests.parity.tensors import Row, Stage, batch_of, rows_of
from trueline.train import advantages, annotate
from trueline.train.annotate_teacher import against
from trueline.train.batch import Annotate, Batch
from trueline.train.objectives.reinforce import PolicyGradient

GROUP, GROUPS = 4, 2
MICRO = 4  # rows of a micro-batch, where there are two
REWARDS = (0.5, 2.0, -1.0, 1.0, 3.0, 0.0, 0.25, 1.5)
EASY = (1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0)  # one group that tells nothing


def groups(seed: int) -> list[Row]:
    """Two prompts with four answers each."""
    return rows_of(seed, GROUPS, GROUP)


def scored(stage: Stage) -> Batch:
    """A batch with advantages of both signs, and what the sampler and the reference said."""
    random = torch.Generator().manual_seed(stage.seed)
    batch = batch_of(stage.rows, GROUP)
    steps = (annotate.column("old_logp", stage.old.ours), annotate.reference(stage.reference.ours))
    batch = annotate.chain(*steps)(batch)
    per_row = torch.randn(len(stage.rows), 1, generator=random, dtype=batch.columns["old_logp"].dtype)
    return batch.having(advantage=per_row * batch.mask)


def surrogate(micro_rows: int = 0, **settings: Any) -> Measure:
    """Our policy gradient."""
    return lambda stage: ours(stage.policy, PolicyGradient(**settings), scored(stage), micro_rows)


def grpo_peer(micro_rows: int = GROUP * GROUPS, **settings: Any) -> Measure:
    """TRL's, in micro-batches of so many rows."""

    def side(stage: Stage) -> Side:
        batch = scored(stage)
        parts = [slice(start, start + micro_rows) for start in range(0, len(stage.rows), micro_rows)]
        shared: dict[str, Any] = {"of": int(batch.mask.sum()), "parts": len(parts), **settings}
        losses = [peer.policy_gradient(stage, stage.rows[part], _part(batch, part), **shared) for part in parts]
        return theirs(stage.policy, *losses, divided=True)

    return side


def estimated(estimator: Annotate, rewards: tuple[float, ...] = REWARDS, kl: float = 0.0) -> Measure:
    """Our advantages, from what a rollout has."""

    def side(stage: Stage) -> Side:
        batch = batch_of(stage.rows, GROUP).having(reward=torch.tensor(rewards))
        steps = (annotate.column("old_logp", stage.policy.ours), annotate.reference(stage.reference.ours))
        batch = annotate.chain(*steps, annotate.kl_in_reward(kl), estimator)(batch)
        return Side.of_advantages(batch.columns["advantage"].gather(1, batch.last()[:, None]).squeeze(1))

    return side


def estimator_peer(kind: type, rewards: tuple[float, ...] = REWARDS, **settings: Any) -> Measure:
    """TRL's advantages, from its own scoring of the same rows and rewards."""

    def side(stage: Stage) -> Side:
        trainer = peer.sampler(kind, stage, len(stage.rows), rewards=rewards, num_generations=GROUP, **settings)
        return Side.of_advantages(peer.scored(trainer, stage.rows)["advantages"])

    return side


def estimator_case(ours_said: str, trl_said: str, side: Measure, peer_side: Measure, sure: Certificate | None = None) -> Case:
    """TRL scores with its own models in float32, so that there is one setting only."""
    return Case(
        ours=ours_said, trl=trl_said, rows=groups, side=side, peer=peer_side, stages=("float32",), certificate=sure
    )  # fmt: skip


def _part(batch: Batch, rows: slice) -> Batch:
    """Rows of a batch, as wide as it was."""
    columns = {name: value[rows] for name, value in batch.columns.items()}
    return replace(batch, tokens=batch.tokens[rows], mask=batch.mask[rows], columns=columns)


def _first_pass(build: Callable[[Stage, Batch], Side]) -> Measure:
    """A side on which the sampler is the policy itself."""

    def side(stage: Stage) -> Side:
        batch = scored(stage)
        return build(stage, annotate.column("old_logp", stage.policy.ours)(batch))

    return side


ENTROPY = 0.01
PLAIN = {"beta": 0.0, "epsilon": 0.2}
PULLED = {"beta": 0.04, "epsilon": 0.2}
CASES: tuple[Case, ...] = (
    Case(
        ours="PolicyGradient(average=row)",
        trl="GRPOTrainer(loss_type=grpo), two micro-batches",
        rows=groups,
        side=surrogate(MICRO, average="row"),
        peer=grpo_peer(MICRO, loss_type="grpo", **PLAIN),
    ),
    Case(
        ours="PolicyGradient(clip_high=0.28)",
        trl="GRPOTrainer(loss_type=dapo, epsilon_high=0.28), two micro-batches",
        rows=groups,
        side=surrogate(MICRO, clip_high=0.28),
        peer=grpo_peer(MICRO, loss_type="dapo", epsilon_high=0.28, **PLAIN),
    ),
    Case(
        ours="PolicyGradient",
        trl="GRPOTrainer(loss_type=bnpo)",
        rows=groups,
        side=surrogate(),
        peer=grpo_peer(loss_type="bnpo", **PLAIN),
    ),
    Case(
        ours="PolicyGradient, two micro-batches",
        trl="GRPOTrainer(loss_type=bnpo), two micro-batches",
        rows=groups,
        side=surrogate(MICRO),
        peer=grpo_peer(MICRO, loss_type="bnpo", **PLAIN),
        certificate=Certificate(
            theirs="divides by the tokens of a micro-batch: those beside short answers weigh more, and the split matters",
            ours="divides by the tokens of the whole step",
            why="Yu et al. 2025 (2503.14476), eq. 8: one sum over all tokens of the step, over their number",
            after="the step is one micro-batch",
            peer=grpo_peer(loss_type="bnpo", **PLAIN),
        ),
    ),
    Case(
        ours=f"PolicyGradient(average=constant, length={peer.LONGEST})",
        trl=f"GRPOTrainer(loss_type=dr_grpo, max_completion_length={peer.LONGEST}), two micro-batches",
        rows=groups,
        side=surrogate(MICRO, average="constant", length=peer.LONGEST),
        peer=grpo_peer(MICRO, loss_type="dr_grpo", **PLAIN),
    ),
    Case(
        ours="PolicyGradient(form=gspo, average=row, clip=0.03, clip_high=0.04)",
        trl="GRPOTrainer(importance_sampling_level=sequence, loss_type=grpo, epsilon=0.03, epsilon_high=0.04)",
        rows=groups,
        side=surrogate(form="gspo", average="row", clip=0.03, clip_high=0.04),
        peer=grpo_peer(loss_type="grpo", importance_sampling_level="sequence", beta=0.0, epsilon=0.03, epsilon_high=0.04),
    ),
    Case(
        ours="PolicyGradient(form=cispo, clip_high=0.28)",
        trl="GRPOTrainer(loss_type=cispo, epsilon_high=0.28)",
        rows=groups,
        side=surrogate(form="cispo", clip_high=0.28),
        peer=grpo_peer(loss_type="cispo", epsilon_high=0.28, **PLAIN),
        certificate=Certificate(
            theirs="takes `epsilon_high` for the bound of the ratio itself; with the default of the other losses, every weight "
            "is bounded far below 1",
            ours="bounds the ratio by 1 + `clip_high`, as every other form does",
            why="MiniMax 2025 (2506.13585), eq. 4 and 5: clip(r, 1 - eps_low, 1 + eps_high)",
            after="`epsilon_high` is 1 + `clip_high`",
            peer=grpo_peer(loss_type="cispo", epsilon_high=1.28, **PLAIN),
        ),
    ),
    Case(
        ours="PolicyGradient(dual=1.5)",
        trl="GRPOTrainer(delta=1.5, loss_type=dapo)",
        rows=groups,
        side=surrogate(dual=1.5),
        peer=grpo_peer(loss_type="dapo", delta=1.5, **PLAIN),
    ),
    Case(
        ours="PolicyGradient(kl=0.04, kl_form=k3, average=row)",
        trl="GRPOTrainer(beta=0.04, use_bias_correction_kl=False, loss_type=grpo)",
        rows=groups,
        side=surrogate(kl=0.04, kl_form="k3", average="row"),
        peer=grpo_peer(loss_type="grpo", use_bias_correction_kl=False, **PULLED),
    ),
    Case(
        ours="PolicyGradient(kl=0.04)",
        trl="GRPOTrainer(beta=0.04, loss_type=dapo)",
        rows=groups,
        side=surrogate(kl=0.04),
        peer=grpo_peer(loss_type="dapo", **PULLED),
        certificate=Certificate(
            theirs="adds the ratio times k3 = exp(-d) - 1 + d, d = log pi - log ref, with the gradient of the ratio too",
            ours="adds k2 = d^2 / 2",
            why="on the policy's own samples, which are those of the first update after a rollout, both have the gradient of "
            "the reverse KL in expectation, k2 without a ratio; in later updates TRL's corrects for the samples' age, ours "
            "does not. k3 without the ratio, the GRPO paper's (Shao et al. 2024, 2402.03300, eq. 4), has "
            "the gradient of another divergence",
            after="ours is set to `kl_form=k3`, TRL's to `use_bias_correction_kl=False`",
            side=surrogate(kl=0.04, kl_form="k3"),
            peer=grpo_peer(loss_type="dapo", use_bias_correction_kl=False, **PULLED),
        ),
    ),
    Case(
        ours=f"PolicyGradient(entropy={ENTROPY})",
        trl=f"GRPOTrainer(entropy_coef={ENTROPY}, loss_type=dapo)",
        rows=groups,
        side=surrogate(entropy=ENTROPY),
        peer=grpo_peer(loss_type="dapo", entropy_coef=ENTROPY, **PLAIN),
    ),
    Case(
        ours=f"PolicyGradient(entropy={ENTROPY}), two micro-batches",
        trl=f"GRPOTrainer(entropy_coef={ENTROPY}, loss_type=dapo), two micro-batches",
        rows=groups,
        side=surrogate(MICRO, entropy=ENTROPY),
        peer=grpo_peer(MICRO, loss_type="dapo", entropy_coef=ENTROPY, **PLAIN),
        certificate=Certificate(
            theirs="takes the mean entropy of each micro-batch, and the mean of these",
            ours="takes the mean over the tokens of the whole step",
            why="the split is a matter of memory, and must not change what is trained",
            after="the step is one micro-batch",
            peer=grpo_peer(loss_type="dapo", entropy_coef=ENTROPY, **PLAIN),
        ),
    ),
    Case(
        ours="PolicyGradient(average=constant)",
        trl="RLOOTrainer, after a first update",
        rows=groups,
        side=surrogate(average="constant"),
        peer=lambda stage: theirs(stage.policy, peer.rloo(stage, stage.rows, scored(stage))),
        certificate=Certificate(
            theirs="has one ratio a sequence, the product of its tokens' ratios, and clips that",
            ours="has one ratio a token, and clips each",
            why="Ahmadian et al. 2024 (2402.14740) have no ratio: a sample is used once, and there both have the "
            "gradient of their eq. 8. Later updates are PPO's, whose ratio is a token's: a product of many soon leaves it",
        ),
    ),
    Case(
        ours="PolicyGradient(average=constant), gradient of the first update",
        trl="RLOOTrainer, gradient of the first update",
        rows=groups,
        side=_first_pass(lambda stage, batch: ours(stage.policy, PolicyGradient(average="constant"), batch).without_loss()),
        peer=_first_pass(lambda stage, batch: theirs(stage.policy, peer.rloo(stage, stage.rows, batch)).without_loss()),
    ),
    Case(
        ours="`annotate_teacher.against` and PolicyGradient(form=cispo), first update",
        trl="IWOPDTrainer(iw_opd_gamma=0), first update",
        rows=groups,
        side=_first_pass(
            lambda stage, batch: ours(stage.policy, PolicyGradient(form="cispo"), against(stage.reference.ours)(batch))
        ),
        peer=lambda stage: theirs(stage.policy, peer.on_policy_distillation(stage, stage.rows)),
    ),
    estimator_case(
        "`advantages.grpo()`",
        "GRPOTrainer(scale_rewards=group)",
        estimated(advantages.grpo()),
        estimator_peer(trl.GRPOTrainer, scale_rewards="group"),
    ),
    estimator_case(
        "`advantages.grpo()`, a group of equal rewards",
        "GRPOTrainer(scale_rewards=group), the same",
        estimated(advantages.grpo(), EASY),
        estimator_peer(trl.GRPOTrainer, EASY, scale_rewards="group"),
    ),
    estimator_case(
        "`advantages.grpo(floor=0.1)`, the recipe's",
        "GRPOTrainer(scale_rewards=group)",
        estimated(advantages.grpo(0.1)),
        estimator_peer(trl.GRPOTrainer, scale_rewards="group"),
        Certificate(
            theirs="adds 1e-4 to a group's deviation",
            ours="adds `floor`, which the recipe `grpo` sets to 0.1",
            why="the paper (Shao et al. 2024, 2402.03300, 4.1.2) has none, and one is needed where all rewards are equal; with "
            "a small one, a group whose rewards hardly differ moves the model as much as one whose rewards differ by much",
            after="`floor=1e-4`",
            side=estimated(advantages.grpo()),
        ),
    ),
    estimator_case(
        "`advantages.dr_grpo`",
        "GRPOTrainer(scale_rewards=none)",
        estimated(advantages.dr_grpo),
        estimator_peer(trl.GRPOTrainer, scale_rewards="none"),
    ),
    estimator_case(
        "`advantages.rloo`", "RLOOTrainer(beta=0)", estimated(advantages.rloo), estimator_peer(trl.RLOOTrainer, beta=0.0)
    ),
    estimator_case(
        "`advantages.rloo` after `kl_in_reward(0.05)`",
        "RLOOTrainer(beta=0.05)",
        estimated(advantages.rloo, kl=0.05),
        estimator_peer(trl.RLOOTrainer, beta=0.05),
    ),
)
