"""The transformer of the learned rail: trained by the command, run without torch, and refused where its folder was changed."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from functools import cache, partial

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.guard.learned.toy import examples
from tests.guard.rails.fakes import asked, check
from trueline.cli.guard import guard
from trueline.core.types import Conversation
from trueline.guard.chain import Chain
from trueline.guard.gateway.live import basis_of
from trueline.guard.guarded import Guarded
from trueline.guard.learned.graph import tensors
from trueline.guard.learned.loading import load_model
from trueline.guard.learned.model import ModelError
from trueline.guard.learned.onnx_file import onnx_bytes, weights_in
from trueline.guard.learned.table import Table
from trueline.guard.learned.training import Lessons
from trueline.guard.learned.transformer import Transformer
from trueline.guard.learned.words import COLUMNS, windows, words
from trueline.guard.policy import PolicyError, policy_of
from trueline.guard.rails import Learned
from trueline.recipes import guard_classifier
from trueline.recipes.guard_classifier import SmallTransformer, whole
from trueline.targets.wrappers import Scripted

pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'trueline[onnx]'")

BAD, GOOD = "mirkin the grelk of my shed, tulipa a spade", "mirkin, where in the shed did I leave the spade?"
TINY = SmallTransformer(width=16, layers=1, heads=2, tokens=512, often=8)
# Rounding to 7 bits moves a score by about a hundredth of a unit of log-odds; a wrong graph moves it by whole units.
TOLERANCE = 0.1


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The toy's folder, as the command writes it, and what the command said."""
    room = tmp_path_factory.mktemp("toy")
    for name, attack in (("bad.jsonl", True), ("good.jsonl", False)):
        rows = [json.dumps({"prompt": example.text}) for example in examples() if example.attack is attack]
        (room / name).write_text("\n".join(rows))
    said = ["train", str(room / "bad.jsonl"), "--benign", str(room / "good.jsonl"), "--model", "transformer"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard_classifier, "SmallTransformer", lambda: TINY)
        done = CliRunner().invoke(guard, [*said, "--out", str(room / "m"), "--json"])
    assert done.exit_code == 0, done.output
    return room / "m", json.loads(done.stdout)


def test_the_command_trains_one_that_finds_what_it_learned(made):
    """What it prints is what it wrote; out of fold it tells the toy's kinds apart; the audit names it by its digest."""
    folder, told = made
    assert told["model"] == "transformer"
    recall = next(line["acted"]["value"] for line in told["sources"] if line["attack"])
    assert recall > 0.8
    policy = policy_of({"rails": [{"type": "learned", "name": "tier1", "model": str(folder)}]})
    assert basis_of(policy).models == {"tier1": told["digest"]}


def test_it_is_asked_in_a_thread_and_blocks_through_a_guard(made):
    """A model that takes milliseconds does not hold up others; what is above the threshold does not reach the target."""
    policy = policy_of({"rails": [{"type": "learned", "model": str(made[0])}]})
    assert not policy.seats[0].rail.inline
    target = Guarded(target=Scripted(answers=("fine",)), chain=Chain(policy=policy))
    replies = [asyncio.run(target.reply(Conversation().say("user", text))).text for text in (GOOD, BAD)]
    assert replies == ["fine", policy.message]


def test_the_graph_scores_as_the_torch_model_does_and_training_is_the_same_each_time():
    """Within what rounding the weights and states to whole numbers takes."""
    lessons, classifier, model = _lessons(), _classifier(), TINY(_lessons())
    for text in lessons.texts[:20]:
        rows = words(text)
        classifier.lexicon = torch.from_numpy(np.concatenate([np.zeros((1, COLUMNS), np.int64), rows]))
        ids = torch.arange(len(rows) + 1)[None]
        with torch.no_grad():
            expected = classifier(ids, ids == len(rows)).value[0, -1]
        assert abs(model.score(text) - float(expected)) < TOLERANCE
    spread = [model.score(text) for text in lessons.texts]
    assert max(spread) - min(spread) > 10 * TOLERANCE
    assert model.graph == onnx_bytes(model.size, whole(classifier, model.size))  # trained twice, the same to the last bit


def test_padding_and_neighbours_change_no_score():
    """In a batch with longer texts a text has the score that it has alone."""
    rows = [words(text) for text in _lessons().texts[:6]]
    classifier = _classifier()
    classifier.lexicon = torch.from_numpy(np.concatenate([np.zeros((1, COLUMNS), np.int64), *rows]))
    starts, width = np.cumsum([1, *map(len, rows)]), max(map(len, rows)) + 1
    ids, mask = torch.zeros((6, width), dtype=torch.long), torch.zeros((6, width), dtype=torch.bool)
    for i, own in enumerate(rows):
        ids[i, 1 : len(own) + 1] = torch.arange(starts[i], starts[i + 1])
        mask[i, len(own)] = True
    with torch.no_grad():
        together = classifier(ids, mask).value[mask]
        alone = [
            classifier(ids[i : i + 1, : len(own) + 1], mask[i : i + 1, : len(own) + 1]).value[0, -1]
            for i, own in enumerate(rows)
        ]
    assert together.tolist() == pytest.approx([float(one) for one in alone], abs=1e-4)


