"""Checkpoints in shards: whole or passed over."""

import pytest
import torch
from safetensors.torch import save_file

from trueline.cluster.checkpoints import NOTE, UnsharedError, noted, read_shards, settle
from trueline.train import kept


@pytest.fixture
def written(tmp_path):
    """What one process wrote, not yet settled, and the tensors."""
    tensors = {"a": torch.randn(5, 3), "b": torch.arange(4.0)}
    (tmp_path / ".writing").mkdir()
    save_file(tensors, tmp_path / ".writing" / "shard.safetensors")
    return tmp_path / ".writing", {name: tensor.numel() for name, tensor in tensors.items()}


def test_a_settled_checkpoint_is_noted(written, tmp_path):
    """It has its name, its note, and nothing under the temporary one."""
    place, sizes = written
    settle(place, tmp_path / "step-00000003", {"step": 3}, sizes)
    assert not place.exists()
    assert noted(tmp_path / "step-00000003")["step"] == 3


def test_shards_on_another_disk_are_missed(written, tmp_path):
    """Where fewer numbers are there than the tensors have, no checkpoint is made, and the error says what to do."""
    place, sizes = written
    with pytest.raises(UnsharedError, match=r"holds 15 of the 30 numbers of a: .* give --out on a disk"):
        settle(place, tmp_path / "step-00000003", {"step": 3}, {**sizes, "a": 30})
    assert not (tmp_path / "step-00000003").exists()


@pytest.mark.parametrize("fault", ["no note", "half a note", "a bit turned", "a file gone"])
def test_a_checkpoint_that_is_not_whole_is_passed_over(fault, written, tmp_path):
    """The one before it is taken."""
    sizes = written[1]
    for step in (3, 4):
        folder = tmp_path / f"step-{step:08d}"
        (tmp_path / ".now").mkdir()
        save_file({"a": torch.full((5, 3), float(step)), "b": torch.zeros(4)}, tmp_path / ".now" / "shard.safetensors")
        save_file({"keeper.x": torch.tensor([float(step)])}, tmp_path / ".now" / kept.BESIDE)
        settle(tmp_path / ".now", folder, {"step": step, "note": {}}, sizes)
    shard = folder / "shard.safetensors"
    {
        "no note": lambda: (folder / NOTE).unlink(),
        "half a note": lambda: (folder / NOTE).write_text((folder / NOTE).read_text()[:20]),
        "a bit turned": lambda: shard.write_bytes(shard.read_bytes()[:-1] + b"\x01"),
        "a file gone": lambda: shard.unlink(),
    }[fault]()
    found = kept.latest(tmp_path)
    assert (found.step, float(found.beside["keeper.x"])) == (3, 3.0)
    tensors = {"a": torch.zeros(5, 3), "b": torch.ones(4)}
    found.fill(tensors)
    assert torch.equal(tensors["a"], torch.full((5, 3), 3.0))


def test_a_process_alone_reads_what_it_is_given(tmp_path):
    """Shards that one process wrote are read by it without any other, bit for bit."""
    tensors = {"w": torch.randn(7, 2), "step": torch.tensor(3.0)}
    save_file(tensors, tmp_path / "model.safetensors")
    found = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    read_shards(tmp_path, found, alone=True)
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
