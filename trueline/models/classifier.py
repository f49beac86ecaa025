"""A small transformer that reads every word of a text at once and gives it one score; a word is a row of hashed buckets.

Unlike the policies it is not causal, and it needs no tokenizer: a word's vector is the sum of those of its buckets and of its
place (fastText's way with unseen words, Bojanowski et al. 2017, 1607.04606). Blocks are pre-norm with RMSNorm and SiLU, without
biases. The score is read off several weighted means over the words.

`lexicon` holds the rows of the texts to train on, so that a batch has one number a word, as every batch of `train/` has:

    model = Classifier(lexicon, places=129, buckets=32_769)
    model(tokens, mask, frozenset({"value"})).value      # (N, T): the score where the mask is on, at a text's last word
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor, nn

from trueline.models.policy import Outputs

EPSILON = 1e-6


class Block(nn.Module):
    """Attention over all words, then a feed-forward part of twice the width."""

    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_in, self.norm_on = (nn.RMSNorm(width, eps=EPSILON) for _ in range(2))
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate, self.down = nn.Linear(width, 2 * width, bias=False), nn.Linear(2 * width, width, bias=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                inner = (2 * layers) ** -0.5 if name.startswith(("out", "down")) else 1.0
                nn.init.normal_(weight, std=inner * weight.shape[1] ** -0.5)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """x (N, T, D); present (N, T): where there is a word."""
        read = self.norm_in(x)
        query, key, value = (part(read).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self._read)
        seen = F.scaled_dot_product_attention(query, key, value, present[:, None, None, :])  # (N, H, T, D / H)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.down(F.silu(self.gate(self.norm_on(x))))

    @property
    def _read(self) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
        return self.query, self.key, self.value


class Classifier(nn.Module):
    """A score for a text. Its head starts at zero, so that every text is undecided before the first step."""

    lexicon: Tensor

    def __init__(
        self, lexicon: Tensor, *, buckets: int, places: int, width: int = 64, layers: int = 2, heads: int = 4,
        pools: int = 4, drop: float = 0.1,
    ) -> None:  # fmt: skip
        """lexicon (E, C): the buckets of word e; row 0 is the row of nothing that every text begins with.

        drop: the share of buckets that goes missing while it trains.
        """
        super().__init__()
        self.register_buffer("lexicon", lexicon, persistent=False)
        self.buckets, self.drop = buckets, drop
        self.embed = nn.Embedding(buckets + places, width, padding_idx=0)
        self.layer = nn.ModuleList(Block(width, heads, layers) for _ in range(layers))
        self.norm_out = nn.RMSNorm(width, eps=EPSILON)
        self.pool_score, self.score = nn.Linear(width, pools, bias=False), nn.Linear(pools * width, 1)
        nn.init.normal_(self.embed.weight, std=0.2)
        for zeros in (self.embed.weight.data[0], self.score.weight, self.score.bias):
            nn.init.zeros_(zeros)

    def forward(self, tokens: Tensor, mask: Tensor, needs: frozenset[str] = frozenset(), temperature: float = 1.0) -> Outputs:
        """tokens (N, T): numbers of rows of the lexicon, right-padded; mask (N, T): on at each text's last word alone."""
        del needs, temperature
        present = mask.flip(-1).cumsum(-1).flip(-1) > 0  # (N, T)
        parts = self.lexicon[tokens].long()  # (N, T, C)
        if self.training and self.drop:  # so that no single word or part of one is relied on
            parts = parts * (torch.rand(parts.shape, device=parts.device) >= self.drop)
        at = self.buckets + torch.arange(tokens.shape[1], device=tokens.device)
        x = F.embedding(parts, self.embed.weight).sum(-2) + self.embed.weight[at]  # (N, T, D)
        for block in self.layer:
            x = block(x, present)
        h = self.norm_out(x)
        odds = self.pool_score(h).masked_fill(~present[..., None], -torch.inf)
        pooled = odds.softmax(1).transpose(1, 2) @ h  # (N, P, D)
        return Outputs(value=self.score(pooled.flatten(1)) * mask)
