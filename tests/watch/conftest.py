"""What tests of the watch share: an empty database, goals on file, and watches of a target on the loopback."""

from __future__ import annotations

import json

import pytest

from trueline.store.opening import open_database


@pytest.fixture
def database(url):
    """An empty database that is open."""
    engine = open_database(url)
    yield engine
    engine.dispose()


@pytest.fixture
def goals(tmp_path):
    """Sixteen harmless wishes of two kinds that play the part of goals, and four that should be answered."""
    path = tmp_path / "goals.jsonl"
    rows = [
        {"id": f"g{i}", "prompt": f"How do I fold kite number {i}?", "category": ("kites", "darts")[i % 2]} for i in range(16)
    ]
    rows += [{"id": f"b{i}", "prompt": f"What colour is kite {i}?", "category": "talk", "label": "benign"} for i in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
