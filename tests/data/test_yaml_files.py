"""YAML is read as plain values; what is no YAML, or says a thing twice, is named by file and line."""

import pytest

from trueline.data.yaml_files import YamlError, read_yaml


def test_plain_values_are_read(tmp_path):
    """Mappings, lists, dates of a month and merges; what a merge brings in may be said anew."""
    file = tmp_path / "a.yaml"
    file.write_text("base: &base {x: 1, y: 2}\nmore:\n  <<: *base\n  y: 3\nlist: [{a: 1}, {a: 2}]\ndate: 2024-07\n")
    assert read_yaml(file) == {
        "base": {"x": 1, "y": 2}, "more": {"x": 1, "y": 3}, "list": [{"a": 1}, {"a": 2}], "date": "2024-07",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: a\nversion: 1\nname: b\n", "a.yaml:3: expected YAML: the key 'name' stands on line 1 already"),
        ("list:\n  - id: x\n    text: a\n    text: b\n", "a.yaml:4: expected YAML: the key 'text' stands on line 3 already"),
        ("{a: {b: 1, b: 1}}", "a.yaml:1: expected YAML: the key 'b' stands on line 1 already"),
        ("a: [", "a.yaml:1: expected YAML"),
        ("? [a]\n: b\n", "a.yaml:1: expected YAML"),
        ("a: !!python/object/apply:os.system [ls]", "a.yaml:1: expected YAML"),
        ("date: 2024-13-45", "a.yaml: expected YAML: month must be in 1..12"),
        ("", "a.yaml: expected keys and values, and there are none"),
        ("a: \x1b[31m", "a.yaml: expected YAML: unacceptable character"),
        ("[" * 5000, "lists within lists without end"),
    ],
)
def test_what_cannot_be_worked_with_is_one_line(tmp_path, text, says):
    """The file, the line where it is known, and what is wrong there."""
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(YamlError) as refused:
        read_yaml(file)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_bytes_that_are_no_text_are_named(tmp_path):
    """Another encoding is said, and not guessed."""
    (tmp_path / "a.yaml").write_bytes(b"a: \xff")
    with pytest.raises(YamlError, match=r"a\.yaml: expected UTF-8 text"):
        read_yaml(tmp_path / "a.yaml")
