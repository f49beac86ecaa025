"""The machine that a run meets: how many threads help, and what there is of everything.

Two OpenMP threads that wait for each other spin; when another program holds one of the cores, each wait lasts until the
scheduler takes that program off, and a step takes 5 to 50 times as long as on one thread. So threads are chosen by trying.
What a container allows counts, not what the hardware has: cgroup limits (versions 1 and 2) are read.

    trueline doctor
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

BUDGET = 2.0  # seconds that choosing threads may take, apart from calls that cannot be cut short
LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "numpy")
MB, GB = 2**20, 2**30
ROOT = Path("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """An accelerator."""

    name: str
    memory: int  # bytes
    bf16: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What there is for a run. None where the system does not say."""

    python: str
    platform: str
    cores: int  # cores that this process may use at one time
    quota: float | None  # cores' worth of time that its container allows
    load: float | None  # programs that wanted a core during the last minute, on average
    memory: int | None  # bytes, the container's limit applied
    available: int | None  # bytes of it that can be had
    disk: int  # bytes free in the folder where runs are written
    threads: int  # of torch, now
    devices: tuple[Device, ...]
    driver: bool  # an NVIDIA driver is there, whether or not this torch can use it
    versions: tuple[tuple[str, str], ...]
    extras: tuple[tuple[str, bool], ...]  # optional extras of this package, and whether all they need is installed

    @property
    def usable(self) -> int:
        """Threads that can run at one time."""
        return self.cores if self.quota is None else max(1, min(self.cores, int(self.quota)))


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in all, and bytes that can be had."""

    total: int | None
    available: int | None


def choose_threads(
    step: Callable[[], object],
    candidates: Sequence[int] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Time `step` at each number of threads (default: one, half of the cores, all), set torch to the fastest, return it.

    More than one thread is first tried on products of some microseconds, for a step that has collapsed cannot be cut short;
    a number that is clearly slower is dropped at once.
    """
    wanted = candidates if candidates is not None else _candidates(cores())
    until = clock() + BUDGET
    best, least, small = 1, float("inf"), float("inf")
    for threads in sorted(set(wanted)):
        torch.set_num_threads(threads)
        probe = _median(_small_products, clock, until, 3 * small)
        small = min(small, probe)
        if probe > 3 * small:
            continue
        took = _median(step, clock, until, 1.5 * least)
        if took < least:
            best, least = threads, took
        if clock() > until:
            break
    torch.set_num_threads(best)
    return best


def dtype_for(device: str, asked: str = "auto") -> torch.dtype:
    """What to compute in on a device: float32, and bfloat16 on a GPU that multiplies it in hardware; or what is asked for.

    On a processor float32 is the faster of the two where this was measured (`trueline doctor --bench`).
    """
    if asked != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[asked]
    place = torch.device(device)
    fast = place.type == "cuda" and torch.cuda.get_device_capability(place)[0] >= 8
    return torch.bfloat16 if fast else torch.float32


def roomy(device: torch.device, bytes_needed: int) -> bool:
    """Whether so much fits on an accelerator with as much left again for work; a processor's memory is not asked."""
    return device.type != "cuda" or 2 * bytes_needed < torch.cuda.mem_get_info(device)[0]


def describe(folder: Path = Path(), root: Path = ROOT) -> Machine:
    """Look at the machine. `root` is where /proc and /sys are found."""
    memory = memory_of(root)
    existing = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    return Machine(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        cores=cores(),
        quota=cpu_quota(root),
        load=os.getloadavg()[0] if sys.platform != "win32" else None,
        memory=memory.total,
        available=memory.available,
        disk=shutil.disk_usage(existing).free,
        threads=torch.get_num_threads(),
        devices=tuple(_devices()),
        driver=(root / "proc/driver/nvidia/version").exists(),
        versions=tuple((name, importlib.metadata.version(name)) for name in LIBRARIES),
        extras=tuple(_extras()),
    )


