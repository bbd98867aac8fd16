"""An evaluator that records the numbers of its candidates."""

import numpy as np

from backtune.results.trial import Trial
from backtune.search.study_loop.evaluator import Evaluator
from backtune.simulation.metrics import METRICS


class ScriptedEvaluator(Evaluator):
    """Completes every candidate with the value 1, in a second, and records its number.

    Attributes:
        evaluated: The numbers of the evaluated candidates, in order.
    """

    def __init__(self):
        self.evaluated = []

    def evaluate(self, candidates):
        for number, params in candidates:
            self.evaluated.append(number)
            yield Trial(
                number, params, "complete", "", (1.0,), dict.fromkeys(METRICS), np.zeros((16, 3)), 1.0
            )
