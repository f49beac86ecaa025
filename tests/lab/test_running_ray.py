"""Seeds of an experiment on a Ray cluster come to what one process makes of them. Skipped without Ray.

pytest tests/lab/test_running_ray.py
"""

from __future__ import annotations

import json

import pytest

from tests.cluster.raylets import needs_ray, raylets
from trueline.lab.running import Lab

pytestmark = [needs_ray, pytest.mark.slow]


def test_seeds_on_a_cluster_are_those_of_one_process(tmp_path):
    """Two machines make a seed each, with its base models; here both are read, and nothing is made again."""
    alone = Lab(tmp_path / "alone", "smoke").run("E3", [0, 1])
    with raylets(2) as cluster:
        beside = Lab(tmp_path / "beside", "smoke", workers=0, cluster=cluster.address).run("E3", [0, 1])
    assert beside["provenance"]["by_seed"] == alone["provenance"]["by_seed"]
    assert beside["provenance"]["settings"] == alone["provenance"]["settings"]
    read = [json.loads(file.read_text()) for file in sorted((tmp_path / "beside" / "E3").glob("*/seed*/report.json"))]
    assert [report["seed"] for report in read] == [0, 1]
    assert {stage["status"] for report in read for stage in report["stages"]} == {"skipped"}
