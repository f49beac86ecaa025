"""From a TARGET to a target that is open, with its guard where its deployment names one.

    async with open_target("shop.yaml") as target:      # model: ..., system: ..., guards: policy.yaml
        completion = await target.reply(conversation)

It is `targets.naming.open_target` with the guard at hand, and what everybody above this room opens targets with. The guard's
own libraries are loaded where a deployment asks for them, and for nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from trueline.core.ports import Limiter, Target
from trueline.targets import naming
from trueline.targets.errors import UnknownTargetError
from trueline.targets.http import Asking

EXTRA = "{}: its guard needs libraries that are not there ({}); pip install 'trueline[guard]'"


@asynccontextmanager
async def open_target(
    reference: str,
    *,
    template: str = "model",
    asking: Asking = Asking(),  # noqa: B008 - frozen
    limiter: Limiter | None = None,
) -> AsyncIterator[Target]:
    """Open the target that a TARGET names, behind its guard; see `targets.naming.open_target`."""
    async with naming.open_target(reference, template=template, asking=asking, guarding=guarding, limiter=limiter) as target:
        yield target


def guarding(target: Target, policy: Path) -> Target:
    """A target behind the rails of a policy file. Raises UnknownTargetError for a policy that cannot be used."""
    try:
        from trueline.guard.chain import Chain
        from trueline.guard.guarded import Guarded
        from trueline.guard.policy import PolicyError, read_policy
    except ModuleNotFoundError as missing:
        raise UnknownTargetError(EXTRA.format(policy, missing.name)) from None
    try:
        return Guarded(target=target, chain=Chain(policy=read_policy(policy)))
    except PolicyError as error:
        raise UnknownTargetError(str(error)) from None
