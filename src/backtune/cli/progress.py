"""Progress of a sweep on stderr: a live line in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("trials"),
        TextColumn("{task.fields[rate]}"), TextColumn("{task.fields[best]}"), TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )  # fmt: skip
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None, rate="", best="", left="")

        def show(progress: Progress) -> None:
            rate.note(progress)
            bar.update(
                task, description=_studies(progress), total=progress.n_trials_planned, completed=progress.n_trials,
                rate=rate.text(), best=_best(progress), left=rate.left(progress),
            )  # fmt: skip

        yield show


class _Rate:
    """Candidates per second since the first that this start of the sweep finished."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._per_second = 0.0

    def note(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._first is None or progress.n_trials == self._first[1]:
            self._first = (now, progress.n_trials)
        else:
            self._per_second = (progress.n_trials - self._first[1]) / max(now - self._first[0], 1e-9)

    def text(self) -> str:
        return f"{self._per_second:,.0f} candidates/s" if self._per_second else ""

    def left(self, progress: Progress) -> str:
        if not self._per_second:
            return ""
        seconds = (progress.n_trials_planned - progress.n_trials) / self._per_second
        return f"{seconds // 60:.0f}:{seconds % 60:02.0f} left"


def _plain(console: Console, rate: _Rate) -> Callable[[Progress], None]:
    shown_at = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal shown_at
        rate.note(progress)
        if time.monotonic() - shown_at >= _PLAIN_SECONDS:
            shown_at = time.monotonic()
            trials = f"{progress.n_trials:,}/{progress.n_trials_planned:,} trials"
            parts = (_studies(progress), trials, rate.text(), _best(progress), rate.left(progress))
            console.print("  ".join(part for part in parts if part), soft_wrap=True)

    return show


def _studies(progress: Progress) -> str:
    return f"{progress.n_studies_done}/{progress.n_studies} studies"


def _best(progress: Progress) -> str:
    return f"best {progress.best:.3f}" if progress.best is not None else ""
