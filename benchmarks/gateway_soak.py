"""The gateway for a long time, and under a crowd: whether its memory grows, and whether it outlives too many connections.

    python benchmarks/gateway_soak.py                        # 100,000 requests, then 10,000 connections at once
    python benchmarks/gateway_soak.py --requests 20000 --crowd 0

The process is the one that people run, under its default policy, asked by eight clients at a time with a text that differs in
each request; every tenth reply is a stream. Memory is read every tenth of the way, with that of the process that feeds the
database. It fails where memory has grown by more than a tenth since the first fifth, or where a reply is no 200.

The crowd opens its connections, holds them, and asks on each. Those beyond the limit must be told 503 or closed; while they
stand and after they have gone, the process must answer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
import time
from collections import Counter
from importlib.resources import files
from urllib.parse import urlsplit

from gateway import _resident, ours, running, upstream
from gateway_load import PROSE, _reply, _request

AT_ONCE = 8
GROWTH = 0.10  # of memory, from a fifth of the way to the end
PATIENCE = 60.0  # seconds that a crowd waits for its answers


async def soak(url: str, pid: int, requests: int) -> list[float]:
    """Ask so many times; the MB that the process holds, after each tenth."""
    held: list[float] = []
    started = time.perf_counter()
    for tenth in range(10):
        each = requests // 10 // AT_ONCE
        failed = sum(await asyncio.gather(*(_ask(url, (tenth * AT_ONCE + n) * 1_000_000, each) for n in range(AT_ONCE))))
        held.append(_resident(pid))
        done = (tenth + 1) * each * AT_ONCE
        rate = done / (time.perf_counter() - started)
        print(
            f"{done:>8,} requests  {held[-1]:7.1f} MB  {rate:6.0f} a second  {failed} failed",
            flush=True,
        )
        if failed:
            raise SystemExit("a request has failed")
    return held


async def crowd(url: str, connections: int) -> Counter[str]:
    """Hold so many connections open at once, ask on all of them, and count what each is told."""
    where = urlsplit(url)
    said: Counter[str] = Counter()
    request = _request(where.path, where.netloc, {}, PROSE, False, "m")

    async def one(everyone: asyncio.Barrier) -> None:
        try:
            reader, writer = await asyncio.open_connection(where.hostname, where.port)
        except OSError:
            said["not connected"] += 1
            await everyone.wait()
            return
        await everyone.wait()
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(request)
                said[str(await _reply(reader))] += 1
        except TimeoutError:
            said["no answer"] += 1
        except (OSError, asyncio.IncompleteReadError):
            said["closed"] += 1
        finally:
            writer.close()

    everyone = asyncio.Barrier(connections)
    await asyncio.gather(*(one(everyone) for _ in range(connections)))
    return said


async def _ask(url: str, first: int, times: int) -> int:
    """Ask so many times over one connection; how many replies were no 200."""
    where, failed = urlsplit(url), 0
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    for n in range(times):
        text = f"{first + n}. {(PROSE * 3)[:1_000]}"
        writer.write(_request(where.path, where.netloc, {}, text, n % 10 == 9, "m"))
        failed += await _reply(reader) != 200
    writer.close()
    return failed


def _grown(held: list[float]) -> float:
    return held[-1] / held[1] - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--crowd", type=int, default=10_000)
    given = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the gateway inherits it
    default = files("trueline.guard").joinpath("policies/default.yaml").read_text(encoding="utf-8")
    cores = sorted(os.sched_getaffinity(0))
    with upstream(cores[-1]) as behind, running(ours("trueline", default), behind, cores[0]) as (url, pid):
        if given.requests:
            grown = _grown(asyncio.run(soak(url, pid, given.requests)))
            print(f"memory has grown by {grown:.1%} since a fifth of the way")
            if grown > GROWTH:
                raise SystemExit(f"expected memory to grow by at most {GROWTH:.0%}")
        if given.crowd:
            said = asyncio.run(crowd(url, given.crowd))
            print("  ".join(f"{word}: {count:,}" for word, count in said.most_common()))
            if asyncio.run(_ask(url, 0, 10)):
                raise SystemExit("the gateway does not answer after the crowd has gone")
            if said["no answer"] or set(said) - {"200", "503", "closed", "not connected"}:
                raise SystemExit("expected each connection to be answered 200 or 503, or to be closed")
            print(f"it answers, and holds {_resident(pid):.1f} MB")


if __name__ == "__main__":
    sys.exit(main())
