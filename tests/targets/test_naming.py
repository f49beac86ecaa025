"""From a TARGET to a target: each form opens what it names, and a slip is answered with the form that was meant."""

from __future__ import annotations

import asyncio

import pytest

from tests.recipes import toys
from tests.targets.toy import HELLO
from trueline.core.types import Sampling
from trueline.targets.errors import UnknownTargetError
from trueline.targets.naming import address_of, kind_of, open_target


async def name_of(reference: str, **options) -> str:
    async with open_target(reference, **options) as target:
        return target.name


@pytest.mark.parametrize(
    ("reference", "url", "model", "variable"),
    [
        ("openai:gpt-5", "https://api.openai.com/v1/chat/completions", "gpt-5", "OPENAI_API_KEY"),
        ("openai-responses:gpt-5", "https://api.openai.com/v1/responses", "gpt-5", "OPENAI_API_KEY"),
        ("openai:ft:gpt-5:me", "https://api.openai.com/v1/chat/completions", "ft:gpt-5:me", "OPENAI_API_KEY"),
        ("anthropic:claude", "https://api.anthropic.com/v1/messages", "claude", "ANTHROPIC_API_KEY"),
        ("http://localhost:8000/v1#org/m", "http://localhost:8000/v1/chat/completions", "org/m", "TRUELINE_API_KEY"),
        ("https://host/a/v1/#m", "https://host/a/v1/chat/completions", "m", "TRUELINE_API_KEY"),
    ],
)
def test_a_remote_target_names_its_address(monkeypatch, reference, url, model, variable):
    """Where it is asked, for which model, with the key of which variable; it is called what was written."""
    address = address_of(reference)
    assert (address.url + address.wire.path, address.model, address.variable) == (url, model, variable)
    monkeypatch.setenv(variable, "k")
    assert asyncio.run(name_of(reference)) == reference


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("opanai:gpt", "did you mean 'openai'?"),
        ("openai:", "expected openai:MODEL, got no model"),
        ("anthropic: ", "expected anthropic:MODEL"),
        ("http://localhost:8000/v1", "write 'http://localhost:8000/v1#MODEL'"),
        ("http://localhost:8000", "write 'http://localhost:8000/v1#MODEL'"),
        ("https://h/v1/chat/completions#m", "write 'https://h/v1#m'"),
        ("http:#m", "write 'http://HOST/v1#m'"),
        ("http://host:port/v1#m", "expected http://HOST:PORT/v1#MODEL"),
        ("http://me:secret@h:port/v1#m", "'http://h:port/v1#m': expected http://HOST:PORT/v1#MODEL"),
        ("htp://me:secret@h/v1?key=secret#m", "did you mean 'http'?"),
        ("http://a\x01b/v1#m", "expected http://HOST:PORT/v1#MODEL"),
        ("http://me:secret@h/v1#m", "put the key into TRUELINE_API_KEY"),
        ("http://h/v1?key=secret#m", "put the key into TRUELINE_API_KEY"),
        ("missing.yaml", "expected a deployment file, found none of that name"),
        ("nowhere", "expected a model folder"),
        ("", "expected a model folder"),
    ],
)
def test_a_slip_is_answered_with_the_form_that_was_meant(tmp_path, monkeypatch, reference, says):
    """One line that says what was expected and the nearest right form; what may be a secret is not repeated."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="expected") as refused:
        asyncio.run(name_of(reference))
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_kinds_are_told_by_their_form():
    """A scheme, a file of YAML, or a folder."""
    assert [kind_of(r) for r in ("hf:a/b", "runs/x", "openai:m", "https://h/v1#m", "a/b.yaml", "openai:m.yaml")] == [
        "local", "local", "remote", "remote", "deployment", "remote",
    ]  # fmt: skip


def test_a_folder_answers(tmp_path):
    """A model folder is a target in this process, under its own template or another."""

    async def said(template: str):
        async with open_target(toys.model(tmp_path), template=template) as target:
            return await target.reply(HELLO, Sampling(max_tokens=4))

    assert asyncio.run(said("model")).ids != asyncio.run(said("raw")).ids


def test_a_template_is_for_models_in_this_process(monkeypatch):
    """Another template for a remote model is refused: it would change nothing."""
    with pytest.raises(UnknownTargetError, match="template=raw is for a model in this process"):
        asyncio.run(name_of("http://h/v1#m", template="raw"))


def test_a_deployment_opens_its_model(tmp_path):
    """The model of a deployment file is again a TARGET, a deployment too."""
    (tmp_path / "inner.yaml").write_text("model: http://h/v1#m\nsystem: a\n")
    (tmp_path / "outer.yaml").write_text(f"model: {tmp_path}/inner.yaml\nname: library\n")
    assert asyncio.run(name_of(f"{tmp_path}/outer.yaml")).startswith("library@")


def test_a_deployment_is_not_its_own_model(tmp_path):
    """A circle of deployments is refused with a line, not followed."""
    (tmp_path / "a.yaml").write_text(f"model: {tmp_path}/b.yaml\n")
    (tmp_path / "b.yaml").write_text(f"model: {tmp_path}/a.yaml\n")
    with pytest.raises(UnknownTargetError, match="is its own model"):
        asyncio.run(name_of(f"{tmp_path}/a.yaml"))