def rows(machine: Machine) -> list[tuple[str, str, str]]:
    """The machine as lines of (what, value, advice); advice is empty where all is well."""
    m = machine
    found = [("python", f"{m.python} on {m.platform}", "")]
    found += [(name, version, "") for name, version in m.versions]
    quota = "" if m.quota is None else f" ({m.quota:.3g} by its container)"
    found.append(("cores", f"{m.cores}{quota}", ""))
    found.append(("threads", str(m.threads), _advice_on_threads(m)))
    if m.load is not None:
        found.append(("load", f"{m.load:.1f}", _advice_on_load(m.load, m.usable)))
    if m.memory is not None and m.available is not None:
        short = "a run of the embedded world can need more; set micro_rows to need less" if m.available < 3 * GB else ""
        found.append(("memory", f"{m.available / GB:.1f} GB available of {m.memory / GB:.1f} GB", short))
    full = "little room for checkpoints: free some, or write runs to another disk (a full disk stops a run)"
    found.append(("disk", f"{m.disk / GB:.1f} GB free here", full if m.disk < GB else ""))
    for device in m.devices:
        precision = "with bf16" if device.bf16 else "without bf16"
        found.append(("device", f"{device.name}, {device.memory / GB:.0f} GB, {precision}", ""))
    if not m.devices:
        unused = (
            "an NVIDIA driver is here that this torch cannot use: install torch with CUDA (pytorch.org)" if m.driver else ""
        )
        found.append(("device", "none but the processor", unused))
    for name, present in m.extras:
        found.append((f"extra {name}", "installed" if present else "not installed", _advice_on_extra(name, present)))
    return found


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def cpu_quota(root: Path = ROOT) -> float | None:
    """Cores' worth of time that the container allows, or None."""
    found = []
    for folder in _cgroups(root, "cpu"):
        limit = _words(folder / "cpu.max")  # version 2: "QUOTA PERIOD" or "max PERIOD"
        limit = limit or _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        if len(limit) == 2 and limit[0].isdigit() and int(limit[1]):
            found.append(int(limit[0]) / int(limit[1]))
    return min(found, default=None)


def memory_of(root: Path = ROOT) -> Memory:
    """Memory of the machine, or of the container where that is less. Pages of files that can be dropped count as available."""
    lines = [line.split() for line in _text(root / "proc/meminfo").splitlines()]
    table = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1}
    total, available = table.get("MemTotal"), table.get("MemAvailable")
    if total is None or available is None:
        return Memory(None, None)
    for folder in _cgroups(root, "memory"):
        limit = _words(folder / "memory.max") or _words(folder / "memory.limit_in_bytes")
        used = _words(folder / "memory.current") or _words(folder / "memory.usage_in_bytes")
        if not limit or not used or not limit[0].isdigit() or int(limit[0]) >= total:
            continue
        droppable = re.search(r"^(?:total_)?inactive_file (\d+)$", _text(folder / "memory.stat"), re.MULTILINE)
        free = int(limit[0]) - int(used[0]) + (int(droppable[1]) if droppable else 0)
        total, available = int(limit[0]), max(0, min(available, free))
    return Memory(total, available)


def process_memory() -> int:
    """Bytes of memory that this process holds; 0 where the system does not say."""
    pages = _words(ROOT / "proc/self/statm")
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") if pages else 0


def _candidates(available: int) -> tuple[int, ...]:
    quota = cpu_quota()
    most = available if quota is None else max(1, min(available, int(quota)))
    return (1, most // 2, most) if most >= 4 else (1, most)


def _median(what: Callable[[], object], clock: Callable[[], float], until: float, hopeless: float) -> float:
    """Seconds of a call: the median of three, after one that warms up; fewer when it is hopeless, or time is up."""
    times: list[float] = []
    while len(times) < 4:
        began = clock()
        what()
        times.append(clock() - began)
        if clock() > until or times[-1] > (2 if len(times) == 1 else 1) * hopeless:
            break
    return median(times[1:] or times)


def _small_products() -> None:
    """Ten products of a size that threads share, each some microseconds."""
    a, b = torch.ones(64, 128), torch.ones(128, 704)
    for _ in range(10):
        torch.mm(a, b)


def _devices() -> Iterator[Device]:
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(index)
        yield Device(name=properties.name, memory=properties.total_memory, bf16=properties.major >= 8)


def _extras() -> Iterator[tuple[str, bool]]:
    """The optional extras that this package declares, those of developers apart."""
    needs: dict[str, list[str]] = {}
    for line in importlib.metadata.requires("trueline") or []:
        if found := re.match(r"([\w.-]+).*extra == ['\"]([\w-]+)['\"]", line):
            needs.setdefault(found[2], []).append(found[1])
    installed = {(d.metadata["Name"] or "").lower().replace("_", "-") for d in importlib.metadata.distributions()}
    for name, wanted in needs.items():
        if name != "dev":
            yield name, installed.issuperset(w.lower().replace("_", "-") for w in wanted)


def _advice_on_threads(m: Machine) -> str:
    if m.threads <= m.usable:
        return ""
    return f"more than the {m.usable} that can run at one time: set OMP_NUM_THREADS={m.usable}"


def _advice_on_load(load: float, usable: int) -> str:
    if load <= max(0.7, usable / 4):
        return ""
    now = f"another program is busy: load {load:.1f} on {usable} core{'s' * (usable > 1)}"
    return f"{now}; training is slower" + ("" if usable == 1 else ", and falls back to one thread where that is faster")


def _advice_on_extra(name: str, present: bool) -> str:
    return "" if present else f"to use it: pip install 'trueline[{name}]'"


def _cgroups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of limits, from this process's own group up to the one that holds all."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        base = root / "sys/fs/cgroup" / (controller if names else "")
        own = base / path.strip("/")
        for folder in (own, *own.parents):
            if folder.is_dir() and folder.is_relative_to(base):
                yield folder


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
