"""A constitution: the principles that a model is to criticise and correct itself by, as a versioned YAML file.

    name: plain                        # what reports call it
    version: 1                         # a whole number; raise it with every change of the text
    speaks: english                    # english, or world: sentences of the embedded world
    principles:
      - id: no-dangerous-help          # unique; stored with every critique that the principle caused
        text: Do not give help that ...
        critique: Point out each place where the reply ...      # asked of the critic; of the world, empty: the rule alone
        revision: Rewrite the reply so that ...                 # asked of the reviser; of the world, empty: "revise ."
        weight: 1.0                    # how often it is drawn, relative to the others
        scope: all                     # all, harmful or benign: which prompts it speaks of

`read_constitution("plain")` reads one that comes with the package, any other name is a path; `plain:placebo` is a control
made of it (controls.py). Constitutional AI: Bai et al. 2022, https://arxiv.org/abs/2212.08073.

    trueline constitution check plain
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from random import Random
from typing import Any, Literal, get_args

from trueline.core.records import nearest
from trueline.data.yaml_files import YamlError, read_yaml

Scope = Literal["all", "harmful", "benign"]
Tongue = Literal["english", "world"]
Verdicts = Literal["critic", "shuffled", "oracle"]
SHIPPED = Path(__file__).parent / "constitutions"
# A principle of the world is the sentence that its critics were trained on: world/critique.py, Rule.text.
SENTENCE = re.compile(r"rule : (?P<polarity>never|always) give (?P<what>[a-z ]+) \.")
# What an English principle asks or forbids with: principles that differ in nothing else contradict each other, or are one.
POLAR = frozenset(("always", "never", "do", "not", "don't", "must", "mustn't", "should", "shouldn't"))


class ConstitutionError(ValueError):
    """A constitution that cannot be worked with; the text says where, what was expected and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principle:
    """One sentence that a reply must keep to, and how its critique and its revision are asked for."""

    id: str
    text: str
    critique: str = ""
    revision: str = ""
    weight: float = 1.0
    scope: Scope = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constitution:
    """Principles with a name and a version."""

    name: str
    version: int
    principles: tuple[Principle, ...]
    speaks: Tongue = "english"
    verdicts: Verdicts = "critic"  # whose word counts, which a control changes and no file says (controls.py)

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits of what it says: the same under another name or version, another after any other change."""
        said = json.dumps([self.speaks, [asdict(p) for p in self.principles]], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:12]

    def draw(self, rng: Random, harmful: bool) -> Principle | None:
        """Draw one principle that speaks of such a prompt, by weight; None where none does."""
        fitting = list(self.about(harmful))
        return rng.choices(fitting, [p.weight for p in fitting])[0] if fitting else None

    def about(self, harmful: bool) -> Iterator[Principle]:
        """The principles that speak of such a prompt."""
        return (p for p in self.principles if p.scope in ("all", "harmful" if harmful else "benign"))

    def without(self, principle: str) -> Constitution:
        """The same constitution without one principle: its ablation. Raises ConstitutionError for an id that is not there."""
        kept = tuple(p for p in self.principles if p.id != principle)
        if len(kept) == len(self.principles):
            known = [p.id for p in self.principles]
            raise ConstitutionError(f"{self.name} has no principle {principle!r}{nearest(principle, known)}")
        return replace(self, name=f"{self.name} without {principle}", principles=kept)


def shipped() -> tuple[str, ...]:
    """The names of the constitutions that come with the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml")))


def read_constitution(name_or_path: str) -> Constitution:
    """Read a shipped constitution by name, or a file. Raises ConstitutionError naming the principle and the key.

    >>> [p.id for p in read_constitution("loud").principles]
    ['no-loud-words']
    """
    from trueline.data.controls import CONTROLS  # it makes constitutions out of constitutions

    name, _, control = name_or_path.rpartition(":")
    if name and control in CONTROLS:
        return CONTROLS[control](read_constitution(name))
    path = _path(name_or_path)
    try:
        return parse_constitution(read_yaml(path))
    except YamlError as error:
        raise ConstitutionError(str(error)) from None
    except ConstitutionError as error:
        raise ConstitutionError(f"{path}: {error}") from None


def parse_constitution(spec: object) -> Constitution:
    """Build a constitution from what its YAML says, and check it."""
    if not isinstance(spec, Mapping):
        raise ConstitutionError(f"expected keys and values (name: ..., principles: ...), got {type(spec).__name__}")
    _known_keys(spec, _KEYS, "")
    listed = spec.get("principles")
    if not isinstance(listed, list) or not listed:
        raise ConstitutionError(f"principles: expected a list of at least one principle, got {listed!r:.60}; write - id: ...")
    made = Constitution(
        name=_text(spec, "name", "", needed=True),
        version=_version(spec.get("version")),
        principles=tuple(_principle(entry, place) for place, entry in enumerate(listed, start=1)),
        speaks=_choice(spec, "speaks", get_args(Tongue), "english", ""),
    )
    _consistent(made)
    return made


