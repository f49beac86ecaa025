"""The arithmetic of the GPU benchmark, on a tiny configuration and a processor."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.fsdp_gpu import MB, WARM, compared, planned, recipe_of, words
from trueline.models.policy import tiny
from trueline.models.tokens import word_tokenizer
from trueline.recipes.running import order
from trueline.recipes.sharded_size import GB
from trueline.world.language import vocabulary

ASKED = argparse.Namespace(width=64, layers=2, heads=2, row=128, rows=4, steps=9)
RECIPE = recipe_of(ASKED)
STEPS = [{"tokens": 512.0 * (i + 1), "seconds_training": 0.5} for i in range(9)]
GPU = {"memory_of": "gpu", "memory_mb": 100.0}


def test_the_command_is_the_recipe():
    """The words that are launched are an order for the recipe that is planned, a pass of all rows to a step."""
    _, name, *settings = words(RECIPE)
    assert order(name, settings).recipe == RECIPE
    assert (RECIPE.batch, RECIPE.micro_rows, RECIPE.tokens) == (512, 4, 9 * 512)


def test_mfu_is_flops_that_were_needed_over_flops_there_were():
    """Tokens a second times FLOPs a token, over the peak; steps at the start do not count, however slow they were."""
    found = compared(RECIPE, "cpu", 0.5, GPU, STEPS)
    plan, parameters = planned(RECIPE, "cpu")
    assert found.tokens_per_second == 1024
    assert found.mfu == pytest.approx(1024 * plan.flops / 0.5e12)
    assert found.parameters == parameters == sum(p.numel() for p in tiny(word_tokenizer(vocabulary()), 64, 2, 2).parameters())
    slow = [{**step, "seconds_training": 60.0} for step in STEPS[:WARM]]
    assert compared(RECIPE, "cpu", 0.5, GPU, [*slow, *STEPS[WARM:]]) == found
    assert compared(RECIPE, "cpu", None, GPU, STEPS) == replace(found, mfu=None)


def test_memory_is_held_against_the_plan_on_a_gpu_alone():
    """What is measured as planned is off by nothing, a tenth more by a tenth; a processor's memory is not compared."""
    plan, _ = planned(RECIPE, "cpu")
    for share in (1.0, 1.1):
        found = compared(RECIPE, "cpu", None, {"memory_of": "gpu", "memory_mb": share * plan.peak / MB}, STEPS)
        assert found.planned_gb == plan.peak / GB
        assert found.off == pytest.approx(share - 1)
    assert compared(RECIPE, "cpu", None, {"memory_of": "process", "memory_mb": 9.0}, STEPS).off is None


@pytest.mark.slow
def test_it_runs_on_a_processor():
    """The whole of it, launched as on GPUs: a rate, an MFU, and no comparison of memory."""
    sizes = [word for name, value in vars(ASKED).items() for word in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fsdp_gpu", "--device", "cpu", "--peak-tflops", "0.1", "--json", *sizes],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["tokens_per_second"] > 0
    assert found["mfu"] > 0
    assert found["off"] is None