def test_a_text_is_worth_the_most_of_its_windows(made):
    """A sentence is not drowned in a page, and the same text has the same score each time."""
    model = load_model(made[0])
    page = f"{GOOD} " * 40
    text = page + f"{BAD} " * 12 + page
    assert model.score(text) == max(model.score_of(window) for window in windows(words(text)))
    assert model.score(text) > model.threshold
    assert model.score(text) == load_model(made[0]).score(text)


def test_texts_without_words_have_scores(made):
    """Nothing at all, marks alone, a half of a pair."""
    for text in ("", "?!", "é", "\ud800"):
        assert np.isfinite(load_model(made[0]).score(text))


def _byte(folder):
    path = folder / "rail.onnx"
    data = bytearray(path.read_bytes())
    data[5_000_000 % len(data)] ^= 1
    path.write_bytes(data)


def _infinite(folder):
    _rewritten(folder, "norm_out", lambda one: one * np.float32("inf"))


def _rest(**changes):
    def change(folder):
        path = folder / "rail.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def _rewritten(folder, name, how):
    """A whole new file of the same graph."""
    size = Transformer.load(folder).size
    found = weights_in(size, (folder / "rail.onnx").read_bytes())
    (folder / "rail.onnx").write_bytes(onnx_bytes(size, {**found, name: how(found[name])}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_byte, "were changed|expected the graph"),
        (partial(_rewritten, name="score", how=lambda one: -one), "were changed"),
        (_infinite, "finite"),
        (_rest(threshold=99.0), "were changed"),
        (_rest(threshold=float("nan")), "finite"),
        (_rest(threshold="1"), "guard train"),
        (_rest(size={}), "guard train"),
        (_rest(size={"buckets": 2**20, "width": 512, "layers": 12, "heads": 8, "places": 129}), "train it again"),
        (_rest(scheme={"model": "transformer-1"}), "expected a model of"),
        (_rest(trained=3), "guard train"),
        (lambda folder: (folder / "rail.onnx").unlink(), "rail.onnx"),
        (lambda folder: (folder / "rail.onnx").write_bytes(b"\x08\x08"), "rail.onnx"),
        (lambda folder: (folder / "rail.json").write_text("[" * 100_000), "rail.json"),
        (lambda folder: (folder / "rail.json").write_text(" " * 2_000_000), "at most"),
    ],
)
def test_a_folder_that_was_changed_is_refused(made, tmp_path, change, said):
    """A byte, a threshold, numbers that are none, a file that is missing, cut off, too large or none of ours."""
    shutil.copytree(made[0], tmp_path / "m")
    change(tmp_path / "m")
    with pytest.raises(ModelError, match=said):
        load_model(tmp_path / "m")
    with pytest.raises(PolicyError, match="model"):
        policy_of({"rails": [{"type": "learned", "model": str(tmp_path / "m")}]})


def test_scores_that_are_no_numbers_block(made, tmp_path):
    """Weights so large that their products have no number: the rail breaks, and a rail that breaks blocks."""
    size = load_model(made[0]).size
    found = weights_in(size, (made[0] / "rail.onnx").read_bytes())
    huge = {
        name: np.full(shape, 3e38, kind) if kind == "float32" else found[name] for name, (kind, shape) in tensors(size).items()
    }
    Transformer(size=size, graph=onnx_bytes(size, huge), threshold=0.0).save(tmp_path)
    with pytest.raises(ModelError, match="too large"):
        check(Learned(model=str(tmp_path)), asked(GOOD))


def test_without_onnxruntime_it_says_what_to_install(made, monkeypatch, tmp_path):
    """At the rim: when a policy is read, and before anything is trained."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(PolicyError, match=r"pip install 'trueline\[onnx\]'"):
        policy_of({"rails": [{"type": "learned", "model": str(made[0])}]})
    (tmp_path / "bad.jsonl").write_text('{"prompt": "vosk"}\n')
    said = ["train", str(tmp_path / "bad.jsonl"), "--model", "transformer", "--out", str(tmp_path / "m")]
    done = CliRunner().invoke(guard, said)
    assert done.exit_code == 2
    assert "trueline[onnx]" in done.output


def test_it_runs_without_torch(made):
    """A guard with such a rail loads onnxruntime and no torch; one without loads neither."""
    code = (
        "import sys, trueline.guard.policy as p\n"
        "p.policy_of({'rails': [{'type': 'jailbreak'}]})\n"
        "assert not {'torch', 'onnxruntime', 'numpy'} & sys.modules.keys()\n"
        f"p.policy_of({{'rails': [{{'type': 'learned', 'model': {str(made[0])!r}}}]}})\n"
        "assert 'onnxruntime' in sys.modules and 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@cache
def _classifier():
    return TINY.trained_on(_lessons()).eval()


def _lessons():
    rows = examples()
    texts = [row.text.lower() for row in rows]
    labels = np.array([row.attack for row in rows])
    return Lessons(texts=texts, table=Table.of(texts), labels=labels, importance=np.ones(len(rows), np.float32))
