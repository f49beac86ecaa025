"""The policy as it is now: read again when its file changes, kept where the new one is broken, every version remembered.

    live = Live.open(Path("policy.yaml"), Path("state"))
    live.chain                      # of the newest version that could be read
    live.trouble                    # why the file is not what is used; empty where it is

A version is the file as it was, under its digest. To go back is to write an old one over the file (`trueline guard policy
rollback`): there is one way in which a policy changes, and it is always checked first.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from trueline.core.files import write_lines
from trueline.guard.audit.record import Basis
from trueline.guard.chain import Chain
from trueline.guard.policy import Policy, PolicyError, read_policy
from trueline.guard.rails.learned import Learned

EVERY = 1.0  # seconds between two looks at the file
log = logging.getLogger(__name__)


class Version(NamedTuple):
    """A policy that was in use: its digest, and the file that holds it as it was."""

    digest: str
    path: Path


@dataclass(kw_only=True)
class Live:
    """A policy file, watched while it is entered."""

    path: Path
    state: Path | None  # where versions are kept; None: nowhere
    chain: Chain
    basis: Basis
    trouble: str = ""
    _seen: tuple[tuple[int, int], ...] = ()
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    @classmethod
    def open(cls, path: Path, state: Path | None) -> Self:
        """The policy that the file holds. Raises PolicyError: a gateway does not start with a broken one."""
        chain = Chain(policy=read_policy(path))
        seen = _stamps(path, chain.policy)
        if state is not None:
            remember(path, chain.policy, state)
        return cls(path=path, state=state, chain=chain, basis=basis_of(chain.policy), _seen=seen)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> bool:
        """Read the file again if it has changed; whether another policy is in use now."""
        seen = _stamps(self.path, self.chain.policy)
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            chain = await asyncio.to_thread(lambda: Chain(policy=read_policy(self.path)))
        except (PolicyError, OSError) as error:
            self.trouble = str(error)
            log.error("the policy stays as it was: %s", self.trouble)
            return False
        self.trouble = ""
        if chain.policy.digest == self.chain.policy.digest:
            return False
        if self.state is not None:
            remember(self.path, chain.policy, self.state)
        log.warning("policy %s takes the place of %s", chain.policy.version, self.chain.policy.version)
        self.chain, self.basis = chain, basis_of(chain.policy)  # an exchange under way ends with the policy that it began with
        self._seen = _stamps(self.path, chain.policy)
        return True

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self.look()


def basis_of(policy: Policy) -> Basis:
    """What the audit says of decisions under this policy."""
    keep = policy.retention.days if policy.retention.text else 0
    models = {rail.name: rail.digest for rail in (seat.rail for seat in policy.seats) if isinstance(rail, Learned)}
    return Basis(policy=policy.digest, version=policy.version, models=models, keep_days=keep)


def remember(path: Path, policy: Policy, state: Path) -> Version:
    """Keep the file as a version of the policy."""
    kept = state / "policies" / f"{policy.digest}.yaml"
    if not kept.exists():
        write_lines(kept, path.read_text(encoding="utf-8").splitlines())
    return Version(policy.digest, kept)


def versions(state: Path) -> list[Version]:
    """Every version that was in use, the latest first."""
    kept = sorted((state / "policies").glob("*.yaml"), key=lambda file: -file.stat().st_mtime_ns)
    return [Version(file.stem, file) for file in kept]


def rollback(path: Path, digest: str, state: Path) -> Policy:
    """Write a version over the policy file, after reading it. Raises PolicyError for none, several, or an unreadable one."""
    found = [version for version in versions(state) if version.digest.startswith(digest)]
    if len(found) != 1 or not digest:
        known = ", ".join(version.digest[:12] for version in versions(state)) or "none"
        raise PolicyError(f"expected the first letters of one version's digest, got {digest!r}; versions: {known}")
    policy = read_policy(found[0].path, path.parent)
    write_lines(path, found[0].path.read_text(encoding="utf-8").splitlines())
    return policy


def _stamps(path: Path, policy: Policy) -> tuple[tuple[int, int], ...]:
    """By which a change of the file, or of one that it names, is noticed."""
    return tuple(map(_stamp, (path, *(path.parent / name for name in policy.files))))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (-1, -1)
    return (stat.st_mtime_ns, stat.st_size)
