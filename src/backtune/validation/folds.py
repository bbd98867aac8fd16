"""Which bars a search may see, and which only its winner meets. Times are microseconds since the epoch, UTC."""

from __future__ import annotations

from dataclasses import dataclass

from backtune.errors import CatalogError
from backtune.spec import Validation

_DAY = 86_400_000_000


@dataclass(frozen=True)
class Span:
    """A window of time: start inclusive, end exclusive."""

    start: int
    end: int


@dataclass(frozen=True)
class Fold:
    """A train window and, unless there is no validation, the test window after it.

    Positions in the test window are computed with the bars before it as warm-up; the search sees the train
    window alone.
    """

    name: str
    train: Span
    test: Span | None = None


def folds_of(validation: Validation, span: Span) -> list[Fold]:
    """The folds of a validation scheme over a window.

    Raises:
        CatalogError: the window is too short to be split.
    """
    if validation.method == "none":
        return [Fold("all", span)]
    return [_holdout(span, validation.test_fraction)]


def _holdout(span: Span, test_fraction: float) -> Fold:
    """The last ``test_fraction`` of the time is the test window.

    In windows of ten days and more the cut is moved to midnight, so that it is the same for all timeframes up to a
    day and no bar that opens before it closes after it.
    """
    cut = span.end - round(test_fraction * (span.end - span.start))
    if span.end - span.start >= 10 * _DAY:
        cut -= cut % _DAY
    if not span.start < cut < span.end:
        raise CatalogError(f"the window is too short to hold out {test_fraction:g} of it; give it more bars")
    return Fold("holdout", Span(span.start, cut), Span(cut, span.end))
