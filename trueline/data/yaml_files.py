"""YAML files as people write them: read as plain values, where a key that stands twice is an error and not a choice.

YAML wants the keys of a mapping to differ; most readers take the last of two without a word, and half of what the author wrote
counts for nothing. What a merge (`<<`) brings in may be said anew: that is what merging is for.

    spec = read_yaml(Path("mine.yaml"))
"""

from __future__ import annotations

from pathlib import Path

import yaml

MERGE = "tag:yaml.org,2002:merge"


class YamlError(ValueError):
    """A file that is no YAML, or says a thing twice; the text opens with FILE:LINE."""


def read_yaml(path: Path) -> object:
    """Read the one document of a YAML file. Raises YamlError naming the file, and the line where it is known."""
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _EachKeyOnce)  # noqa: S506 - a SafeLoader
    except UnicodeDecodeError as error:
        raise YamlError(f"{path}: expected UTF-8 text: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "it cannot be read"
        raise YamlError(f"{path}{f':{mark.line + 1}' if mark else ''}: expected YAML: {what}") from None
    except (yaml.YAMLError, ValueError) as error:  # a ValueError of a date or a number that there is not
        raise YamlError(f"{path}: expected YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise YamlError(f"{path}: expected YAML that a person can read, got lists within lists without end") from None
    if found is None:
        raise YamlError(f"{path}: expected keys and values, and there are none in the file")
    return found


class _EachKeyOnce(yaml.SafeLoader):
    """Plain values alone, and no key twice in a mapping."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        said: dict[tuple[str, str], yaml.Mark] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                first = said.setdefault((key.tag, key.value), key.start_mark)
                if first is not key.start_mark:
                    raise yaml.MarkedYAMLError(
                        problem=f"the key {key.value!r:.60} stands on line {first.line + 1} already; leave one of the two out",
                        problem_mark=key.start_mark,
                    )
        return node
