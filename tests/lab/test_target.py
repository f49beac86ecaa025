"""What experiments on a target share: errors before work starts, and what the report says was left out.

pytest tests/lab/test_target.py
"""

from __future__ import annotations

import json
import shutil

import pytest

from tests.calling import trueline
from tests.lab.toys import random_model
from trueline.core.config import ConfigError
from trueline.lab.enablement_target import EnablementOnTarget
from trueline.lab.manners_target import MannersOnTarget
from trueline.lab.running import run_on_target, takes_target
from trueline.recipes.progress import Quiet
from trueline.recipes.running import Order, carry_out
from trueline.recipes.studio import RecipeError


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A random model, as a folder in the layout of the hub."""
    folder = tmp_path_factory.mktemp("target") / "model"
    random_model(layers=1).save(folder)
    return folder


def with_template(model, folder, template):
    """The same model under another chat template; None takes it away."""
    shutil.copytree(model, folder)
    file = folder / "tokenizer_config.json"
    config = {**json.loads(file.read_text(encoding="utf-8")), "chat_template": template}
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}), encoding="utf-8")
    for jinja in folder.glob("*.jinja"):
        jinja.unlink()
    return str(folder)


def test_a_model_that_came_without_a_template_is_asked_in_plain_lines_and_the_report_says_so(model, tmp_path):
    """What it was trained to be asked in is not known: no silent guess."""
    for folder, said in ((with_template(model, tmp_path / "bare", None), True), (str(model), False)):
        _, found = carry_out(Order("E4", MannersOnTarget.of(folder, "smoke", ("plain",)), 0, None), tmp_path / f"run{said}")
        assert any("chat template" in why for why in found["not_measured"]) == said


def test_a_template_that_takes_no_system_prompt_is_an_error_before_anything_is_asked(model, tmp_path):
    """The message names the model and what its template said; no stage was begun."""
    template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}{{ messages[0].content }}"
    )
    folder = with_template(model, tmp_path / "strict", template)
    with pytest.raises(RecipeError, match=r"strict.*system prompt.*no system role"):
        carry_out(Order("E12", EnablementOnTarget.of(folder, "smoke"), 0, None), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_experiment_of_the_worlds_own_models_takes_no_target_and_none_of_its_neighbours_begins(model, tmp_path):
    """The message names those that do; the one before it was not carried out either."""
    with pytest.raises(ConfigError, match=r"E15.*E3, E4, E11, E12"):
        run_on_target(["E4", "E15"], str(model), "smoke", tmp_path, Quiet())
    assert not list(tmp_path.iterdir())


def test_the_command_measures_a_folder_lists_who_takes_one_and_names_a_target_that_is_not_there(model, tmp_path):
    """One object a run, exit code 0; a lost target is told by its name, with exit code 2."""
    done = trueline("lab", "run", "E4", "--target", model, "--smoke", "--threads", 1, "--out", tmp_path, "--json")
    assert done.code == 0, done.err
    assert list(json.loads(done.out)) == ["E4"]
    listed = json.loads(trueline("lab", "list", "--out", tmp_path, "--json").out)
    assert [each["id"] for each in listed if each["target"]] == takes_target()
    lost = trueline("lab", "run", "E4", "--target", tmp_path / "lost", "--smoke", "--threads", 1, "--out", tmp_path)
    assert (lost.code, "lost" in lost.err) == (2, True)
