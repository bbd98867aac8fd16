"""The small sweep that all faults are tried on."""

from pathlib import Path
from typing import Any

from sweeps import spec_document

from backtune.data.synthetic import make_market

STRATEGIES = Path(__file__).parent / "strategies"
ASSETS = ["AAA", "BBB", "CCC", "DDD"]


def make_bars(root: str) -> None:
    """Four assets, five months of hours."""
    make_market(root, assets=ASSETS, timeframe="1h", start="2021-01-01", end="2021-06-01", seed=3)


def paced_document(market: str | Path, **compute: Any) -> dict[str, Any]:
    """Eight studies of 250 trials, in several units."""
    document = spec_document(
        Path(market),
        name="paced",
        grid={
            "strategies": [{"file": str(STRATEGIES / "paced.py"), "class": "Paced"}],
            "assets": ASSETS,
            "timeframes": ["1h", "4h"],
        },
        search={"trials": 250},
        compute={"unit_seconds": 1, **compute},
    )
    return {**document, "data": {"root": str(market)}}
