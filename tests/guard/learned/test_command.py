"""`trueline guard train`, from files to a rail in a policy."""

from __future__ import annotations

import json

from click.testing import CliRunner

from tests.guard.learned.toy import examples
from trueline.cli.guard import guard
from trueline.guard.gateway.live import basis_of
from trueline.guard.policy import policy_of


def test_a_model_is_trained_and_stands_in_a_policy(tmp_path):
    """What the command prints is what it wrote, and the audit's basis names the model by its digest."""
    for name, attack in (("bad.jsonl", True), ("good.jsonl", False)):
        rows = [json.dumps({"prompt": example.text}) for example in examples() if example.attack is attack]
        (tmp_path / name).write_text("\n".join(rows))
    words = [
        "train",
        str(tmp_path / "bad.jsonl"),
        "--benign",
        str(tmp_path / "good.jsonl"),
        "--out",
        str(tmp_path / "m"),
        "--json",
    ]
    done = CliRunner().invoke(guard, words)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["fpr"] == 0.01
    assert set(told["files"].values()) == {"bad.jsonl", "good.jsonl"}
    policy = policy_of({"rails": [{"type": "learned", "name": "tier0", "model": str(tmp_path / "m")}]})
    assert basis_of(policy).models == {"tier0": told["digest"]}


def test_one_kind_alone_is_an_error_in_one_line(tmp_path):
    """Bad usage, and no folder."""
    (tmp_path / "bad.jsonl").write_text('{"prompt": "vosk"}\n')
    done = CliRunner().invoke(guard, ["train", str(tmp_path / "bad.jsonl"), "--out", str(tmp_path / "m")])
    assert done.exit_code == 2
    assert "--benign" in done.output
    assert not (tmp_path / "m").exists()
