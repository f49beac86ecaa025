"""Sources are functions of the step, and lose nothing."""

from itertools import count, islice
from random import Random

import pytest
import torch

from tests.models.small import tiny_policy
from trueline.core.types import Conversation, Prompt
from trueline.models.tokens import Example
from trueline.train import advantages, annotate
from trueline.train.rollout import Rollouts
from trueline.train.sources import Examples, Groups, Packed, by_length

EXAMPLES = [Example((1, *[9] * n, 2), (False, *[True] * (n + 1))) for n in range(1, 40)]


def documents(seed):
    rng = Random(seed)
    for number in count():
        yield [1, *[8 + number % 7] * rng.randint(3, 30), 2]


def sources():
    policy = tiny_policy()
    prompts = [Prompt(conversation=Conversation().say("user", "a b " * (i + 1)), id=str(i)) for i in range(3)]
    return {
        "packed": Packed(documents=documents, steps=9, tokens=128, width=32, long_width=64, pool=50),
        "examples": Examples(examples=EXAMPLES, epochs=2, tokens=100),
        "groups": Groups(rows=[EXAMPLES[i : i + 3] for i in range(0, 39, 3)], epochs=2, groups=4),
        "rollouts": Rollouts(
            policy=policy,
            prompts=lambda i: prompts,
            reward=lambda cs: [float(len(c.ids)) for c in cs],
            annotate=annotate.chain(annotate.kl_in_reward(0.0), advantages.rloo),
            iterations=3,
            group=2,
            max_tokens=6,
            epochs=2,
        ),
    }


@pytest.mark.parametrize("name", ["packed", "examples", "groups", "rollouts"])
def test_a_source_taken_up_at_a_step_gives_the_same_batches(name):
    """From every step that is resumable, the batches are those of the uninterrupted run; the length is what it says."""
    source = sources()[name]
    whole = list(source.batches(0))
    assert len(whole) == len(source)
    for start in (s for s in range(1, len(source)) if source.resumable(s)):
        for ours, theirs in zip(whole[start:], source.batches(start), strict=True):
            assert torch.equal(ours.tokens, theirs.tokens)
            assert torch.equal(ours.mask, theirs.mask)


def test_rollouts_resume_only_between_rollouts():
    """A batch that is being replayed cannot be made again, and the source says so."""
    assert [sources()["rollouts"].resumable(s) for s in range(6)] == [True, False, True, False, True, False]


def test_every_example_is_seen_once_an_epoch():
    """Cutting by length neither drops nor repeats an example, and no step passes its budget."""
    lengths = [len(e.ids) for e in EXAMPLES]
    steps = by_length(lengths, 100, "x")
    assert sorted(i for rows in steps for i in rows) == list(range(len(EXAMPLES)))
    assert all(max(lengths[i] for i in rows) * len(rows) <= 100 for rows in steps)


def test_packing_wastes_little_and_cuts_nothing_short():
    """Rows are nearly full, begin with bos, and hold whole documents."""
    batches = list(islice(sources()["packed"].batches(0), 8))
    real = sum(int(b.columns["length"].sum()) for b in batches)
    assert real / sum(b.tokens.numel() for b in batches) > 0.9
    for b in batches:
        for row, length in zip(b.tokens, b.columns["length"], strict=True):
            tokens = row[:length].tolist()
            assert tokens[0] == 1
            assert tokens[-1] == 2


def test_rollout_rows_are_prompt_then_sample():
    """The mask covers exactly the sampled tokens, whose sampler log-probabilities are those of the policy."""
    source = sources()["rollouts"]
    batch = next(source.batches(0))
    with torch.no_grad():
        logp = source.policy(batch.tokens, batch.mask, frozenset({"logp"})).logp
    torch.testing.assert_close(batch.columns["old_logp"] * batch.mask, logp, atol=1e-5, rtol=1e-5)
    assert batch.mask.sum(-1).tolist() == batch.columns["reward"].tolist()
    assert {"reward", "truncated", "length"} <= batch.metrics.keys()


def test_a_batch_never_cuts_a_group():
    """Splitting into micro-batches keeps the rows of a group together, even when asked for fewer."""
    batch = next(sources()["groups"].batches(0))
    assert {len(b.tokens) % 3 for b in batch.split(4)} == {0}
    assert [len(b.tokens) for b in batch.split(1)] == [3] * (len(batch.tokens) // 3)
    assert batch.count("group") * 3 == batch.count("row")


def test_empty_data_is_refused():
    """No examples and no comparisons are errors, not runs of zero steps."""
    with pytest.raises(ValueError, match="no examples"):
        Examples(examples=[])
    with pytest.raises(ValueError, match="no comparisons"):
        Groups(rows=[])
