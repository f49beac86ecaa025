"""How long the pages for ranking take with a large project, at rest and while new answers are being counted.

    python benchmarks/ranking_pages.py [--items 5000] [--answers 5] [--looks 20]

A project of items with four completions each, all answered but for one; noisy people rank them. The pages are asked in this
process, one after the other, without a network: what is measured is the server's own time. `counting` is how long it takes to
read and measure everything (agreement, board, their bootstraps) once; nobody waits for it.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from trueline.core.records import to_dict
from trueline.core.types import Completion, Conversation, Prompt
from trueline.recipes.ranked import standing
from trueline.store.opening import open_database, writing
from trueline.store.ranking import create, items, text
from trueline.store.ranking_records import Given, Item, Project
from trueline.store.ranking_tables import assignments, events
from trueline.store.ranking_work import shuffled
from trueline.web.ranking.pages import RANKING
from trueline.web.site.site import Site, site

URL = "http://127.0.0.1"
PAGES = ("/ranking", "/ranking/big", "/ranking/big.json", "/ranking/big/work")


def main() -> None:
    """Fill a database, and ask its pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--answers", type=int, default=5)
    parser.add_argument("--looks", type=int, default=20)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        engine = open_database(Path(folder) / "big.db")
        fill(engine, given.items, given.answers)
        began = time.perf_counter()
        standing(engine, "big")
        print(f"counting  {time.perf_counter() - began:.1f} s for {given.items:,} items with {given.answers} answers each")
        asyncio.run(ask(site(Site(database=engine), [RANKING]), given.looks))


def fill(engine: Any, n: int, answers: int) -> None:
    """Store the project; its answers go in by the table, for people would need a month."""
    rng, now = Random("ranking/pages"), text(datetime(2026, 11, 1, tzinfo=UTC))
    create(engine, Project(id="big", name="big", created=now, overlap=answers), (_item(number) for number in range(n)))
    rows, told = [], []
    for item in items(engine, "big"):
        for person in range(answers):
            best = sorted(range(4), key=lambda place: place + rng.gauss(0, 1.2))
            said = to_dict(Given(helpful=tuple(1 + best.index(place) for place in range(4)), seconds=rng.uniform(5, 60)))
            who, key = f"p{person}", f"{item.id[:16]}{person}"
            rows.append(
                {"id": key, "project": "big", "item": item.id, "person": who, "number": len(rows), "turn": 0, "kind": "new",
                 "shown": list(shuffled(0, who, item.id, 0, 4)), "created": now, "expires": now, "status": "submitted",
                 "kept": 1, "answered": now, "answer": said}
            )  # fmt: skip
            told.append({"project": "big", "item": item.id, "person": who, "assignment": key, "kind": "submitted", "time": now,
                         "record": said})  # fmt: skip
    with writing(engine) as connection:
        connection.execute(assignments.insert(), rows[:-1])  # one is left to be given
        connection.execute(events.insert(), told[:-1])


async def ask(app: Any, looks: int) -> None:
    """Ask the pages until their figures are there, then after an answer more, which has them counted anew."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=URL) as client:
        took: dict[str, list[float]] = {}

        async def look(when: str) -> bool:
            for path in PAGES:
                began = time.perf_counter()
                await client.get(path)
                took.setdefault(f"{when:9} {path}", []).append(1000 * (time.perf_counter() - began))
            return bool((await client.get("/ranking/big.json")).json()["behind"])

        while await look("first"):
            await asyncio.sleep(0.2)
        for _ in range(looks):
            await look("at rest")
        page = (await client.get("/ranking/big/work")).text
        held = (await client.get("/ranking/big/work.json")).json()["item"]
        token = (re.search(r'<meta name="csrf" content="([^"]+)"', page) or [""] * 2)[1]
        said = {"assignment": held["assignment"], "helpful": [1, 2, 3, 4]}
        sent = await client.post("/ranking/big/answer", json=said, headers={"origin": URL, "x-csrf-token": token})
        assert sent.status_code == 200, sent.text
        while await look("counting"):
            await asyncio.sleep(0.2)
    for name, times in took.items():
        print(f"{name:30} median {median(times):5.0f} ms   longest {max(times):5.0f} ms   n {len(times)}")


def _item(number: int) -> Item:
    asked = Prompt(conversation=Conversation().say("user", f"Question {number} " + "word " * 40), id=str(number))
    said = (Completion(prompt=asked, text=f"Answer {m} of {number} " + "word " * 60, model=f"m{m}") for m in range(4))
    return Item(prompt=asked, completions=tuple(said))


if __name__ == "__main__":
    main()
