"""Tests of store/keys.py: the gateway's keys are kept as they are, and stay revoked."""

from trueline.store.keys import KeyRow, keys, revoke_key, save_key
from trueline.store.opening import open_database


def test_keys_are_kept_and_revoked_once(url):
    """A key comes back equal; revoked, it keeps the time at which it first was; an unknown id is told."""
    database = open_database(url)
    one = KeyRow(id="a", label="é", digest="d", created="2030-01-01", tokens_a_day=2**40, requests_a_minute=5, burst=2)
    other = KeyRow(id="b", label="", digest="e", created="2030-01-02")
    save_key(database, other)
    save_key(database, one)
    assert keys(database) == [one, other]
    assert revoke_key(database, "a", "2031")
    assert revoke_key(database, "a", "2032")
    assert not revoke_key(database, "none", "2031")
    assert [key.revoked for key in keys(database)] == ["2031", None]
    database.dispose()
