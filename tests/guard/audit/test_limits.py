"""Tests of guard/audit/limits.py: never more than burst + rate x time passes, and memory is bounded."""

import math
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.guard.audit.limits import Buckets, Meter
from trueline.store.keys import KeyRow

some = settings(deadline=None, max_examples=60)
steps = st.lists(st.tuples(st.floats(0, 20), st.floats(0.1, 5)), max_size=60)  # seconds to wait, cost


def key(**limits: int) -> KeyRow:
    return KeyRow(id="k", label="", digest="", created="", **limits)


@some
@given(steps=steps, rate=st.floats(0.05, 10), burst=st.floats(1, 20))
def test_never_more_than_burst_and_rate_passes(steps, rate, burst):
    """In every span of time, what passes costs at most burst + rate x time."""
    bucket, now, passed = Buckets(), 0.0, []
    for wait, cost in steps:
        now += wait
        if bucket.take("k", now=now, rate=rate, burst=burst, cost=cost) == 0:
            passed.append((now, cost))
    for first in range(len(passed)):
        total = 0.0
        for at, cost in passed[first:]:
            total += cost
            assert total <= burst + rate * (at - passed[first][0]) + 1e-6


@some
@given(steps=steps, rate=st.floats(0.05, 10), burst=st.floats(5, 20))
def test_who_waits_as_long_as_told_passes(steps, rate, burst):
    """The wait is enough, and no shorter one is: a moment earlier nothing passes."""
    bucket, now = Buckets(), 0.0
    for wait, cost in steps:
        now += wait
        told = bucket.take("k", now=now, rate=rate, burst=burst, cost=cost)
        if told > 1e-3:
            assert bucket.take("k", now=now + told * 0.999 - 1e-6, rate=rate, burst=burst, cost=cost) > 0
            now += told
            assert bucket.take("k", now=now, rate=rate, burst=burst, cost=cost) == 0


def test_names_do_not_share_until_there_are_too_many():
    """Each name has a bucket of its own; past the bound new ones share one, so that memory and what passes are bounded."""
    buckets = Buckets(most=100)
    assert all(buckets.take(f"n{i}", now=0.0, rate=1.0, burst=1.0) == 0 for i in range(100))
    assert sum(buckets.take(f"m{i}", now=0.0, rate=1.0, burst=1.0) == 0 for i in range(1000)) == 1
    assert len(buckets) == 101
    assert buckets.take("n5", now=0.5, rate=1.0, burst=1.0) == 0.5
    assert all(buckets.take(f"p{i}", now=9.0, rate=1.0, burst=1.0) == 0 for i in range(99))
    assert len(buckets) < 101


def test_what_is_larger_than_the_bucket_never_passes():
    """No wait helps a request of more bytes than a minute allows."""
    assert Buckets().take("k", now=0.0, rate=1.0, burst=60.0, cost=61.0) == math.inf


def test_a_meter_keeps_each_limit_of_a_key():
    """Requests, bytes and tokens are each kept to; a key without limits passes always."""
    clock, day = [0.0], [datetime(2030, 1, 1, 23, 0, tzinfo=UTC)]
    meter = Meter(clock=lambda: clock[0], utc=lambda: day[0])
    assert all(meter.take(key(), 10**9) == 0 for _ in range(1000))
    asked = key(requests_a_minute=60, burst=2)
    assert [meter.take(asked, 1) for _ in range(3)] == [0, 0, 1.0]
    large = key(bytes_a_minute=6000)
    assert [meter.take(large, 3000), meter.take(large, 3000), meter.take(large, 100)] == [0, 0, 1.0]
    assert meter.take(large, 6001) == math.inf
    paid = key(tokens_a_day=100)
    meter.spend("k", 60)
    assert meter.take(paid, 1) == 0
    meter.recall({"k": 101, "other": 5})
    assert meter.take(paid, 1) == 3600.0
    day[0] += timedelta(hours=1)
    assert (meter.take(paid, 1), meter.spent("k")) == (0, 0)
    meter.spend("k", 7)
    meter.recall({"k": 3})
    assert meter.spent("k") == 7
