"""What the gateway has to offer: strategies and assets, looked up at most every few seconds."""

from __future__ import annotations

import inspect
import threading
import time
from datetime import UTC, datetime
from typing import Final

from backtune.data.catalog import Catalog
from backtune.gateway.schemas import Asset, Strategy
from backtune.spec import Data
from backtune.strategy.registry import StrategyFactory

_SECONDS: Final = 5.0


class Offer:
    """Strategies are those installed when the gateway started; assets may come while it runs.

    Args:
        data_root: as in a spec.
    """

    def __init__(self, data_root: str) -> None:
        self._location = Data(root=data_root).location
        self._lock = threading.Lock()
        self._assets: list[Asset] = []
        self._looked_at = -_SECONDS
        self.strategies = [_strategy(name) for name in StrategyFactory.names()]

    def assets(self) -> list[Asset]:
        """By name.

        Raises:
            CatalogError: there is no market data, or it cannot be read.
        """
        with self._lock:
            if time.monotonic() - self._looked_at >= _SECONDS:
                self._assets = _assets(Catalog.open(self._location))
                self._looked_at = time.monotonic()
            return self._assets


def _strategy(name: str) -> Strategy:
    strategy = StrategyFactory.get(name)
    description = (inspect.getdoc(strategy) or "").partition("\n")[0]
    return Strategy(name=name, description=description, parameters=strategy.space().to_json())


def _assets(catalog: Catalog) -> list[Asset]:
    funded = set(catalog.assets_with_funding())
    return [_asset(catalog, name, name in funded) for name in catalog.assets()]


def _asset(catalog: Catalog, name: str, has_funding: bool) -> Asset:  # noqa: FBT001
    timeframes = catalog.timeframes(name)
    spans = [catalog.span(name, timeframe) for timeframe in timeframes]
    start, end = min(first for first, _ in spans), max(last for _, last in spans)
    return Asset(
        asset=name, timeframes=[str(one) for one in timeframes], start=_utc(start), end=_utc(end),
        has_funding=has_funding,
    )  # fmt: skip


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
