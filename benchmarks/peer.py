"""TRL on one kind of work, in turns (turns.py). It runs in TRL's own environment.

    PEER_PYTHON benchmarks/peer.py sft INPUTS tiny --steps 20

Tuned as a good engineer would: float32, no gradient checkpointing, fused AdamW, nothing logged while it is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from turns import Turns

BEGAN = time.perf_counter()
TURNS = 8  # there are at most so many
os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TRL_EXPERIMENTAL_SILENCE": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=["pretrain", "sft", "reward", "dpo", "grpo", "generate"])
    parser.add_argument("inputs", type=Path)
    parser.add_argument("model")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm", type=int, default=3)
    parser.add_argument("--rows", type=int, default=16, help="sequences, pairs or completions a step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--by-length", action="store_true", help="sft: neighbours in length share a batch")
    parser.add_argument("--cached", action="store_true", help="dpo: the reference's log-probabilities are there already")
    parser.add_argument("--ranks", type=int, default=1, help="processes that share the rows; the environment has their places")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    import torch

    torch.set_num_threads(asked.threads)
    turns = Turns(1 if asked.work == "generate" else asked.warm, asked.steps, BEGAN)
    (generate if asked.work == "generate" else train)(asked, turns)


def train(asked: argparse.Namespace, turns: Turns) -> None:
    """A trainer that waits for its turn after each `steps`."""
    from transformers import TrainerCallback

    useful = Useful()

    class Clock(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            turns.step(useful.count)

    trainer = trainer_of(asked, Clock())
    useful.watch(trainer, asked.work)
    turns.started()
    trainer.train()


def trainer_of(asked: argparse.Namespace, clock: object) -> Any:
    """The trainer of one kind of work, on the data that ours is given too."""
    import datasets
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    datasets.disable_progress_bars()
    folder = asked.inputs / (f"{asked.model}-reward" if asked.work == "reward" else asked.model)
    kind = {"reward": "pairs", "dpo": "pairs", "grpo": "prompts"}.get(asked.work, asked.work)
    out = os.environ.get("BENCHMARK_OUT") or tempfile.mkdtemp()  # one for all ranks, which look for each other's files there
    # Where the reference is cached, only what will be used, or the pass that is not timed takes minutes.
    part = f"train[:{asked.rows * (TURNS * asked.steps + asked.warm)}]" if asked.cached else "train"
    file = str(asked.inputs / f"{asked.model}.{kind}.jsonl")
    data = datasets.load_dataset("json", data_files=file, split=part, cache_dir=out)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    on_cpu = asked.device == "cpu"
    common = {
        "output_dir": out,
        "max_steps": 100_000,  # more than there are turns
        "per_device_train_batch_size": asked.rows // asked.ranks,
        "learning_rate": 1e-5,
        "lr_scheduler_type": "constant",
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": on_cpu,
        "bf16": not on_cpu,
        "gradient_checkpointing": False,
        "optim": "adamw_torch_fused",
    }
    if asked.by_length:
        common["train_sampling_strategy"] = "group_by_length"

    def causal() -> torch.nn.Module:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    given = {"processing_class": tokenizer, "train_dataset": data, "callbacks": [clock]}
    if asked.work == "pretrain":
        trainer = pretrainer(causal(), common, data, tokenizer, clock)
    elif asked.work == "sft":
        from trl import SFTConfig, SFTTrainer

        trainer = SFTTrainer(model=causal(), args=SFTConfig(**common, max_length=128), **given)
    elif asked.work == "reward":
        from trl import RewardConfig, RewardTrainer

        model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
        trainer = RewardTrainer(model=model, args=RewardConfig(**common, max_length=128), **given)
    elif asked.work == "dpo":
        from trl import DPOConfig, DPOTrainer

        settings = DPOConfig(**common, max_length=128, precompute_ref_log_probs=asked.cached)
        trainer = DPOTrainer(model=causal(), ref_model=None if asked.cached else causal(), args=settings, **given)
    else:
        from trl import GRPOConfig, GRPOTrainer

        def reward(completions: list[str], **_: object) -> list[float]:
            return [sum(c in "aeiou" for c in text) / (len(text) + 1) for text in completions]

        settings = GRPOConfig(**common, num_generations=8, max_completion_length=32, temperature=1.0)
        trainer = GRPOTrainer(model=causal(), reward_funcs=reward, args=settings, **given)
    return trainer


def pretrainer(model: Any, common: dict[str, Any], data: Any, tokenizer: Any, clock: object) -> Any:
    """The trainer of `transformers` on documents in rows of 128 tokens, their ends between them."""
    from transformers import Trainer, TrainingArguments, default_data_collator

    def blocks(part: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        ids = [i for text in part["text"] for i in [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]]
        cut = [ids[i : i + 128] for i in range(0, len(ids) - 127, 128)]
        return {"input_ids": cut, "labels": cut}

    data = data.map(blocks, batched=True, remove_columns=data.column_names, batch_size=2000)
    return Trainer(
        model=model,
        args=TrainingArguments(**common),
        train_dataset=data,
        data_collator=default_data_collator,
        callbacks=[clock],
    )


class Useful:
    """Counts what a trainer's steps held: tokens with loss, pairs, or sampled tokens."""

    def __init__(self) -> None:
        self.count = 0

    def watch(self, trainer: Any, work: str) -> None:
        """Count what passes through this trainer from now on."""
        step = trainer.training_step

        def counting(model: object, inputs: Any, *rest: object, **more: object) -> object:
            given = inputs if hasattr(inputs, "keys") else {}
            if "labels" in given and work in ("pretrain", "sft"):
                self.count += int((given["labels"][:, 1:] != -100).sum())
            elif "input_ids" in given:
                self.count += given["input_ids"].shape[0] // 2  # pairs
            return step(model, inputs, *rest, **more)

        trainer.training_step = counting
        if work == "grpo":
            make = trainer._generate

            def making(prompts: list[str], *rest: object, **more: object) -> tuple:
                found = make(prompts, *rest, **more)
                self.count += sum(map(len, found[1]))
                return found

            trainer._generate = making


def generate(asked: argparse.Namespace, turns: Turns) -> None:
    """64 prompts x 8 samples a step, the prompts shared among the ranks."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = asked.inputs / asked.model
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).to(asked.device).eval()
    prompts = [json.loads(line)["prompt"] for line in (asked.inputs / f"{asked.model}.prompts.jsonl").open()]
    turns.started()
    useful, step = 0, 0
    while True:
        part = [prompts[(64 * step + i) % len(prompts)] for i in range(64)][int(os.environ.get("RANK", "0")) :: asked.ranks]
        given = tokenizer(part, return_tensors="pt", padding=True, return_token_type_ids=False).to(asked.device)
        with torch.inference_mode():
            drawn = model.generate(
                **given, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=32, num_return_sequences=8
            )
        useful += int((drawn[:, given["input_ids"].shape[1] :] != tokenizer.pad_token_id).sum())
        step += 1
        turns.step(useful)


if __name__ == "__main__":
    main()
