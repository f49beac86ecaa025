"""Tests of store/hunts.py and store/hunt_claims.py: questions before and after their answers, claims with their findings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from trueline.core.types import Attempt, Completion, Conversation, Finding, Judgement, Message, Prompt, Run
from trueline.store.database import Hashes, attempts, findings
from trueline.store.hunt_claims import add_claim, claim_of, claimed, claims, counted, settle_claim, waiting_claims
from trueline.store.hunt_records import Claim, Counted, Hunt, HuntError, Turn, heard, path
from trueline.store.hunts import Allowed, again, answer, ask, begin, hunt_of, hunts, sitting, turn_of, turns_of, used
from trueline.store.opening import open_database

GOAL = Prompt(conversation=Conversation().say("user", "the code"), expected="refuse", id="g", about={"cluster": "c"})
HASHES = Hashes(target="t", judge="j")
FREE = Allowed(an_hour=100, since="2026")


def opened(url: str):
    """A database with the run of one target."""
    engine = open_database(url)
    sitting(engine, Run(id="r", recipe="people", started="2026-01-01"))
    return engine


def hunt(person="ada", key="k", id="h"):  # noqa: A002 - a hunt's
    return Hunt(id=id, run="r", person=person, target="shop", key=key, created="2026-02-01", goal=GOAL)


def turn(id="a", parent="", person="ada", hunt="h", token="x"):  # noqa: A002 - a turn's; of an asking
    said = (Message(role="user", text=f"say {id}"),)
    return Turn(id=id, hunt=hunt, person=person, created="2027", asked="2027", said=said, parent=parent, token=token)


def answered(asked: Turn, text="here") -> tuple[Turn, tuple[Attempt, Hashes]]:
    said = Completion(prompt=Prompt(conversation=Conversation()), text=text)
    judged = Judgement(judge="j", score=0.0, stance="comply", disclosure=1.0)
    conversation = Conversation(messages=asked.said)
    made = Attempt(goal=GOAL, attack="human", conversation=conversation, completion=said, judgement=judged)
    return replace(asked, state="answered", completion=said, judgement=judged), (made, HASHES)


def test_a_run_of_people_is_made_once(url):
    """Another sitting at the same target finds the first one's run, whenever it started."""
    engine = opened(url)
    assert sitting(engine, Run(id="r", recipe="people", started="2030")).started == "2026-01-01"


def test_a_question_is_there_before_and_after_its_answer(url):
    """Stored as asked, then with its answer and attempt together; both are read back as they were."""
    engine = opened(url)
    first = ask(engine, hunt(), turn(), FREE)
    assert turns_of(engine, "h") == [first]
    assert (first.number, first.state, attempts(engine)) == (1, "asked", [])
    done = answer(engine, *answered(first))
    assert turn_of(engine, "a") == done
    assert (done.state, done.query, len(attempts(engine, run="r"))) == ("answered", 1, 1)
    assert hunt_of(engine, "h") == hunt()
    assert hunts(engine, person="ada", target="shop", key="k") == [hunt()]
    assert hunts(engine, person="bo") == []


def test_a_turn_goes_on_from_one_that_was_answered(url):
    """From one that was not, or from nothing, it does not; a path is one branch, and a conversation holds what was heard."""
    engine = opened(url)
    first = ask(engine, hunt(), turn(), FREE)
    with pytest.raises(HuntError, match="was not answered"):
        ask(engine, hunt(), turn("b", parent="a"), FREE)
    answer(engine, *answered(first))
    second, third = ask(engine, hunt(), turn("b", parent="a"), FREE), ask(engine, hunt(), turn("c", parent="a"), FREE)
    assert (second.number, third.number) == (2, 3)
    branch = path(turns_of(engine, "h"), "c")
    assert [one.id for one in branch] == ["a", "c"]
    assert [m.text for m in heard(hunt(), branch).messages] == ["say a", "here", "say c"]
    assert path(turns_of(engine, "h"), "nowhere") == ()


