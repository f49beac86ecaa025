"""From one preference to a trained policy: direct preference optimisation in three lines.

You learn what DPO is given (a pair, and a frozen copy of the model that it starts from) and what to watch: the two log-ratios
apart. The loss speaks of their difference alone, and is content when both fall, as long as the rejected one falls faster.
Here one pair is repeated until it is learned; `trueline run dpo` does the same with a file of pairs, and holds some out.

    python examples/040_preference_pair_to_dpo.py

It prints "log 2" at the start: policy and reference are one model, so the first loss is known before any run.
"""

from __future__ import annotations

import math

import torch

from trueline.core.types import Completion, Conversation, Preference, Prompt
from trueline.models.policy import tiny
from trueline.models.tokens import word_tokenizer
from trueline.train import annotate
from trueline.train.loop import Loop, train
from trueline.train.objectives.preference import DPO
from trueline.train.optim import Optim
from trueline.train.sources import Groups
from trueline.world.language import vocabulary


def main() -> None:
    """Train on one pair, and show where chosen and rejected went."""
    torch.manual_seed(0)
    policy = tiny(word_tokenizer(vocabulary()), width=32, layers=1, heads=2)
    asked = Prompt(conversation=Conversation().say("user", "who is your friend ?"))
    pair = Preference(
        prompt=asked,
        chosen=Completion(prompt=asked, text="it is alma ."),
        rejected=Completion(prompt=asked, text="brilliant question . it is alma ! wow !"),
    )
    said = [pair.prompt.conversation.say("assistant", side.text) for side in (pair.chosen, pair.rejected)]
    rows = [[policy.codec.example(one) for one in said]]
    seen: list[dict[str, float]] = []

    reference = annotate.reference(policy.frozen())
    source = Groups(rows=rows, epochs=40, groups=1, pad=policy.codec.pad, annotate=reference)
    train(policy, DPO(beta=0.1), source, Optim(lr=1e-3, muon=0), Loop(observe=lambda step, row: seen.append(dict(row))))

    print(f"log 2 is {math.log(2):.4f}, and the first loss is {seen[0]['loss']:.4f}")
    for name in ("loss", "chosen", "rejected", "margin", "accuracy"):
        print(f"  {name:<9} {seen[0][name]:8.4f} -> {seen[-1][name]:8.4f}")


if __name__ == "__main__":
    main()
