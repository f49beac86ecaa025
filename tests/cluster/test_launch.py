"""Which process of a launch this is."""

import pytest

from trueline.cluster.launch import LaunchError, Place, place

MEETING = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
TORCHRUN = {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
SLURM = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1"}


@pytest.mark.parametrize("launcher", [TORCHRUN, SLURM, {**SLURM, **TORCHRUN}])
def test_torchrun_and_srun_give_a_place(launcher):
    """Rank, number and place on the machine are read from either launcher; torchrun inside a Slurm step has the word."""
    assert place({**launcher, **MEETING}) == Place(3, 8, 1)


@pytest.mark.parametrize(
    "environment", [{}, {"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, {**SLURM, "SLURM_STEP_NUM_TASKS": "1"}]
)
def test_a_process_alone_has_no_place(environment):
    """Without a launcher, in a batch script itself, and in a step of one task, a process trains alone."""
    assert place(environment) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"MASTER_PORT": ""}, "MASTER_PORT is not set"),
        ({"LOCAL_RANK": ""}, "LOCAL_RANK is not set"),
        ({"RANK": "x"}, "whole numbers"),
        ({"RANK": "8"}, "got 8 of 8"),
    ],
)
def test_half_a_launch_is_refused(change, said):
    """What is missing or makes no sense is named, before anybody waits for anybody."""
    with pytest.raises(LaunchError, match=said):
        place({**TORCHRUN, **MEETING, **change})
