"""The reference's table on disk: found by whoever would compute the same, by nobody else, and not believed when torn."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.small import WORDS, random_policy, tiny_policy
from trueline.models.adapters import Adapter
from trueline.models.policy import Policy
from trueline.models.tokens import Codec, Example, word_tokenizer
from trueline.train.annotate_preference import remember
from trueline.train.reference_cache import ABANDONED, ReferenceCache, identity_of


def rows(n: int = 12, first: int = 9) -> list[Example]:
    """Rows of different lengths, two tokens each untrained."""
    made = [(1, 4, *(8 + (first + i * k) % 20 for k in range(3 + i % 5))) for i in range(n)]
    return [Example(ids, (False, False, *[True] * (len(ids) - 2))) for ids in made]


def counted(policy: Policy) -> list[int]:
    """The sizes of the forward passes that the policy makes from now on."""
    calls: list[int] = []
    policy.register_forward_pre_hook(lambda module, given: calls.append(len(given[0])))
    return calls


def same(a, b) -> bool:
    return list(a) == list(b) and all(torch.equal(a[row], b[row]) for row in a)


def entries(cache: ReferenceCache) -> list:
    return sorted(cache.folder.glob("*.safetensors"))


def test_a_second_run_does_not_call_the_model(tmp_path):
    """The same model in another folder, loaded anew, gets the table without a forward pass, equal to the bit."""
    tiny_policy().save(tmp_path / "a")
    tiny_policy().save(tmp_path / "b")
    first, second = Policy.load(tmp_path / "a"), Policy.load(tmp_path / "b")
    calls = counted(second)
    (made,) = ReferenceCache(tmp_path / "kept").remember(first, rows())
    (found,) = ReferenceCache(tmp_path / "kept").remember(second, rows())
    assert (made.reused, found.reused, calls) == (False, True, [])
    assert same(made.table, found.table)
    assert same(found.table, remember(second, rows()))
    assert calls


def test_repeats_and_order_within_a_length_do_not_matter_to_what_is_found(tmp_path):
    """A list with every example twice is the same set, and nothing is kept of no examples."""
    policy, cache = tiny_policy(), ReferenceCache(tmp_path)
    cache.remember(policy, rows())
    twice, none = cache.remember(policy, [*rows(), *rows()], [])
    assert twice.reused
    assert (none.table, none.reused) == ({}, False)
    assert len(entries(cache)) == 1


def other_token(policy):
    changed = rows()
    changed[3] = replace(changed[3], ids=(*changed[3].ids[:-1], 7))
    return policy, changed


def other_mask(policy):
    changed = rows()
    changed[3] = replace(changed[3], mask=(*changed[3].mask[:-1], False))
    return policy, changed


def other_weight(policy):
    with torch.no_grad():
        policy.model.base_model.layers[0].mlp.up_proj.weight[0, 0] += 1e-3
    return policy, rows()


def other_config(policy):
    policy.model.config.rms_norm_eps *= 2
    return policy, rows()


def other_dtype(policy):
    policy.model.to(torch.bfloat16)
    return policy, rows()


def other_template(policy):
    policy.codec = policy.codec.with_template("plain")
    return policy, rows()


def other_tokenizer(policy):
    template = policy.codec.tokenizer.chat_template
    policy.codec = Codec.of(word_tokenizer((*WORDS[:-1], "z")))
    assert policy.codec.tokenizer.chat_template == template
    return policy, rows()


@pytest.mark.parametrize(
    "change", [other_token, other_mask, other_weight, other_config, other_dtype, other_template, other_tokenizer]
)
def test_what_differs_in_one_thing_is_computed(tmp_path, change):
    """One token, one bit of a mask, one weight, a constant, the dtype, the template, one word: each is another table."""
    cache = ReferenceCache(tmp_path)
    cache.remember(tiny_policy(), rows())
    policy, asked = change(tiny_policy())
    (found,) = cache.remember(policy, asked)
    assert not found.reused
    assert len(entries(cache)) == 2
    assert same(found.table, remember(policy, asked))


def test_an_adapter_makes_another_model(tmp_path):
    """A base, the base under an adapter that has learned, and the two merged have three identities."""
    pytest.importorskip("peft", reason="adapters need the extra `lora`")
    random_policy("llama").save(tmp_path / "base")
    adapted = Policy.load(tmp_path / "base").adapt(Adapter(rank=2))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.1)
    adapted.save(tmp_path / "adapter")
    policies = (Policy.load(tmp_path / "base"), adapted, Policy.load(tmp_path / "adapter"))
    assert len({identity_of(policy) for policy in policies}) == 3


def cut(path, key_of_another):
    path.write_bytes(path.read_bytes()[:-5])


def flip(path, key_of_another):
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)


def empty(path, key_of_another):
    path.write_bytes(b"")


def foreign(path, key_of_another):
    save_file({"weight": torch.zeros(3)}, path)


def unsigned(path, key_of_another):
    save_file(load_file(path), path)


def swapped(path, key_of_another):
    path.write_bytes(key_of_another.read_bytes())


def pickled(path, key_of_another):
    path.write_bytes(pickle.dumps({"logp": [0.0]}))


@pytest.mark.parametrize("spoil", [cut, flip, empty, foreign, unsigned, swapped, pickled])
def test_a_spoiled_file_is_computed_again_and_replaced(tmp_path, spoil):
    """Torn, one bit off, without its hash, another's, of another kind: none is believed, and the next run finds it right."""
    policy, cache = tiny_policy(), ReferenceCache(tmp_path)
    (made,) = cache.remember(policy, rows())
    (path,) = entries(cache)
    cache.remember(policy, rows(first=10))
    (other,) = (p for p in entries(cache) if p != path)
    spoil(path, other)
    again, found = (cache.remember(policy, rows())[0] for _ in range(2))
    assert (again.reused, found.reused) == (False, True)
    assert same(made.table, again.table)
    assert same(made.table, found.table)


