"""What both sides of the training benchmark read: two Llama models with tokenizers, and data in TRL's formats. No network.

    python benchmarks/inputs.py FOLDER

FOLDER/tiny, FOLDER/small      models, warmed up on the demonstrations so that they end replies about as often as the data does
FOLDER/MODEL-reward            the same body as a sequence classifier
FOLDER/MODEL.KIND.jsonl        pretrain (text), sft (prompt, completion), pairs (prompt, chosen, rejected), prompts (prompt)

Prompt and completion have 16 to 128 tokens together, 46 on average, as short chats do; texts are drawn by rank as words are.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast

SHAPES: Mapping[str, tuple[int, int, int, int, int]] = {  # vocabulary, width, feed-forward, layers, heads
    "tiny": (1024, 128, 352, 4, 4),
    "small": (4096, 384, 1024, 6, 6),
}
WARM_STEPS = {"tiny": 300, "small": 100}
SPECIAL = ("<pad>", "<s>", "</s>", "<user>", "<assistant>")
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'user' %}<user>{{ m.content }}{% else %}<assistant>{{ m.content }}</s>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
ROWS = 2000


class Writer:
    """Invented words by Zipf's law, in pieces of a wanted number of tokens."""

    def __init__(self, rng: Random, vocabulary: int) -> None:
        self.rng = rng
        syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
        self.words = sorted({"".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(7000)}, key=len)
        self.weights = list(accumulate(1 / (rank + 3) for rank in range(len(self.words))))
        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=list(SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        bpe.train_from_iterator((self.text(40) for _ in range(8000)), trainer)
        self.tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=bpe, pad_token="<pad>", bos_token="<s>", eos_token="</s>", model_max_length=512
        )
        self.tokenizer.chat_template = TEMPLATE
        self.pool: list[int] = []

    def text(self, words: int) -> str:
        return " ".join(self.rng.choices(self.words, cum_weights=self.weights, k=words))

    def piece(self, tokens: int) -> str:
        if len(self.pool) < tokens:
            self.pool += self.tokenizer(" " + self.text(20_000))["input_ids"]
        ids, self.pool = self.pool[:tokens], self.pool[tokens:]
        return self.tokenizer.decode(ids)


def sizes(rng: Random) -> tuple[int, int]:
    """Tokens of a prompt and of its completion."""
    whole = int(min(128, max(16, rng.lognormvariate(3.72, 0.52))))
    prompt = max(6, int(whole * rng.uniform(0.25, 0.6)))
    return prompt, max(4, whole - prompt)


def write(folder: Path, name: str) -> None:
    rng = Random(f"benchmark/{name}")
    torch.manual_seed(0)
    vocabulary, width, inner, layers, heads = SHAPES[name]
    writer = Writer(rng, vocabulary)
    drawn = [sizes(rng) for _ in range(ROWS)]
    sft = [{"prompt": writer.piece(p), "completion": writer.piece(c)} for p, c in drawn]
    _dump(folder / f"{name}.sft.jsonl", sft)
    _dump(folder / f"{name}.prompts.jsonl", ({"prompt": row["prompt"]} for row in sft))
    _dump(folder / f"{name}.pretrain.jsonl", ({"text": writer.piece(sum(sizes(rng)))} for _ in range(8 * ROWS)))
    pairs = (
        {"prompt": writer.piece(p), "chosen": writer.piece(c), "rejected": writer.piece(max(4, int(c * rng.uniform(0.6, 1.5))))}
        for p, c in drawn
    )
    _dump(folder / f"{name}.pairs.jsonl", pairs)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = LlamaForCausalLM(config)
    _warm(model, [writer.tokenizer(r["prompt"] + r["completion"])["input_ids"] + [2] for r in sft], WARM_STEPS[name], rng)
    for made in (model, _classifier(model)):
        place = folder / (name if made is model else f"{name}-reward")
        made.save_pretrained(place)
        writer.tokenizer.save_pretrained(place)


def _warm(model: LlamaForCausalLM, rows: list[list[int]], steps: int, rng: Random) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, fused=True)
    rows = sorted(rows, key=len)
    for _ in range(steps):
        start = rng.randrange(len(rows) - 16)
        part = rows[start : start + 16]
        width = len(part[-1])
        ids = torch.tensor([r + [0] * (width - len(r)) for r in part])
        labels = torch.tensor([r + [-100] * (width - len(r)) for r in part])
        model(input_ids=ids, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


def _classifier(model: LlamaForCausalLM) -> LlamaForSequenceClassification:
    made = LlamaForSequenceClassification(LlamaConfig(**{**model.config.to_dict(), "num_labels": 1}))
    made.model.load_state_dict(model.model.state_dict())
    return made


def _dump(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    where = Path(sys.argv[1])
    where.mkdir(parents=True, exist_ok=True)
    for shape_name in SHAPES:
        write(where, shape_name)
