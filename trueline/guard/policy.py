"""The policy of a guard: one YAML file that says which rails stand where, read with errors that a person can act on.

    name: shop
    message: I cannot help with that.
    rails:
      - type: secrets
      - type: injection
        action: block
        mode: shadow

`type` is the rail; `mode`, `on_error` and `timeout_ms` are of its seat in the chain; all else is the rail's own settings.

    trueline guard check policy.yaml
    trueline guard check policy.yaml --schema > policy.schema.json
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

import trueline.guard.rails  # noqa: F401 - registers the rails
from trueline.core.config import meanings
from trueline.core.records import nearest
from trueline.core.registry import UnknownPluginError, find, plugins
from trueline.data.yaml_files import YamlError, read_yaml
from trueline.guard.rail import Rail
from trueline.guard.ruling import OnError
from trueline.store.folders import content_hash

Mode = Literal["enforce", "shadow"]
Release = Literal["checked", "text"]


class PolicyError(ValueError):
    """A policy that cannot be used; the message says where, what was expected, what came and what to write."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one client may cost the gateway."""

    body_bytes: int = 4_194_304  # of a request; more is refused with 413
    body_seconds: float = 30.0  # until the whole request is there
    connect_seconds: float = 10.0  # until the upstream takes the connection
    idle_seconds: float = 120.0  # that the upstream may be silent
    total_seconds: float = 600.0  # of one exchange
    reply_bytes: int = 33_554_432  # of an upstream's reply; a longer one is cut off with an error
    in_flight: int = 1_000  # exchanges at a time; more are refused with 503 and a time to wait


@dataclass(frozen=True, kw_only=True)
class Retention:
    """What is kept of the texts themselves; decisions are always kept, as digests."""

    text: bool = False  # whether the text of pieces is kept
    days: int = 30  # after which it is purged


@dataclass(frozen=True, kw_only=True)
class Seat:
    """A rail in its place in the chain."""

    rail: Rail
    mode: Mode = "enforce"  # shadow: it is asked, and its word changes nothing but the record
    on_error: OnError = "closed"  # what counts where it breaks: closed blocks, open flags
    timeout_ms: float = 2_000.0  # of a rail that waits for something; one that is computed in place cannot be interrupted


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The rails of a guard and what is done with their word."""

    seats: tuple[Seat, ...]
    name: str = "policy"  # as audit and headers name it
    on_block: Literal["refuse", "error"] = "refuse"  # a reply that says so, in the client's format; or an HTTP error
    message: str = "This was stopped by a policy."  # what a client reads in place of what was blocked
    release: Release = "checked"  # of a stream: checked, nothing leaves before every rail has read it; text, see docs/guard.md
    limits: Limits = Limits()
    retention: Retention = Retention()
    spec: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    files: Mapping[str, str] = field(
        default_factory=dict, repr=False, hash=False
    )  # that it names, with hashes of what is in them

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that the policy says, and what is in the files that it names."""
        return hashlib.sha256(json.dumps([self.spec, self.files], sort_keys=True).encode()).hexdigest()

    @cached_property
    def version(self) -> str:
        """The name and the first letters of the digest, as headers and records give it."""
        return f"{self.name}@{self.digest[:12]}"


OF_A_SEAT = ("mode", "on_error", "timeout_ms")
FILES = ("file", "schema", "model")  # settings of rails that may name a file beside the policy
OF_A_POLICY = ("name", "on_block", "message", "release", "on_error", "limits", "retention", "rails")


def read_policy(path: Path, folder: Path | None = None) -> Policy:
    """Read a policy file; files that it names lie in `folder` (default: its own).

    Raises PolicyError naming the file, the place and what to write.
    """
    try:
        return policy_of(read_yaml(path), folder or path.parent)
    except (YamlError, PolicyError) as error:
        known = str(error).startswith(str(path))
        raise PolicyError(str(error) if known else f"{path}: {error}") from None


def policy_of(spec: object, folder: Path | None = None) -> Policy:
    """A policy from plain values; files that it names lie in `folder`. Raises PolicyError."""
    spec = _mapping(spec, "the policy")
    _refuse_unknown(spec, OF_A_POLICY, "")
    entries = spec.get("rails")
    if not isinstance(entries, list) or not entries:
        raise PolicyError(f"rails: expected a list of at least one rail (- type: secrets), got {entries!r:.60}")
    on_error, files = spec.get("on_error", "closed"), dict[str, str]()
    placed = _placed(entries, folder, files) if folder else entries
    seats = tuple(_seat(entry, f"rails[{i}]", on_error) for i, entry in enumerate(placed))
    names = [seat.rail.name for seat in seats]
    for i, name in enumerate(names):
        if name in names[:i]:
            first = f"rails[{names.index(name)}]"
            raise PolicyError(f"rails[{i}]: a rail called {name!r} stands in {first}; give one of them another `name`")
    own = {key: value for key, value in spec.items() if key not in ("rails", "on_error")}
    parsed = _build(Policy, {**own, "seats": ()}, "")
    return dataclasses.replace(parsed, seats=seats, spec=dict(spec), files=files)


