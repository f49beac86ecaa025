"""What every folder under `trueline/` promises a newcomer: a short README, and nothing in it that is not there.

python -m pytest tests/contract
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import trueline

ROOT = Path(trueline.__file__).parent
ROOMS = sorted(path.parent for path in ROOT.glob("*/__init__.py"))
LONGEST = 20  # lines: one screen, read before anything else


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_has_a_short_readme(room):
    """A README of at most twenty lines, titled with the folder's name, says what lives there and what tests it."""
    lines = (room / "README.md").read_text(encoding="utf-8").splitlines()
    assert lines[0].lower().startswith(f"# {room.name}")
    assert len(lines) <= LONGEST
    assert any("pytest tests/" in line for line in lines)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_readme_names_files_that_exist(room):
    """Every file and every test that a README names can be opened."""
    text = (room / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+\.py)`", text))
    names = {name for name in named if not (list(room.rglob(name)) or (ROOT / name).exists() or (ROOT.parent / name).exists())}
    asked = " ".join(re.findall(r"`pytest ([^`]*)`", text))
    tests = {name for name in re.findall(r"tests(?:/\w+(?:\.py)?)*", asked) if not (ROOT.parent / name).exists()}
    assert not names, f"no such file: {', '.join(sorted(names))}"
    assert not tests, f"no such test: {', '.join(sorted(tests))}"
