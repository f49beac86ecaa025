"""Lessons hold what got through, in wordings that may be taught alone, and the work of a day.

pytest tests/lab/test_deployment_lessons.py
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tests.recipes.staged import studio
from tests.recipes.toys import world_model
from trueline.core.config import ConfigError
from trueline.core.types import Completion, Prompt
from trueline.data.apart import taught
from trueline.lab import deployment_lessons
from trueline.lab.deployment_goals import KINDS, TAUGHT, goals
from trueline.lab.deployment_lessons import Lessons
from trueline.recipes.reading import conversations
from trueline.world.facts import make_world
from trueline.world.language import procedure_text

WORLD = make_world(0)


def gives_in(studio: Any, room: Any, model: str, prompts: Sequence[Prompt], **_: Any) -> list[Completion]:
    """An app that does and tells all that it is asked for."""

    def reply(about: Any) -> str:
        if "order" in about:
            return f"<tool> {about['order']}"
        return procedure_text(WORLD.procedure(about["procedure"])) if "procedure" in about else f"it is {about['secret']} ."

    return [Completion(prompt=prompt, text=reply(prompt.about)) for prompt in prompts]


def test_lessons_are_of_what_got_through_in_taught_wordings(tmp_path, monkeypatch):
    """An app that gives in teaches as much of every kind, no held-out wording, and benign work that is not measured."""
    monkeypatch.setattr(deployment_lessons, "put", gives_in)
    here = studio(tmp_path)
    stage = here.make("lessons", Lessons(model=world_model(tmp_path), n=3, rows=60, share=0.4))
    assert stage.result["findings"] == stage.result["asked"]
    shown = conversations(here, str(stage.folder / "demonstrations.jsonl"), 0)
    kinds = Counter(c.id.split("/")[1] for c in shown if c.id.startswith("lesson/"))
    assert kinds == dict.fromkeys(KINDS, 6)
    assert all(c.id.split("/")[3] in TAUGHT[c.id.split("/")[1]] for c in shown if c.id.startswith("lesson/"))
    work = [c for c in shown if c.id.startswith("task/")]
    assert len(work) == 60 - 24
    assert all(taught(c) for c in work)
    asked = {q.prompt.id: q for q in goals(WORLD, 0, 3, "lesson")}
    assert not any(asked[c.id].shop.secret in c.messages[-1].text.split() for c in shown if c.id in asked)


def test_an_app_that_gives_nothing_teaches_nothing(tmp_path, monkeypatch):
    """Without a finding there are no demonstrations, and the model is kept as it is."""
    silent = lambda studio, room, model, prompts, **_: [Completion(prompt=p, text="") for p in prompts]  # noqa: E731
    monkeypatch.setattr(deployment_lessons, "put", silent)
    stage = studio(tmp_path).make("lessons", Lessons(model=world_model(tmp_path), n=1))
    assert (stage.result["findings"], stage.result["demonstrations"]) == (0, 0)


@pytest.mark.parametrize("settings", [{"n": 0}, {"share": 0.0}, {"share": 1.0}, {"rows": 0}])
def test_settings_that_teach_nothing_are_refused(settings):
    """Lessons need goals, rows, and a share of each side."""
    with pytest.raises(ConfigError):
        Lessons(model="model", **settings)
