"""Whatever a target does to a campaign, or a user asks of it: one clear line, and nothing is lost."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.calling import trueline
from tests.recipes.endpoint import NO, attacked, body, endpoint, says, weak
from trueline.store.database import attempts
from trueline.store.opening import open_database


def test_what_fails_is_one_line_and_nothing_is_lost(goals, tmp_path):
    """An address where nobody is: exit 1 with one line, before more than the first question was asked."""
    done = attacked("http://127.0.0.1:9/v1#toy", goals, tmp_path)
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "127.0.0.1:9" in done.err


def test_a_wrong_key_is_said_at_once(goals, tmp_path, monkeypatch):
    """One request, one line that names the variable and not the key."""
    monkeypatch.setenv("TRUELINE_API_KEY", "sk-secret-7")
    with endpoint(lambda request, before: body({"error": {"message": "bad key sk-secret-7"}}, 401)) as server:
        done = attacked(server.target, goals, tmp_path)
        assert server.asked.total() == 1
    assert done.code == 1
    assert "TRUELINE_API_KEY" in done.err
    assert "sk-secret-7" not in done.err + done.out


GARBAGE = (200, {"content-type": "text/event-stream"}, b"data: {broken\n\ndata: \xff\xfe\n\n")


@pytest.mark.parametrize(
    ("bad", "more", "named"),
    [
        (GARBAGE, ("--ask", "stream=true"), "stream"),
        ((200, {"content-type": "application/json"}, b"\x00" * 100), (), "JSON"),
        (says("x" * (30 << 20)), (), "bytes"),
        (body({"error": {"message": "slow down"}}, 429, **{"retry-after": "0"}), (), "429"),
    ],
    ids=["a stream of garbage", "no JSON", "thirty megabytes", "a storm of 429"],
)
def test_a_target_that_talks_nonsense_from_the_start_is_named(goals, tmp_path, bad, more, named):
    """Exit 1 and one line that says what came."""
    with endpoint(lambda request, before: bad) as server:
        done = attacked(server.target, goals, tmp_path, *more)
    assert done.code == 1
    assert named in done.err
    assert done.err.count("\n") == 1
    assert len(done.err) < 600


def test_now_and_then_nonsense_is_an_error_among_answers(goals, tmp_path):
    """Questions whose answers are too long are errors; the others are judged, and the report says how many failed."""

    def sometimes(request, before):
        return says("x" * (6 << 20)) if before % 5 == 4 else says(NO)

    with endpoint(sometimes) as server:
        found = json.loads(attacked(server.target, goals, tmp_path, "--at-once", "1").out)
    assert found["outcomes"]["error"] == found["counts"]["attempts"] - found["outcomes"]["failure"]
    assert 0 < found["outcomes"]["error"] < 12


def test_a_call_with_broken_arguments_is_kept_as_it_came(goals, tmp_path):
    """Invalid JSON in the arguments of a call ends nothing: the call is recorded as it was written."""
    call = {"id": "c1", "type": "function", "function": {"name": "send", "arguments": '{"to": "al'}}
    with endpoint(lambda request, before: says(NO, tool_calls=[call])) as server:
        done = attacked(server.target, goals, tmp_path)
    assert done.code == 0, done.err
    kept = attempts(open_database(tmp_path / "runs" / "trueline.db"))
    assert {call.arguments for attempt in kept for call in attempt.completion.tool_calls} == {'{"to": "al'}


def test_a_full_disk_is_one_line_and_the_next_sitting_goes_on(goals, tmp_path, monkeypatch):
    """What was answered before is not asked again once there is room."""
    from trueline.attack import record

    kept, save = Counter(), record.save_replies

    def full(*arguments):
        kept["writes"] += 1
        if kept["writes"] > 2:
            raise OSError(28, "No space left on device", "trueline.db")
        save(*arguments)

    with endpoint(weak) as server:
        monkeypatch.setattr(record, "save_replies", full)
        done = attacked(server.target, goals, tmp_path, "--at-once", "2")
        assert done.code == 1
        assert "No space left on device" in done.err
        before = server.asked.total()
        monkeypatch.setattr(record, "save_replies", save)
        again = json.loads(attacked(server.target, goals, tmp_path, "--at-once", "2").out)
        assert sum(n - 1 for n in server.asked.values()) <= 3  # what could not be kept is asked again
        assert server.asked.total() <= before + 36
    assert again["counts"]["attempts"] == 36


def test_bad_usage_is_said_before_anything_is_asked(goals, tmp_path):
    """Exit 2: an attack, a setting, a judge or a goal file that there is not."""
    with endpoint(weak) as server:
        for words, named in (
            (("--attacks", "rolle"), "did you mean 'role'"),
            (("--attacks", "role", "role.trys=2"), "did you mean 'tries'"),
            (("--judge", "enabelment"), "did you mean 'enablement'"),
            (("--column", "wish"), "wish"),
        ):
            done = trueline("attack", server.target, "--goals", goals, "--out", tmp_path / "runs" / named[:3], *words)
            assert (done.code, named in done.err) == (2, True), (words, done.err)
        assert not server.asked


def test_one_folder_holds_one_campaign(goals, tmp_path):
    """Other settings in the same folder are refused with what differs."""
    with endpoint(weak) as server:
        assert attacked(server.target, goals, tmp_path).code == 0
        done = attacked(server.target, goals, tmp_path, "--budget", "3")
    assert done.code == 2
    assert "budget is 64 there and 3 here" in done.err
