"""How likely a model in this process holds a reply: what confidence and multiple choice are read from.

    weigh = weigher(inside_of(target))
    weights = None if weigh is None else await weigh(conversation, ("yes", "no"))

The log-probability of a reply leaves its end out, since a reply may be the beginning of one (a letter), and is not divided by
its length: among whole answers the likelier one is meant, and a long answer is less likely than a short one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, takewhile

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
    """Return the log-probability (nats) of each reply to a conversation."""
    (found,) = weigh_all(policy, [(conversation, replies)])
    return found


def weigh_all(policy: object, asked: Sequence[tuple[Conversation, Sequence[str]]]) -> list[tuple[float, ...]]:
    """Return, for each conversation, the log-probability (nats) of each of its replies; those of like length share a pass.

    Where a tokenizer joins a reply's first letters to what stands before it, that token counts as the reply's.
    """
    import torch  # here: a remote target needs none

    from trueline.models.policy import Policy

    assert isinstance(policy, Policy)
    codec, limit = policy.codec, getattr(policy.model.config, "max_position_embeddings", None)
    rows: list[tuple[list[int], int]] = []  # the whole, and how many of its tokens are not the reply's
    for conversation, replies in asked:
        head = codec.prompt(conversation)
        for reply in replies:
            whole = codec.prompt(conversation.say("assistant", reply))
            rows.append((whole, sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(head, whole, strict=False)))))
    longest = max((len(whole) for whole, _ in rows), default=0)
    if limit and longest > limit:
        raise ValueError(f"a conversation of {longest} tokens exceeds the model's context of {limit}; shorten it")
    found, order = [0.0] * len(rows), sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
    for start in range(0, len(order), ROWS):
        part = order[start : start + ROWS]
        tokens = torch.full((len(part), len(rows[part[-1]][0])), codec.pad)
        mask = torch.zeros(tokens.shape, dtype=torch.bool)
        for row, i in enumerate(part):
            whole, before = rows[i]
            tokens[row, : len(whole)] = torch.tensor(whole)
            mask[row, before : len(whole)] = True
        with torch.no_grad():
            logp = policy(tokens.to(policy.device), mask.to(policy.device), frozenset({"logp"})).logp
        for i, value in zip(part, logp.sum(-1).tolist(), strict=True):
            found[i] = value
    each = iter(found)
    return [tuple(islice(each, len(replies))) for _, replies in asked]
