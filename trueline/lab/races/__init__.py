"""E5: races in which what is paid is not what is meant."""

from trueline.lab.races.experiment import Races as Races
