"""The matrix: each model meets each pack, what nothing fits is said, past lies beside future, and nothing is asked twice.

pytest tests/recipes/test_matrix.py
"""

from __future__ import annotations

import pytest

from tests.recipes import toys
from tests.recipes.endpoint import NO, YES, endpoint, says
from trueline.attack.packs import PackError
from trueline.cluster.executor import Local
from trueline.core.config import ConfigError
from trueline.recipes.matrix import Matrix
from trueline.recipes.running import order
from trueline.recipes.studio import RecipeError

OLD, NEW = (
    "name: old\nversion: 1\ndate: 2023-05\nattacks: [role]\n",
    "name: new\nversion: 1\ndate: 2024-05\nattacks: [past]\n",
)


def told(found, title):
    """The rows of the table of that title."""
    return next(t for part in found["shown"] for t in part["tables"] if t["title"].startswith(title))


def packs(folder, *texts):
    paths = []
    for i, text in enumerate(texts):
        paths.append(folder / f"p{i}.yaml")
        paths[-1].write_text(text, encoding="utf-8")
    return f"packs={','.join(map(str, paths))}"


def test_each_model_meets_each_pack(goals, tmp_path):
    """A model that gives in to the later pack only shows it in that cell; by its date that cell is its future."""

    def past_only(request, before):
        return says(YES if "earlier times" in str(request) or "historian" in str(request) else NO)

    with endpoint(past_only) as weak, endpoint(lambda request, before: says(NO)) as firm:
        words = (
            "matrix", f"models={weak.target},{firm.target}", "dates=2023-12,2024-12", f"goals={goals}", "n=6", "budget=1",
            packs(tmp_path, OLD, NEW),
        )  # fmt: skip
        folder, found = toys.run(tmp_path / "runs" / "m", *words)
        asked = weak.asked.total(), firm.asked.total()
        grid = told(found, "Attack success")
        assert grid["columns"] == ["model", "old 2023-05", "new 2024-05"]
        values = [[row[0], *(cell["value"] for cell in row[1:])] for row in grid["rows"]]
        assert values == [[weak.target, 0.0, 1.0], [firm.target, 0.0, 0.0]]
        assert {cell["n"] for row in grid["rows"] for cell in row[1:]} == {6}
        _, _, before, later = told(found, "Past and future")["rows"][0]
        assert (before["value"], later["value"]) == (0.0, 1.0)
        assert told(found, "Past and future")["rows"][1][3] is None  # no pack is later than the second model
        assert len(list(folder.glob("campaigns/attack-*/report.html"))) == 2
        toys.run(tmp_path / "runs" / "m", *words)
        assert (weak.asked.total(), firm.asked.total()) == asked
        (tmp_path / "p1.yaml").write_text(NEW.replace("[past]", "[past, format]"), encoding="utf-8")
        _, found = toys.run(tmp_path / "runs" / "m", *words)
        assert weak.asked.total() == asked[0] + 24  # a pack that holds more is another campaign
        assert told(found, "Attack success")["rows"][0][2]["value"] == 0.5
        assert told(found, "Goals that any")["rows"][0][2]["value"] == 1.0


@pytest.mark.slow
def test_workers_find_the_same(goals, tmp_path):
    """The same tables, of as many questions."""
    words = (f"goals={goals}", "budget=1", packs(tmp_path, OLD, NEW))
    with endpoint(lambda request, before: says(YES if "play" in str(request) else NO)) as server, Local(workers=2) as workers:
        found = []
        for name, executor in (("one", None), ("two", workers)):
            asked = server.asked.total()
            _, report = toys.run(tmp_path / "runs" / name, "matrix", f"models={server.target}", *words, executor=executor)
            found.append((report["shown"], server.asked.total() - asked))
    assert found[0] == found[1]
    assert found[0][1] == 36


def test_a_pack_that_fits_no_goal_is_said(goals, tmp_path):
    """One such pack is left out with its name in the note; where every pack is one, the run ends in one line."""
    foreign = "name: foreign\nversion: 1\ndate: 2023-10\nattacks: [zaba]\n"
    with endpoint(lambda request, before: says(NO)) as server:
        words = ("matrix", f"models={server.target}", f"goals={goals}", "n=2", "budget=1")
        _, found = toys.run(tmp_path / "runs" / "a", *words, packs(tmp_path, OLD, foreign))
        grid = told(found, "Attack success")
        assert (grid["columns"], "nothing in foreign fits" in grid["note"]) == (["model", "old 2023-05"], True)
        with pytest.raises(RecipeError, match=r"none of the packs holds an attack that fits these goals .*zaba"):
            toys.run(tmp_path / "runs" / "b", *words, packs(tmp_path, foreign))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["models=a,b", "dates=2024-01"], "dates: expected one for each of 2 models, got 1"),
        (["models=a", "dates=soon"], "expected YYYY-MM"),
        (["models=a,b,a"], "expected each once, got 'a' twice"),
        (["budgett=1"], "did you mean 'budget'"),
    ],
)
def test_wrong_settings_are_refused_before_any_question(words, message):
    """Dates without models, a model twice and unknown settings are refused when the recipe is read."""
    with pytest.raises(ValueError, match=message):
        order("matrix", words)


def test_models_that_cannot_be_asked_the_same_are_not(tmp_path):
    """No model, a pack that is not there, and models of two tongues without goals= are refused before any question."""
    with pytest.raises(ConfigError, match="expected one model or more"):
        Matrix().stages()
    with pytest.raises(PackError, match="did you mean 'past_tense'"):
        Matrix(models=("a",), packs=("passt_tense",)).stages()
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    mixed = Matrix(models=(str(tmp_path / "safety"), "http://localhost:1/v1#m"), packs=("past_tense",))
    with pytest.raises(ConfigError, match="say what all are asked, with goals="):
        mixed.stages()
