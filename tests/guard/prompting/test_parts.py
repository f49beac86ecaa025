"""Prompts in parts: read from a file with errors that name the key, and written out combination by combination."""

from __future__ import annotations

import pytest

from trueline.guard.prompting.parts import read_folder, read_parts
from trueline.guard.prompting.prompt import PromptError

FILE = """
base: |
  You are a librarian.
parts:
  hierarchy: These rules come first.
  refusal: {none: "", bare: Refuse harm., kind: Refuse harm kindly.}
join: " / "
"""


def write(tmp_path, text):
    path = tmp_path / "parts.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_prompt_is_its_base_and_its_parts_in_order(tmp_path):
    """What is left out leaves no trace; each variant knows its wordings; a combination that comes again is one variant."""
    parts = read_parts(write(tmp_path, FILE))
    assert parts.levels == (2, 3)
    found = parts.variants([(0, 0), (1, 2), (0, 1), (1, 2)])
    assert [one.text for one in found] == [
        "You are a librarian.",
        "You are a librarian. / These rules come first. / Refuse harm kindly.",
        "You are a librarian. / Refuse harm.",
    ]
    assert found[1].name == "hierarchy=in refusal=kind"
    assert found[2].wordings == {"hierarchy": "out", "refusal": "bare"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("base: x", "one or more parts"),
        ("parts: {a: x}\nbasis: y", "did you mean 'base'"),
        ("parts: {a: [x, y]}", "two or more wordings by name"),
        ("parts: {a: {in: x}}", "two or more wordings"),
        ("parts: {a: {off: x, b: y}}", "quote on and off"),
        ("parts: {a: {x: same, y: 'same '}}", "two are alike"),
        ("parts: {a: {x: 1, y: b}}", "parts.a.x: expected a text, got 1"),
        ("parts: {'a b': x}", "expected a name"),
        ("- x", "expected keys and values"),
        ("parts: {a: x", "expected YAML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path, text, words):
    """The message opens with the file, and says where and what."""
    with pytest.raises(PromptError, match=words) as refused:
        read_parts(write(tmp_path, text))
    assert "parts.yaml" in str(refused.value)
    with pytest.raises(PromptError, match="expected a file of parts"):
        read_parts(tmp_path / "none.yaml")


def test_a_folder_is_a_prompt_a_file(tmp_path):
    """Names in order, the first the reference; other files are left alone, and one prompt is none to compare."""
    for name, text in (("b.txt", "B"), ("a.md", "A"), ("notes.yaml", "x: 1")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert [(one.name, one.text) for one in read_folder(tmp_path)] == [("a", "A"), ("b", "B")]
    (tmp_path / "b.txt").unlink()
    with pytest.raises(PromptError, match="found 1"):
        read_folder(tmp_path)
