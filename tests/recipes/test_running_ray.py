"""Seeds of a recipe, and what one asks of models, on a Ray cluster: as in one process. Skipped without Ray.

pytest tests/recipes/test_running_ray.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.calling import trueline
from tests.cluster.raylets import needs_ray, raylets
from tests.recipes import toys
from tests.recipes.staged import studio
from tests.recipes.test_replicating import TINY, lasting, near
from tests.recipes.test_spread_answers import asks, same
from trueline.cluster.opening import executor_for
from trueline.recipes.answering import answers
from trueline.recipes.running import carry_out, order

pytestmark = [needs_ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster():
    """Two machines of one processor, on this one."""
    with raylets(2) as made:
        yield made


def test_seeds_and_samples_are_those_of_one_process(cluster, tmp_path):
    """Reports are the same; so are samples, of a model that every machine loads from its folder."""
    asked = order("pretrain", TINY)
    here, model, how = studio(tmp_path), toys.model(tmp_path), {"count": 2, "max_tokens": 8, "seed": 5}
    with executor_for(workers=0, cluster=cluster.address) as executor:
        _, beside = carry_out(asked, tmp_path / "beside" / "study", executor=executor)
        said = answers(replace(here, executor=executor), model, asks(80), **how)
    _, alone = carry_out(asked, tmp_path / "alone" / "study")
    assert lasting(alone) == near(lasting(beside))
    same(answers(here, model, asks(80), **how), said)


def test_a_cluster_without_gpus_is_refused_for_work_on_one(cluster):
    """Tasks that want what no machine has would wait for ever."""
    with (
        pytest.raises(ValueError, match="expected machines with GPUs"),
        executor_for(workers=0, cluster=cluster.address, gpus=1.0),
    ):
        raise AssertionError("it was taken")


def test_the_command_takes_a_cluster(cluster, tmp_path):
    """`trueline run RECIPE seeds=N --cluster ADDRESS`."""
    done = trueline("run", "pretrain", *TINY, "--cluster", cluster.address, "--out", tmp_path / "study", "--threads", 1)
    assert done.code == 0, done.err
    assert "2 seeds, 2 at a time" in done.err
    assert (tmp_path / "study" / "report.json").is_file()
