"""Built bars that the data fills only in part, because it begins or ends within them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, Literal

from backtune.data.bar_grid import BarGrid
from backtune.data.catalog import Catalog
from backtune.data.load import BarsRef
from backtune.data.window import iso, to_microseconds
from backtune.spec.origin import Origin
from backtune.spec.timeframe import Timeframe

_UNITS: Final = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))
_MOST_NAMES: Final = 3

Place = Literal["first", "last", "only"]


@dataclass(frozen=True)
class UnfinishedBar:
    """A bar in which the data of a window begins or ends.

    Attributes:
        place: The position of the bar among those of its window.
        opens_at, ends_at: The open and the end of the bar, in microseconds since the epoch.
        filled_seconds: the part of its time in which the data lies.
    """

    asset: str
    timeframe: str
    place: Place
    opens_at: int
    ends_at: int
    filled_seconds: int

    @property
    def seconds(self) -> int:
        """Return the time from the bar's open to its end."""
        return (self.ends_at - self.opens_at) // 1_000_000

    @property
    def description(self) -> str:
        """``the last bar of 1w is built from 5 of 7 days``."""
        unit, length = next(
            (unit, length) for unit, length in _UNITS if self.seconds >= 2 * length or length == 1
        )
        parts = f"{self.filled_seconds / length:.4g} of {self.seconds / length:.4g} {unit}"
        return f"the {self.place} bar of {self.timeframe} is built from {parts}"

    def to_json(self) -> dict[str, Any]:
        """Plain data; times in ISO."""
        return {
            **asdict(self),
            "opens_at": iso(self.opens_at),
            "ends_at": iso(self.ends_at),
            "seconds": self.seconds,
        }


def unfinished_bars(bars: BarsRef, catalog: Catalog) -> Iterator[UnfinishedBar]:
    """Find the bars at the ends of a window that are built from a part of their time; reads no file.

    Raises:
        CatalogError: the catalog does not have the bars.
    """
    target = Timeframe.parse(bars.timeframe)
    source = catalog.source_timeframe(bars.asset, target)
    if target == source:
        return
    start, end = to_microseconds(bars.start), to_microseconds(bars.end)
    first, last = map(to_microseconds, catalog.span(bars.asset, source))
    grid = BarGrid(target, Origin.parse(bars.origin))
    edges: dict[int, Place] = {grid.floor(first): "first", grid.floor(last - 1): "last"}
    for opens_at, place in edges.items():
        ends_at = grid.ceil(opens_at + 1)
        filled = min(last, ends_at) - max(first, opens_at)
        if start <= opens_at and ends_at <= end and filled < ends_at - opens_at:
            named = place if len(edges) > 1 else "only"
            yield UnfinishedBar(bars.asset, bars.timeframe, named, opens_at, ends_at, filled // 1_000_000)


def describe_unfinished(found: Sequence[UnfinishedBar]) -> list[str]:
    """One sentence for all assets whose bars are alike: ``the last bar of 1w is built from 5 of 7 days: ACME, BCD``."""
    sentences = []
    by_description = attrgetter("description")
    for description, alike in groupby(sorted(found, key=by_description), key=by_description):
        names = list(dict.fromkeys(bar.asset for bar in alike))
        more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
        sentences.append(f"{description}: {', '.join(names[:_MOST_NAMES])}{more}")
    return sentences
