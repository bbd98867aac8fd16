"""The interface of everything that turns candidates into trials."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from backtune.results.trial import Trial
from backtune.space import Params

NumberedCandidate = tuple[int, Params]


class Evaluator(ABC):
    """Takes numbered candidates and yields their trials.

    The innermost evaluator runs candidates on a window of bars. The others wrap one: they answer repeated candidates, stop
    hopeless ones early, or guard against candidates that end their worker.
    """

    @abstractmethod
    def evaluate(self, candidates: Sequence[NumberedCandidate]) -> Iterator[Trial]:
        """Yield one trial per candidate, in the order of the candidates. A candidate is evaluated when its trial is asked for."""
