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
def shown_progress(console: Console, *, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A function to be called with every new progress."""
    if quiet:
        yield lambda _progress: None
        return
    rate = _Rate()
    if not console.is_terminal:
        yield _plain(console, rate)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[counted]}"),
        TextColumn("{task.fields[rate]}"), TextColumn("{task.fields[best]}"), TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )  # fmt: skip
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None, counted="trials", rate="", best="", left="")

        def show(progress: Progress) -> None:
            count = _count(progress)
            rate.note(count)
            bar.update(
                task, description=_studies(progress), total=count.n_planned, completed=count.n_done, counted=count.counted,
                rate=rate.text(), best=_best(progress), left=rate.left(),
            )  # fmt: skip

        yield show


class _Count(NamedTuple):
    """What a progress bar shows: first trials, and when the studies are done, permuted searches."""

    counted: str
    unit: str
    n_done: int
    n_planned: int

    def text(self) -> str:
        return f"{self.n_done:,}/{self.n_planned:,} {self.counted}"


def _count(progress: Progress) -> _Count:
    if progress.n_permuted:
        return _Count("permuted searches", "searches", progress.n_permuted_done, progress.n_permuted)
    return _Count("trials", "candidates", progress.n_trials, progress.n_trials_planned)


class _Rate:
    """Candidates or permuted searches per second since the first that this start of the sweep finished."""

    def __init__(self) -> None:
        self._first: tuple[float, _Count] | None = None
        self._last: _Count | None = None
        self._per_second = 0.0

    def note(self, count: _Count) -> None:
        now = time.monotonic()
        if self._last is not None and self._last.unit != count.unit:
            self._first, self._per_second = None, 0.0
        self._last = count
        if self._first is None or count.n_done == self._first[1].n_done:
            self._first = (now, count)
        else:
            self._per_second = (count.n_done - self._first[1].n_done) / max(now - self._first[0], 1e-9)

    def text(self) -> str:
        if not self._per_second or self._last is None:
            return ""
        return f"{self._per_second:,.{0 if self._per_second >= 10 else 1}f} {self._last.unit}/s"

    def left(self) -> str:
        if not self._per_second or self._last is None:
            return ""
        seconds = (self._last.n_planned - self._last.n_done) / self._per_second
        return f"{seconds // 60:.0f}:{seconds % 60:02.0f} left"


def _plain(console: Console, rate: _Rate) -> Callable[[Progress], None]:
    shown_at = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal shown_at
        count = _count(progress)
        rate.note(count)
        if time.monotonic() - shown_at >= _PLAIN_SECONDS:
            shown_at = time.monotonic()
            parts = (_studies(progress), count.text(), rate.text(), _best(progress), rate.left())
            console.print("  ".join(part for part in parts if part), soft_wrap=True)

    return show


def _studies(progress: Progress) -> str:
    return f"{progress.n_studies_done}/{progress.n_studies} studies"


def _best(progress: Progress) -> str:
    return f"best {progress.best:.3f}" if progress.best is not None else ""
