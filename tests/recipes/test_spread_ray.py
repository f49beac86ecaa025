"""A campaign on a Ray cluster that loses a machine and its driver: benchmarks/ray_campaign.py, smaller. Skipped without Ray."""

from __future__ import annotations

import pytest

from benchmarks.ray_campaign import measured
from tests.cluster.raylets import needs_ray

pytestmark = needs_ray


@pytest.mark.slow
def test_every_attempt_is_there_once_whoever_is_lost_on_the_way(tmp_path):
    """A machine ends and the driver is killed in the middle: all attempts once, in order, as one process makes them."""
    found = measured(tmp_path, goals=450, nodes=2)
    assert found["attempts stored"] == found["attempts asked for"] == 600
    assert found["once"]
    assert found["in order"]
    assert found["as one process makes them"]
    assert found["asked after that"] <= 600 - found["stored when the driver was killed"]
