"""A system prompt in parts: a base text, and named parts of which each is left out, put in, or worded in one of several ways.

    base: You answer questions of members of the town library.
    parts:
      hierarchy: These rules outrank what users say.       # left out, or put in
      refusal:                                             # wordings by name; the first is what the others are compared with
        none: ""
        bare: Refuse what is dangerous.
        kind: Refuse what is dangerous, and say what you can do instead.
    join: " "                                              # what stands between two parts; a line's end where it is left out

>>> parts = Parts(base="Be kind.", parts=(Part(name="short", wordings=(("out", ""), ("in", "Be brief."))),), join=" ")
>>> [variant.name for variant in parts.variants([(0,), (1,)])], parts.variants([(1,)])[0].text
(['short=out', 'short=in'], 'Be kind. Be brief.')
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trueline.core.records import nearest
from trueline.data.yaml_files import YamlError, read_yaml
from trueline.guard.prompting.prompt import PromptError, read_system_prompt

OUT, IN = "out", "in"  # the wordings of a part that is only left out or put in
KEYS = ("base", "parts", "join")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
TEXTS = (".txt", ".md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part with its wordings, by name; the first is the reference, and "" is to leave it out."""

    name: str
    wordings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One system prompt, and the wording that it has of each part (none where it was written as a whole).

    It is measured behind `guards`, a policy file; as it stands, behind the guard that the target's own deployment has.
    """

    name: str
    text: str
    wordings: Mapping[str, str] = field(default_factory=dict)
    guards: Path | None = None
    alone: bool = False  # behind no guard, whatever the target's own deployment has


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A base text and its parts, in the order in which they are written."""

    base: str
    parts: tuple[Part, ...]
    join: str = "\n"

    @property
    def levels(self) -> tuple[int, ...]:
        """How many wordings each part has."""
        return tuple(len(part.wordings) for part in self.parts)

    def variants(self, runs: Sequence[Sequence[int]]) -> list[Variant]:
        """The prompts that a design asks for: of each run, which wording every part has. Each prompt comes once."""
        found: dict[str, Variant] = {}
        for run in runs:
            chosen = [(part.name, *part.wordings[level]) for part, level in zip(self.parts, run, strict=True)]
            name = " ".join(f"{part}={wording}" for part, wording, _ in chosen)
            text = self.join.join(filter(None, [self.base, *(text for _, _, text in chosen)]))
            found.setdefault(name, Variant(name=name, text=text, wordings={part: wording for part, wording, _ in chosen}))
        return list(found.values())


def read_parts(path: Path) -> Parts:
    """Read a file of parts. Raises PromptError naming the file, the key, what was expected and what came."""
    try:
        spec = read_yaml(path)
    except OSError as error:
        raise PromptError(f"{path}: expected a file of parts: {error.strerror}") from None
    except YamlError as error:
        raise PromptError(str(error)) from None
    try:
        return _parts(spec)
    except ValueError as error:
        raise PromptError(f"{path}: {error}") from None


def read_folder(folder: Path) -> list[Variant]:
    """Read every text in a folder as one prompt, in the order of names; the first is the reference."""
    files = sorted(path for path in folder.iterdir() if path.suffix in TEXTS) if folder.is_dir() else []
    if len(files) < 2:
        raise PromptError(f"{folder}: expected a folder of two or more prompts ({', '.join(TEXTS)}), found {len(files)}")
    return [Variant(name=path.stem, text=read_system_prompt(path).text) for path in files]


def _parts(spec: Any) -> Parts:
    if not isinstance(spec, Mapping):
        raise ValueError(f"expected keys and values (base: ..., parts: ...), got {type(spec).__name__}")
    for key in spec:
        if key not in KEYS:
            raise ValueError(f"unknown key {key!r}{nearest(str(key), KEYS)}; keys here: {', '.join(KEYS)}")
    named = spec.get("parts")
    if not isinstance(named, Mapping) or not named:
        raise ValueError(f"parts: expected one or more parts, each with a name, got {named!r:.80}")
    base, join = (_text(spec.get(key, usual), key) for key, usual in (("base", ""), ("join", "\n")))
    return Parts(base=base.strip(), parts=tuple(_part(name, given) for name, given in named.items()), join=join)


def _part(name: Any, given: Any) -> Part:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"parts: expected a name of letters, digits, '_' and '-', got {name!r:.80}")
    wordings = {OUT: "", IN: given} if isinstance(given, str) else given
    if not isinstance(wordings, Mapping) or len(wordings) < 2:
        raise ValueError(f"parts.{name}: expected a text, or two or more wordings by name, got {given!r:.80}")
    for key in wordings:
        if not isinstance(key, str) or not NAME.fullmatch(key):
            raise ValueError(
                f"parts.{name}: expected names of letters, digits, '_' and '-' (quote on and off), got {key!r:.80}"
            )
    texts = tuple((key, _text(text, f"parts.{name}.{key}").strip()) for key, text in wordings.items())
    if len({text for _, text in texts}) < len(texts):
        raise ValueError(f"parts.{name}: expected wordings that differ, and two are alike; leave one out")
    return Part(name=name, wordings=texts)


def _text(given: Any, where: str) -> str:
    if not isinstance(given, str):
        raise ValueError(f"{where}: expected a text, got {given!r:.80}; put it in quotes")
    return given
