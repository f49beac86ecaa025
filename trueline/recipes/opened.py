"""A target that is open, with the content hash of what answers and, where its weights lie in this process, a look inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from trueline.core.config import to_spec
from trueline.core.files import file_hash
from trueline.core.ports import Inside, Target
from trueline.core.types import Conversation
from trueline.store.folders import content_hash, digest
from trueline.targets.deployment import read_deployment
from trueline.targets.naming import kind_of
from trueline.targets.wrappers import Deployment


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A model in a folder, and where and in what a recipe computes with it: what another process needs to do the same."""

    model: str  # a folder or a hub name
    hash: str
    device: str
    dtype: str  # as torch names it


@dataclass(frozen=True)
class Opened:
    """A target with the content hash of what answers, and a look inside where its weights lie open."""

    target: Target
    hashed: str
    inside: Inside | None
    placed: Placed | None = None  # what workers open under its name, where that names a model of a recipe


@dataclass(frozen=True)
class Weights:
    """The weights of a local target, and what its deployment puts before a conversation."""

    policy: object
    deployed: Callable[[Conversation], Conversation] = field(default=lambda conversation: conversation)


def target_hash(reference: str, template: str = "model") -> str:
    """Hash what answers under a TARGET: the files of a model, a deployment with its model, else the name alone."""
    kind = kind_of(reference)
    if kind == "deployment":
        file = read_deployment(Path(reference))
        own = [to_spec(file.settings), [str(t) for t in file.tools], list(file.documents)]
        guards = [file_hash(file.guards)] if file.guards else []  # without them, as hashes were before there were guards
        return digest([*own, *guards, target_hash(file.settings.model, template)])
    if kind == "remote":
        return digest(["remote", reference])
    from trueline.models.folders import model_folder  # models begin with torch

    folder = Path(model_folder(reference))
    return digest([content_hash(folder) if folder.is_dir() else reference, template])


def inside_of(target: Target) -> Inside | None:
    """Return a look inside a target whose weights lie in this process, through its deployment; None for any other."""
    if isinstance(target, Deployment):
        inner = inside_of(target.target)
        return None if inner is None else Weights(inner.policy, lambda asked: inner.deployed(target.deployed(asked)))
    policy = getattr(target, "policy", None)  # LocalModel's, without loading torch where nothing local is asked
    return None if policy is None else Weights(policy)


def speaks_world(reference: str) -> bool:
    """Whether a TARGET is a model of one of our runs, which speaks the embedded world's tongue as far as anyone can tell."""
    folder = Path(reference)
    return kind_of(reference) == "local" and any((place / "run.json").is_file() for place in (folder, *folder.parents))
