"""The second policy at work, in a process of its own: exchanges come in on stdin, what its rails say goes out on stdout.

Apart, because a rail that is computed in place cannot be interrupted, and because threads share the interpreter's lock: in a
thread, the one that answers would wait for this. Its file is read again when it changes, as the first policy's is. It ends with
whom it judges for. What a stopped request would have been answered with is not judged: the second policy would not have had it.

    python -m trueline.guard.gateway.second other.yaml          # started by Beside
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from trueline.core.types import Action
from trueline.guard.audit.replay import exchange_of
from trueline.guard.chain import Chain, Outcome
from trueline.guard.gateway.live import EVERY, Live
from trueline.guard.gateway.logs import log_to
from trueline.guard.policy import PolicyError
from trueline.guard.ruling import STRICTNESS


class Said(NamedTuple):
    """What a policy said of one side: its action, and that of each rail (None: it was not asked)."""

    action: Action
    rails: dict[str, Action | None]


def said_of(outcome: Outcome) -> Said:
    """An outcome without its reasons; of a rail that spoke twice, the strictest word."""
    rails: dict[str, Action | None] = {}
    for ruling in outcome.rulings:
        said = ruling.decision
        action = None if said.status == "not_run" and said.action == "allow" else said.action
        before = rails.get(said.by)
        if before is None or (action is not None and STRICTNESS[action] > STRICTNESS[before]):
            rails[said.by] = action
    return Said(outcome.ruling.action, rails)


async def judge(chain: Chain, asked: bytes, said: bytes) -> dict[str, object]:
    """What a chain says of both sides, as the audit writes them (digests.content_of), or why it cannot be told.

    A rail that broke would block, or not, by its `on_error`: that says nothing of what the policy finds, so it is not compared.
    """
    exchange = exchange_of(asked)
    outcomes = [await chain.judge(exchange, "input")]
    before = outcomes[0]
    if said and not before.stopped and before.ruling.action != "rewrite":
        outcomes.append(await chain.judge(exchange_of(said, exchange), "output"))
    if broke := {by for outcome in outcomes for by in _broke(outcome)}:
        return {"missed": f"error: {', '.join(sorted(broke))}"}
    words = [tuple(said_of(outcome)) for outcome in outcomes]
    return {"input": words[0], "output": words[1] if len(words) > 1 else None}


def _broke(outcome: Outcome) -> list[str]:
    """The rails that have no word, though they were asked. What the scan does not read to its end is decided, and no fault."""
    words = [ruling.decision for ruling in outcome.rulings]
    return [said.by for said in words if said.status != "ran" and said.action != "allow" and said.by != "scan"]


async def _work(path: Path) -> None:
    try:
        live = Live.open(path, None)
    except (PolicyError, OSError) as error:
        _tell({"policy": "", "version": "", "trouble": str(error)})
        return
    os.nice(14)  # ready: from here on it takes what nobody else wants, and the threads that it starts likewise
    told = _state(live)
    _tell(told)
    threading.Thread(target=_read, args=(live, asyncio.get_running_loop()), daemon=True).start()
    while True:
        await asyncio.sleep(EVERY)
        await live.look()
        if (now := _state(live)) != told:
            told = now
            _tell(told)


def _state(live: Live) -> dict[str, object]:
    return {**_named(live.chain), "trouble": live.trouble}


def _named(chain: Chain) -> dict[str, object]:
    return {"policy": chain.policy.digest, "version": chain.policy.version}


def _read(live: Live, loop: asyncio.AbstractEventLoop) -> None:
    """Take exchanges in until whoever gives them is gone. A thread, so that its end is heard also where a rail hangs."""
    source = sys.stdin.buffer
    while head := source.readline():
        number, asked, said = orjson.loads(head)
        asyncio.run_coroutine_threadsafe(_answer(live.chain, number, source.read(asked), source.read(said)), loop)
    os._exit(0)


async def _answer(chain: Chain, number: int, asked: bytes, said: bytes) -> None:
    try:
        told = await judge(chain, asked, said)
    except Exception as error:  # whatever it is, the others go on
        told = {"missed": f"error: {type(error).__name__}"}
    _tell({"number": number, **_named(chain), **told})


def _tell(told: dict[str, Any]) -> None:
    os.write(1, orjson.dumps(told) + b"\n")


def main() -> None:
    """Judge by the policy in the file that is named, until stdin ends."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # they are for who started this, who says then what to do
        signal.signal(stop, signal.SIG_IGN)
    os.nice(5)
    log_to()
    asyncio.run(_work(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
