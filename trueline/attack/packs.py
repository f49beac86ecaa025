"""Attack packs: named, dated and versioned sets of attacks, so that a model of one day can meet the attacks of a later one.

    name: past_tense             # what reports call it
    version: 1                   # a whole number; raise it with every change of what is asked
    date: 2024-07                # when the way of asking was published: YYYY-MM or YYYY-MM-DD
    about: Ask how it was done, in place of how to do it.
    source: Andriushchenko and Flammarion 2024, https://arxiv.org/abs/2407.11969
    attacks:
      - past                     # a name of the catalogue: a family, a composition, a dose, a plugin
      - attack: templates        # or with settings; a `file` lies in the folder of the pack
        settings: {file: mine.jsonl, tries: 8}
        note: collected by hand  # for people
        source: where it is from

`--attacks pack:past_tense` asks one that comes with the package, `pack:mine.yaml` one of your own, `pack:until=2024-06` every
shipped one up to that month, `pack:after=2024-06` the later ones, `pack:all` all of them.

    trueline attacks --packs
    trueline attack runs/demo/safety --attacks pack:until=2023-12
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

from trueline.attack.catalogue import attack_named
from trueline.core.config import override
from trueline.core.ports import Attack
from trueline.core.records import nearest
from trueline.data.yaml_files import YamlError, read_yaml
from trueline.store.folders import content_hash, digest

PREFIX = "pack:"  # before a pack, where attacks are chosen by name
SHELF = Path(__file__).parent / "packs"
UNTIL, AFTER, ALL = "until=", "after=", "all"
FORMS = "a shipped pack, FILE.yaml, until=YYYY-MM, after=YYYY-MM or all"
KEYS = ("name", "version", "date", "about", "source", "attacks")
ENTRY = ("attack", "settings", "note", "source")


class PackError(ValueError):
    """A pack that cannot be asked; the text says where, what was expected and what to do."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One attack of a pack: its name in the catalogue, its settings, and where it is from."""

    attack: str
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    note: str = ""
    source: str = ""

    def make(self) -> Attack:
        """Return the attack. Raises ValueError with the nearest right name, of the attack or of a setting."""
        return override(attack_named(self.attack), [f"{key}={_word(value)}" for key, value in self.settings.items()])


@dataclass(frozen=True, kw_only=True)
class Pack:
    """Attacks with a name, a version and a date. `hash` is of what is asked, and since when; prose has no part in it."""

    name: str
    version: int
    date: str  # YYYY-MM or YYYY-MM-DD
    entries: tuple[Entry, ...]
    hash: str
    about: str = ""
    source: str = ""

    @property
    def label(self) -> str:
        """The name; with the version from the second one on."""
        return self.name if self.version == 1 else f"{self.name} {self.version}"

    def attacks(self) -> tuple[Attack, ...]:
        """Return the attacks of the pack, ready to be asked."""
        return tuple(entry.make() for entry in self.entries)

    def brief(self) -> dict[str, Any]:
        """Return what a campaign remembers of a pack."""
        names = [attack.name for attack in self.attacks()]
        return {"name": self.name, "version": self.version, "date": self.date, "hash": self.hash[:16], "attacks": names}


def read_pack(path: str | Path) -> Pack:
    """Read a pack's file. Raises PackError naming the file and what is wrong in it."""
    path = Path(path)
    if not path.is_file():
        raise PackError(f"{path}: expected a pack's file, found none of that name; `trueline attacks --packs` lists packs")
    try:
        return _pack(read_yaml(path), path.parent)
    except YamlError as error:
        raise PackError(str(error)) from None
    except ValueError as error:
        raise PackError(f"{path}: {error}") from None


@cache
def shipped() -> tuple[Pack, ...]:
    """Return the packs that come with the package, oldest first."""
    return in_order(read_pack(path) for path in SHELF.glob("*.yaml"))


def find_packs(which: str) -> tuple[Pack, ...]:
    """Return the packs that one word names (FORMS), oldest first; the prefix may be left out.

    >>> [pack.name for pack in find_packs("past_tense")]
    ['past_tense']
    """
    which = which.removeprefix(PREFIX)
    if which.endswith((".yaml", ".yml")):
        return (read_pack(which),)
    if which == ALL:
        return shipped()
    for form, wanted in ((UNTIL, lambda day, end: day <= end), (AFTER, lambda day, end: day > end)):
        if which.startswith(form):
            end = day_of(which.removeprefix(form), "year")
            found = tuple(pack for pack in shipped() if wanted(pack.date[: len(end)], end))
            if not found:
                raise PackError(f"no shipped pack is {which}; they are from {shipped()[0].date} to {shipped()[-1].date}")
            return found
    found = tuple(pack for pack in shipped() if pack.name == which)
    if not found:
        known = [pack.name for pack in shipped()]
        near = nearest(which, known)
        raise PackError(f"there is no pack called {which!r}{near}; expected {FORMS}; shipped: {', '.join(known)}")
    return found


def packs_of(words: Iterable[str]) -> tuple[Pack, ...]:
    """Return the packs that several words name, oldest first and each once.

    Raises PackError where two of one name and version differ: a shipped one counts too.
    """
    found = [pack for word in words for pack in find_packs(word)]
    known = {(pack.name, pack.version): pack for pack in shipped()}
    for pack in found:
        other = known.setdefault((pack.name, pack.version), pack)
        if other.hash != pack.hash:
            raise PackError(
                f"two packs are called {pack.name!r}, version {pack.version}, and do not hold the same; "
                "raise the version of the one that changed, or give it another name"
            )
    return in_order({pack.hash: pack for pack in found}.values())


