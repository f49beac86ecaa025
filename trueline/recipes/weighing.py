"""How likely a model in this process holds a reply: what confidence and multiple choice are read from.

    weigh = weigher(inside_of(target))
    weights = None if weigh is None else await weigh(conversation, ("yes", "no"))

The log-probability of a reply leaves its end out, since a reply may be the beginning of one (a letter), and is not divided by
its length: among whole answers the likelier one is meant, and a long answer is less likely than a short one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from trueline.core.ports import Inside
from trueline.core.types import Conversation
from trueline.evaluate.interview import Weigh

ROWS = 64  # replies that are weighed in one pass


def weigher(inside: Inside | None) -> Weigh | None:
    """Return how replies are weighed where the weights lie in this process; None elsewhere."""
    if inside is None:
        return None

    async def weigh(conversation: Conversation, replies: Sequence[str]) -> tuple[float, ...]:
        return weigh_replies(inside.policy, inside.deployed(conversation), replies)

    return weigh


def weigh_replies(policy: object, conversation: Conversation, replies: Sequence[str]) -> tuple[float, ...]:
    """Return the log-probability (nats) of each reply to a conversation.

    Where a tokenizer joins a reply's first letters to what stands before it, that token counts as the reply's.
    """
    import torch  # here: a remote target needs none

    from trueline.models.policy import Policy

    assert isinstance(policy, Policy)
    codec, limit = policy.codec, getattr(policy.model.config, "max_position_embeddings", None)
    head, found = codec.prompt(conversation), list[float]()
    for start in range(0, len(replies), ROWS):
        whole = [codec.prompt(conversation.say("assistant", reply)) for reply in replies[start : start + ROWS]]
        longest = max(map(len, whole))
        if limit and longest > limit:
            raise ValueError(f"a conversation of {longest} tokens exceeds the model's context of {limit}; shorten it")
        tokens = torch.full((len(whole), longest), codec.pad)
        mask = torch.zeros((len(whole), longest), dtype=torch.bool)
        for row, ids in enumerate(whole):
            before = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(head, ids, strict=False)))
            tokens[row, : len(ids)] = torch.tensor(ids)
            mask[row, before : len(ids)] = True
        with torch.no_grad():
            logp = policy(tokens.to(policy.device), mask.to(policy.device), frozenset({"logp"})).logp
        found += logp.sum(-1).tolist()
    return tuple(found)
