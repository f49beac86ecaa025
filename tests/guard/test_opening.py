"""A deployment with a guard is opened behind it, attacked behind it, and is another target than without."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from trueline.core.ports import Target
from trueline.core.types import Completion, Conversation
from trueline.guard.opening import open_target
from trueline.recipes.opened import target_hash
from trueline.targets import naming
from trueline.targets.errors import UnknownTargetError
from trueline.targets.wrappers import Scripted


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """What stands behind every remote name."""
    scripted = Scripted(answers=lambda asked: "a marrow" if "carrot" in asked.messages[-1].text else "good day")

    @asynccontextmanager
    async def connected(*_: object, **__: object) -> AsyncIterator[Target]:
        yield scripted

    monkeypatch.setattr(naming, "connected", connected)
    return scripted


def _deployed(folder: Path, policy: str = "message: not here\nrails: [{type: words, words: [marrow]}]\n") -> str:
    (folder / "policy.yaml").write_text(policy)
    (folder / "shop.yaml").write_text("model: openai:m\nsystem: You sell carrots.\nguards: policy.yaml\n")
    return str(folder / "shop.yaml")


def _ask(reference: str, text: str) -> Completion:
    async def run() -> Completion:
        async with open_target(reference) as target:
            return await target.reply(Conversation().say("user", text))

    return asyncio.run(run())


def test_a_deployment_is_opened_behind_its_guard(tmp_path: Path, model: Scripted) -> None:
    """What its policy blocks, in a question or in an answer, is answered by the policy."""
    shop = _deployed(tmp_path)
    assert _ask(shop, "hello").text == "good day"
    assert _ask(shop, "a marrow?").text == "not here"
    assert _ask(shop, "a carrot?").text == "not here"
    assert len(model.asked) == 2


def test_the_guard_reads_what_the_deployment_puts_before_a_question(tmp_path: Path, model: Scripted) -> None:
    """It stands between what is deployed and the model, as a gateway does."""
    shop = _deployed(tmp_path, "message: not here\nrails: [{type: words, words: [carrots], places: [system]}]\n")
    assert _ask(shop, "hello").text == "not here"
    assert model.asked == []


def test_another_policy_is_another_target(tmp_path: Path) -> None:
    """Answers behind one policy are not taken for those behind another, or behind none."""
    shop = _deployed(tmp_path)
    one = target_hash(shop)
    _deployed(tmp_path, "rails: [{type: words, words: [carrot]}]\n")
    two = target_hash(shop)
    Path(shop).write_text("model: openai:m\nsystem: You sell carrots.\n")
    assert len({one, two, target_hash(shop)}) == 3


def test_a_policy_that_cannot_be_used_is_said_when_it_is_opened(tmp_path: Path, model: Scripted) -> None:
    """Before the first question, with the file and the place."""
    with pytest.raises(UnknownTargetError, match=r"policy.yaml: rails\[0\]"):
        _ask(_deployed(tmp_path, "rails: [{type: word}]\n"), "hello")


def test_what_cannot_guard_does_not_open_a_guarded_deployment(tmp_path: Path, model: Scripted) -> None:
    """Nobody asks a model without the guard that its deployment names."""

    async def run() -> None:
        async with naming.open_target(_deployed(tmp_path)):
            pass

    with pytest.raises(UnknownTargetError, match="guards"):
        asyncio.run(run())


def test_whoever_has_not_installed_the_guard_can_do_all_else() -> None:
    """Its libraries are an extra: no recipe, experiment, command or target needs them before a guard is asked for."""
    missing = ("re2", "ahocorasick_rs", "orjson", "jsonschema_rs", "prometheus_client", "httptools", "uvicorn")
    code = (
        f"import sys, pkgutil, importlib; sys.modules.update(dict.fromkeys({missing!r}))\n"
        "import trueline.recipes, trueline.cli, trueline.lab, trueline.targets, trueline.guard.opening\n"
        "for found in pkgutil.walk_packages(trueline.recipes.__path__, 'trueline.recipes.'):\n"
        "    importlib.import_module(found.name)\n"
        "for found in pkgutil.walk_packages(trueline.cli.__path__, 'trueline.cli.'):\n"
        "    importlib.import_module(found.name)\n"
        "for found in pkgutil.walk_packages(trueline.lab.__path__, 'trueline.lab.'):\n"
        "    importlib.import_module(found.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-600:]
