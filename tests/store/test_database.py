"""Tests of store/database.py: nothing is stored twice, and nothing is lost."""

import threading

import pytest

from trueline.core.types import Attempt, Completion, Conversation, Finding, Judgement, Prompt, Run
from trueline.store.database import (
    Hashes,
    attempts,
    drop_attempts,
    findings,
    list_runs,
    replies,
    save_attempts,
    save_findings,
    save_replies,
    save_run,
    save_stage,
    stages,
)
from trueline.store.opening import DatabaseError, open_database

RUN = Run(id="r1", recipe="dpo", spec={"beta": 0.1, "deep": [1, None]}, seed=2**40, started="2025-01-01T00:00:00Z")


def attempt(goal: str = "g1", query: int = 1, score: float | None = 0.0, text: str = "né\0\u2028") -> Attempt:
    talk = Conversation().say("user", "how?")
    prompt = Prompt(conversation=talk, expected="refuse", id=goal)
    completion = Completion(prompt=prompt, text=text, ids=(1,), logprobs=(float("-inf"),))
    judgement = Judgement(
        judge="rules", score=score, stance="none" if score is None else "refuse" if score >= 0.5 else "comply"
    )
    return Attempt(goal=prompt, attack="ask", conversation=talk, completion=completion, judgement=judgement, query=query)


def of(target: str, records):
    return ((record, Hashes(target=target, attack="a", judge="j")) for record in records)


def test_a_run_is_stored_once_and_found_after_reopening(url):
    """Saving a run twice stores it once; a new connection finds it equal; another run of that id is refused."""
    engine = open_database(url)
    save_run(engine, RUN)
    save_run(engine, RUN)
    earlier = Run(id="r0", recipe="sft", started="2024-01-01T00:00:00Z")
    save_run(engine, earlier)
    engine.dispose()
    again = open_database(url)
    assert list_runs(again) == [earlier, RUN]
    assert list_runs(again, recipe="dpo") == [RUN]
    with pytest.raises(DatabaseError, match="stored already with another seed; give this run its own id"):
        save_run(again, Run(id="r1", recipe="dpo", spec=RUN.spec, seed=4, started=RUN.started))
    again.dispose()


def test_a_stage_is_replaced_by_its_later_word(url):
    """A stage is one row: saved again, it has the newer key, state and metrics."""
    engine = open_database(url)
    save_run(engine, RUN)
    save_stage(engine, "r1", "world/sft", "k1", "partial")
    save_stage(engine, "r1", "world/sft", "k2", metrics={"loss": 0.5})
    (row,) = stages(engine, "r1")
    assert (row.run, row.name, row.key, row.state, row.metrics) == ("r1", "world/sft", "k2", "done", {"loss": 0.5})
    engine.dispose()


def test_an_attempt_is_stored_exactly_once(url):
    """Attempts saved again, beside new ones, add only the new ones, and come back equal and in order."""
    engine = open_database(url)
    save_run(engine, RUN)
    first = [attempt(query=1), attempt(query=2, score=1.0)]
    assert save_attempts(engine, "r1", of("t1", first)) == 2
    more = [*first, attempt(query=3, score=None), attempt(query=3, score=None)]
    assert save_attempts(engine, "r1", of("t1", more)) == 1
    assert save_attempts(engine, "r1", of("t2", iter(first))) == 2
    assert save_attempts(engine, "r1", of("t1", [])) == 0
    assert attempts(engine, target="t1") == more[:3]
    engine.dispose()


def test_attempts_are_found_by_every_column(url):
    """Conditions narrow the list; none given lists all."""
    engine = open_database(url)
    save_run(engine, RUN)
    held, broke, abstained = attempt("g1", 1, 1.0), attempt("g1", 2, 0.2), attempt("g2", 1, None)
    save_attempts(engine, "r1", of("t", [held, broke, abstained]))
    assert attempts(engine) == [held, broke, abstained]
    assert attempts(engine, run="r1", attack="ask", judge="rules", goal="g1") == [held, broke]
    assert attempts(engine, outcome="success") == [broke]
    assert attempts(engine, outcome="undetermined") == [abstained]
    assert attempts(engine, goal="none") == []
    engine.dispose()


def test_goals_without_an_id_are_told_apart_by_what_they_ask(tmp_path):
    """Two goals that carry no id are two goals if their prompts differ, and one if they do not."""
    engine = open_database(tmp_path / "a.db")
    save_run(engine, RUN)
    one = attempt("")
    other = Attempt(
        goal=Prompt(conversation=Conversation().say("user", "else?")),
        attack=one.attack,
        conversation=one.conversation,
        completion=one.completion,
        judgement=one.judgement,
    )
    assert save_attempts(engine, "r1", of("t", [one, other, one])) == 2


def test_many_attempts_go_in_at_once(tmp_path):
    """More attempts than one statement holds are all stored."""
    engine = open_database(tmp_path / "a.db")
    save_run(engine, RUN)
    assert save_attempts(engine, "r1", of("t", (attempt(query=query) for query in range(1101)))) == 1101
    assert [found.query for found in attempts(engine)] == list(range(1101))


def test_a_finding_keeps_its_key_and_changes_its_status(url):
    """A finding saved again is the same row with the newer status."""
    engine = open_database(url)
    save_run(engine, RUN)
    save_findings(engine, "r1", [Finding(key="k", attempts=(attempt(),))])
    fixed = Finding(key="k", attempts=(attempt(),), status="fixed", severity="low")
    save_findings(engine, "r1", [fixed])
    assert findings(engine) == [fixed]
    assert findings(engine, status="open") == []
    engine.dispose()


def test_nothing_hangs_in_the_air(url):
    """What belongs to a run that is not stored is refused, in words."""
    engine = open_database(url)
    for save in (
        lambda: save_stage(engine, "r9", "sft", "k"),
        lambda: save_attempts(engine, "r9", of("t", [attempt()])),
        lambda: save_findings(engine, "r9", [Finding(key="k", attempts=())]),
    ):
        with pytest.raises(DatabaseError, match="no run 'r9' is stored; call save_run first"):
            save()
    engine.dispose()


def test_two_processes_may_open_and_write_at_once(bare_url):
    """Eight writers that open one new database together all get through, and each row is there once."""
    failed = []

    def write(number: int) -> None:
        try:
            engine = open_database(bare_url)
            save_run(engine, RUN)
            save_attempts(engine, "r1", of("t", [attempt(query=query) for query in range(number, number + 5)]))
            engine.dispose()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    engine = open_database(bare_url)
    assert sorted(found.query for found in attempts(engine)) == list(range(12))
    engine.dispose()


def test_what_was_answered_is_remembered_once(url):
    """The first answer to a question stays; each run remembers its own."""
    engine = open_database(url)
    save_run(engine, RUN)
    first, other = attempt(text="one").completion, attempt(text="two").completion
    save_replies(engine, "r1", {"q1": first})
    save_replies(engine, "r1", {"q1": other, "q2": other})
    assert replies(engine, "r1") == {"q1": first, "q2": other}
    assert replies(engine, "r2") == {}
    engine.dispose()


def test_attempts_are_dropped_and_replies_stay(url):
    """A campaign makes its attempts again from its replies."""
    engine = open_database(url)
    save_run(engine, RUN)
    save_attempts(engine, "r1", of("t", [attempt()]))
    save_replies(engine, "r1", {"q": attempt().completion})
    drop_attempts(engine, "r1")
    assert attempts(engine) == []
    assert list(replies(engine, "r1")) == ["q"]
    engine.dispose()