def _path(name_or_path: str) -> Path:
    from trueline.data.controls import CONTROLS

    path = SHIPPED / f"{name_or_path}.yaml" if name_or_path in shipped() else Path(name_or_path)
    if not path.is_file():
        known = ", ".join(shipped())
        near = nearest(name_or_path, [*shipped(), *(f"{name}:{control}" for name in shipped() for control in CONTROLS)])
        raise ConstitutionError(
            f"{name_or_path}: expected a file or one of {known}{near}; "
            f"trueline constitution list names those that come with the package, and their controls"
        )
    return path


def _principle(entry: object, place: int) -> Principle:
    """Read one entry of the list; errors name it by its id, or by its place where it has none."""
    if not isinstance(entry, Mapping):
        raise ConstitutionError(f"principle {place}: expected keys and values (id: ..., text: ...), got {entry!r:.60}")
    where = f"principle {str(entry.get('id') or place)!r:.60}: "
    _known_keys(entry, tuple(f.name for f in fields(Principle)), where)
    return Principle(
        id=_text(entry, "id", where, needed=True),
        text=_text(entry, "text", where, needed=True),
        critique=_text(entry, "critique", where),
        revision=_text(entry, "revision", where),
        weight=_weight(entry.get("weight", 1.0), where),
        scope=_choice(entry, "scope", get_args(Scope), "all", where),
    )


def _consistent(made: Constitution) -> None:
    """Refuse ids that stand twice, principles that say the same, and those that contradict each other."""
    seen: dict[str, Principle] = {}
    for principle in made.principles:
        if principle.id in seen:
            raise ConstitutionError(f"principle {principle.id!r}: id: it stands twice; give each principle an id of its own")
        if made.speaks == "world" and not SENTENCE.fullmatch(principle.text):
            raise ConstitutionError(
                f"principle {principle.id!r}: text: expected a sentence of the world, "
                f"'rule : never give WHAT .' or 'rule : always give WHAT .', got {principle.text!r:.80}"
            )
        for other in seen.values():
            _compatible(made.speaks, other, principle)
        seen[principle.id] = principle


def _compatible(speaks: Tongue, one: Principle, other: Principle) -> None:
    if one.scope != other.scope and "all" not in (one.scope, other.scope):
        return  # no prompt hears both
    where = f"principle {other.id!r}: text: "
    if " ".join(one.text.split()).lower() == " ".join(other.text.split()).lower():
        raise ConstitutionError(f"{where}it says what {one.id!r} says; leave one out, and raise the weight of the other")
    if speaks == "english" and _bare(one.text) == _bare(other.text):
        raise ConstitutionError(f"{where}it forbids what {one.id!r} asks for, or the other way round; leave one out")
    if speaks == "world":
        first, second = SENTENCE.fullmatch(one.text), SENTENCE.fullmatch(other.text)
        if first and second and first["what"] == second["what"]:
            raise ConstitutionError(f"{where}it contradicts {one.id!r} in the same scope; leave one out")


def _bare(text: str) -> list[str]:
    """Return the words of an English principle without those that ask or forbid: two opposites have the same ones.

    >>> _bare("Never flatter.") == _bare("Always flatter.")
    True
    """
    return [
        word
        for word in re.findall(r"[\w']+", text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
        if word not in POLAR
    ]


def _known_keys(spec: Mapping[Any, Any], known: tuple[str, ...], where: str) -> None:
    for key in spec:
        if key not in known:
            raise ConstitutionError(f"{where}unknown key {key!r:.60}{nearest(str(key), known)}; keys here: {', '.join(known)}")


def _text(spec: Mapping[Any, Any], key: str, where: str, needed: bool = False) -> str:
    value = spec.get(key, "")
    if not isinstance(value, str) or (needed and not value.strip()):
        raise ConstitutionError(f"{where}{key}: expected text, got {value!r:.60}")
    return value.strip()


def _choice(spec: Mapping[Any, Any], key: str, known: tuple[Any, ...], default: str, where: str) -> Any:
    value = spec.get(key, default)
    if value not in known:
        close = nearest(str(value), known)
        raise ConstitutionError(f"{where}{key}: expected one of {', '.join(known)}, got {value!r:.60}{close}")
    return value


def _version(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConstitutionError(f"version: expected a whole number from 1, got {value!r:.60}")
    return value


def _weight(value: object, where: str) -> float:
    number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    if not (math.isfinite(number) and number > 0):
        raise ConstitutionError(f"{where}weight: expected a number above 0, got {value!r:.60}; leave out what never counts")
    return number


_KEYS = ("name", "version", "speaks", "principles")
