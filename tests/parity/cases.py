"""The table: every objective that both have, and in words what only one of them has."""

from __future__ import annotations

from collections.abc import Mapping

from tests.parity import cases_dpo, cases_models, cases_preference, cases_reinforce
from tests.parity.case import Case

CASES: tuple[Case, ...] = (*cases_models.CASES, *cases_dpo.CASES, *cases_preference.CASES, *cases_reinforce.CASES)

# Ours, and why there is nothing in TRL 1.16 to put beside it. Names of objectives are those of the classes.
ONLY_OURS: Mapping[str, str] = {
    "`PPO`, `LagrangianPPO`, `advantages.gae`, `advantages.lagrangian`": "no PPO trainer any more, and none with a critic",
    "`Unlikelihood`": "no trainer",
    "`StepReward`": "no trainer of process rewards any more",
    "`PlackettLuce` of more than two, or with ties": "`RewardTrainer` knows pairs",
    "`BradleyTerry` with soft labels": "`RewardTrainer` knows hard ones",
    "`Divergence` with `alpha`, or with the teacher's `top` tokens": "not in `GKDTrainer` and `DistillationTrainer`",
    "`advantages.reinforce`, `remax`, `reinforce_pp`, `reinforce_pp_baseline`": "no trainer",
    "`annotate.truncated_importance`": "TRL has it, but computes it from what vLLM returned, which is not run here",
}

# TRL's, with its loss types as it spells them.
ONLY_THEIRS: Mapping[str, str] = {
    "`GRPOTrainer(loss_type=sapo)`, `loss_type=vespo`, `loss_type=luspo`": "other bounds of the ratio",
    "`GRPOTrainer` with `top_entropy_quantile`, `off_policy_mask_threshold`": "masks of tokens and of sequences",
    "`GRPOTrainer(scale_rewards=batch)`, `RLOOTrainer(normalize_advantages=True)`": "another deviation to divide by",
    "`CPOTrainer(loss_type=hinge)`, `loss_type=ipo`, and `alpha`, `label_smoothing`": "ours has one link here",
    "`DPOTrainer` with `f_divergence_type`, `ld_alpha`, `use_weighting`": "f-DPO, LD-DPO and WPO",
    "`SFTTrainer` with `label_smoothing_factor`": "",
    "The trainers A2PO, GMPO, GOLD, SDFT, SDPO and TPO of `trl.experimental`, and the weights of IW-OPD": "",
}
