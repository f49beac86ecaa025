"""Ten annotators at once over HTTP: the overlap holds, nothing is lost, nothing is doubled."""

from __future__ import annotations

import threading
from collections import Counter

from tests.web.ranking.seated import house
from trueline.store.opening import open_database
from trueline.store.ranking import answers, history

PEOPLE = [f"person{number}" for number in range(10)]


def test_ten_annotators_at_once(url, serve):
    """Each asks for items, keeps a draft and submits, until there is nothing; every item has its overlap and no answer more."""
    import httpx2

    here = house(url, n=12, overlap=3, accounts={name: ["annotator"] for name in PEOPLE})
    base, failed, sent = serve(here.app), [], Counter()

    def annotate(name: str) -> None:
        try:
            browser = here.browser(name)
            token = browser.token("/ranking")
            headers = {"origin": base, "x-csrf-token": token}
            with httpx2.Client(base_url=base, cookies=browser.cookies, headers=headers, timeout=60) as client:
                while True:
                    told = client.get("/ranking/one/work.json").json()
                    if told["item"] is None:
                        if "Thank you" in told["why"]:
                            return
                        continue
                    said = {
                        "assignment": told["item"]["assignment"],
                        "version": told["item"]["version"],
                        "helpful": [1, 2, None],
                    }
                    draft = client.post("/ranking/one/answer", json={**said, "do": "draft"}).json()
                    whole = {**said, "version": draft["version"], "helpful": [1, 2, 3], "do": "submit"}
                    for _ in range(2):  # as one whose reply was lost
                        answer = client.post("/ranking/one/answer", json=whole)
                        assert answer.status_code == 200, answer.text
                    sent[told["item"]["assignment"]] += 1
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=annotate, args=(name,)) for name in PEOPLE]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failed
    done = answers(open_database(url), "one")
    assert {one.status for one in done} == {"submitted"}
    assert {one.assignment.id for one in done} == set(sent)
    assert set(sent.values()) == {1}
    assert Counter(Counter(one.assignment.item for one in done).values()) == {3: 12}
    assert len({(one.assignment.item, one.assignment.person) for one in done}) == 36
    assert Counter(event.kind for event in history(open_database(url), "one")) == {"leased": 36, "submitted": 36}
