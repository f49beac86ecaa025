"""The model: one score a text, on every machine and in any company; and two files that cannot be changed unnoticed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.guard.learned.fitting import Fitted, fit
from trueline.guard.learned.hashing import BITS, BLOCK, features
from trueline.guard.learned.linear import OVERLAP, Linear
from trueline.guard.learned.model import ModelError
from trueline.guard.learned.table import Table
from trueline.guard.learned.training import Lessons

RANDOM = np.random.Generator(np.random.PCG64(5))
MODEL = Linear(weights=RANDOM.integers(-500, 500, 2**BITS).astype(np.int16), scale=0.001, bias=-0.25, threshold=1.0)
TEXTS = st.text("abc né,ŝ☃42-", min_size=2, max_size=80)


@given(TEXTS, TEXTS, TEXTS)
@settings(deadline=None, max_examples=40)
def test_equal_parts_have_equal_features_wherever_they_stand(before, part, after):
    """A hash depends on what it is of, and not on what stands around it."""
    first, data = before.encode(), part.encode()
    alone, inside = features(data), features(first + data + after.encode())
    for own, whole in zip(alone.grams, inside.grams, strict=True):
        assert own.tolist() == whole[len(first) : len(first) + len(own)].tolist()


def test_features_are_the_same_on_every_machine():
    """The numbers themselves, since a model is worth nothing where they differ."""
    found = features("a né b".encode())
    assert [row.tolist()[:2] for row in found.grams] == [[19635, 96331], [38176, 14562], [122466, 158876], [222771, 244224]]
    assert found.one.tolist() == [23290, 208437, 173441]


def test_words_are_runs_of_letters_and_digits_of_any_script():
    """Pairs join neighbours, whatever stands between."""
    one, two = features("né, 42".encode()), features("né -- 42".encode())
    assert one.words.tolist() == [0, 5]
    assert one.one.tolist() == two.one.tolist()
    assert one.two.tolist() == two.two.tolist()


@given(st.lists(TEXTS, min_size=2, max_size=6))
@settings(deadline=None, max_examples=40)
def test_a_score_does_not_depend_on_company(texts):
    """In a table with others a text weighs what it weighs alone, and the model's own score is never below it."""
    weights = (MODEL.weights * MODEL.scale).astype(np.float32)
    together = Table.of(texts).times(weights)
    for text, sum_ in zip(texts, together, strict=True):
        assert Table.of([text]).times(weights)[0] == pytest.approx(sum_, abs=1e-5)
        assert MODEL.score(text) >= sum_ + MODEL.bias - 1e-4


def test_a_sentence_is_not_drowned_in_a_page():
    """The windows see what the whole hides, also across the border of two blocks."""
    bad = "mirdle vosk grelk " * 12
    weights = np.zeros(2**BITS, np.int16)
    weights[features(bad.encode()).flat()] = 100
    model = Linear(weights=weights, scale=0.01, bias=0.0, threshold=0.0)
    page = "0123456789 " * 12_000
    alone = model.score(bad)
    for place in (0, 5_000, BLOCK - OVERLAP - 70, BLOCK - 70, len(page)):
        assert model.score(page[:place] + bad + page[place:]) > alone / 2
    assert model.score(page) < alone / 4


def test_short_texts_have_scores():
    """Nothing at all is worth the constant, and one letter is no error."""
    assert MODEL.score("") == MODEL.bias
    for text in ("a", "ab", "?", "é", "\ud800"):
        assert np.isfinite(MODEL.score(text))


def test_a_model_is_read_as_it_was_written(tmp_path):
    """The same scores, the same digest, and the same bytes each time it is written."""
    MODEL.save(tmp_path / "one")
    MODEL.save(tmp_path / "two")
    read = Linear.load(tmp_path / "one")
    assert read.digest == MODEL.digest
    assert read.score("to be, or not to be") == MODEL.score("to be, or not to be")
    for name in ("rail.safetensors", "rail.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert Linear.load(tmp_path / "one" / "rail.json").digest == MODEL.digest


def _threshold(folder):
    rest = json.loads((folder / "rail.json").read_text())
    (folder / "rail.json").write_text(json.dumps({**rest, "threshold": 99.0}))


def _endless(folder):
    """Above no number is no text."""
    rest = json.loads((folder / "rail.json").read_text())
    (folder / "rail.json").write_text(json.dumps({**rest, "threshold": float("nan")}))


def _weight(folder):
    data = bytearray((folder / "rail.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "rail.safetensors").write_bytes(data)


def _scheme(folder):
    rest = json.loads((folder / "rail.json").read_text())
    (folder / "rail.json").write_text(json.dumps({**rest, "scheme": {"hash": "other"}}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_threshold, "were changed"),
        (_endless, "finite"),
        (_weight, "were changed"),
        (_scheme, "other"),
        (lambda folder: (folder / "rail.safetensors").unlink(), "rail.safetensors"),
        (lambda folder: (folder / "rail.safetensors").write_bytes(b"no"), "rail.safetensors"),
        (lambda folder: (folder / "rail.json").write_text("[]"), "rail.json"),
        (lambda folder: (folder / "rail.json").unlink(), "guard train"),
    ],
)
def test_a_model_that_was_changed_is_refused(tmp_path, change, said):
    """A threshold, a single bit, other features, a file that is missing or none of ours."""
    MODEL.save(tmp_path)
    change(tmp_path)
    with pytest.raises(ModelError, match=said):
        Linear.load(tmp_path)


def test_fitting_is_the_same_each_time_and_both_labels_count_the_same():
    """Ten benign texts to one attack move the constant no further than one to one."""
    texts = ["vosk grelk", *(f"plain words {n}" for n in range(10))]
    labels = np.array([True] + [False] * 10)
    lessons = Lessons(texts=texts, table=Table.of(texts), labels=labels, importance=np.ones(11, np.float32))
    once, again = (fit(lessons.table, labels, lessons.share) for _ in range(2))
    assert isinstance(once, Fitted)
    assert once.bias == again.bias
    assert (once.weights == again.weights).all()
    odds = lessons.table.times(once.weights) + once.bias
    assert odds[0] > 0
    assert (odds[1:] < 0).all()
    with pytest.raises(ValueError, match="only attacks"):
        _ = replace(lessons, labels=np.ones(11, bool)).share
