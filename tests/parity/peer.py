"""TRL 1.16's trainers, built for real on a tiny model, and their batches, made by their own collators from the same rows.

Only `compute_loss` is called. In float64 it is given a table of logits in the place of the model.
"""

from __future__ import annotations

import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import datasets
import torch
import trl
from torch import Tensor
from transformers import PreTrainedModel
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.gkd import GKDConfig, GKDTrainer
from trl.experimental.iw_opd import IWOPDTrainer
from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer
from trl.trainer.distillation_config import DistillationConfig
from trl.trainer.distillation_trainer import DistillationTrainer
from trl.trainer.utils import add_fused_lm_head

from tests.models.small import codec, random_policy
from tests.parity.tensors import PAD, Row, Speaker, Stage, Told
from trueline.models.folders import classifier_on
from trueline.train.batch import Batch

datasets.disable_progress_bars()
Inputs = dict[str, Tensor]
LONGEST = 8  # tokens of an answer that a trainer would sample at most
COMMON: Mapping[str, Any] = {
    "output_dir": tempfile.gettempdir(),
    "report_to": [],
    "use_cpu": True,
    "bf16": False,
    "disable_tqdm": True,
    "save_strategy": "no",
}
TEXT: Mapping[str, list[dict[str, Any]]] = {  # a trainer must be given data; none of it is used
    "pairs": [{"prompt": "a", "chosen": " b", "rejected": " c"}],
    "labelled": [{"prompt": "a", "completion": " b", "label": True}, {"prompt": "a", "completion": " c", "label": False}],
    "prompts": [{"prompt": "a"}],
    "shown": [{"prompt": "a", "completion": " b"}],
}


def dpo(stage: Stage, rows: Sequence[Row], **settings: Any) -> Callable[[], Tensor]:
    """`DPOTrainer` on pairs (chosen, rejected, chosen, ...)."""
    trainer = _built(trl.DPOTrainer, trl.DPOConfig, stage.policy, "pairs", settings, ref_model=_model(stage.reference))
    trainer.ref_model = stage.reference.theirs
    asked = [{"prompt_ids": [*w.prompt], "chosen_ids": [*w.answer], "rejected_ids": [*l.answer]} for w, l in _pairs(rows)]
    return lambda: trainer.compute_loss(stage.policy.theirs, trainer.data_collator(asked))


def kto(
    stage: Stage, rows: Sequence[Row], others: Sequence[Row] | None, labels: Sequence[bool], **settings: Any
) -> Callable[[], Tensor]:
    """`KTOTrainer`; `others` are the rows that its KL is estimated on, None where the loss type has none."""
    trainer = _built(trl.KTOTrainer, trl.KTOConfig, stage.policy, "labelled", settings, ref_model=_model(stage.reference))
    trainer.ref_model = stage.reference.theirs
    asked = [
        {"prompt_ids": [*row.prompt], "completion_ids": [*row.answer], "label": label}
        for row, label in zip(rows, labels, strict=True)
    ]
    if others is not None:
        asked = [{**one, "KL_completion_ids": [*other.answer]} for one, other in zip(asked, others, strict=True)]
    return lambda: trainer.compute_loss(stage.policy.theirs, trainer.data_collator(asked))


def reward(stage: Stage, rows: Sequence[Row], margins: Sequence[float], **settings: Any) -> Callable[[], Tensor]:
    """`RewardTrainer` on pairs."""
    trainer = _built(trl.RewardTrainer, trl.RewardConfig, stage.scorer, "pairs", settings, scorer=True)
    asked = [{"chosen_ids": [*w.ids], "rejected_ids": [*l.ids]} for w, l in _pairs(rows)]
    if margins:
        asked = [{**one, "margin": margin} for one, margin in zip(asked, margins, strict=True)]
    return lambda: trainer.compute_loss(stage.scorer.theirs, trainer.data_collator(asked))


def sft(stage: Stage, rows: Sequence[Row], of: int | None = None, **settings: Any) -> Callable[[], Tensor]:
    """`SFTTrainer` on prompts and completions; `of`: the number of trained tokens of the whole step."""
    trainer = _built(trl.SFTTrainer, trl.SFTConfig, stage.policy, "shown", settings)
    labels = [[i if on else -100 for i, on in zip(row.ids, row.mask, strict=True)] for row in rows]
    asked = [{"input_ids": [*row.ids], "labels": known} for row, known in zip(rows, labels, strict=True)]
    return lambda: trainer.compute_loss(stage.policy.theirs, trainer.data_collator(asked), num_items_in_batch=of)


