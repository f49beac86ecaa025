"""One thread for every test: the models are tiny, results are bit-identical, and a second thread would only spin.

Ctrl-C interrupts, as it does at a terminal: what a shell starts in the background ignores it, and so would its children.
Nobody pulls the plug, so that no test waits for a disk: what a killed process wrote, the kernel keeps.
"""

import gc
import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest

pytest_plugins = ["pytester", "tests.browser", "tests.databases"]

signal.signal(signal.SIGINT, signal.default_int_handler)
os.fsync = lambda handle: None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that opens a browser is slow: `make fast` leaves it out."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


def pytest_sessionfinish() -> None:
    """Collect garbage here and leave none: xdist interrupts a worker that is still busy 5 seconds after its last test."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def data() -> Path:
    """The folder of public data, which is no part of the project; where it is absent the test says so and is skipped."""
    folder = Path(os.environ.get("TRUELINE_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("the data folder is not there (set TRUELINE_DATA to it)")
    return folder