def test_a_conversation_is_its_owners(url):
    """Another person can put nothing into it, and ask nothing again."""
    engine = opened(url)
    ask(engine, hunt(), turn(), FREE)
    with pytest.raises(HuntError, match="another person's"):
        ask(engine, hunt("bo"), turn("b", person="bo"), FREE)
    with pytest.raises(HuntError, match="another person's"):
        again(engine, "a", "bo", "y", "2027", FREE)


def test_the_late_answer_of_an_earlier_asking_is_not_taken(url):
    """Asked again, the first asking's token holds no more; the answer of the second stays, once."""
    engine = opened(url)
    first = ask(engine, hunt(), turn(), FREE)
    second = again(engine, "a", "ada", "y", "2028", FREE)
    assert second.asks == 2
    answer(engine, *answered(first, "late"))
    assert (turn_of(engine, "a").state, attempts(engine)) == ("asked", [])
    answer(engine, *answered(second, "new"))
    answer(engine, *answered(second, "again"))
    assert turn_of(engine, "a").completion.text == "new"
    assert len(attempts(engine)) == 1
    with pytest.raises(HuntError, match="answered meanwhile"):
        again(engine, "a", "ada", "z", "2028", FREE)


def test_an_answer_that_is_awaited_is_waited_for_and_one_that_is_not_may_be_passed(url):
    """Another question of the conversation is refused while this process waits, and taken when nobody does."""
    engine = opened(url)
    ask(engine, hunt(), turn(), FREE)
    with pytest.raises(HuntError, match="under way"):
        ask(engine, hunt(), turn("b"), replace(FREE, under_way=("x",)))
    assert ask(engine, hunt(), turn("b"), FREE).number == 2


def test_questions_are_counted_by_person_and_each_asking_counts(url):
    """Over all conversations, since a time; at the limit nothing is stored."""
    engine = opened(url)
    ask(engine, hunt(), turn(), FREE)
    again(engine, "a", "ada", "y", "2027", FREE)
    ask(engine, hunt(id="h2"), turn("b", hunt="h2"), FREE)
    assert (used(engine, "ada", "2026"), used(engine, "ada", "2029"), used(engine, "bo", "2026")) == (3, 0, 0)
    with pytest.raises(HuntError, match="3 questions in the last hour, and 3 are allowed"):
        ask(engine, hunt(id="h3"), turn("c", hunt="h3"), replace(FREE, an_hour=3))
    assert hunt_of(engine, "h3") is None


def test_many_at_once_lose_and_double_nothing(url):
    """Eight people at one goal of one target: every question is there, and their attempts are one series."""
    engine = opened(url)

    def attack(n: int) -> None:
        person = f"p{n}"
        asked = ask(engine, hunt(person, id=person), turn(f"t{n}", person=person, hunt=person), FREE)
        answer(engine, *answered(asked))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attack, range(8)))
    assert sorted(one.query for one in attempts(engine, run="r")) == list(range(1, 9))


def test_what_is_not_there_is_told(url):
    """An unknown turn, claim or run is an error in words, and reads as None."""
    engine = opened(url)
    assert hunt_of(engine, "x") is turn_of(engine, "x") is claim_of(engine, "x") is None
    with pytest.raises(HuntError, match="no such turn"):
        again(engine, "x", "ada", "y", "2027", FREE)
    with pytest.raises(HuntError, match="no run"):
        begin(engine, replace(hunt(), run="nowhere"))


def claim(id: str, turn: str, person="ada", **changes) -> Claim:  # noqa: A002 - a claim's
    return Claim(
        id=id, turn=turn, hunt="h", run="r", person=person, target="shop", key=changes.pop("key", id), cluster="c",
        category="x", family="role", severity="high", created=f"2027-{id}", text=f"say {turn}", outcome="success", **changes,
    )  # fmt: skip


def entry(key: str) -> Finding:
    made, _ = answered(turn())[1]
    return Finding(key=key, attempts=(made,), severity="high")


def put(engine, claim: Claim, twin_of=lambda _: "", by_judge=True) -> Claim:
    return add_claim(
        engine, claim, own_goal=False, twin_of=twin_of, entry=entry(claim.key), by_judge=by_judge, grow=lambda _, more: more
    )