def schema() -> dict[str, Any]:
    """The JSON Schema of a policy file, for editors: each rail with its settings and their meanings."""
    rails = [_rail_schema(name, kind) for name, kind in plugins("rail").items()]
    head = _described(Policy, leave_out=("seats", "spec"))
    head["properties"]["on_error"] = {"enum": ["closed", "open"], "description": "of every rail that does not say it itself"}
    head["properties"]["rails"] = {"type": "array", "minItems": 1, "items": {"oneOf": rails}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "trueline guard policy",
        **head,
        "required": ["rails"],
    }


def _placed(value: Any, folder: Path, files: dict[str, str]) -> Any:
    """The same values, with the files that they name found beside the policy; `files` hears of each with its hash."""
    if isinstance(value, list):
        return [_placed(one, folder, files) for one in value]
    if not isinstance(value, Mapping):
        return value
    placed = {}
    for key, one in value.items():
        path = folder / one if key in FILES and isinstance(one, str) and one and not one.lstrip().startswith("{") else None
        if path is not None and path.exists():
            files[one] = content_hash(path)
            placed[key] = str(path)
        else:
            placed[key] = _placed(one, folder, files)
    return placed


def _seat(entry: object, where: str, on_error: object) -> Seat:
    entry = _mapping(entry, where)
    kind = entry.get("type")
    if not isinstance(kind, str):
        raise PolicyError(
            f"{where}: expected type: and the name of a rail, got {kind!r:.60}; rails: {', '.join(plugins('rail'))}"
        )
    try:
        rail_class = find("rail", kind)
    except UnknownPluginError as error:
        raise PolicyError(f"{where}.type: {error}") from None
    own = {key: value for key, value in entry.items() if key not in (*OF_A_SEAT, "type")}
    rail = _build(rail_class, own, f"{where} ({kind}).", also=OF_A_SEAT)
    assert isinstance(rail, Rail)
    seat = {"on_error": on_error, **{key: entry[key] for key in OF_A_SEAT if key in entry}}
    return dataclasses.replace(_build(Seat, {**seat, "rail": None}, f"{where} ({kind})."), rail=rail)


def _build(kind: type, values: Mapping[str, Any], where: str, also: tuple[str, ...] = ()) -> Any:
    """An object from plain values, checked against its annotations; every error names its place."""
    known = [f.name for f in dataclasses.fields(kind) if f.init]
    _refuse_unknown(values, known, where, also)
    hints = {**get_type_hints(kind), "rail": Any, "seats": Any}
    checked = {key: _checked(hints[key], value, f"{where}{key}") for key, value in values.items()}
    try:
        return kind(**checked)
    except (ValueError, TypeError) as error:  # the object's own rules
        raise PolicyError(f"{where.rstrip('.') or 'the policy'}: {error}") from None


def _checked(hint: Any, value: object, where: str) -> Any:
    """A value of that type; a group of settings, and a list of groups, are read like the policy itself."""
    inner = next(iter(get_args(hint)), None)
    if dataclasses.is_dataclass(hint) and not dataclasses.is_dataclass(value):
        return _build(hint, _mapping(value, where), f"{where}.")  # type: ignore[arg-type] # a class: it is a hint
    if get_origin(hint) is tuple and dataclasses.is_dataclass(inner) and isinstance(value, list):
        return tuple(_checked(inner, entry, f"{where}[{i}]") for i, entry in enumerate(value))
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        raise PolicyError(f"{where}{_first(error)}") from None


def _first(error: ValidationError) -> str:
    """The first thing that pydantic has to say, in one line."""
    found = error.errors(include_url=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in found["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{place}: {found['msg'][0].lower()}{found['msg'][1:]}, got {found['input']!r:.80}{more}"


def _refuse_unknown(values: Mapping[str, Any], known: Any, where: str, also: tuple[str, ...] = ()) -> None:
    for key in values:
        if key not in known:
            shown = ", ".join((*known, *also))
            raise PolicyError(f"unknown setting {where}{key}{nearest(str(key), (*known, *also))}; settings here: {shown}")


def _mapping(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise PolicyError(f"{what}: expected keys and values, got {value!r:.60}")
    return dict(value)


def _rail_schema(name: str, kind: type) -> dict[str, Any]:
    own = _described(kind)
    seat = _described(Seat, leave_out=("rail",))["properties"]
    about = (kind.__doc__ or name).strip().splitlines()[0]
    return {
        "type": "object",
        "title": name,
        "description": about,
        "properties": {"type": {"const": name, "description": about}, **own["properties"], **seat},
        "required": ["type", *own.get("required", [])],
        "additionalProperties": False,
    }


def _described(kind: type, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """The schema of a settings object, with the comment of each field as its description."""
    hints = get_type_hints(kind)
    fields = [f for f in dataclasses.fields(kind) if f.init and f.name not in leave_out]
    needed = [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]
    said = meanings(kind)
    properties = {}
    for f in fields:
        hint = hints[f.name]
        shown = _described(hint) if dataclasses.is_dataclass(hint) else TypeAdapter(hint).json_schema()
        properties[f.name] = shown | ({"description": said[f.name]} if f.name in said else {})
    required = {"required": needed} if needed else {}
    return {"type": "object", "properties": properties, "additionalProperties": False, **required}
