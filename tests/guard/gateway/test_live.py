"""The policy as it is now: a change is taken up, a broken one is not, and every version can be brought back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from trueline.guard.gateway.live import Live, rollback, versions
from trueline.guard.policy import PolicyError

ONE, TWO = ("rails: [{type: words, words: [marrow]}]\n", "rails: [{type: words, words: [carrot]}]\n")


def _written(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(text)
    return path


def test_a_change_is_taken_up_and_remembered(tmp_path: Path) -> None:
    """The next look has the new policy, the record its digest, and both versions are kept."""
    live = Live.open(_written(tmp_path, ONE), tmp_path / "state")
    first = live.basis.policy
    assert not asyncio.run(live.look())
    _written(tmp_path, TWO + "\n")
    assert asyncio.run(live.look())
    assert live.basis.policy == live.chain.policy.digest != first
    assert {version.digest for version in versions(tmp_path / "state")} == {first, live.basis.policy}


def test_a_broken_file_changes_nothing_until_it_is_mended(tmp_path: Path) -> None:
    """The policy that was good stays, and why is told; mending it ends the trouble."""
    live = Live.open(_written(tmp_path, ONE), tmp_path / "state")
    digest = live.chain.policy.digest
    for broken in ("rails: [\n", "rails: []\n", ""):
        _written(tmp_path, broken)
        assert not asyncio.run(live.look())
        assert live.chain.policy.digest == digest
        assert "policy.yaml" in live.trouble
    (tmp_path / "policy.yaml").unlink()
    assert not asyncio.run(live.look())
    _written(tmp_path, ONE + "\n\n")
    asyncio.run(live.look())
    assert (live.trouble, live.chain.policy.digest) == ("", digest)


def test_a_change_of_a_file_that_the_policy_names_is_a_change_of_the_policy(tmp_path: Path) -> None:
    """A list of words that grows is taken up like the policy itself."""
    (tmp_path / "banned.txt").write_text("marrow\n")
    live = Live.open(_written(tmp_path, "rails: [{type: words, file: banned.txt}]\n"), tmp_path / "state")
    first = live.chain.policy.digest
    (tmp_path / "banned.txt").write_text("marrow\ncarrot\n")
    assert asyncio.run(live.look())
    assert live.chain.policy.digest != first


def test_a_version_is_brought_back_by_the_first_letters_of_its_digest(tmp_path: Path) -> None:
    """Over the file itself, so that a gateway which serves it takes it up as any change."""
    path, state = _written(tmp_path, ONE), tmp_path / "state"
    live = Live.open(path, state)
    first = live.chain.policy.digest
    _written(tmp_path, TWO + "\n")
    asyncio.run(live.look())
    assert rollback(path, first[:8], state).digest == first
    assert asyncio.run(live.look())
    assert live.chain.policy.digest == first


@pytest.mark.parametrize("digest", ["", "zzzz"])
def test_a_version_that_is_not_there_is_refused(tmp_path: Path, digest: str) -> None:
    """The error lists those that are."""
    live = Live.open(_written(tmp_path, ONE), tmp_path / "state")
    with pytest.raises(PolicyError, match=live.chain.policy.digest[:12]):
        rollback(tmp_path / "policy.yaml", digest, tmp_path / "state")


def test_a_gateway_does_not_start_with_a_broken_policy(tmp_path: Path) -> None:
    """There is none to fall back on."""
    with pytest.raises(PolicyError):
        Live.open(_written(tmp_path, "rails: []\n"), tmp_path / "state")
