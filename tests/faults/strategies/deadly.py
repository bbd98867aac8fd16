"""A strategy with a candidate that ends the process that evaluates it, as ``FAULTS_DEATH`` says."""

import os
import resource
import signal
from pathlib import Path

import numpy as np

from backtune import BaseStrategy, Int, Space

DEADLY_LEVEL = 11


class Deadly(BaseStrategy):
    """Long after a rise by ``level`` tenths of a percent, else short; one level of the sixteen is deadly."""

    name = "Deadly"

    @classmethod
    def space(cls):
        return Space(level=Int(0, 15))

    def positions(self, bars):
        if self.level == DEADLY_LEVEL:
            DEATHS[os.environ.get("FAULTS_DEATH", "raises")]()
        return np.where(bars.close > bars.open * (1 + self.level / 1000), 1.0, -1.0)


def raises():
    raise ValueError("this level is not survived")


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def exits():
    os._exit(1)


def out_of_memory():
    """Takes all of the little memory that the process may still have."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**28, limits[1]))
    taken = []
    try:
        while True:
            taken.append(np.ones(2**22))
    finally:
        taken.clear()
        resource.setrlimit(resource.RLIMIT_AS, limits)


DEATHS = {"raises": raises, "killed": killed, "exits": exits, "out-of-memory": out_of_memory}
