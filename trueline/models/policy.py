"""A Hugging Face causal LM as a Policy, and a sequence classifier as a RewardModel.

The only model format is the ecosystem's own: a folder that `AutoModelForCausalLM` (or `AutoModelForSequenceClassification`)
and `AutoTokenizer` load. Llama and Qwen models are read by `models.decoder` and run by `models.fast`; every other architecture,
and a model that gets an adapter, goes through `transformers`.
Both are called the same way, `model(tokens, mask, needs) -> Outputs`, and compute only what is asked.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor, nn

from trueline.models import adapters
from trueline.models.adapters import Adapted, Adapter, AdapterError
from trueline.models.configuration import Config
from trueline.models.decoder import Causal, Decoder, ordinary
from trueline.models.fast import FastForward, can_run
from trueline.models.folders import ModelError, causal_of, classifier_of, classifier_on, source_of, tokenizer_of
from trueline.models.packed import STEP, Layout, layout
from trueline.models.products import linear, log_probabilities
from trueline.models.tokens import Codec

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trueline.models.tokenizer import FastTokenizer


@dataclass(slots=True)
class Outputs:
    """What a forward pass gives, (N, T) each, in the frame of `tokens`: entry t speaks of token t given those before it."""

    logp: Tensor | None = None  # log-probability of the token; zero where the mask is off
    entropy: Tensor | None = None  # entropy (nats) of the distribution that the token was drawn from
    value: Tensor | None = None  # V of the state before the token (Policy), or the score up to the token (RewardModel)
    logits: Tensor | None = None  # (M, V) float32, of the M masked tokens alone, row after row
    hidden: Tensor | None = None  # (M, layers, D), the states of these tokens themselves: models/residual.py gives them


class Computing(nn.Module):
    """What a policy and a reward model have in common: a model with its codec, where it is and what it computes in."""

    def __init__(self, model: PreTrainedModel | Decoder, codec: Codec) -> None:
        super().__init__()
        self.model = model
        self.codec = codec
        self.fast = _lean(model)
        self.compute_dtype = torch.float32  # weights, gradients and moments are float32 in any case
        self.source: str | None = None  # where it, or its body, was loaded from
        self.adapted: Adapted | None = None

    def compute_in(self, dtype: torch.dtype) -> Self:
        """Compute in float32 or bfloat16 from now on (`models.machine.dtype_for` says which). Returns the model itself."""
        self.compute_dtype = dtype
        if self.fast is not None:
            self.fast.compute_dtype = None if dtype == torch.float32 else dtype
        return self

    def autocast(self) -> torch.autocast:
        """What `transformers` does inside is computed in `compute_dtype`, where torch holds that to be safe."""
        return torch.autocast(self.device.type, dtype=self.compute_dtype, enabled=self.compute_dtype != torch.float32)

    @property
    def device(self) -> torch.device:
        return self.model.device

    def save(self, folder: Path) -> None:
        """Write config, weights (safetensors) or adapter, tokenizer and chat template, for the loaders of `transformers`."""
        if self.adapted is None:
            self.model.save_pretrained(folder)
        else:
            self.adapted.save(self.model, folder)
        self.codec.tokenizer.save_pretrained(folder)


class Policy(Computing):
    """A causal language model with its codec, and a value head when PPO asks for one."""

    def __init__(self, model: PreTrainedModel | Decoder, codec: Codec) -> None:
        super().__init__(model, codec)
        self.value_head: nn.Linear | None = None
        self.packs = True  # False: rows stay as they are, for a hook that must know which token is whose

    def adapt(self, adapter: Adapter) -> Policy:
        """Freeze the weights and train an adapter on them; with rank 0 nothing changes. Returns the policy itself."""
        if adapter.rank:
            model = ordinary(self.model)
            self.adapted = adapters.attach(model, adapter, self.source)
            self.model, self.fast = model, None
        return self

    def add_value_head(self) -> None:
        """Give the policy a value head that starts at zero."""
        self.value_head = nn.Linear(self.model.config.hidden_size, 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)

    def forward(self, tokens: Tensor, mask: Tensor, needs: frozenset[str], temperature: float = 1.0) -> Outputs:
        """Log-probabilities (and entropy, value) of the masked tokens. tokens, mask: (N, T), right-padded.

        Logits are made only for masked tokens, in chunks, in float32, and divided by `temperature`.
        """
        if "value" in needs and self.value_head is None:
            raise ModelError("this policy has no value head; call add_value_head() before an objective that needs 'value'")
        predict = mask[:, 1:].bool()  # (N, T-1): token t is predicted from position t-1
        where, targets = F.pad(predict, (1, 0)), tokens[:, 1:][predict]  # (K,)
        count, more = (
            len(targets),
            -len(targets) % STEP,
        )  # some are computed twice, as in `packed`: libraries like round numbers
        states, head, hidden = self._states(tokens, mask, predict, more, with_hidden="value" in needs)
        out = Outputs()
        empty = states.new_zeros(tokens.shape, dtype=torch.float32)
        if "value" in needs:
            out.value = empty.masked_scatter(where, self.value_head(hidden.float()).squeeze(-1)[:count])
        if not needs & {"logp", "entropy", "logits"}:
            return out
        targets = F.pad(targets, (0, more))
        if "logits" in needs:
            out.logits = (states if head is None else linear(states, head))[:count].float() / temperature
        if not needs & {"logp", "entropy"}:
            return out
        logp, entropy = log_probabilities(states, head, targets, temperature, "entropy" in needs)
        if "logp" in needs:
            out.logp = empty.masked_scatter(where, logp)
        if entropy is not None:
            out.entropy = empty.masked_scatter(where, entropy)
        return out

    def logits(self, tokens: Tensor) -> Tensor:
        """All next-token logits, (N, T, V) float32, for right-padded tokens (N, T)."""
        if self.fast is not None:
            return linear(self.fast.hidden(tokens), self.fast.cast(self.model.lm_head.weight)).float()
        with self.autocast():
            return self.model(input_ids=tokens, use_cache=False).logits.float()

    def _states(
        self, tokens: Tensor, mask: Tensor, predict: Tensor, more: int, with_hidden: bool
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """States that the masked tokens are predicted from, (K + more, D), the weight that makes them logits, hidden states."""
        if self.fast is not None:
            packed = (layout(tokens, mask) if self.packs else None) or Layout.of_rows(tokens)
            hidden = self.fast.packed(packed, wanted=F.pad(packed.at[:, :-1][predict], (0, more)))
            return hidden, self.fast.cast(self.model.lm_head.weight), hidden
        spots = F.pad(F.pad(predict, (0, 1)).flatten().nonzero().squeeze(-1), (0, more))
        if self.adapted is not None and can_run(self.model.config):
            with self.autocast():
                hidden = self.model.base_model(input_ids=tokens, use_cache=False).last_hidden_state.flatten(0, 1)[spots]
            hidden = hidden.to(self.compute_dtype)
            return hidden, self.model.lm_head.weight.to(self.compute_dtype), hidden
        # An architecture may scale or cap its logits, so they come from its own forward: the "states" are the logits.
        with self.autocast():
            output = self.model(input_ids=tokens, output_hidden_states=with_hidden, use_cache=False)
        hidden = output.hidden_states[-1].flatten(0, 1)[spots] if with_hidden else None
        return output.logits.flatten(0, 1)[spots], None, hidden

    def frozen(self) -> Policy:
        """A copy that does not learn: the reference of PPO and GRPO. Under an adapter it is the same weights without it."""
        if self.adapted is not None and self.adapted.adapter.dropout:
            raise AdapterError("a policy that is compared with a reference must not drop anything; set adapter.dropout=0")
        model = copy.deepcopy(self.model) if self.adapted is None else adapters.view(self.model, merged=False)
        twin = Policy(model, self.codec).compute_in(self.compute_dtype)
        twin.requires_grad_(False)
        return twin.eval()

    @classmethod
    def load(cls, name: str | Path) -> Policy:
        """Read any causal LM that `transformers` loads, from a folder or `hf:NAME`; code in it is never run."""
        source = source_of(name)
        model = causal_of(source)
        stops = getattr(model.generation_config, "eos_token_id", None)
        also = stops if isinstance(stops, list) else []
        policy = cls(model, Codec.of(tokenizer_of(source), also)).eval()
        policy.source = source
        return policy


class RewardModel(Computing):
    """A scalar score for a conversation: a sequence classifier with one label."""

    def adapt(self, adapter: Adapter) -> RewardModel:
        """Freeze the body and train an adapter on it, and the whole score head; with rank 0 nothing changes."""
        if adapter.rank and adapter.dropout:
            raise AdapterError("a reward model must give a text one score; set adapter.dropout=0")
        if adapter.rank:
            model = ordinary(self.model)
            self.adapted = adapters.attach(model, adapter, self.source, head="score")
            self.model, self.fast = model, None
        return self

    def forward(self, tokens: Tensor, mask: Tensor, needs: frozenset[str] = frozenset(), temperature: float = 1.0) -> Outputs:
        """The score of every prefix, (N, T); the score of a row is the entry of its last masked token."""
        del needs, temperature
        if self.fast is None:
            with self.autocast():
                hidden = self.model.base_model(tokens).last_hidden_state
            return Outputs(value=self.model.score(hidden.float()).squeeze(-1) * mask)
        hidden, at = _flat(self.fast, tokens, mask)
        return Outputs(value=self.model.score(hidden.float()).squeeze(-1)[at.clamp(min=0)] * mask)

    @torch.no_grad()
    def at_end(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """What the head says at the last token of each row, (N, labels): a classifier's classes, or one reward."""
        tokens = torch.full((len(rows), max(map(len, rows))), self.codec.pad, device=self.device)  # (N, T)
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        for i, row in enumerate(rows):
            tokens[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), True
        places = torch.arange(len(rows)), torch.tensor([len(row) - 1 for row in rows])
        if self.fast is None:
            with self.autocast():
                return self.model.score(self.model.base_model(tokens).last_hidden_state[places].float())
        hidden, at = _flat(self.fast, tokens, mask)
        return self.model.score(hidden[at[places]].float())

    @classmethod
    def start_from(cls, policy: Policy) -> RewardModel:
        """A reward model with the policy's body and a score head at zero, so that every first comparison is a coin toss."""
        body = policy.model if policy.adapted is None else adapters.view(policy.model, merged=False)
        reward = cls(classifier_on(body, policy.codec.pad), policy.codec).eval().compute_in(policy.compute_dtype)
        reward.source = policy.source
        return reward

    @classmethod
    def load(cls, name: str | Path) -> RewardModel:
        """Read a one-label sequence classifier from a folder or `hf:NAME`."""
        source = source_of(name)
        if base := adapters.base_of(source):
            codec = Codec.of(tokenizer_of(source))
            blank = ordinary(classifier_on(causal_of(source_of(base)), codec.pad))
            return cls(adapters.merged_onto(blank, source), codec).eval()
        model = classifier_of(source)
        if model.config.num_labels != 1:
            raise ModelError(f"{source}: a reward model has one label, this classifier has {model.config.num_labels}")
        return cls(model, Codec.of(tokenizer_of(source))).eval()


