"""How fast the pages answer with a million attempts, and many findings and audit rows, in the store.

    python -m benchmarks.pages_million                                  # in an SQLite file, which is removed again
    python -m benchmarks.pages_million --database million.db --json     # it stays, and can be asked again

Attempts are those of benchmarks/store_million.py, one of whose families is the direct request; findings and rows of the guard's
audit come on top. Pages are asked as ASGI, without a network, each for runs, cells and findings drawn from the seed; the first
request of each page is told apart, since what is read then is kept. It exits with 1 where a page's p95 is above --bound.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from urllib.parse import quote

from sqlalchemy import Engine, select
from starlette.types import ASGIApp

from benchmarks import store_million
from trueline.core.records import from_dict
from trueline.core.types import Attempt, Finding
from trueline.evaluate.arms import BASELINE
from trueline.store.audits import AuditRow, add_rows
from trueline.store.database import save_findings
from trueline.store.found import finding_counts
from trueline.store.opening import open_database
from trueline.store.tables import attempts
from trueline.web.app import ROOMS
from trueline.web.site.site import Site, site

store_million.FAMILIES[0] = BASELINE
ACTIONS = ("allow",) * 18 + ("flag", "block")


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", help="a file or a URL; without it, an SQLite file for the time being")
    parser.add_argument("--attempts", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--findings", type=int, default=50_000)
    parser.add_argument("--audit", type=int, default=200_000, help="decisions of the guard, most within a day")
    parser.add_argument("--run-folders", type=Path, default=Path("runs"), help="a folder of runs, for their pages")
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--bound", type=float, default=200.0, help="milliseconds")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    made = store_million.Made(attempts=asked.attempts, runs=asked.runs)
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(asked.database or Path(folder) / "million.db")
        store_million.fill(engine, made)
        if not finding_counts(engine):
            put_findings(engine, made, asked.findings)
            put_traffic(engine, asked.audit)
        app = site(Site(database=engine, runs=asked.run_folders), ROOMS)
        found = {name: times(app, path, asked.times) for name, path in pages(made, asked.findings, asked.run_folders).items()}
        engine.dispose()
    worst = max(row["p95"] for row in found.values())
    told = {"database": engine.dialect.name, "attempts": asked.attempts, "findings": asked.findings, "audit": asked.audit}
    if asked.json:
        print(json.dumps({**told, "bound": asked.bound, "pages": found, "holds": worst <= asked.bound}))
    else:
        print(", ".join(f"{name} {value}" for name, value in told.items()))
        print(f"{'milliseconds':34} {'first':>8} {'p50':>8} {'p95':>8}")
        for name, row in found.items():
            print(f"{name:34} {row['first']:8.1f} {row['p50']:8.1f} {row['p95']:8.1f}")
    sys.exit(worst > asked.bound)


def pages(made: store_million.Made, findings: int, folders: Path) -> dict[str, Callable[[Random], str]]:
    """The pages, each with an address drawn anew for each request."""
    here = sorted(path.parent.name for path in folders.glob("*/run.json"))
    runs = {"run": lambda rng: f"/runs/{quote(rng.choice(here))}"} if here else {}
    families, categories = store_million.FAMILIES, store_million.CATEGORIES
    return {
        "overview": lambda rng: "/overview",
        "runs": lambda rng: "/runs",
        **runs,
        "attacks": lambda rng: "/attacks",
        "attack": lambda rng: f"/attacks/{rng.choice(made.names)}",
        "attack, a cell": lambda rng: (
            f"/attacks/{rng.choice(made.names)}?family={rng.choice(families)}&category={rng.choice(categories)}&outcome=success"
        ),
        "attack, all that failed": lambda rng: f"/attacks/{rng.choice(made.names)}?outcome=failure",
        "findings": lambda rng: "/findings",
        "findings, filtered": lambda rng: (
            f"/findings?status={rng.choice(('open', 'fixed'))}&family={rng.choice(families)}&category={rng.choice(categories)}"
        ),
        "finding": lambda rng: f"/findings/k{rng.randrange(findings)}",
        "guard": lambda rng: "/guard",
        "watch": lambda rng: "/watch",
        "compare": lambda rng: "/compare",
        "ranking": lambda rng: "/ranking",
        "red team": lambda rng: "/redteam",
        "claims": lambda rng: "/redteam/claims",
    }


def times(app: ASGIApp, path: Callable[[Random], str], n: int) -> dict[str, float]:
    """Milliseconds of n requests behind a first one, page and twin in turn."""
    rng, taken = Random("pages_million/0"), []
    for number in range(n + 1):
        address, _, query = path(rng).partition("?")
        began = time.perf_counter()
        status = asyncio.run(ask(app, address + (".json" if number % 2 else ""), query))
        taken.append(1000 * (time.perf_counter() - began))
        if status != 200:
            raise SystemExit(f"{address}?{query} answered {status}")
    later = sorted(taken[1:])
    return {"first": taken[0], "p50": statistics.median(later), "p95": later[int(0.95 * (len(later) - 1))]}


async def ask(app: ASGIApp, path: str, query: str) -> int:
    """Ask the app as a server would, and return the status."""
    scope = {
        "type": "http", "method": "GET", "path": path, "query_string": query.encode(), "root_path": "",
        "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1), "scheme": "http", "server": ("127.0.0.1", 80),
    }  # fmt: skip
    statuses: list[int] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(int(str(message["status"])))

    await app(scope, receive, send)  # type: ignore[arg-type]
    return statuses[0]


def put_findings(engine: Engine, made: store_million.Made, n: int) -> None:
    """Findings of the last runs, of all families and categories."""
    with engine.connect() as connection:
        record = connection.execute(select(attempts.c.record).where(attempts.c.outcome == "success").limit(1)).scalar_one()
    one = from_dict(Attempt, record)

    def each() -> Iterator[Finding]:
        rng = Random("pages_million/findings")
        for number in range(n):
            family, category = rng.choice(store_million.FAMILIES), rng.choice(store_million.CATEGORIES)
            about = replace(one, family=family, goal=replace(one.goal, category=category))
            status, severity = (
                rng.choice(("open", "open", "fixed", "regressed")),
                rng.choice(("low", "medium", "high", "critical")),
            )
            yield Finding(key=f"k{number}", attempts=(about,), status=status, severity=severity)  # type: ignore[arg-type]

    save_findings(engine, made.names[-1], each())


def put_traffic(engine: Engine, n: int) -> None:
    """Decisions of the guard, half on requests and half on replies, over a day and a half."""
    rng, now, rows = Random("pages_million/audit"), datetime.now(UTC), []
    for seq in range(1, n + 1):
        action, at = rng.choice(ACTIONS), now - timedelta(hours=36 * (n - seq) / n)
        said = [] if action == "allow" else [{"by": "jailbreak", "action": action, "status": "ran"}]
        body = {"kind": "accepted", "ruling": {"action": action, "ms": rng.lognormvariate(-0.5, 0.5)}, "rails": said}
        rows.append(
            AuditRow(
                writer="w",
                seq=seq,
                id=f"e{seq // 2}",
                kind="accepted" if seq % 2 else "settled",
                time=at.isoformat(),
                endpoint="chat",
                action=action,
                key="k",
                tokens=3,
                hash=f"{seq:064x}",
                body=json.dumps(body | {"pad": "x" * 600}),
            )
        )
        if len(rows) == 2000 or seq == n:
            add_rows(engine, rows)
            rows = []


if __name__ == "__main__":
    main()
