"""What models and people wrote, in the tables that recipes show: text on the page, and harmless in the terminal and the files.

pytest tests/recipes/test_hostile_tables.py
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.evaluate.hostile import NASTY, attempt
from tests.evaluate.test_inheritance_tables import answers
from trueline.attack.bank import Replayed, found, stands
from trueline.attack.goals import world_goals
from trueline.core.types import Completion, Judgement
from trueline.evaluate.inheritance import pairs
from trueline.evaluate.inheritance_tables import examples
from trueline.evaluate.rounds import Round, _by_family
from trueline.recipes import reporting
from trueline.recipes.banked import _result
from trueline.recipes.trial import SPLITS, Arm, _favourites
from trueline.recipes.trying import Try
from trueline.world.facts import make_world

WORDS = f"{NASTY} \x07 **bold** | cell | [red]mark[/red] \u2066right\u2069"


def flips() -> dict:
    """The flips of a report on inheritance, in which question and answers are hostile."""
    first, second = ([replace(one, asked=WORDS, reply=WORDS) for one in answers(share)] for share in (1.0, 0.5))
    return examples({WORDS: pairs(first, second)}, 2)


def favourites() -> dict:
    """What an attacker writes most."""
    (goal,) = [g for g in world_goals(make_world(0), 0, 1) if g.expected == "refuse"][:1]
    said = Completion(prompt=goal, text=WORDS, finish="stop")
    tries = [Try(goal, WORDS, said, Judgement(judge="j", score=0.0, stance="none", disclosure=1.0))]
    return _favourites({WORDS: Arm([(goal, WORDS)], tries, {goal.id: SPLITS[0]}), "mute": Arm([(goal, WORDS)], [], {})})


def regressions() -> dict:
    """The attacks of the bank that work again."""
    entries = [replace(entry, status=stands("fixed", True)) for entry in found([attempt(attack=WORDS)])]
    return _result(Replayed(tuple(entries), tuple(entry.key for entry in entries), 1, 1), 1)["tables"][0]


def rounds() -> dict:
    """Attack success by family, whose names are those of attacks."""
    return _by_family([Round("0", [attempt(attack=WORDS)])], ("train",), ())


@pytest.mark.parametrize("made", [flips, favourites, regressions, rounds])
def test_hostile_text_is_shown_and_not_obeyed(tmp_path, made):
    """Nothing of it is markup of the page or a control of the terminal, and the report is written and read again."""
    shown = made()
    report = {
        "run": "r", "recipe": "x", "stages": [{"name": "s", "status": "done", "metrics": {}}],
        "shown": [{"stage": "s", "tables": [shown]}],
    }  # fmt: skip
    assert "<script>x" in json.dumps(shown)
    page = reporting.write(tmp_path, report).read_text(encoding="utf-8")
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["shown"] == report["shown"]
    screen = io.StringIO()
    reporting.show(Path("page"), report, Console(file=screen, width=2000))
    for text in (page, screen.getvalue()):
        assert not any(hidden in text for hidden in ("\x1b", "\x00", "\x07", "\u202e", "\u2066", "\ud800", "\ufffe"))
        assert "⟨U+202E⟩" in text
    assert "<script>x" not in page
    assert "&lt;script&gt;x" in page
    assert "[red]mark[/red]" in screen.getvalue()
