"""The strategies and assets that a sweep can use."""

from __future__ import annotations

import inspect
import threading
import time
from typing import Final

from backtune.data.catalog import Catalog
from backtune.spec import Data
from backtune.strategy.registry import StrategyFactory
from backtune.wire.answers import Asset, Strategy, format_time

_CACHE_SECONDS: Final = 5.0


class CatalogService:
    """The strategies that were installed when the gateway started, and the assets of the last few seconds."""

    def __init__(self, data_root: str) -> None:
        self._location = Data(root=data_root).location
        self._lock = threading.Lock()
        self._assets: list[Asset] = []
        self._read_at = -_CACHE_SECONDS
        self.strategies = [_describe_strategy(name) for name in StrategyFactory.names()]

    def list_assets(self) -> list[Asset]:
        """Return all assets by name.

        Raises:
            CatalogError: There is no market data, or it cannot be read.
        """
        with self._lock:
            if time.monotonic() - self._read_at >= _CACHE_SECONDS:
                catalog = Catalog.open(self._location)
                funded = set(catalog.assets_with_funding())
                self._assets = [
                    _describe_asset(catalog, name, has_funding=name in funded) for name in catalog.assets()
                ]
                self._read_at = time.monotonic()
            return self._assets


def _describe_strategy(name: str) -> Strategy:
    strategy = StrategyFactory.get(name)
    description = (inspect.getdoc(strategy) or "").partition("\n")[0]
    return Strategy(name=name, description=description, parameters=strategy.space().to_json())


def _describe_asset(catalog: Catalog, name: str, *, has_funding: bool) -> Asset:
    timeframes = catalog.timeframes(name)
    spans = [catalog.span(name, timeframe) for timeframe in timeframes]
    return Asset(
        asset=name,
        timeframes=[str(timeframe) for timeframe in timeframes],
        start=format_time(min(start for start, _ in spans)),
        end=format_time(max(end for _, end in spans)),
        has_funding=has_funding,
    )
