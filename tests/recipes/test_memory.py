"""Memory is counted from the start of a stage, and where it runs out the settings that lower it are named."""

import subprocess
import sys

import pytest
import torch

from tests.recipes import toys
from trueline.cli.rim import reports_errors
from trueline.models.adapters import Adapter
from trueline.recipes.memory import ShortOfMemoryError, watched
from trueline.recipes.reinforce import Grpo
from trueline.recipes.sft import Sft

ALONE = """
import mmap
from trueline.recipes.memory import MB, peak, start_counting

start_counting()
before = peak()
with mmap.mmap(-1, 200 * MB) as block:  # given back for certain, which a tensor may not be
    for _ in range(200):
        block.write(bytes(MB))
during = peak()
start_counting()
print((during - before) // MB, (peak() - before) // MB)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux starts the count anew")
def test_the_peak_is_of_what_was_done_since():
    """A block of 200 MB that is gone again is in the peak, and no longer in it once the count has started anew."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)  # alone in its process
    during, after = map(int, done.stdout.split())
    assert during > 150
    assert after < 100


def test_what_was_needed_is_told():
    """What is done inside is counted in MB, as the plan counts it, and it is said whose memory it is."""
    with watched("sft", Sft(), "cpu") as found:
        assert found == {}
    assert found["memory_mb"] > 50
    assert found["memory_of"] == "process"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_running_short_names_the_settings_and_their_values(error):
    """Each setting that memory follows from is named with its value, in the order in which it is best turned."""
    with pytest.raises(ShortOfMemoryError) as found, watched("answers", Sft(batch=512, adapter=Adapter(rank=8)), "cpu"):
        raise error
    text = str(found.value)
    assert text.startswith("answers: no memory left after ")
    named = ["micro_rows=0 (rows at a time, 0: all; the result stays the same)", "batch=512", "context=0", "adapter.rank=8"]
    assert [text.index(name) for name in named] == sorted(text.index(name) for name in named)
    raised = pytest.raises(ShortOfMemoryError, match=r"group=8, max_tokens=56, or raise adapter\.rank=0")
    with raised, watched("grpo", Grpo(), "cpu"):
        raise error


def test_another_error_stays_what_it_is():
    """Only a lack of memory is said anew."""
    with pytest.raises(RuntimeError, match="shapes differ"), watched("sft", Sft(), "cpu"):
        raise RuntimeError("shapes differ")


def test_the_command_line_ends_with_that_line(tmp_path, monkeypatch, capsys):
    """In a run the message reaches the person as it is, and the exit code says that a stage failed."""
    words = ("sft", f"start={toys.model(tmp_path)}", f"data={toys.conversations(tmp_path)}", "batch=96")
    monkeypatch.setattr("trueline.recipes.sft.train", lambda *_, **__: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(SystemExit) as left:
        reports_errors(lambda: toys.run(tmp_path / "run", *words))()
    assert left.value.code == 1
    assert "lower micro_rows=0" in capsys.readouterr().err
