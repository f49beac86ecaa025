"""Threads are chosen by trying, limits of containers count, and advice is given only where something is amiss."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trueline.models import machine
from trueline.models.machine import Device, choose_threads, cpu_quota, describe, memory_of, process_memory, rows

GB = 2**30


@pytest.fixture(autouse=True)
def _threads_are_put_back():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Clock:
    """Time that passes only in steps, by a cost for each number of threads."""

    def __init__(self, monkeypatch, step, probe):
        self.now, self.calls, self.costs = 0.0, [], step
        monkeypatch.setattr(machine, "_small_products", lambda: self.spend(probe))

    def __call__(self):
        return self.now

    def spend(self, costs):
        self.now += costs[torch.get_num_threads()]

    def step(self):
        self.calls.append(torch.get_num_threads())
        self.spend(self.costs)


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(("costs", "best"), [({1: 0.1, 2: 0.06}, 2), ({1: 0.1, 2: 0.11}, 1)], ids=["idle", "small model"])
def test_the_faster_number_of_threads_is_set(monkeypatch, costs, best):
    """Whatever takes less time is returned, and torch uses it from then on."""
    clock = Clock(monkeypatch, costs, {1: 1e-4, 2: 1e-4})
    assert choose_threads(clock.step, (1, 2), clock) == best
    assert torch.get_num_threads() == best


def test_a_collapse_is_seen_before_a_step_is_risked(monkeypatch):
    """Where small products on two threads are many times slower, the step itself is never run on two threads."""
    clock = Clock(monkeypatch, {1: 0.1, 2: 5.0}, {1: 1e-4, 2: 5e-3})
    assert choose_threads(clock.step, (1, 2), clock) == 1
    assert set(clock.calls) == {1}
    assert clock.now < 0.5


def test_a_slower_candidate_is_dropped_after_one_call(monkeypatch):
    """A step that takes four times as long is not timed three times more."""
    clock = Clock(monkeypatch, {1: 0.1, 2: 0.4}, {1: 1e-4, 2: 1e-4})
    assert choose_threads(clock.step, (1, 2), clock) == 1
    assert clock.calls == [1, 1, 1, 1, 2]


def test_long_steps_are_not_repeated(monkeypatch):
    """With steps of three seconds the measurement ends after the first, on one thread."""
    clock = Clock(monkeypatch, {1: 3.0, 2: 3.0}, {1: 1e-4, 2: 1e-4})
    assert choose_threads(clock.step, (1, 2), clock) == 1
    assert clock.calls == [1]


def test_real_threads_are_chosen_among_the_candidates():
    """On whatever machine this runs, the choice is one of those offered."""
    assert choose_threads(lambda: torch.ones(64, 64) @ torch.ones(64, 64), (1, 2)) in (1, 2)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/gone\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"}, 4.0),
        (
            {
                "proc/self/cgroup": "5:cpuacct:/x\n1:cpu:/x\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        ({}, None),
    ],
    ids=["version 2, parent", "version 2, none", "version 2, own folder hidden", "version 1", "not Linux"],
)
def test_the_quota_is_the_least_of_all_groups_above(tmp_path, files, quota):
    """A limit on any group that the process is in counts, in both versions of cgroups."""
    assert cpu_quota(tree(tmp_path, files)) == quota


def test_memory_is_what_the_container_leaves(tmp_path):
    """The container's limit is the total; what is used of it, less droppable file pages, is gone."""
    host = {"proc/meminfo": "MemTotal: 16777216 kB\nMemFree: 1 kB\nMemAvailable: 8388608 kB\n", "proc/self/cgroup": "0::/\n"}
    assert memory_of(tree(tmp_path / "host", host)) == machine.Memory(16 * GB, 8 * GB)
    cgroup = "sys/fs/cgroup/"
    limited = host | {
        cgroup + "memory.max": str(4 * GB),
        cgroup + "memory.current": str(3 * GB),
        cgroup + "memory.stat": f"anon 5\ninactive_file {2 * GB}\n",
    }
    assert memory_of(tree(tmp_path / "limited", limited)) == machine.Memory(4 * GB, 3 * GB)
    assert memory_of(tmp_path / "none") == machine.Memory(None, None)


def test_this_machine_is_described(tmp_path):
    """What is found here is plausible, and a folder that does not exist yet is measured where it will be."""
    found = describe(tmp_path / "runs" / "a")
    assert found.cores >= found.usable >= 1
    assert found.disk > 0
    assert dict(found.versions)["torch"] == torch.__version__
    assert {"data", "tensorboard", "wandb"} <= dict(found.extras).keys()
    assert "dev" not in dict(found.extras)
    assert process_memory() > 100e6


def quiet():
    return replace(
        describe(), cores=2, quota=None, load=0.1, memory=16 * GB, available=12 * GB, disk=50 * GB, threads=2, devices=(),
        driver=False, extras=(("data", True),),
    )  # fmt: skip


def test_a_quiet_machine_needs_no_advice():
    """Every line of a machine in good order has a value and no advice."""
    assert all(what and value and not advice for what, value, advice in rows(quiet()))


@pytest.mark.parametrize(
    ("change", "what", "advice"),
    [
        (
            {"load": 3.1},
            "load",
            "another program is busy: load 3.1 on 2 cores; training is slower, and falls back to one thread",
        ),
        ({"load": 0.9, "cores": 1}, "load", "load 0.9 on 1 core; training is slower"),
        ({"threads": 8}, "threads", "more than the 2 that can run at one time: set OMP_NUM_THREADS=2"),
        ({"quota": 1.5}, "threads", "more than the 1 that"),
        ({"available": GB}, "memory", "micro_rows"),
        ({"disk": GB // 2}, "disk", "another disk"),
        ({"driver": True}, "device", "install torch with CUDA"),
        ({"extras": (("wandb", False),)}, "extra wandb", "pip install 'trueline[wandb]'"),
    ],
)
def test_advice_says_what_is_amiss_and_what_to_do(change, what, advice):
    """Each thing that is amiss is said on its own line."""
    said = {name: text for name, _, text in rows(replace(quiet(), **change))}
    assert advice in said[what]
    assert all(not text for name, text in said.items() if name not in (what, "threads"))


def test_a_device_is_named_with_what_it_can_do():
    """A GPU is shown with its memory and whether it computes in bf16."""
    said = rows(replace(quiet(), devices=(Device(name="H100", memory=80 * GB, bf16=True),)))
    assert ("device", "H100, 80 GB, with bf16", "") in said