def test_the_entry_used_longest_ago_goes(tmp_path):
    """With room for two, a third takes the place of the one that was not read since; the newest stays, however large."""
    policy = tiny_policy()
    ReferenceCache(tmp_path).remember(policy, rows(first=9))
    (first,) = entries(ReferenceCache(tmp_path))
    cache = ReferenceCache(tmp_path, limit=int(2.5 * first.stat().st_size))
    cache.remember(policy, rows(first=10))
    (second,) = (p for p in entries(cache) if p != first)
    for age, path in ((200, first), (100, second)):
        os.utime(path, (time.time() - age,) * 2)
    assert cache.remember(policy, rows(first=9))[0].reused
    cache.remember(policy, rows(first=11))
    assert first.exists()
    assert not second.exists()
    ReferenceCache(tmp_path, limit=1).remember(policy, rows(first=12))
    assert len(entries(cache)) == 1


def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path):
    """An unfinished file of days ago is dropped, one of this minute is not."""
    old, new = tmp_path / ".a.safetensors.1-00.tmp", tmp_path / ".b.safetensors.2-00.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * ABANDONED,) * 2)
    ReferenceCache(tmp_path).remember(tiny_policy(), rows())
    assert not old.exists()
    assert new.exists()


def _write_often(folder, start, times: int) -> None:
    policy = tiny_policy()
    wanted = [remember(policy, rows(first=first)) for first in (9, 10)]
    start.wait()
    for i in range(times):  # room for one: each drops what the other has just written, or is about to read
        cache = ReferenceCache(folder, limit=1)
        for j in (0, 1) if i % 2 else (1, 0):
            (found,) = cache.remember(policy, rows(first=9 + j))
            assert same(found.table, wanted[j])


def test_two_processes_may_write_at_once(tmp_path):
    """Two that read, write and drop the same two entries at once get the right tables every time, and leave whole files."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(2)
    writers = [context.Process(target=_write_often, args=(tmp_path, start, 12)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert not list(tmp_path.glob(".*.tmp"))
    cache, policy = ReferenceCache(tmp_path), tiny_policy()
    left = len(entries(cache))  # none, where each dropped the other's last
    assert sum(found.reused for found in cache.remember(policy, rows(first=9), rows(first=10))) == left
