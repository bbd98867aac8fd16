"""Progress of a sweep on stderr: a live line in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from backtune.results.progress import Progress

_PLAIN_SECONDS = 10.0


@contextmanager
def show_progress(console: Console, *, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Yield a function that shows the progress it is called with."""
    if quiet:
        yield lambda _progress: None
        return
    rate = _WorkRate()
    if not console.is_terminal:
        yield _print_plain_progress(console, rate)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[counted]}"),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[best]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None, counted="trials", rate="", best="", left="")

        def show(progress: Progress) -> None:
            count = _count_work(progress)
            rate.add(count)
            bar.update(
                task,
                description=_describe_studies(progress),
                total=count.n_planned,
                completed=count.n_done,
                counted=count.counted,
                rate=rate.describe(),
                best=_describe_best(progress),
                left=rate.describe_time_left(),
            )

        yield show


class _WorkCount(NamedTuple):
    """The work that a progress bar shows: trials, and when the studies are done, permuted searches."""

    counted: str
    unit: str
    n_done: int
    n_planned: int

    def describe(self) -> str:
        return f"{self.n_done:,}/{self.n_planned:,} {self.counted}"


def _count_work(progress: Progress) -> _WorkCount:
    if progress.n_permuted:
        return _WorkCount("permuted searches", "searches", progress.n_permuted_done, progress.n_permuted)
    return _WorkCount("trials", "candidates", progress.n_trials, progress.n_trials_planned)


class _WorkRate:
    """The candidates or permuted searches per second since this start of the sweep finished its first one."""

    def __init__(self) -> None:
        self._first: tuple[float, _WorkCount] | None = None
        self._last: _WorkCount | None = None
        self._per_second = 0.0

    def add(self, count: _WorkCount) -> None:
        now = time.monotonic()
        if self._last is not None and self._last.unit != count.unit:
            self._first, self._per_second = None, 0.0
        self._last = count
        if self._first is None or count.n_done == self._first[1].n_done:
            self._first = (now, count)
        else:
            self._per_second = (count.n_done - self._first[1].n_done) / max(now - self._first[0], 1e-9)

    def describe(self) -> str:
        if not self._per_second or self._last is None:
            return ""
        return f"{self._per_second:,.{0 if self._per_second >= 10 else 1}f} {self._last.unit}/s"

    def describe_time_left(self) -> str:
        if not self._per_second or self._last is None:
            return ""
        seconds = (self._last.n_planned - self._last.n_done) / self._per_second
        return f"{seconds // 60:.0f}:{seconds % 60:02.0f} left"


def _print_plain_progress(console: Console, rate: _WorkRate) -> Callable[[Progress], None]:
    shown_at = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal shown_at
        count = _count_work(progress)
        rate.add(count)
        if time.monotonic() - shown_at >= _PLAIN_SECONDS:
            shown_at = time.monotonic()
            parts = (
                _describe_studies(progress),
                count.describe(),
                rate.describe(),
                _describe_best(progress),
                rate.describe_time_left(),
            )
            console.print("  ".join(part for part in parts if part), soft_wrap=True)

    return show


def _describe_studies(progress: Progress) -> str:
    return f"{progress.n_studies_done}/{progress.n_studies} studies"


def _describe_best(progress: Progress) -> str:
    return f"best {progress.best:.3f}" if progress.best is not None else ""
