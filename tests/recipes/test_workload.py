"""What recipes ask for follows their settings, and a sample of their data stands for all of it."""

import json
from dataclasses import dataclass, replace

import pytest

from tests.models.small import tiny_policy
from trueline.data.rows import DataError
from trueline.evaluate.ladder import Sizes
from trueline.models.adapters import Adapter
from trueline.models.tokens import Codec, word_tokenizer
from trueline.recipes import lengths
from trueline.recipes.lengths import of_comparisons, of_demonstrations, of_measurement, of_prompts
from trueline.recipes.measure import Measure
from trueline.recipes.prefer import Dpo, Simpo
from trueline.recipes.pretrain import Pretrain
from trueline.recipes.reinforce import Grpo, Ppo, Rloo
from trueline.recipes.reward import Rank, Reward
from trueline.recipes.sampling import Sampler
from trueline.recipes.sft import Sft
from trueline.recipes.size import fresh
from trueline.recipes.studio import RecipeError
from trueline.recipes.workload import KEPT
from trueline.recipes.workload_base import Known
from trueline.recipes.workload_more import work
from trueline.train.sources import by_length
from trueline.world.demonstrations import helpful
from trueline.world.facts import make_world
from trueline.world.language import vocabulary
from trueline.world.prompts import FAMILIES

MODEL = fresh(Pretrain())
CODEC = Codec.of(word_tokenizer(vocabulary()))
KNOWN = Known({"base": MODEL, "reward": MODEL}, {"rankings": Rank(start="base", n=400, k=3)})


def write(path, rows):
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


def test_pretraining_takes_its_tokens():
    """Steps are tokens over the batch, and FLOPs at least six for each weight and token."""
    done = work(Pretrain(tokens=153_600, batch=1536), Known())
    assert (done.steps, done.tokens) == (100, 153_600)
    assert 6 * MODEL.size.parameters < done.flops / done.tokens < 8 * MODEL.size.parameters


def test_a_sample_stands_for_all_demonstrations():
    """Tokens and steps that are estimated from two hundred demonstrations are within a tenth of those of all of them."""
    examples = [CODEC.example(c) for c in helpful(make_world(1), 1, 1500)]
    steps = len(by_length([len(e.ids) for e in examples], 1024, "x"))
    done = work(Sft(start="base", n=1500), KNOWN)
    assert done.tokens == pytest.approx(sum(len(e.ids) for e in examples), rel=0.1)
    assert done.steps == pytest.approx(steps, rel=0.1)
    assert done.records == 1500


def test_epochs_multiply_what_is_trained():
    """Three passes take three times the steps, tokens and FLOPs of one, and no more memory."""
    once, thrice = (work(Sft(start="base", n=300, epochs=n), KNOWN) for n in (1, 3))
    assert thrice.tokens == pytest.approx(3 * once.tokens, abs=2)
    assert thrice.flops == pytest.approx(3 * once.flops)
    assert thrice.memory == once.memory


def test_comparisons_follow_the_rankings_that_are_made_before():
    """The reward model sees each ranking, DPO each pair of it; the assumption about ties is said."""
    kept = KEPT * 400 * 0.85
    reward = work(Reward(start="base", epochs=2, groups=10), KNOWN)
    dpo = work(Dpo(start="base", epochs=2, groups=10), KNOWN)
    assert reward.steps == 2 * int(kept / 10)
    assert dpo.steps == pytest.approx(3 * reward.steps, abs=4)
    assert "75% of the 400 prompts" in reward.note
    assert dpo.flops / dpo.tokens > reward.flops / reward.tokens  # logits are made
    with_reference, without = (work(r(start="base"), KNOWN) for r in (Dpo, Simpo))
    assert with_reference.flops > without.flops  # the reference reads every pair once
    assert with_reference.memory == without.memory  # and is kept as a table, not as a model


def test_rollouts_follow_their_settings():
    """Twice the iterations take twice of everything but memory; PPO also trains twice and reads once more."""
    half, whole = (work(Grpo(start="base", reward="gold", iterations=n), KNOWN) for n in (5, 10))
    ppo = work(Ppo(start="base", reward="gold", iterations=10), KNOWN)
    assert (whole.steps, ppo.steps) == (10, 20)
    assert whole.flops == pytest.approx(2 * half.flops)
    assert whole.decoding == pytest.approx(2 * half.decoding)
    assert whole.memory == half.memory
    assert 1.5 < ppo.flops / whole.flops < 2.5
    assert work(Rloo(start="base", reward="gold", iterations=10), KNOWN).flops == whole.flops


def test_a_reward_model_is_read_and_kept():
    """Scoring with a model costs FLOPs and memory that gold does not."""
    gold, learned = (work(Grpo(start="base", reward=name), KNOWN) for name in ("gold", "reward"))
    assert learned.flops > gold.flops
    assert learned.memory == gold.memory + MODEL.size.frozen()


def test_micro_batches_save_memory_and_page_faults():
    """Fewer rows at a time take less memory, and less time where all rows would outgrow the allocator."""
    whole, micro = (work(Grpo(start="base", reward="gold", micro_rows=n), KNOWN) for n in (0, 64))
    assert micro.memory < whole.memory / 2
    assert micro.flops < whole.flops
    for recipe in (Pretrain(), Sft(start="base"), Dpo(start="base"), Reward(start="base")):
        assert work(replace(recipe, micro_rows=2), KNOWN).memory < work(recipe, KNOWN).memory


