"""The command ``backtune plan``."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

import backtune
from backtune.cli.options import Json, Runs, SpecPath, make_stdout_console, print_json
from backtune.errors import SpecError
from backtune.spec import SweepSpec
from backtune.storage.location import parse_location

if TYPE_CHECKING:
    from backtune.data.calendar import Annualisation
    from backtune.data.unfinished import UnfinishedBar
    from backtune.results.stored_sweep import StoredSweep
    from backtune.search.planning.annualisations import Annualisations
    from backtune.search.planning.cost import ComputeCost
    from backtune.search.planning.estimate import Estimate
    from backtune.search.planning.luck import PlannedLuck

# The largest number of kinds of market to list, and of assets to name for each.
_MOST_ANNUALISATIONS = 8
_NAMED_ASSETS = 4


def plan(
    spec: SpecPath,
    runs: Runs = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The number of cpus to plan for (default: --cpus, or those of this machine).",
            show_default=False,
        ),
    ] = None,
    price: Annotated[
        float | None,
        typer.Option(min=0, help="The price of one machine for an hour, in your currency."),
    ] = None,
    cpus: Annotated[int | None, typer.Option(min=1, help="The number of cpus of that machine.")] = None,
    machine: Annotated[
        str | None, typer.Option(help="The name of that machine, to be shown beside the cost.")
    ] = None,
    json: Json = False,
) -> None:
    """Estimate the work, time and cost that is left of a sweep. Nothing is run or written."""
    offer = _MachineOffer.of(price, cpus, machine)
    sweep_spec = SweepSpec.load(spec)
    from backtune.data.catalog import Catalog
    from backtune.data.unfinished import unfinished_bars
    from backtune.search.planning.annualisations import read_annualisations
    from backtune.search.planning.calibration import calibrate
    from backtune.search.planning.estimate import estimate_sweep
    from backtune.search.planning.luck import PlannedLuck
    from backtune.search.planning.plan import describe_sweep, plan_studies

    studies = plan_studies(sweep_spec, parse_location(runs) if runs is not None else None)
    run = describe_sweep(sweep_spec, runs, studies, version=backtune.__version__)
    prices = calibrate(studies)
    n_cpus = workers or (offer.cpus if offer else len(os.sched_getaffinity(0)))
    found = estimate_sweep(sweep_spec, run, studies, prices, n_cpus)
    guessed = tuple(sorted({study.strategy.name for study in studies} - set(prices.evaluation)))
    catalog = Catalog.open(sweep_spec.data.location)
    windows = dict.fromkeys(study.bars for study in studies)
    unfinished = tuple(bar for window in windows for bar in unfinished_bars(window, catalog))
    outlook = _SweepOutlook(
        sweep_spec,
        run,
        found,
        read_annualisations(studies),
        PlannedLuck.of(studies),
        n_cpus,
        guessed,
        unfinished,
        offer,
    )
    if json:
        print_json(outlook.to_json())
    else:
        _print_outlook(make_stdout_console(), outlook)


@dataclass(frozen=True)
class _MachineOffer:
    """A machine as a provider sells it, by the hour."""

    price: float
    cpus: int
    machine: str | None

    @classmethod
    def of(cls, price: float | None, cpus: int | None, machine: str | None) -> _MachineOffer | None:
        """Return the offer that the options describe, or None where no option is given.

        Raises:
            SpecError: One of price and cpus is missing, or the price is not a number.
        """
        if price is not None and not math.isfinite(price):
            raise SpecError("--price", f"{price} is not an amount of money", value=price)
        if price is not None and cpus is not None:
            return cls(price, cpus, machine)
        given = {"--price": price, "--cpus": cpus, "--machine": machine}
        for option, value in given.items():
            if value is not None:
                missing = " and ".join(name for name in ("--price", "--cpus") if given[name] is None)
                raise SpecError(option, f"a cost needs {missing} as well", value=value)
        return None

    def count_machines(self, n_cpus: int) -> int:
        return math.ceil(n_cpus / self.cpus)

    def compute_cost(self, n_cpus: int, seconds: float) -> float:
        """Return the cost of the machines that provide ``n_cpus`` for ``seconds``."""
        return self.count_machines(n_cpus) * self.price * seconds / 3600


@dataclass(frozen=True)
class _SweepOutlook:
    """The content of the plan of a sweep.

    Attributes:
        found: Estimate of the work that is left.
        n_cpus: Number of cpus that the estimate is for.
        guessed: Names of the strategies that could not be timed.
        unfinished: Bars at the ends of the windows that are built from a part of their time.
    """

    spec: SweepSpec
    run: StoredSweep
    found: Estimate
    annualisations: Annualisations
    luck: PlannedLuck
    n_cpus: int
    guessed: tuple[str, ...]
    unfinished: tuple[UnfinishedBar, ...]
    offer: _MachineOffer | None

    @property
    def n_looking_ahead(self) -> int:
        """Number of studies that begin with parameters found on bars of their own test."""
        return sum(study.has_seen_test for study in self.run.studies)

    def to_json(self) -> dict[str, Any]:
        found = asdict(self.found)
        content: dict[str, Any] = {
            "sweep_id": self.run.sweep_id,
            "folder": str(self.run.folder),
            "n_units": len(found.pop("unit_seconds")),
            "longest_unit_seconds": max(self.found.unit_seconds, default=0.0),
            "core_hours": self.found.core_seconds / 3600,
            "n_cpus": self.n_cpus,
            "guessed": list(self.guessed),
            "n_looking_ahead": self.n_looking_ahead,
            "unfinished_bars": [bar.to_json() for bar in self.unfinished],
            "annualisations": [found.to_json(*series) for series, found in self.annualisations.found.items()],
            "n_series_unread": self.annualisations.n_unread,
            "luck": self.luck.to_json(),
            **found,
        }
        if self.offer is not None:
            seconds = self.found.wall_seconds
            content["cost"] = {
                **asdict(self.offer),
                "n_machines": self.offer.count_machines(self.n_cpus),
                "total": self.offer.compute_cost(self.n_cpus, seconds),
            }
        return content


def _print_outlook(out: Console, outlook: _SweepOutlook) -> None:
    search, found = outlook.spec.search, outlook.found
    finished = found.n_studies - found.n_open
    studies = f"{found.n_studies:,} {'study' if found.n_studies == 1 else 'studies'}"
    if finished:
        studies += f", {finished:,} of them finished"
    backend = outlook.run.studies[0].backend
    title = f"{outlook.run.name}: {studies}, {search.sampler} ({backend}) on {', '.join(map(str, search.objectives))}"
    if found.shares or found.permuted:
        table = _tabulate_work(found)
        table.title = Text(title)
        out.print(table)
    else:
        out.print(title, highlight=False, soft_wrap=True, markup=False)
    for heading, text in _describe_outlook(outlook):
        out.print(Text.assemble((f"{heading:<8}", "dim"), text), soft_wrap=True)


def _tabulate_work(found: Estimate) -> Table:
    total = found.cost
    table = Table(
        title_justify="left",
        title_style="",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        show_footer=True,
    )
    table.add_column("strategy", footer="all", overflow="fold")
    table.add_column("time\nframe")
    table.add_column("studies", footer=f"{found.n_open + found.n_permuted:,}", justify="right")
    table.add_column("bars", justify="right")
    table.add_column("candidates\nleft", footer=f"{found.n_left:,}", justify="right")
    table.add_column("ms\neach", footer=_format_milliseconds(total.seconds, total), justify="right")
    table.add_column(
        "of which\nsampler", footer=_format_milliseconds(total.sampler_seconds, total), justify="right"
    )
    table.add_column("core\ntime", footer=_format_duration(total.seconds), justify="right")
    named = [
        *((share.strategy, share) for share in found.shares),
        *((f"{share.strategy}, permuted", share) for share in found.permuted),
    ]
    before = ""
    for name, share in named:
        table.add_row(
            "" if name == before else name,
            share.timeframe,
            f"{share.n_studies:,}",
            f"{share.n_bars:,}",
            f"{share.cost.n_left:,}",
            _format_milliseconds(share.cost.seconds, share.cost),
            _format_milliseconds(share.cost.sampler_seconds, share.cost),
            _format_duration(share.cost.seconds),
        )
        before = name
    return table


def _describe_outlook(outlook: _SweepOutlook) -> Iterator[tuple[str, str]]:
    from backtune.data.unfinished import describe_unfinished

    found, folder = outlook.found, outlook.run.folder
    yield "log", f"{found.n_logged:,} of {found.n_candidates:,} candidates are in the log of {folder}"
    if outlook.n_looking_ahead:
        studies = f"{outlook.n_looking_ahead:,} of {found.n_studies:,} studies begin"
        found_by = (
            f"what {outlook.spec.search.warm_start} found on bars of their tests, which then prove nothing"
        )
        yield "ahead", f"{studies} with {found_by}"
    for sentence in describe_unfinished(outlook.unfinished):
        yield "bars", sentence
    yield from _describe_annualisations(outlook.annualisations)
    for heading, sentence in zip(("luck", ""), outlook.luck.describe(), strict=False):
        yield heading, sentence
    if not found.n_open and not found.permuted:
        yield "left", "nothing"
        return
    if found.permuted:
        validation = outlook.spec.validation
        repeats = f"up to {validation.permutations:,} of each of the first {validation.permuted_rows:,} searches, on permuted bars"
        yield "repeats", repeats + (": at most what is shown" if found.n_open else "")
    n_units, longest = len(found.unit_seconds), _format_duration(found.unit_seconds[0])
    yield "units", f"{n_units:,}, the longest of {longest}" if n_units > 1 else f"1, of {longest}"
    reading = (
        f", {_format_duration(found.loading_seconds)} of it to read bars"
        if found.loading_seconds >= 1
        else ""
    )
    yield "work", f"{found.core_seconds / 3600:,.3g} core-hours{reading}"
    yield (
        "time",
        f"about {_format_duration(found.wall_seconds)} on {outlook.n_cpus:,} cpus, once Ray has started",
    )
    budget = outlook.spec.compute.time_budget
    if budget is not None and found.wall_seconds > budget:
        yield "", f"longer than the time budget of {_format_duration(budget)}: start the sweep again to go on"
    if outlook.offer is not None:
        yield (
            "cost",
            f"{_describe_cost(outlook.offer, outlook.n_cpus, found.wall_seconds)}, if those cpus are as fast as this one",
        )
    if outlook.guessed:
        yield "guessed", f"{', '.join(outlook.guessed)}: could not be timed, so the cost is a rough one"


def _describe_annualisations(annualisations: Annualisations) -> Iterator[tuple[str, str]]:
    """Describe the bars a year, assets with the same sessions together, and the differences between calendars and bars."""
    from backtune.cli.tables import list_disagreements
    from backtune.data.calendar import describe

    alike: dict[tuple[str, ...], dict[str, Annualisation]] = {}
    for (asset, timeframe), found in annualisations.found.items():
        alike.setdefault((timeframe, found.sessions, found.assumed), {})[asset] = found
    heading = "a year"
    for (timeframe, *_), group in list(alike.items())[:_MOST_ANNUALISATIONS]:
        more = f" and {len(group) - _NAMED_ASSETS} more" if len(group) > _NAMED_ASSETS else ""
        yield (
            heading,
            describe(list(group.values()), f"{', '.join(list(group)[:_NAMED_ASSETS])}{more} {timeframe}"),
        )
        heading = ""
    n_more = len(alike) - _MOST_ANNUALISATIONS
    if n_more > 0:
        yield "", f"{n_more:,} more kinds of market; --json lists all of them"
    if annualisations.n_unread:
        yield (
            heading,
            f"not read for this: {annualisations.n_unread:,} series; the leaderboard shows their bars a year",
        )
    every = annualisations.found.items()
    for line in list_disagreements(found.disagreement(" ".join(series)) for series, found in every):
        yield "warning", line


def _describe_cost(offer: _MachineOffer, n_cpus: int, seconds: float) -> str:
    amount = offer.compute_cost(n_cpus, seconds)
    shown = f"{amount:,.2f}" if amount >= 0.01 or amount == 0 else "less than 0.01"
    machines = f"{offer.count_machines(n_cpus):,} x {offer.machine or 'machine'} of {offer.cpus:,} cpus"
    return f"{shown} for {machines} at {offer.price:g} an hour"


def _format_milliseconds(seconds: float, cost: ComputeCost) -> str:
    return f"{1000 * seconds / cost.n_left:,.2f}" if cost.n_left else "-"


def _format_duration(seconds: float) -> str:
    """Return a duration with about two digits, in the unit that a person would choose."""
    for limit, unit, size in ((100, "s", 1), (100 * 60, "min", 60), (100 * 3600, "h", 3600)):
        if seconds < limit:
            amount = seconds / size
            return f"{amount:.{2 if amount < 1 else 1 if amount < 10 else 0}f} {unit}"
    return f"{seconds / 86_400:,.1f} days"
