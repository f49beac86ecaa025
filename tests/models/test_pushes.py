"""Weights on their way to a server: whole folders, merged adapters, labels, and both of vLLM's doors."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.contract_server import contract_server
from tests.models.small import tiny_policy
from trueline.models.adapters import Adapter
from trueline.models.checkpoint import digest_of
from trueline.models.policy import Policy
from trueline.models.pushes import KEEP, Reload, Transfer, weights_of
from trueline.models.remote import Remote, StaleError
from trueline.models.remote_http import RemoteError

PROMPT = [1, 4, 8, 9, 5]
ROW = [*PROMPT, *range(8, 20)]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start") / "model"
    tiny_policy().save(folder)
    return folder


@pytest.fixture(scope="module")
def server(start):
    with contract_server(start) as url:
        yield url


@pytest.fixture
def remote(server, start):
    found = Remote.at(server, tiny_policy().codec)
    yield found
    found.wire.post("/fault", {"name": "free"})


@torch.no_grad()
def moved(policy, by=0.05, seed=0):
    """The policy with every trained weight moved a little."""
    noise = torch.Generator().manual_seed(seed)
    for parameter in policy.parameters():
        if parameter.requires_grad:
            parameter.add_(by * torch.randn(parameter.shape, generator=noise))
    return policy


def trainers(policy):
    """What the trainer gives the tokens of ROW after the first."""
    tokens = torch.tensor([ROW])
    with torch.no_grad():
        return policy(tokens, torch.ones_like(tokens, dtype=torch.bool), frozenset({"logp"})).logp[0, 1:].tolist()


def test_a_reload_is_what_the_server_samples_with(remote, tmp_path):
    """After a push the server scores as the trainer does, and its samples bear the label of the weights."""
    policy = moved(Policy.load(remote.wire.get("/v1/models")["data"][0]["root"]))
    before = remote.score([ROW])[0]
    pushed = Reload(remote.wire, tmp_path / "pushed").push(policy, 1)
    assert remote.score([ROW])[0] == pytest.approx(trainers(policy), abs=1e-5)
    assert before != pytest.approx(trainers(policy), abs=1e-2)
    assert pushed.checksum == digest_of(weights_of(policy))
    assert pushed.label == f"1-{pushed.checksum[:16]}"
    assert remote.sample([PROMPT], max_tokens=4, label=pushed.label)
    with pytest.raises(StaleError, match=f"'{pushed.label}', expected '2-other'"):
        remote.sample([PROMPT], max_tokens=4, label="2-other")


def test_a_push_is_a_model_folder_and_old_ones_go(remote, start, tmp_path):
    """Each version is a folder that loads by itself; nothing half-written and no more than a few are left."""
    policy, pushes = Policy.load(start), Reload(remote.wire, tmp_path)
    (tmp_path / ".weights-00000007.1.tmp").mkdir()  # what a killed process left
    for version in range(4):
        pushes.push(moved(policy, seed=version), version)
    there = sorted(p.name for p in tmp_path.glob("weights-*"))
    assert there == [f"weights-{v:08d}" for v in range(4)][-KEEP:]
    again = Policy.load(tmp_path / there[-1])
    assert digest_of(weights_of(again)) == digest_of(weights_of(policy))
    pushes.push(policy, 1)  # a run that is taken up goes back to its checkpoint
    assert sorted(p.name for p in tmp_path.glob("weights-*")) == ["weights-00000001", "weights-00000003"]
    pushes.push(policy, 1)
    assert sorted(p.name for p in tmp_path.glob("weights-*")) == ["weights-00000001", "weights-00000003"]


def test_an_adapter_is_merged_before_it_is_pushed(remote, start, tmp_path):
    """What the server gets is an ordinary model that says what the adapted one says, and the adapter stays trainable here."""
    pytest.importorskip("peft", reason="adapters need peft: pip install 'trueline[lora]'")
    policy = Policy.load(start).adapt(Adapter(rank=2))
    bare = trainers(policy)
    moved(policy, by=0.3)
    Reload(remote.wire, tmp_path).push(policy, 1)
    assert remote.score([ROW])[0] == pytest.approx(trainers(policy), abs=1e-4)
    assert remote.score([ROW])[0] != pytest.approx(bare, abs=1e-2)
    assert (
        load_file(tmp_path / "weights-00000001" / "model.safetensors").keys() == load_file(start / "model.safetensors").keys()
    )
    assert {n for n, p in policy.named_parameters() if p.requires_grad} == {
        n for n, _ in policy.named_parameters() if "lora_" in n
    }


def test_a_folder_is_told_as_the_server_sees_it(remote, start, tmp_path):
    """`seen_as` is the path that is sent, and a folder that the server cannot read is an error that says so."""
    link = tmp_path / "seen"
    link.symlink_to(tmp_path / "here")
    policy = moved(Policy.load(start))
    Reload(remote.wire, tmp_path / "here", seen_as=f"{link}/").push(policy, 1)
    assert remote.score([ROW])[0] == pytest.approx(trainers(policy), abs=1e-5)
    with pytest.raises(RemoteError, match=r"could it not read /nowhere/weights-00000002\?.*sampler\.seen_as"):
        Reload(remote.wire, tmp_path / "here", seen_as="/nowhere").push(policy, 2)
    assert remote.sample([PROMPT], max_tokens=2), "a push that failed leaves the server at work"


def test_a_server_that_does_not_open_its_doors_is_told_how(remote, start, tmp_path):
    """Without development mode there is no reload, and the message says what starts one."""
    remote.wire.post("/fault", {"name": "closed"})
    with pytest.raises(RemoteError, match="VLLM_SERVER_DEV_MODE=1"):
        Reload(remote.wire, tmp_path).push(Policy.load(start), 1)


def test_a_server_that_labels_no_samples_is_asked_what_it_has(remote, start, tmp_path):
    """Where samples do not say which weights made them, the server does, after each request for samples."""
    remote.wire.post("/fault", {"name": "unsaid"})
    pushed = Reload(remote.wire, tmp_path).push(moved(Policy.load(start)), 1)
    assert remote.sample([PROMPT], max_tokens=4, label=pushed.label)
    with pytest.raises(StaleError, match=f"'{pushed.label}', expected '2-other'"):
        remote.sample([PROMPT], max_tokens=4, label="2-other")


def test_labels_of_a_server_that_has_none_are_left_to_the_probe(remote, start, tmp_path):
    """A server without weight versions is pushed to all the same."""
    remote.wire.post("/fault", {"name": "unlabelled"})
    policy = moved(Policy.load(start))
    pushed = Reload(remote.wire, tmp_path).push(policy, 1)
    assert remote.sample([PROMPT], max_tokens=4, label=pushed.label)


class ByFile:
    """A transport in a broadcast's place: the server waits for a file as it would for its sender."""

    def __init__(self, folder):
        self.folder, self.sent = folder, 0

    def begin(self):
        return {"folder": str(self.folder)}

    def about(self, tensors):
        return {"file": str(self.folder / f"{self.sent}.safetensors")}

    def send(self, tensors):
        save_file({n: t.contiguous() for n, t in tensors.items()}, self.folder / "part")
        (self.folder / "part").rename(self.folder / f"{self.sent}.safetensors")
        self.sent += 1