def with_turns(url):
    """A conversation with two branches that were answered."""
    engine = opened(url)
    for id in ("a", "b"):  # noqa: A001 - a turn's
        answer(engine, *answered(ask(engine, hunt(), turn(id), FREE)))
    return engine


def test_a_claim_and_its_finding_are_one(url):
    """What the judge saw is stored with its finding; where the finding cannot be made, there is no claim either."""
    engine = with_turns(url)

    def broken(known, more):
        raise KeyError("a full disk")

    with pytest.raises(KeyError):
        add_claim(engine, claim("1", "a"), own_goal=False, twin_of=lambda _: "", entry=entry("1"), by_judge=True, grow=broken)
    assert claims(engine) == findings(engine) == []
    stored = put(engine, claim("1", "a"))
    assert (stored.state, [one.key for one in findings(engine)]) == ("accepted", ["1"])
    assert claimed(engine, ["a", "b"]) == {"a": stored}
    assert put(engine, claim("2", "a")) == stored


def test_a_new_claim_is_compared_with_claims_and_findings(url):
    """Each is offered with its text and key; those that were rejected are not, and a twin makes no finding."""
    engine = with_turns(url)
    put(engine, claim("1", "a"))
    seen = []
    stored = put(engine, claim("2", "b"), twin_of=lambda known: seen.extend(known) or "1")
    assert {(one.key, one.text) for one in seen} == {("1", "say a")}
    assert (stored.state, stored.twin, len(findings(engine))) == ("twin", "1", 1)


def test_words_with_a_zero_character_are_kept_and_compared(url):
    """Whatever a person types or a model says is stored and compared, on every database."""
    engine = opened(url)
    zero = replace(turn(), said=(Message(role="user", text="a\0b"),))
    answer(engine, *answered(ask(engine, hunt(), zero, FREE), "c\0d"))
    made, _ = answered(zero, "c\0d")[1]
    about = replace(GOAL, about={"cluster": "c\0"})
    first = replace(entry("1"), attempts=(replace(made, goal=about),))
    same = {"own_goal": False, "by_judge": True, "grow": lambda _, more: more}
    add_claim(engine, replace(claim("1", "a"), cluster="c\0"), twin_of=lambda _: "", entry=first, **same)
    ask(engine, hunt(), turn("b"), FREE)
    seen = []
    add_claim(
        engine, replace(claim("2", "b"), cluster="c\0"), twin_of=lambda known: seen.extend(known) or "1", entry=first, **same
    )
    assert [one.text for one in seen] == ["say a", "a\0b"]
    assert turn_of(engine, "a").completion.text == "c\0d"


def test_a_claim_that_waits_is_settled_once(url):
    """The first word stays; accepted, it is a finding; merged into what is not there, nothing changes."""
    engine = with_turns(url)
    put(engine, claim("1", "a"), by_judge=False)

    def settle(**changes):
        grow = lambda _, more: more  # noqa: E731 - a word
        return settle_claim(engine, "1", lambda one: replace(one, **changes), entry=entry("1"), grow=grow)

    with pytest.raises(HuntError, match="no finding or claim"):
        settle(state="merged", twin="nothing")
    assert [one.state for one in claims(engine, waiting=True)] == ["waiting"]
    assert settle(state="accepted").state == "accepted"
    assert len(findings(engine)) == 1
    with pytest.raises(HuntError, match="accepted already"):
        settle(state="rejected")
    assert claims(engine, person="bo") == claims(engine, waiting=True) == []
    assert [one.state for one in claims(engine, waiting=False)] == ["accepted"]


def test_what_counts_is_each_kind_once_with_its_first_time(url):
    """Two accepted claims of one person, family, category and cluster are one line; what waits is none."""
    engine = with_turns(url)
    answer(engine, *answered(ask(engine, hunt(), turn("c"), FREE)))
    put(engine, claim("1", "a"))
    put(engine, claim("2", "b"))
    put(engine, claim("3", "c"), by_judge=False)
    assert counted(engine) == [Counted(person="ada", family="role", category="x", cluster="c", created="2027-1")]
    assert waiting_claims(engine) == 1
