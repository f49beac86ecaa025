"""Tests of guard/audit/keys.py: keys are shown once, kept as digests, and let in those alone who have one."""

import pytest

from trueline.guard.audit.keys import ANYONE, KeyRefusedError, Keyring, Limits, add, is_loopback, make_key, revoke
from trueline.store.keys import keys
from trueline.store.opening import open_database


def test_a_key_is_kept_as_a_digest_alone(tmp_path):
    """The database holds the label, the limits and a digest; the key itself is in no file of it."""
    database = open_database(tmp_path / "a.db")
    shown = add(database, " batch ", Limits(requests_a_minute=60, burst=5, tokens_a_day=1000))
    (row,) = keys(database)
    assert (row.label, row.requests_a_minute, row.burst, row.bytes_a_minute, row.tokens_a_day) == ("batch", 60, 5, 0, 1000)
    assert shown.startswith(f"tl-{row.id}-")
    secret = shown.split("-", 2)[2]
    database.dispose()
    assert not any(secret.encode() in path.read_bytes() for path in tmp_path.iterdir())
    assert len({make_key("a")[0] for _ in range(50)}) == 50


def test_a_key_is_let_in_until_it_is_revoked(tmp_path):
    """A key that was added or revoked counts from the next refresh on, which says whether anything changed."""
    database = open_database(tmp_path / "a.db")
    ring = Keyring.of(database)
    one, other = add(database, "one"), add(database, "other")
    assert ring.refresh()
    assert not ring.refresh()
    assert [ring.admit(key, "10.0.0.1").label for key in (one, other)] == ["one", "other"]
    revoke(database, ring.admit(one, "10.0.0.1").id)
    assert ring.refresh()
    with pytest.raises(KeyRefusedError, match="none that is valid"):
        ring.admit(one, "10.0.0.1")
    assert ring.admit(other, "10.0.0.1").label == "other"
    with pytest.raises(ValueError, match="guard keys list"):
        revoke(database, "none")


@pytest.mark.parametrize("change", [
    lambda key: "", lambda key: key[:-1], lambda key: key + "x", lambda key: key.upper(), lambda key: "tk" + key[2:],
    lambda key: key.rsplit("-", 1)[0], lambda key: "tl--" + key.split("-", 2)[2], lambda key: "tl-\ud800-\udfff",
])  # fmt: skip
def test_what_is_no_key_is_refused_in_the_same_words(change):
    """Nothing about a refusal tells an unknown key from a wrong one; not even this machine is let in without a key."""
    shown, row = make_key("a")
    ring = Keyring(lambda: [row])
    ring.refresh()
    with pytest.raises(KeyRefusedError, match=r"^expected a key of this gateway, got none that is valid; ask who runs it$"):
        ring.admit(change(shown), "127.0.0.1")


def test_without_keys_only_this_machine_is_let_in():
    """No key configured: loopback alone. Keys that were all revoked are keys; keys that are not read yet let nobody in."""
    ring = Keyring(list)
    with pytest.raises(KeyRefusedError, match="not read yet"):
        ring.admit("", "127.0.0.1")
    ring.refresh()
    assert ring.admit("", "127.0.0.1") == ANYONE
    with pytest.raises(KeyRefusedError, match="no key is configured"):
        ring.admit("", "192.168.1.5")
    shown, row = make_key("a")
    revoked = type(row)(id=row.id, label="a", digest=row.digest, created=row.created, revoked=row.created)
    ring = Keyring(lambda: [revoked])
    ring.refresh()
    with pytest.raises(KeyRefusedError, match="none that is valid"):
        ring.admit(shown, "127.0.0.1")


def test_keys_hold_while_the_database_is_away():
    """A refresh that fails leaves the keys that were read last."""
    shown, row = make_key("a")
    answers = iter([[row]])
    ring = Keyring(lambda: next(answers))
    ring.refresh()
    with pytest.raises(StopIteration):
        ring.refresh()
    assert ring.admit(shown, "10.0.0.1") == row


@pytest.mark.parametrize(
    ("peer", "ours"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("::ffff:10.0.0.1", False),
     ("0.0.0.0", False), ("localhost", False), ("127.0.0.1.example.org", False), ("", False)],
)  # fmt: skip
def test_loopback_is_told_by_the_address(peer, ours):
    """Only addresses of the loopback network are this machine, in IPv4, IPv6 and one mapped into the other."""
    assert is_loopback(peer) is ours


def test_labels_and_limits_are_checked():
    """A label that is empty, long or unprintable, and limits that mean nothing, are refused."""
    for label in ("", " ", "a\nb", "x" * 101):
        with pytest.raises(ValueError, match="label"):
            make_key(label)
    for wrong in ({"burst": -1}, {"burst": 5}, {"tokens_a_day": -1}):
        with pytest.raises(ValueError, match="expected"):
            Limits(**wrong)