def test_a_transfer_goes_through_its_four_phases(remote, start, tmp_path):
    """Init once, then start, update while tensors are sent, finish with the label; the server is then as after a reload."""
    policy, pushes = moved(Policy.load(start)), Transfer(remote.wire, ByFile(tmp_path))
    before = len(remote.wire.get("/log")["paths"])
    pushes.push(policy, 1)
    pushed = pushes.push(moved(policy), 2)
    paths = remote.wire.get("/log")["paths"][before:]
    update = ["/pause", "/start_weight_update", "/update_weights", "/finish_weight_update", "/reset_prefix_cache", "/resume"]
    assert paths == ["/init_weight_transfer_engine", *update, *update]
    assert remote.score([ROW])[0] == pytest.approx(trainers(policy), abs=1e-5)
    assert remote.sample([PROMPT], max_tokens=4, label=pushed.label)


def test_a_checksum_that_differs_is_refused(remote, start, tmp_path, monkeypatch):
    """A server that tells the checksum of what it read is held to it, and the message names version and both checksums."""
    monkeypatch.setattr("trueline.models.pushes.digest_of", lambda tensors: "0" * 64)
    with pytest.raises(StaleError, match=r"holds weights of checksum [0-9a-f]{16}, expected version 4 with 0{16}"):
        Reload(remote.wire, tmp_path).push(Policy.load(start), 4)
