"""The command ``backtune check-strategy``."""

from __future__ import annotations

import ast
import inspect
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from backtune.cli.options import Json, make_stdout_console, print_json
from backtune.errors import SpecError, StrategyError

if TYPE_CHECKING:
    from backtune.checks.lookahead import LookaheadReport
    from backtune.data.bars import Bars
    from backtune.space import Params
    from backtune.strategy.base import BaseStrategy

_SYNTHETIC = "SYNTHETIC"
_SYNTHETIC_TIMEFRAME = "1h"
_SYNTHETIC_START = datetime(2020, 1, 1, tzinfo=UTC)
# The number of cuts for all parameter sets of a strategy together, and the least number for each of them.
_CUTS, _LEAST_CUTS = 100, 4


def check_strategy(
    strategy: Annotated[
        str, typer.Argument(help="A Python file, or the name of a strategy.", show_default=False)
    ],
    class_name: Annotated[
        str | None, typer.Option("--class", help="The class of the file (default: every strategy in it).")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="ROOT", help="A catalog with bars (default: a synthetic market).")
    ] = None,
    asset: Annotated[
        str | None, typer.Option(help="The asset of the catalog whose bars are used; needs --data.")
    ] = None,
    timeframe: Annotated[str | None, typer.Option(help="The timeframe of the bars, such as 15m.")] = None,
    bars: Annotated[
        int,
        typer.Option(min=2, max=100_000, help="The number of bars; of a catalog, the last ones are used."),
    ] = 1_500,
    seed: Annotated[
        int, typer.Option(min=0, help="The seed of the synthetic bars and of the cases that are tried.")
    ] = 0,
    json: Json = False,
) -> None:
    """Check that strategies do not look ahead: change later bars, and compare the earlier positions."""
    from backtune.checks.lookahead import check_lookahead, choose_candidates, read_space

    market = _load_market(data, asset, timeframe, bars, seed)
    reports = []
    for found in _find_strategies(strategy, class_name):
        params = choose_candidates(read_space(found), seed=seed)
        n_cuts = max(_LEAST_CUTS, _CUTS // len(params))
        reports.append(check_lookahead(found, params, market, n_cuts=n_cuts, seed=seed))
    if json:
        print_json({"bars": _describe_market(market), "strategies": [report.to_json() for report in reports]})
    else:
        _print_reports(reports, market)
    if not all(report.is_clean for report in reports):
        raise typer.Exit(1)


def _load_market(data: str | None, asset: str | None, timeframe: str | None, n_bars: int, seed: int) -> Bars:
    from backtune.data.load import load_bars
    from backtune.data.synthetic import synthetic_bars
    from backtune.spec.timeframe import Timeframe

    if data is not None:
        if asset is None or timeframe is None:
            raise SpecError("--data", "needs --asset and --timeframe too", value=data)
        return load_bars(data, asset, timeframe)[-n_bars:]
    if asset is not None:
        raise SpecError("--asset", "needs --data, the catalog that has it", value=asset)
    length = Timeframe.parse(timeframe or _SYNTHETIC_TIMEFRAME, key="--timeframe")
    try:
        end = _SYNTHETIC_START + n_bars * timedelta(microseconds=length.longest_microseconds)
    except OverflowError:
        raise SpecError(
            "--bars", f"{n_bars} bars of {length} end after the year 9999; ask for fewer", value=n_bars
        ) from None
    return synthetic_bars(_SYNTHETIC, length, _SYNTHETIC_START, end, seed=seed)[:n_bars]


def _find_strategies(strategy: str, class_name: str | None) -> list[type[BaseStrategy]]:
    from backtune.strategy.registry import StrategyFactory

    if strategy.endswith(".py") or os.sep in strategy:
        return _load_classes(Path(strategy), class_name)
    names = StrategyFactory.names()
    if strategy not in names:
        problem = f"{strategy!r} is neither a Python file nor a strategy"
        raise SpecError("STRATEGY", problem, value=strategy, allowed=names)
    if class_name is not None:
        raise SpecError("--class", f"goes with a file, and {strategy} is a name", value=class_name)
    return [StrategyFactory.get(strategy)]


def _load_classes(path: Path, class_name: str | None) -> list[type[BaseStrategy]]:
    """Return the class of that name, or all strategies that are defined in the file."""
    from backtune.strategy.registry import StrategyRef

    try:
        source = path.read_text(encoding="utf-8-sig")
        classes = [node.name for node in ast.parse(source, path.name).body if isinstance(node, ast.ClassDef)]
    except (OSError, SyntaxError, ValueError) as error:
        problem = getattr(error, "strerror", None) or error
        raise SpecError("STRATEGY", f"{path}: {problem}", value=str(path)) from None
    found: list[type[BaseStrategy]] = []
    refused: list[StrategyError] = []
    for name in classes if class_name is None else [class_name]:
        try:
            found.append(StrategyRef.of_file(name, path).load())
        except StrategyError as error:
            refused.append(error)
        except SpecError as error:
            problem = f"{path} has no class {name!r}"
            raise SpecError("--class", problem, value=name, allowed=error.allowed) from None
    usable = [cls for cls in found if not inspect.isabstract(cls)]
    if refused and not usable:
        raise refused[0]
    if not usable:
        raise SpecError("STRATEGY", f"{path} has no strategy class", value=str(path))
    return usable


def _print_reports(reports: list[LookaheadReport], market: Bars) -> None:
    out = make_stdout_console()
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("strategy", overflow="fold")
    for heading in ("parameter\nsets", "changed\nlater bars", "looked\nahead", "failed"):
        table.add_column(heading, justify="right")
    table.add_column("depends on the start\nof the data, up to")
    for report in reports:
        failed = sum(bool(candidate.problems) for candidate in report.candidates)
        table.add_row(
            report.strategy,
            str(len(report.candidates)),
            f"{report.n_cases:,}",
            f"{len(report.violations):,}",
            str(failed),
            "all of the bars"
            if report.start_dependence_bars is None
            else f"{report.start_dependence_bars:,} bars",
        )
    out.print(table)
    for line in [
        *(line for report in reports for line in _describe_findings(report)),
        *_describe_check(reports, market),
    ]:
        out.print(line, highlight=False, soft_wrap=True, markup=False)


def _describe_findings(report: LookaheadReport) -> list[str]:
    """Describe what is wrong with a strategy, with the farthest look ahead and the first failure as examples."""
    lines = []
    if report.violations:
        farthest = max(report.violations, key=lambda violation: violation.cut - violation.bar)
        reach = farthest.cut - farthest.bar
        lines.append(
            f"{report.strategy} {_format_params(farthest.params)}: {farthest.describe()}, {reach} "
            f"bar{'s' if reach > 1 else ''} ahead or more"
        )
    problems = [(c.params, problem) for c in report.candidates for problem in c.problems]
    lines += [f"{problem}; with {_format_params(params)}" for params, problem in problems[:1]]
    if len(problems) > 1:
        lines.append(f"{report.strategy}: {len(problems) - 1:,} more failures; --json lists all of them")
    if report.n_idle:
        lines.append(
            f"{report.strategy}: the position never changed with {report.n_idle} of {len(report.candidates)} "
            "parameter sets, which proves little; more --bars, or other --data, may show more"
        )
    return lines


def _describe_check(reports: list[LookaheadReport], market: Bars) -> list[str]:
    lines = [
        f"Tried on {_describe_market(market)}. From a cut on, bars were taken away, scaled, replaced, reversed and delayed;",
        "every position before the cut must stay as it was.",
    ]
    if any(report.start_dependence_bars != 0 for report in reports):
        lines.append(
            "Dependence on the start is no fault: a recursive indicator, and a position that is held, remember it."
        )
    bad = [report.strategy for report in reports if not report.is_clean]
    return [*lines, f"not clean: {', '.join(bad)}" if bad else "clean: no position depends on a later bar"]


def _describe_market(market: Bars) -> str:
    kind = "synthetic" if market.asset == _SYNTHETIC else market.asset
    return f"{len(market):,} {kind} bars of {market.timeframe}"


def _format_params(params: Params) -> str:
    return (
        "("
        + ", ".join(
            f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in params.items()
        )
        + ")"
    )
