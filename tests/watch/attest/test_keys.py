"""Keys: for their owner alone, never written over, never shown."""

from __future__ import annotations

import hashlib
import stat

import pytest

pytest.importorskip("cryptography", reason="the extra `watch` is not installed")

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from tests.calling import trueline
from trueline.watch.attest.keys import KEY, PASSPHRASE, SigningKeyError, new_key, public_key, read_key, trusted, write_key


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.delenv(PASSPHRASE, raising=False)


def test_a_key_is_its_owners_alone_and_comes_back(tmp_path):
    """The file has mode 0600 from the start, no temporary one is left, and what is read signs as what was written."""
    key = new_key()
    public = write_key(key, tmp_path / "team.key")
    assert stat.S_IMODE((tmp_path / "team.key").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["team.key", "team.key.pub"]
    again = read_key(tmp_path / "team.key")
    assert again.public == key.public
    assert key.public.signed(again.sign(b"m"), b"m")
    assert not key.public.signed(again.sign(b"m"), b"n")
    assert trusted(str(public)) == key.public.fingerprint == trusted(key.public.fingerprint)
    assert public_key(key.public.keyid) == key.public


def test_the_fingerprint_is_that_of_the_der(tmp_path):
    """What people compute with other tools is what is printed here."""
    key = new_key()
    der = load_pem_public_key(key.public.pem.encode()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert key.public.fingerprint == f"sha256:{hashlib.sha256(der).hexdigest()}"


def test_a_key_is_never_written_over(tmp_path):
    """A second key of the same name is refused, and the first one stands as it was."""
    write_key(new_key(), tmp_path / "k")
    before = (tmp_path / "k").read_bytes()
    with pytest.raises(SigningKeyError, match="never written over"):
        write_key(new_key(), tmp_path / "k")
    (tmp_path / "k.pub").unlink()
    with pytest.raises(SigningKeyError, match="never written over"):
        write_key(new_key(), tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


def test_a_passphrase_encrypts_the_file(tmp_path, monkeypatch):
    """With a passphrase the file is encrypted; without it, or with another one, it stays shut, and neither is shown."""
    monkeypatch.setenv(PASSPHRASE, "open sesame")
    write_key(new_key(), tmp_path / "k")
    assert "ENCRYPTED" in (tmp_path / "k").read_text()
    assert read_key(tmp_path / "k")
    for phrase in ("", "other phrase"):
        monkeypatch.setenv(PASSPHRASE, phrase)
        with pytest.raises(SigningKeyError, match=PASSPHRASE) as caught:
            read_key(tmp_path / "k")
        assert "sesame" not in str(caught.value)
        assert "other phrase" not in str(caught.value)


def test_a_file_that_others_may_read_is_refused(tmp_path):
    """A private key that lies open is no private key."""
    write_key(new_key(), tmp_path / "k")
    (tmp_path / "k").chmod(0o640)
    with pytest.raises(SigningKeyError, match="chmod 600"):
        read_key(tmp_path / "k")


def test_the_environment_holds_a_key_or_names_its_file(tmp_path, monkeypatch):
    """Both forms give the same key; a text that is none is not repeated in the error."""
    key = new_key()
    write_key(key, tmp_path / "k")
    for value in (str(tmp_path / "k"), (tmp_path / "k").read_text()):
        monkeypatch.setenv(KEY, value)
        assert read_key(None).public == key.public
    for value in ("s3cret-thing", "-----BEGIN PRIVATE KEY-----\ns3cret-thing\n-----END PRIVATE KEY-----"):
        monkeypatch.setenv(KEY, value)
        with pytest.raises(SigningKeyError) as caught:
            read_key(None)
        assert "s3cret" not in str(caught.value)
    assert str(tmp_path) not in repr(key)
    assert key._key.private_bytes_raw().hex() not in repr(key)


@pytest.mark.parametrize("word", ["sha256:abcd", "sha256:" + "g" * 64, "nowhere.pub"])
def test_only_whole_fingerprints_and_keys_are_trusted(word):
    """The beginning of a fingerprint could be forged, so it is refused; so is what is neither."""
    with pytest.raises(SigningKeyError):
        trusted(word)


def test_the_command_prints_the_public_half_alone(tmp_path):
    """`key new` shows the public key and its fingerprint, and nothing of the private one."""
    done = trueline("watch", "key", "new", "--out", tmp_path / "k")
    assert (done.code, done.err) == (0, "")
    secret = (tmp_path / "k").read_text().splitlines()[1]
    assert secret not in done.out
    assert read_key(tmp_path / "k").public.fingerprint in done.out
    again = trueline("watch", "key", "new", "--out", tmp_path / "k", "--json")
    assert again.code == 2
    assert "never written over" in again.err