@pytest.mark.parametrize("recipe", [Sft(start="base"), Dpo(start="base"), Grpo(start="base", reward="gold")])
def test_an_adapter_saves_gradients_moments_and_the_reference(recipe):
    """Under an adapter the weights have no gradients and no moments, and the reference of RL is the same weights."""
    full, adapted = work(recipe, KNOWN).memory, work(replace(recipe, adapter=Adapter(rank=4)), KNOWN).memory
    size, muon = MODEL.size, recipe.optim.muon > 0
    saved = size.training(muon) - size.training(muon, 4) + (size.frozen() if isinstance(recipe, Grpo) else 0)
    assert full - adapted == pytest.approx(saved)
    assert saved > 0


def test_measurements_ask_every_prompt():
    """A rung asks what its sizes say; the base has no divergence from itself to take; gates ask less."""
    sizes = Sizes(direct=10, new_targets=3, family=2, domain=4, over_refusal=5)
    found = of_measurement(sizes, False, CODEC)
    assert found.count == len(found.whole) == 10 + 3 + 2 * (len(FAMILIES) - 1) + 4 * len(lengths.DOMAINS) + 5
    base, tuned = (work(Measure(model=m, base="base", sizes=sizes), KNOWN) for m in ("base", "reward"))
    assert tuned.flops > base.flops
    assert base.steps == 0
    assert len(of_measurement(replace(sizes, gate=3), True, CODEC).whole) == 3 * len(lengths.GATES)


def test_files_are_counted(tmp_path):
    """Rows of a file are all counted, at most n of them, though only the first are encoded."""
    rows = [{"prompt": "a b", "completion": "c d e"}] * 450
    path = write(tmp_path / "a.jsonl", rows)
    found = of_demonstrations(path, 0, None, "all")
    assert (found.count, len(found.whole)) == (450, 200)
    assert "characters" in found.note
    assert of_demonstrations(path, 300, None, "all").count == 300
    policy = tiny_policy()
    policy.save(tmp_path / "model")
    done = work(Sft(start=str(tmp_path / "model"), data=path, n=0), Known())
    assert done.tokens == round(450 * 0.95 * len(policy.codec.example(*_talks(path)).ids))


def _talks(path):
    from trueline.core.types import Conversation
    from trueline.data.recognise import read

    return [next(read(Conversation, path))]


def test_a_file_that_takes_long_is_unknown(tmp_path, monkeypatch):
    """When counting takes too long nothing is guessed: neither steps nor tokens nor FLOPs."""
    monkeypatch.setattr(lengths, "COUNTING", -1.0)
    path = write(tmp_path / "a.jsonl", [{"prompt": "a b", "completion": "c d"}] * 450)
    done = work(Sft(start="base", data=path, n=0), KNOWN)
    assert (done.steps, done.tokens, done.flops) == (None, None, 0.0)


def test_pairs_and_rankings_of_files(tmp_path):
    """Pairs are groups of two; their count is that of the file."""
    path = write(tmp_path / "a.jsonl", [{"prompt": "how", "chosen": "a b c", "rejected": "d"}] * 30)
    found = of_comparisons(path, 0, CODEC, pairs=True)
    assert (found.count, found.group, len(found.whole)) == (30, 2, 60)


def test_what_is_too_long_is_left_out_and_said():
    """Only groups that fit count; if none does, the plan fails as the run would."""
    found = lengths.Lengths((5, 5, 5, 50), (1, 1, 1, 9), 100, group=2)
    kept = found.within(10)
    assert (list(kept.whole), kept.count, kept.note) == ([5, 5], 50, "50% is left out: longer than 10 tokens")
    assert found.within(50) is found
    with pytest.raises(RecipeError, match="longer than 4 tokens; raise context"):
        found.within(4)


def test_replies_to_prompts_of_a_file_are_taken_to_be_as_long_as_allowed(tmp_path):
    """Nobody knows how long they will be; the note says what is assumed."""
    path = write(tmp_path / "a.jsonl", [{"prompt": "once upon"}] * 5)
    found = of_prompts(path, CODEC, 33)
    assert set(found.said) == {33}
    assert "33 tokens" in found.note


def test_missing_input_is_the_same_error_as_in_the_run(tmp_path):
    """A file that is not there, or has no rows, is said in the plan already."""
    with pytest.raises(DataError, match="expected a file"):
        work(Sft(start="base", data=str(tmp_path / "none.jsonl")), KNOWN)
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(DataError, match="empty"):
        work(Pretrain(text=str(tmp_path / "empty.txt")), Known())


def test_another_packages_recipe_says_nothing():
    """A recipe that no function is registered for has no estimate, and the note says so."""

    @dataclass(frozen=True)
    class Theirs:
        pass

    done = work(Theirs(), Known())
    assert done.tokens is None
    assert done.model.note == "Theirs says nothing about its cost"


def test_a_server_takes_the_decoding_off_this_machine():
    """Where a server samples, no decoding is counted here, one more pass of the trainer is, and the note says who samples."""
    here, there = (work(Grpo(start="base", sampler=Sampler(server=url)), KNOWN) for url in ("", "http://gpu:8000"))
    assert (there.turns, there.decoding) == (0, 0) < (here.turns, here.decoding)
    assert there.note.endswith("http://gpu:8000 samples, which is not counted")
    assert (there.steps, there.tokens) == (here.steps, here.tokens)
