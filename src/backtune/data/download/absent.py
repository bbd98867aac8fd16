"""The spans of a series that a catalog does not hold yet."""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np

from backtune.data.window import iso

# Rows before an end of what is stored, which are asked for again: another program may have stored the last one unfinished.
_N_CHECKED = 2


class Span(NamedTuple):
    """[start, end) in microseconds since the epoch."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{iso(self.start)} to {iso(self.end)}"


def absent_spans(stored: np.ndarray, span: Span, step: int, *, goes_on: bool) -> list[Span]:
    """Find the parts of ``span`` that have to be asked for, in time order and apart.

    Args:
        stored: (n_rows,) int64, increasing, the times of the stored rows of the span.
        step: microseconds between two rows without a gap, at the least.
        goes_on: true if rows are stored after the span too, so that the last one in it was finished.

    Returns:
        Spans that begin with the last stored rows before what is absent.
    """
    if not len(stored):
        return [span]
    spans = []
    if stored[0] - span.start >= step:
        spans.append(Span(span.start, int(stored[0])))
    for last in np.flatnonzero(np.diff(stored) > step).tolist():
        spans.append(Span(int(stored[max(0, last + 1 - _N_CHECKED)]), int(stored[last + 1])))
    end = int(stored[-1]) + step
    if not goes_on or span.end - end >= step:
        spans.append(Span(int(stored[-_N_CHECKED:][0]), span.end))
    return _joined(spans)


def _joined(spans: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in spans:
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined


@final
class Cursor:
    """The next moment to ask for. Pages cover what lies in them, wherever they come from."""

    def __init__(self, spans: list[Span], step: int) -> None:
        self._spans = [span for span in spans if span.end > span.start]
        self._step = step
        self._at = 0

    def next(self) -> Span | None:
        """Return the span from the first absent moment to the last, or None when there is none."""
        while self._spans and self._spans[0].end - max(self._spans[0].start, self._at) < self._step:
            self._spans.pop(0)
        if not self._spans:
            return None
        return Span(max(self._spans[0].start, self._at), self._spans[-1].end)

    def advance(self, reached: int) -> None:
        """Note that all before ``reached`` has been answered."""
        self._at = max(self._at, reached)
