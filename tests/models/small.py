"""Tiny random models and a tiny closed vocabulary, built in memory: what every test of a model starts from."""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, Qwen2Config, Qwen3Config

from trueline.models.policy import Policy, tiny
from trueline.models.tokens import Codec, word_tokenizer

WORDS = ("<pad>", "<bos>", "<eos>", "<sys>", "<user>", "<asst>", "<tool>", "<result>", *"abcdefghijklmnopqrst")


def codec() -> Codec:
    return Codec.of(word_tokenizer(WORDS))


def tiny_policy(seed: int = 0, width: int = 32, layers: int = 2) -> Policy:
    torch.manual_seed(seed)
    return tiny(word_tokenizer(WORDS), width=width, layers=layers, heads=2, context=128).eval()


def random_policy(family: str, seed: int = 0) -> Policy:
    """A random llama (grouped heads), qwen2 (biases), qwen3 (QK-norm) or gpt2 (not on the fast path)."""
    torch.manual_seed(seed)
    shape = {
        "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 128, "tie_word_embeddings": True,
    }  # fmt: skip
    config = {
        "llama": lambda: LlamaConfig(**shape),
        "qwen2": lambda: Qwen2Config(**shape),
        "qwen3": lambda: Qwen3Config(**shape, head_dim=16),
        "gpt2": lambda: GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=128),
    }[family]()
    model = AutoModelForCausalLM.from_config(config)
    for name, weight in model.named_parameters():  # norms and biases away from their identity, so that a slip shows
        if weight.ndim == 1:
            torch.nn.init.normal_(weight, mean=0.0 if name.endswith("bias") else 1.0, std=0.2)
        else:
            torch.nn.init.normal_(weight, std=0.3)
    return Policy(model, codec()).eval()
