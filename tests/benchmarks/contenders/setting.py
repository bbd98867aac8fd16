"""What every contender searches: the same studies, with the same seeds and budgets, on the same bars."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backtune.data.ingest.importer import import_bars
from backtune.search.planning.plan import plan_studies
from backtune.search.study_loop.study import Study
from backtune.spec import SweepSpec

ROOT = Path(__file__).parents[3]
CATALOG = ROOT / "data" / "market"
CANDLES = ROOT.parent / "shared" / "market" / "bars_1m"
STRATEGIES = ("MovingAverageCrossover", "RSIStrategy", "MACDStrategy", "BollingerBandsStrategy")
ASSETS = ("BTCUSD", "ETHUSD", "LTCUSD")
START, END = "2018-01-01", "2020-01-01"


@dataclass(frozen=True)
class Setting:
    """One grid under one budget.

    Attributes:
        market: root of the catalog with the bars.
        timeframes, strategies: of the grid; the assets are fixed.
        trials: budget of a study.
        seed: of the sweep, from which every study has its own.
        backend: of ours; the peers use Optuna.
    """

    market: Path
    timeframes: tuple[str, ...]
    trials: int
    seed: int = 7
    backend: str = "auto"
    strategies: tuple[str, ...] = STRATEGIES

    @property
    def spec(self) -> SweepSpec:
        return SweepSpec.parse(
            {
                "name": "benchmark",
                "data": {"root": str(self.market), "start": START, "end": END},
                "grid": {
                    "strategies": list(self.strategies),
                    "assets": list(ASSETS),
                    "timeframes": list(self.timeframes),
                },
                "search": {
                    "sampler": "tpe",
                    "objectives": ["sharpe_ratio"],
                    "trials": self.trials,
                    "seed": self.seed,
                    "backend": self.backend,
                },
                "validation": {"method": "none"},
            }
        )

    def studies(self) -> list[Study]:
        return plan_studies(self.spec)


@dataclass(frozen=True)
class Finding:
    """What a contender did.

    Attributes:
        n_candidates: evaluations, those answered from a log among them.
        seconds: while candidates were evaluated: for ours from the first unit's start to the last one's end.
        sweep_seconds: of the call that searches, in a process that has started Ray already.
        whole_seconds: with the start and the end of Ray.
        best: the best value among complete trials, by :func:`name_of` the study.
        cpu: seconds of processor time of every process involved, by kind.
    """

    n_candidates: int
    seconds: float
    sweep_seconds: float
    whole_seconds: float
    best: dict[str, float]
    cpu: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.n_candidates / self.seconds

    @property
    def whole_rate(self) -> float:
        return self.n_candidates / self.whole_seconds


def name_of(study: Study) -> str:
    """A study's cell, which is the same for every contender."""
    return f"{study.strategy.name} {study.bars.asset} {study.bars.timeframe}"


def best_of(values: Sequence[float]) -> float:
    """The largest value; -inf where no trial is complete."""
    return max(values, default=float("-inf"))


def market(chosen: Path, scratch: Path) -> Path | None:
    """A catalog with the real bars, made from the candles beside the repository where need be; None without either."""
    if all((chosen / f"asset={asset}").is_dir() for asset in ASSETS):
        return chosen.resolve()
    if not CANDLES.is_dir():
        return None
    import_bars([str(CANDLES)], str(scratch / "market"))
    return scratch / "market"
