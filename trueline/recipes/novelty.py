"""Novelty: how far a request is from those that an attacker has written so far.

Curiosity-driven red teaming (Hong et al. 2024, https://arxiv.org/abs/2402.19464) adds two terms to the reward of a request:
less its Self-BLEU against every earlier one, and less its mean cosine similarity to them as sentence embeddings. Both are here
on a scale from 0 (known) to 1 (new). The embedding is the text's own words and pairs of words, counted, since no encoder
knows the world's tongue and none has to be fetched for English.

>>> memory = Memory()
>>> memory.novelty("how do you make a kite ?")
1.0
>>> memory.add(["how do you make a kite ?"])
>>> memory.novelty("how do you make a kite ?") < memory.novelty("what are the steps for a kite ?")
True
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import sqrt

from trueline.evaluate.diversity import Gram, References, grams


@dataclass
class Memory:
    """The requests that were written so far, as far as a comparison needs them: the cost of one does not grow with them."""

    references: References = field(default_factory=References)
    total: dict[Gram, float] = field(default_factory=dict)  # sum of the unit vectors
    count: int = 0

    def add(self, texts: Iterable[str]) -> None:
        """Take texts in."""
        for text in texts:
            self.references.add(text)
            for gram, weight in _unit(text).items():
                self.total[gram] = self.total.get(gram, 0.0) + weight
            self.count += 1

    def novelty(self, text: str) -> float:
        """Return 1 less the mean of the two similarities; 1 where nothing was written yet."""
        if not self.count:
            return 1.0
        cosine = sum(weight * self.total.get(gram, 0.0) for gram, weight in _unit(text).items()) / self.count
        return max(0.0, 1 - (self.references.bleu(text) + cosine) / 2)


def _unit(text: str) -> dict[Gram, float]:
    """The counts of words and pairs of words, as a vector of length one."""
    counts = Counter(grams(text, 1)) + grams(text, 2)
    length = sqrt(sum(count**2 for count in counts.values()))
    return {gram: count / length for gram, count in counts.items()}
