"""Deployment files: what they may say, and one clear line for what they may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from trueline.targets.deployment import read_deployment
from trueline.targets.errors import UnknownTargetError


def written(folder: Path, text: str) -> Path:
    (folder / "d.yaml").write_text(text, encoding="utf-8")
    return folder / "d.yaml"


def test_a_file_says_all_of_a_deployment(tmp_path):
    """Settings, tools with their schemas, and documents read from beside it or taken as they stand."""
    (tmp_path / "hours.md").write_text("Open at nine.", encoding="utf-8")
    file = read_deployment(
        written(
            tmp_path,
            "model: openai:m\nsystem: Be brief.\ntemperature: 0\nmax_tokens: 30\nname: library\n"
            "documents: [hours.md, 'Closed on Mondays.']\n"
            "tools: [{name: find, description: Finds., parameters: {type: object}}]\n",
        )
    )
    assert file.documents == ("Open at nine.", "Closed on Mondays.")
    assert [(tool.name, tool.parameters) for tool in file.tools] == [("find", '{"type": "object"}')]
    settings = file.settings
    assert (settings.model, settings.system, settings.temperature, settings.max_tokens) == ("openai:m", "Be brief.", 0.0, 30)


def test_a_file_needs_a_model_and_nothing_else(tmp_path):
    """What is left out is as asked."""
    file = read_deployment(written(tmp_path, "model: openai:m"))
    assert (file.settings.temperature, file.settings.max_tokens, file.tools, file.documents) == (None, None, (), ())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("modle: openai:m", "unknown key 'modle'; did you mean 'model'?"),
        ("model: openai:m\nguards: [x]", "guards: expected the policy file beside this one"),
        ("model: openai:m\nguards: none.yaml", "guards: expected a file 'none.yaml' beside this one"),
        ("model: openai:m\nguards: ../policy.yaml", "lies outside of the folder"),
        ("system: x", "expected a model (any TARGET), got none"),
        ("- model", "expected keys and values"),
        ("", "expected keys and values"),
        ("model: [", "expected YAML"),
        ("model: 5", "model: expected text, got 5"),
        ("model: openai:m\ntemperature: hot", "temperature: expected a number, got 'hot'"),
        ("model: openai:m\ntemperature: -1", "temperature must not be negative"),
        ("model: openai:m\nmax_tokens: 0", "max_tokens must be at least 1"),
        ("model: openai:m\ndocuments: hours.md", "documents: expected a list"),
        ("model: openai:m\ndocuments: [hours.md]", "expected a file 'hours.md' beside this one, found none"),
        ("model: openai:m\ndocuments: [../secret.txt]", "lies outside of the folder"),
        ("model: openai:m\ndocuments: [/etc/passwd]", "lies outside of the folder"),
        ("model: openai:m\ntools: [{description: x}]", "expected a tool with a name"),
        ("model: openai:m\ntools: [{name: x, parameters: '{'}]", "parameters that are a JSON Schema"),
        ("model: !!python/object/apply:os.system [ls]", "expected YAML"),
    ],
)
def test_what_a_file_may_not_say_is_one_line(tmp_path, text, says):
    """Names the file, what is wrong in it and what to write; nothing in it is ever run, nothing outside its folder read."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    path = written(tmp_path / "inside", text)
    with pytest.raises(UnknownTargetError) as refused:
        read_deployment(path)
    assert str(refused.value).startswith(f"{path}:")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
