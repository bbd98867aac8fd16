"""The evaluator that answers repeated candidates from earlier trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backtune.results.trial import Trial
from backtune.search.study_loop.evaluator import Evaluator, NumberedCandidate
from backtune.space import Params

CandidateKey = tuple[object, ...]


class DuplicateCache(Evaluator):
    """Evaluates each different candidate once. A repeated one gets a copy of the first trial, under its own number."""

    def __init__(self, inner: Evaluator, known: dict[CandidateKey, Trial]) -> None:
        """Wrap an evaluator.

        Args:
            inner: The evaluator of candidates that are not known yet.
            known: The trials so far, by the keys of their candidates.
        """
        self._inner = inner
        self._known = dict(known)

    def evaluate(self, candidates: Sequence[NumberedCandidate]) -> Iterator[Trial]:
        """Yield the trials of the candidates."""
        keys = [candidate_key(params) for _, params in candidates]
        unknown: dict[CandidateKey, NumberedCandidate] = {}
        for key, candidate in zip(keys, candidates, strict=True):
            if key not in self._known:
                unknown.setdefault(key, candidate)
        evaluated = self._inner.evaluate(list(unknown.values()))
        for key, (number, _) in zip(keys, candidates, strict=True):
            known = self._known.get(key)
            if known is None:
                self._known[key] = trial = next(evaluated)
                yield trial
            else:
                yield known._replace(number=number, duration_seconds=0.0)


def candidate_key(params: Params) -> CandidateKey:
    """Return a key that two candidates share only where they are the same: 1, 1.0 and True are different values."""
    values = tuple(params.values())
    return (*params, *values, *map(type, values))
