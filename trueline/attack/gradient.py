"""The loss that suffix attacks lower, and its gradient, on any causal LM that is a Policy.

A suffix is L tokens at the end of the user's turn. Its loss is -log p(opening | conversation with the suffix), in nats, summed
over the tokens of the opening: how unlikely it is that the reply begins as the attacker wants (Zou et al. 2023, 2307.15043,
eq. 3). What is scored is the text that a target would read: a suffix counts only if its text, put into the conversation and
tokenised with it, gives the very tokens that were scored (`reads`).

    loss = SuffixLoss(policy, lambda suffix: say(goal, request(goal) + suffix), "Sure, here is", length=20, rng=Random(0))
    first = loss.start(Random(1))                       # a random suffix that reads back
    loss([first])                                       # [31.4]
    loss.promising(first, 64)                           # for every position, the 64 tokens that the gradient speaks for

The search itself needs no tensors, and is in attack/suffix.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor, nn

from trueline.core.types import Conversation
from trueline.models.policy import Policy

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from trueline.models.tokenizer import FastTokenizer

Ids = tuple[int, ...]
LOGP = frozenset({"logp"})
TRIES = 200  # fillers that are tried before a tokenizer is held to take no suffix of this length
SHUFFLES = 8  # tokens that are tried at each position of a first suffix


class SuffixError(ValueError):
    """No suffix can be searched for here; the message says why."""


class SuffixLoss:
    """-log p(opening | conversation with a suffix), of many suffixes at once.

    `put` gives the conversation as the policy meets it when a text stands at the end of the user's turn.
    """

    def __init__(
        self, policy: Policy, put: Callable[[str], Conversation], opening: str, *, length: int, rng: Random, rows: int = 64
    ) -> None:
        self.policy = policy
        self.put = put
        self.length = length
        self.rows = rows  # suffixes that are scored in one batch
        self.allowed = printable(policy.codec.tokenizer, policy.model.get_input_embeddings().num_embeddings)
        self._find_place(rng)
        self.opening = self._ids_of(opening)  # (H,)
        total = len(self.head) + length + len(self.tail) + len(self.opening)
        limit = getattr(policy.model.config, "max_position_embeddings", None)
        if limit and total > limit:
            raise SuffixError(
                f"the conversation, a suffix of {length} and the opening are {total} tokens; the model takes {limit}"
            )

    def __call__(self, suffixes: Sequence[Ids]) -> list[float]:
        """The loss of each suffix, nats. What rows begin with in common is computed once."""
        losses: list[float] = []
        for at in range(0, len(suffixes), self.rows):
            tokens = self._rows(suffixes[at : at + self.rows])  # (B, T)
            differs = (tokens[:, : self._begin] != tokens[0, : self._begin]).any(0)
            common = int(differs.int().argmax()) if bool(differs.any()) else self._begin - 1
            with torch.no_grad():
                logp = (self._by_cache if self.policy.fast is None else self._by_layout)(tokens, common)  # (B, H)
            losses += (-logp.sum(-1)).tolist()
        return losses

    def gradient(self, suffix: Ids) -> Tensor:
        """The gradient of the loss for the one-hot rows of a suffix, (L, V)."""
        embedding = self.policy.model.get_input_embeddings()
        with torch.no_grad():
            table = embedding(torch.arange(embedding.num_embeddings, device=self.policy.device))  # (V, D); some models scale it
        shift = torch.zeros(self.length, table.shape[1], device=table.device, dtype=table.dtype, requires_grad=True)
        place = (0, 0, len(self.head), len(self.tail) + len(self.opening))

        def add(module: nn.Module, inputs: Any, embedded: Tensor) -> Tensor:
            return embedded + F.pad(shift, place).view_as(embedded)  # one row: (T, D), or (1, T, D)

        tokens = self._rows([suffix])
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        mask[:, self._begin :] = True
        hook = embedding.register_forward_hook(add)
        try:
            logp = self.policy(tokens, mask, LOGP).logp
            (slope,) = torch.autograd.grad(-logp.sum(), shift)  # (L, D)
        finally:
            hook.remove()
        return slope @ table.T

    def promising(self, suffix: Ids, top: int) -> list[list[int]]:
        """For each position the `top` allowed tokens with the steepest descent, the best first: the X_i of algorithm 1."""
        slope = self.gradient(suffix)
        allowed = torch.tensor(self.allowed, device=slope.device)
        best = slope[:, allowed].topk(min(top, len(allowed)), largest=False).indices
        return allowed[best].tolist()

    def says(self, suffix: Ids) -> bool:
        """Whether a reply by greedy decoding begins with the opening."""
        tokens = self._rows([suffix])
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        mask[:, self._begin :] = True
        with torch.no_grad():
            logits = self.policy(tokens, mask, frozenset({"logits"})).logits  # (H, V)
        return logits.argmax(-1).tolist() == list(self.opening)

    def text(self, suffix: Iterable[int]) -> str:
        """What a suffix adds to the request, the space before it included."""
        decode = self.policy.codec.tokenizer.decode
        before = decode(list(self._anchor), clean_up_tokenization_spaces=False)
        both = decode([*self._anchor, *suffix], clean_up_tokenization_spaces=False)
        return both.removeprefix(before)

    def reads(self, suffix: Ids) -> bool:
        """Whether the text of a suffix, in its conversation, is read as these tokens: else another suffix was scored."""
        return tuple(self.policy.codec.prompt(self.put(self.text(suffix)))) == (*self.head, *suffix, *self.tail)

    def start(self, rng: Random) -> Ids:
        """A random suffix that reads back, to begin a search with."""
        suffix = self.filler
        for position in range(self.length):
            for token in rng.sample(self.allowed, min(SHUFFLES, len(self.allowed))):
                other = (*suffix[:position], token, *suffix[position + 1 :])
                if self.reads(other):
                    suffix = other
                    break
        return suffix

    def _by_layout(self, tokens: Tensor, common: int) -> Tensor:
        """Log-probabilities of the opening, (B, H). A policy shares what stands before the first token that it is asked for."""
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        mask[:, common:] = True
        return self.policy(tokens, mask, LOGP).logp[:, self._begin :]

    def _by_cache(self, tokens: Tensor, common: int) -> Tensor:
        """The same through `transformers`, for the families that only it knows: keys and values of the common part are kept."""
        from transformers import DynamicCache  # takes seconds to import

        cache = DynamicCache()
        with self.policy.autocast():
            self.policy.model(input_ids=tokens[:1, :common], past_key_values=cache, use_cache=True)
            cache.batch_repeat_interleave(len(tokens))
            seen = torch.ones_like(tokens)
            output = self.policy.model(input_ids=tokens[:, common:], attention_mask=seen, past_key_values=cache, use_cache=True)
        logits = output.logits[:, self._begin - 1 - common : -1].float()  # (B, H, V)
        return logits.log_softmax(-1).gather(-1, tokens[:, self._begin :, None]).squeeze(-1)

    @property
    def _begin(self) -> int:
        """Where the opening begins in a row."""
        return len(self.head) + self.length + len(self.tail)

    def _rows(self, suffixes: Sequence[Ids]) -> Tensor:
        rows = [(*self.head, *suffix, *self.tail, *self.opening) for suffix in suffixes]
        return torch.tensor(rows, device=self.policy.device)

    def _find_place(self, rng: Random) -> None:
        """Find the tokens before and after a suffix: with one token repeated, where that token is in the prompt."""
        last = next((m.text for m in reversed(self.put("").messages) if m.role == "user"), "")
        self._anchor = self.policy.codec.ids(last)[-1:]
        for token in rng.sample(self.allowed, min(TRIES, len(self.allowed))):
            self.filler = (token,) * self.length
            prompt = tuple(self.policy.codec.prompt(self.put(self.text(self.filler))))
            for at in range(len(prompt) - self.length, 0, -1):
                if prompt[at : at + self.length] == self.filler:
                    self.head, self.tail = prompt[:at], prompt[at + self.length :]
                    return
        raise SuffixError(f"no suffix of {self.length} tokens is read as the tokens that it was made of; try another length")

    def _ids_of(self, opening: str) -> Ids:
        """The opening in tokens, as they follow the opened turn of the assistant."""
        conversation = self.put(self.text(self.filler))
        prompt = self.policy.codec.prompt(conversation)
        whole = self.policy.codec.prompt(conversation.say("assistant", opening))
        ids = whole[len(prompt) :] if whole[: len(prompt)] == prompt else self.policy.codec.ids(opening)
        if not ids:
            raise SuffixError("the opening that a reply should begin with has no tokens; give the goal an opening")
        return tuple(ids)


@lru_cache(maxsize=8)
def printable(tokenizer: FastTokenizer | PreTrainedTokenizerBase, size: int) -> list[int]:
    """Ids of tokens that a user could type: printable ASCII, no special token, and nothing in angle brackets, as marks are."""
    found = []
    for token in range(min(size, len(tokenizer))):
        text = tokenizer.decode([token], skip_special_tokens=True, clean_up_tokenization_spaces=False).strip(" ")
        if text and text.isascii() and text.isprintable() and not (text[0] == "<" and text[-1] == ">" and len(text) > 2):
            found.append(token)
    return found
