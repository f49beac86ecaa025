"""The same sampler, pushes and probe against vLLM itself, where its program can be had; tests/contract_server.py elsewhere.

    TRUELINE_VLLM=/path/to/its/venv/bin/vllm python -m pytest tests/models/test_vllm.py

vLLM lives in an environment of its own (decisions/0022), so it is found by its program: that variable, or the PATH.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager, suppress

import pytest

from benchmarks.rollouts import make
from tests.models.test_pushes import moved
from trueline.models.arrival import Probed
from trueline.models.policy import Policy
from trueline.models.pushes import Reload
from trueline.models.remote import Remote, StaleError
from trueline.models.remote_http import RemoteError

PROGRAM = os.environ.get("TRUELINE_VLLM") or shutil.which("vllm")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAM, reason="no vLLM here: name the program of its venv in TRUELINE_VLLM"),
]
PROMPTS = [[1, 4, *(8 + (i + k) % 12 for k in range(20)), 5] for i in range(6)]  # longer than a block of the prefix cache


@contextmanager
def serving(folder):
    """vLLM on a model folder, in float32; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [PROGRAM, "serve", folder, "--host", "127.0.0.1", "--port", port, "--dtype", "float32"]
    command += ["--logprobs-mode", "processed_logprobs", "--max-model-len", 128, "--enforce-eager"]
    env = {
        **{k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "HF_HUB_OFFLINE": "1",
    }
    env |= {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    written = folder.with_name("log")
    with written.open("wb") as log:
        process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, env=env, start_new_session=True)
        try:
            until = time.monotonic() + 480  # it imports, compiles and looks around for a minute
            while True:
                with suppress(RemoteError):
                    Remote.at(f"http://127.0.0.1:{port}", Policy.load(folder).codec)
                    break
                assert process.poll() is None, written.read_text()[-3000:]
                assert time.monotonic() < until, written.read_text()[-3000:]
            yield f"http://127.0.0.1:{port}"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            process.wait(60)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model and the server that has it."""
    folder = tmp_path_factory.mktemp("vllm") / "model"
    make(folder)
    with serving(folder) as url:
        yield folder, url


@pytest.fixture
def policy(served):
    return Policy.load(served[0])


@pytest.fixture
def remote(served, policy):
    return Remote.at(served[1], policy.codec)


def test_it_reads_text_as_we_do_and_gives_back_ids(remote, policy):
    """The tokenizer of a saved folder is the same there, ids come back with finite log-probabilities, and seeds are kept."""
    remote.fits(policy.codec)
    drawn = remote.sample(PROMPTS, count=4, max_tokens=8, temperature=0.7, seed=3)
    assert [len(g) for g in drawn] == [4] * 6
    assert len({s.ids for s in drawn[0]}) > 1
    assert [[s.ids for s in g] for g in remote.sample(PROMPTS, count=4, max_tokens=8, temperature=0.7, seed=3)] == [
        [s.ids for s in g] for g in drawn
    ]
    assert {s.finish for g in drawn for s in g} <= {"stop", "length"}
    assert len(remote.sample(PROMPTS[:1], count=3, max_tokens=4, temperature=0.0)[0]) == 3


def test_pushed_weights_are_what_it_samples_with(remote, policy, tmp_path):
    """Push after push, scores and samples are the trainer's in float32; samples bear the label of the weights."""
    pushes = Probed(Reload(remote.wire, tmp_path / "pushed"), remote, PROMPTS, temperature=0.7, bound=1e-3)
    for version in range(3):
        pushed = pushes.push(moved(policy, by=0.02, seed=version), version)
        assert pushed.gap < 1e-3
        assert remote.sample(PROMPTS[:1], max_tokens=4, label=pushed.label)
    with pytest.raises(StaleError, match="expected 'other'"):
        remote.sample(PROMPTS[:1], max_tokens=4, label="other")


def test_weights_that_were_not_pushed_are_found_out(remote, policy, tmp_path):
    """A trainer that moved on without a push is told that the server answers as before."""
    reload = Reload(remote.wire, tmp_path / "pushed")
    pushes = Probed(reload, remote, PROMPTS)
    pushed = pushes.push(policy, 0)
    pushes.pushes = type("Lost", (), {"push": lambda self, policy, version: pushed})()
    with pytest.raises(StaleError, match="answers as with version 0"):
        pushes.push(moved(policy, by=0.01), 1)


def test_a_tied_model_is_right_or_refused(tmp_path):
    """Where a reload leaves the output matrix of a tied model behind, as in vLLM 0.32 on a CPU, the first probe refuses it."""
    make(tmp_path / "model", tied=True)
    policy = Policy.load(tmp_path / "model")
    with serving(tmp_path / "model") as url:
        remote = Remote.at(url, policy.codec)
        pushes = Probed(Reload(remote.wire, tmp_path / "pushed"), remote, PROMPTS, bound=1e-3)
        assert pushes.push(policy, 0).gap < 1e-3
        with suppress(StaleError):
            assert pushes.push(moved(policy, by=0.02), 1).gap < 1e-3