def reference_free(trainer: str, stage: Stage, rows: Sequence[Row], **settings: Any) -> Callable[[], Tensor]:
    """`CPOTrainer` or `ORPOTrainer` on pairs."""
    kinds = {"cpo": (CPOTrainer, CPOConfig), "orpo": (ORPOTrainer, ORPOConfig)}[trainer]
    built = _built(*kinds, stage.policy, "pairs", settings)
    asked: dict[str, Tensor] = {}
    for name, side in zip(("chosen", "rejected"), zip(*_pairs(rows), strict=True), strict=True):
        asked |= {f"{name}_{key}": value for key, value in _shown(side).items()}
    return lambda: built.get_batch_loss_metrics(stage.policy.theirs, asked)[0]


def online_dpo(stage: Stage, rows: Sequence[Row], rewards: Sequence[float], **settings: Any) -> Callable[[], Tensor]:
    """`OnlineDPOTrainer`, whose samples are replaced by these rows and whose rewards are these; it has no `compute_loss`."""
    trainer = _built(
        OnlineDPOTrainer, OnlineDPOConfig, stage.policy, "prompts", settings,
        ref_model=_model(stage.reference), reward_funcs=lambda **_: _halves(rewards),
    )  # fmt: skip
    trainer.ref_model = stage.reference.theirs
    drawn = _sampled(_halves(rows))
    asked = [drawn[name] for name in ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask")]
    trainer._generate = lambda *_: (*asked, None)
    kept: list[Tensor] = []
    trainer.accelerator.backward = kept.append  # the loss is ours to differentiate

    def loss() -> Tensor:
        trainer.training_step(stage.policy.theirs, {"prompt": ["a"] * (len(rows) // 2)})
        return kept.pop()

    return loss


def policy_gradient(
    stage: Stage, rows: Sequence[Row], batch: Batch, of: int = 0, parts: int = 1, **settings: Any
) -> Callable[[], Tensor]:
    """`GRPOTrainer` on rows whose columns `batch` has: one of `parts` micro-batches of a step with `of` sampled tokens.

    It divides by the number of micro-batches itself.
    """
    trainer = sampler(trl.GRPOTrainer, stage, len(rows), **settings)
    trainer.current_gradient_accumulation_steps = trainer.args.steps_per_generation = parts
    asked = _sampled(rows)
    wide = asked["completion_ids"].shape[1]
    for name, column in (("old_per_token_logps", "old_logp"), ("ref_per_token_logps", "ref_logp")):
        if column in batch.columns:
            asked[name] = _answers(batch.columns[column], rows, wide)
    asked["advantages"] = batch.columns["advantage"].gather(1, batch.last()[:, None]).squeeze(1)
    asked["num_items_in_batch"] = torch.tensor(of or int(batch.mask.sum()))
    return lambda: trainer.compute_loss(stage.policy.theirs, asked)


def rloo(stage: Stage, rows: Sequence[Row], batch: Batch) -> Callable[[], Tensor]:
    """`RLOOTrainer` on rows whose advantages and old log-probabilities `batch` has."""
    trainer = sampler(trl.RLOOTrainer, stage, len(rows))
    asked = _sampled(rows)
    asked["old_logps"] = (batch.columns["old_logp"] * batch.mask).sum(-1)
    asked["advantages"] = batch.columns["advantage"].gather(1, batch.last()[:, None]).squeeze(1)
    return lambda: trainer.compute_loss(stage.policy.theirs, asked)


def sampler(kind: type, stage: Stage, count: int, **settings: Any) -> Any:
    """A `GRPOTrainer` or `RLOOTrainer` in training, whose step is one generation of `count` rows."""
    config = {trl.GRPOTrainer: trl.GRPOConfig, trl.RLOOTrainer: trl.RLOOConfig}[kind]
    rewards, beta = settings.pop("rewards", ()), settings.pop("beta", 0.0)
    settings = {"num_generations": count, "max_completion_length": LONGEST, "beta": 0.0, **settings}
    parts = {"reward_funcs": lambda **_: list(rewards)}
    trainer = _built(kind, config, stage.policy, "prompts", settings, count, **parts)
    trainer.model.train()  # what it divides by differs in evaluation; the models have no dropout
    trainer.current_gradient_accumulation_steps = 1
    trainer.beta, trainer.ref_model = beta, stage.reference.theirs  # at its start it would load one from a folder
    if isinstance(trainer.ref_model, PreTrainedModel):
        add_fused_lm_head(trainer.ref_model)
    return trainer


def scored(trainer: Any, rows: Sequence[Row]) -> Inputs:
    """A trainer's own scoring of these rows, as if it had sampled them: advantages, masks, log-probabilities."""
    trainer._tokenize_prompts = lambda prompts: ([[*row.prompt] for row in rows], None, {})
    answers = [[*row.answer] for row in rows]
    trainer._generate_single_turn = lambda *_, **__: answers if isinstance(trainer, trl.RLOOTrainer) else (answers, None)
    return trainer._generate_and_score_completions([{"prompt": "a"} for _ in rows])


def gkd(stage: Stage, rows: Sequence[Row], of: int | None = None, **settings: Any) -> Callable[[], Tensor]:
    """`GKDTrainer`."""
    trainer = _built(GKDTrainer, GKDConfig, stage.policy, "shown", settings, teacher_model=_model(stage.reference))
    trainer.teacher_model = stage.reference.theirs
    return lambda: trainer.compute_loss(stage.policy.theirs, _shown(rows), num_items_in_batch=of)


def distillation(stage: Stage, rows: Sequence[Row], **settings: Any) -> Callable[[], Tensor]:
    """`DistillationTrainer`, which reads hidden states: for models only."""
    trainer = _built(
        DistillationTrainer, DistillationConfig, stage.policy, "prompts", {"max_completion_length": LONGEST, **settings},
        teacher_model=_model(stage.reference),
    )  # fmt: skip
    return lambda: trainer.compute_loss(stage.policy.theirs, _sampled(rows))


def on_policy_distillation(stage: Stage, rows: Sequence[Row]) -> Callable[[], Tensor]:
    """`IWOPDTrainer`'s loss of sampled tokens, without its weights. Not built: it would load a tokenizer."""
    trainer = object.__new__(IWOPDTrainer)
    trainer.temperature, trainer.iw_opd_gamma, trainer.iw_opd_epsilon = 1.0, 0.0, 1e-8
    trainer.model, trainer._metrics = _model(stage.policy), {"eval": defaultdict(list)}
    asked = _shown(rows)
    given = {"input_ids": asked["input_ids"], "attention_mask": asked["attention_mask"]}
    tokens, labels = given["input_ids"][:, 1:], asked["labels"][:, 1:]

    def said(speaker: Speaker) -> Tensor:
        logp = speaker.theirs(**given).logits[:, :-1].log_softmax(-1)
        return logp.gather(-1, tokens[..., None]).squeeze(-1).detach()

    return lambda: trainer._compute_iw_opd_loss(
        stage.policy.theirs(**given).logits[:, :-1], tokens, labels, said(stage.reference), said(stage.policy)
    )


def _built(
    kind: type, config: type, speaker: Speaker, data: str, settings: Mapping[str, Any], count: int = 8, scorer: bool = False,
    **parts: Any,
) -> Any:  # fmt: skip
    """A trainer on that model, or on any where the model is a table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        args = config(**COMMON, per_device_train_batch_size=count, **settings)
        return kind(
            model=_model(speaker, scorer), args=args, processing_class=codec().tokenizer.ordinary(),
            train_dataset=datasets.Dataset.from_list(TEXT[data]), **parts,
        )  # fmt: skip


def _model(speaker: Speaker, scorer: bool = False) -> PreTrainedModel:
    if not isinstance(speaker.ours, Told):
        return speaker.theirs
    causal = random_policy("llama").model
    return classifier_on(causal, PAD) if scorer else causal


def _pairs(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    return list(zip(rows[::2], rows[1::2], strict=True))


def _halves(values: Sequence[Any]) -> list[Any]:
    """The first of every pair, then the second of every pair."""
    return [*values[::2], *values[1::2]]


def _shown(rows: Sequence[Row]) -> Inputs:
    """Rows padded on the right, with labels on the answers alone."""
    width = max(len(row.ids) for row in rows)
    fill = lambda values, empty: [*values, *[empty] * (width - len(values))]  # noqa: E731  (one row, padded)
    known = [[i if on else -100 for i, on in zip(row.ids, row.mask, strict=True)] for row in rows]
    return {
        "input_ids": torch.tensor([fill(row.ids, PAD) for row in rows]),
        "attention_mask": torch.tensor([fill([1] * len(row.ids), 0) for row in rows]),
        "labels": torch.tensor([fill(labels, -100) for labels in known]),
    }


def _sampled(rows: Sequence[Row]) -> Inputs:
    """Prompts padded on the left and answers on the right, as samples are."""
    heads, tails = max(len(row.prompt) for row in rows), max(len(row.answer) for row in rows)
    before, after = [heads - len(row.prompt) for row in rows], [tails - len(row.answer) for row in rows]
    return {
        "prompt_ids": torch.tensor([[PAD] * n + [*row.prompt] for row, n in zip(rows, before, strict=True)]),
        "prompt_mask": torch.tensor([[0] * n + [1] * len(row.prompt) for row, n in zip(rows, before, strict=True)]),
        "completion_ids": torch.tensor([[*row.answer] + [PAD] * n for row, n in zip(rows, after, strict=True)]),
        "completion_mask": torch.tensor([[1] * len(row.answer) + [0] * n for row, n in zip(rows, after, strict=True)]),
    }


def _answers(values: Tensor, rows: Sequence[Row], width: int) -> Tensor:
    """Our (N, T) numbers in the frame of the answers alone, (N, width)."""
    out = values.new_zeros(len(rows), width)
    for n, row in enumerate(rows):
        out[n, : len(row.answer)] = values[n, len(row.prompt) : len(row.ids)]
    return out