def tiny(
    tokenizer: FastTokenizer | PreTrainedTokenizerBase, width: int = 128, layers: int = 4, heads: int = 4, context: int = 640
) -> Policy:
    """A small Qwen3 with random weights (tied embeddings; 0.89 M parameters at the defaults and 704 words).

    Width sets the rest: the feed-forward is 8/3 of it, in steps of 32. Matrices start at std 1/sqrt(fan-in), the two that
    write into the residual stream a further 1/sqrt(2 layers) smaller (Radford et al. 2019, 2.3).
    """
    if width % heads:
        raise ValueError(f"width {width} is not a multiple of heads {heads}")
    codec = Codec.of(tokenizer)
    values = {
        "model_type": "qwen3",
        "vocab_size": (len(tokenizer) + 15) // 16 * 16,
        "hidden_size": width,
        "intermediate_size": max(32, round(width * 8 / 3 / 32) * 32),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "head_dim": width // heads,
        "max_position_embeddings": context,
        "tie_word_embeddings": True,
        "bos_token_id": codec.bos,
        "eos_token_id": codec.eos,
        "pad_token_id": codec.pad,
    }
    model = Causal(Config.of(values))
    for name, weight in model.named_parameters():
        if weight.ndim == 2:
            fan_in = weight.shape[1]
            inner = (2 * layers) ** -0.5 if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
            nn.init.normal_(weight, std=inner * fan_in**-0.5)
    return Policy(model, codec)


def _flat(fast: FastForward, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden states (M, D) without padding where that pays, and where in them a token of the batch stands, (N, T)."""
    packed = layout(tokens, mask) or Layout.of_rows(tokens)
    return fast.packed(packed), packed.at


def _lean(model: PreTrainedModel | Decoder) -> FastForward | None:
    """The lean forward pass, where it computes what `transformers` would: a known family, weights that are plain numbers."""
    plain = can_run(model.config) and not getattr(model, "is_quantized", False)
    return FastForward(model.base_model) if plain else None
