"""Ten annotators over HTTP, each a thread, who rank a project to its end: for tests of what happens at once."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from trueline.store.opening import open_database
from trueline.store.ranking import answers, history

PEOPLE = [f"person{number}" for number in range(10)]


class Crowd:
    """The annotators of a house whose project is called `one`; `base` is where its site is served."""

    def __init__(self, here: Any, base: str) -> None:
        self.here, self.base = here, base
        self.failed: list[BaseException] = []
        self.sent: Counter[str] = Counter()
        self.threads = [threading.Thread(target=self._annotate, args=(name,)) for name in PEOPLE]

    def start(self) -> None:
        """Let all of them begin."""
        for thread in self.threads:
            thread.start()

    def check(self, url: str, *, n: int, overlap: int) -> None:
        """Wait for the last one; then every item has its overlap, and every answer that was sent is there once."""
        for thread in self.threads:
            thread.join(timeout=60)
        assert not self.failed
        database = open_database(url)
        done = answers(database, "one")
        assert {one.status for one in done} == {"submitted"}
        assert {one.assignment.id for one in done} == set(self.sent)
        assert set(self.sent.values()) == {1}
        assert Counter(Counter(one.assignment.item for one in done).values()) == {overlap: n}
        assert len({(one.assignment.item, one.assignment.person) for one in done}) == n * overlap
        kinds = Counter(event.kind for event in history(database, "one"))
        assert kinds == {"leased": n * overlap, "submitted": n * overlap}
        database.dispose()

    def _annotate(self, name: str) -> None:
        """Ask for items, keep a draft of each and submit it, until there is nothing left."""
        import httpx2

        try:
            browser = self.here.browser(name)
            token = browser.token("/ranking")
            headers = {"origin": self.base, "x-csrf-token": token}
            with httpx2.Client(base_url=self.base, cookies=browser.cookies, headers=headers, timeout=60) as client:
                while True:
                    told = client.get("/ranking/one/work.json").json()
                    if told["item"] is None:
                        if "Thank you" in told["why"]:
                            return
                        continue
                    said = {name: told["item"][name] for name in ("assignment", "version")} | {"helpful": [1, 2, None]}
                    draft = client.post("/ranking/one/answer", json={**said, "do": "draft"}).json()
                    whole = {**said, "version": draft["version"], "helpful": [1, 2, 3], "do": "submit"}
                    for _ in range(2):  # as one whose reply was lost
                        answer = client.post("/ranking/one/answer", json=whole)
                        assert answer.status_code == 200, answer.text
                    self.sent[told["item"]["assignment"]] += 1
        except BaseException as error:
            self.failed.append(error)
            raise
