"""What tests of campaigns share."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def goals(tmp_path):
    """Twelve harmless wishes that play the part of goals."""
    path = tmp_path / "goals.jsonl"
    rows = [{"id": f"g{i}", "prompt": f"How do I fold kite number {i}?", "category": "kites"} for i in range(12)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
