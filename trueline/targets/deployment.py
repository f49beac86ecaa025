"""A deployment as a YAML file: a model, and what is put before every conversation with it.

model: openai:MODEL            any TARGET, as on the command line
system: You answer for the town library.
documents: [hours.md, "The library is closed on Mondays."]
tools: [{name: find_book, description: Finds a book., parameters: {type: object, properties: {title: {type: string}}}}]
guards: policy.yaml            between all this and the model: the rails of a policy (docs/guard.md)
temperature: 0
max_tokens: 300
name: library
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueline.core.config import ConfigError, from_spec
from trueline.core.records import nearest
from trueline.core.types import Tool
from trueline.data.messages import FieldError, read_tools, write_tool
from trueline.data.yaml_files import YamlError, read_yaml
from trueline.targets.errors import UnknownTargetError

LISTS = ("tools", "documents")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The plain settings of a deployment file."""

    model: str = ""
    system: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("expected a model (any TARGET), got none; write model: openai:MODEL, or another")
        if self.temperature is not None and self.temperature < 0:
            raise ValueError(f"temperature must not be negative, got {self.temperature}")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {self.max_tokens}")


@dataclass(frozen=True, kw_only=True)
class DeploymentFile:
    """What a deployment file says, its documents read."""

    settings: Settings
    tools: tuple[Tool, ...]
    documents: tuple[str, ...]
    guards: Path | None = None  # the policy file


KEYS = (*Settings.__dataclass_fields__, *LISTS, "guards")


def read_deployment(path: Path) -> DeploymentFile:
    """Read a deployment file. Raises UnknownTargetError naming the file and what is wrong in it."""
    try:
        spec = read_yaml(path)
        if not isinstance(spec, Mapping):
            raise ValueError(f"expected keys and values (model: ..., system: ...), got {type(spec).__name__}")
        _check_keys(spec)
        return DeploymentFile(
            settings=from_spec(Settings, {key: spec[key] for key in spec if key in Settings.__dataclass_fields__}),
            tools=_tools(spec.get("tools")),
            documents=_documents(spec.get("documents"), path.parent),
            guards=_guards(spec.get("guards"), path.parent),
        )
    except YamlError as error:
        raise UnknownTargetError(str(error)) from None
    except (ConfigError, FieldError, ValueError) as error:
        raise UnknownTargetError(f"{path}: {error}") from None


def _check_keys(spec: Mapping[Any, Any]) -> None:
    for key in spec:
        if key not in KEYS:
            raise ValueError(f"unknown key {key!r}{nearest(str(key), KEYS)}; keys here: {', '.join(KEYS)}")


def _tools(given: Any) -> tuple[Tool, ...]:
    tools = read_tools(given)
    for tool in tools:
        write_tool(tool)  # raises where the parameters are no JSON Schema: now, not at the first question
    return tools


def _documents(given: Any, folder: Path) -> tuple[str, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(entry, str) for entry in given):
        raise ValueError(f"documents: expected a list of paths or texts, got {given!r:.80}")
    return tuple(_document(entry, folder) for entry in given)


def _guards(given: Any, folder: Path) -> Path | None:
    """The policy file, which lies in the folder of the deployment."""
    if given is None:
        return None
    if not isinstance(given, str):
        raise ValueError(f"guards: expected the policy file beside this one, got {given!r:.80}")
    return _beside(given, folder, "guards")


def _document(entry: str, folder: Path) -> str:
    """The text of a file beside the deployment, or the entry itself. One word without a blank in it is always a path."""
    if len(entry.split()) > 1 and ("\n" in entry or not (folder / entry).is_file()):
        return entry
    return _beside(entry, folder, "documents", "; a text has more than one word").read_text(encoding="utf-8")


def _beside(entry: str, folder: Path, key: str, hint: str = "") -> Path:
    path = folder / entry
    if not path.resolve().is_relative_to(folder.resolve()):  # a deployment of a stranger reads nothing of its reader's
        raise ValueError(f"{key}: {entry!r} lies outside of the folder of this file; copy it there")
    if not path.is_file():
        raise ValueError(f"{key}: expected a file {entry!r} beside this one, found none{hint}")
    return path