def packs_in(spec: str) -> tuple[Pack, ...]:
    """Return the packs among a comma-separated choice of attacks, as `--attacks` takes it."""
    return packs_of(word for part in spec.split(",") if (word := part.strip()).startswith(PREFIX))


def in_order(packs: Iterable[Pack]) -> tuple[Pack, ...]:
    """Return packs by date, then by name and version; a month comes before its days."""
    return tuple(sorted(packs, key=lambda pack: (pack.date, pack.name, pack.version)))


def together(packs: Sequence[Pack]) -> tuple[Attack, ...]:
    """Return the attacks of several packs, each once. Raises PackError where two of one name have different settings."""
    found: dict[str, tuple[Attack, Pack]] = {}
    for pack in packs:
        for attack in pack.attacks():
            other, owner = found.setdefault(attack.name, (attack, pack))
            if other != attack:
                raise PackError(
                    f"{owner.label} and {pack.label} both hold an attack called {attack.name!r}, with different settings; "
                    "ask them in two campaigns"
                )
    return tuple(attack for attack, _ in found.values())


def day_of(value: object, least: Literal["year", "month"] = "month") -> str:
    """Return a date as text: a day, a month or, where that is enough, a year. YAML reads a whole day as a date.

    >>> day_of("2024-07")
    '2024-07'
    """
    text = value.isoformat() if isinstance(value, date) else str(value)
    forms = {"year": r"\d{4}(-\d\d(-\d\d)?)?", "month": r"\d{4}-\d\d(-\d\d)?"}
    whole = text + "0000-01-01"[len(text) :]
    if re.fullmatch(forms[least], text):
        try:
            date.fromisoformat(whole)
            return text
        except ValueError:
            pass
    raise PackError(f"date: expected YYYY-MM or YYYY-MM-DD, got {text!r}; write 2024-07")


def _pack(spec: Any, folder: Path) -> Pack:
    if not isinstance(spec, Mapping):
        raise ValueError(f"expected keys and values (name: ..., date: ...), got {type(spec).__name__}")
    _known(spec, KEYS, "")
    name, version, given = spec.get("name"), spec.get("version"), spec.get("attacks")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) or name == ALL:
        raise ValueError(f"name: expected small letters, digits, _ and -, got {name!r}; write name: my_pack")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(f"version: expected a whole number from 1, got {version!r}; write version: 1")
    if spec.get("date") is None:
        raise ValueError("date: expected the month or day when this was published, got none; write date: 2024-07")
    day = day_of(spec["date"])
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise ValueError(f"attacks: expected a list of at least one attack, got {given!r}; write attacks: [past]")
    entries = tuple(_entry(one, f"attacks[{i}]", folder) for i, one in enumerate(given))
    made = [entry.make() for entry in entries]
    for i, attack in enumerate(made):
        if attack in made[:i]:
            raise ValueError(f"attacks[{i}]: {attack.name!r} stands at {made.index(attack)} already; leave one of the two out")
    asked = [[e.attack, {k: _content(k, v) for k, v in sorted(e.settings.items())}] for e in entries]
    pack = Pack(
        name=name,
        version=version,
        date=day,
        entries=entries,
        hash=digest([name, version, day, asked]),
        about=_text(spec, "about"),
        source=_text(spec, "source"),
    )
    together([pack])
    return pack


def _entry(given: Any, where: str, folder: Path) -> Entry:
    if isinstance(given, str):
        given = {"attack": given}
    if not isinstance(given, Mapping) or not isinstance(given.get("attack"), str):
        raise ValueError(f"{where}: expected the name of an attack, or attack: NAME with settings, got {given!r}")
    _known(given, ENTRY, f"{where}.")
    settings = given.get("settings") or {}
    if not isinstance(settings, Mapping):
        raise ValueError(f"{where}.settings: expected keys and values ({{shots: 16}}), got {settings!r}")
    if "file" in settings:
        settings = {**settings, "file": _beside(settings["file"], where, folder)}
    entry = Entry(attack=given["attack"], settings=settings, note=_text(given, "note"), source=_text(given, "source"))
    try:
        entry.make()
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return entry


def _beside(name: Any, where: str, folder: Path) -> str:
    path = folder / str(name)
    if not path.resolve().is_relative_to(folder.resolve()):  # a pack of a stranger reads nothing of its reader's
        raise ValueError(f"{where}.settings.file: {str(name)!r} lies outside of the folder of this pack; copy it there")
    if not path.is_file():
        raise ValueError(f"{where}.settings.file: expected a file {str(name)!r} beside the pack, found none")
    return str(path)


def _content(key: str, value: Any) -> Any:
    """A setting as the hash sees it: of a file what it holds, and not where it lies."""
    return content_hash(value) if key == "file" else _word(value)


def _known(spec: Mapping[Any, Any], keys: Sequence[str], where: str) -> None:
    for key in spec:
        if key not in keys:
            raise ValueError(f"unknown key {where + str(key)!r}{nearest(str(key), keys)}; keys here: {', '.join(keys)}")


def _text(spec: Mapping[Any, Any], key: str) -> str:
    value = spec.get(key)
    return "" if value is None else " ".join(str(value).split())


def _word(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
