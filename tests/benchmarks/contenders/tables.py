"""What was measured, as Markdown tables."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from backtune.search.study_loop.study import Study
from contenders import shares
from contenders.ours import UnitRecord
from contenders.setting import Finding

PEER = "one Tune trial per candidate"


def our_name(backend: str, workers: int) -> str:
    """How ours is called in every table."""
    return f"backtune, {backend}, {workers} worker{'s' if workers > 1 else ''}"


def print_setting(studies: Sequence[Study], common: Sequence[Study], trials: int) -> None:
    """What is searched."""
    for name, group in (("ours", studies), ("peers", common)):
        bars = statistics.mean(study.n_bars for study in group)
        print(f"{name}: {len(group)} studies of {trials} trials, {bars:,.0f} bars on average")


def print_open_trials(tried: Mapping[int, float]) -> None:
    """What the peer made of more open trials."""
    text = ", ".join(f"{n}: {rate:.1f}" for n, rate in tried.items())
    print(f"\n{PEER}, candidates per second by max_concurrent_trials: {text}; the best is taken")


def print_rates(found: Mapping[str, Finding]) -> None:
    """Candidates per second."""
    _head(
        "search", "candidates", "seconds", "per second", "times the peer", "with Ray's start and end", "times"
    )
    for name, one in found.items():
        _row(
            name, f"{one.n_candidates:,}", f"{one.seconds:.1f}", f"{one.rate:,.0f}", _times(one.rate, found, "rate"),
            f"{one.whole_rate:,.0f}", _times(one.whole_rate, found, "whole_rate"),
        )  # fmt: skip
    for name, one in found.items():
        alone = found.get(name.replace("2 workers", "1 worker"), one)
        if alone is not one:
            ratio, whole = one.rate / alone.rate, one.whole_rate / alone.whole_rate
            print(f"\n{name} against 1: {ratio:.2f}, with Ray's start and end {whole:.2f}")


def print_best(found: Mapping[str, Finding], names: Sequence[str]) -> None:
    """The best value reached, on the studies that all have run, and the paired difference from the peer."""
    peer = found.get(PEER)
    _head(
        "search",
        f"best, mean of {len(names)} studies",
        "above the peer, mean",
        "standard error",
        "better, equal, worse",
    )
    for name, one in found.items():
        best = np.array([one.best[study] for study in names])
        texts = ["", "", ""]
        if peer is not None:
            texts = _compared(best - np.array([peer.best[study] for study in names]))
        _row(name, f"{best.mean():.4f}", *texts)


def print_best_over_seeds(gains: Mapping[str, Sequence[float]], n_seeds: int) -> None:
    """By how much the best values are above those of Optuna in one process, over studies and seeds."""
    _head(
        f"in one process, {n_seeds} seeds",
        "studies",
        "above Optuna in one process, mean",
        "standard error",
        "better, equal, worse",
    )
    for backend, found in gains.items():
        _row(f"backtune, {backend}", str(len(found)), *_compared(np.array(found)))


def _compared(gains: np.ndarray) -> list[str]:
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.nan
    counts = ((gains > 0).sum(), (gains == 0).sum(), (gains < 0).sum())
    return [f"{gains.mean():+.4f}", f"{error:.4f}", ", ".join(map(str, counts))]


def print_cpu(found: Mapping[str, Finding]) -> None:
    """Processor time of every kind of process, per second of the sweep."""
    kinds = list(dict.fromkeys(kind for one in found.values() for kind in one.cpu))
    _head("cpus kept busy by", *kinds)
    for name, one in found.items():
        if one.cpu:
            _row(name, *(f"{one.cpu.get(kind, 0.0) / one.sweep_seconds:.3f}" for kind in kinds))


def print_shares(timed: Mapping[str, Sequence[UnitRecord]]) -> None:
    """Parts of the time of units, and what of the clock they leave."""
    parts = (shares.KERNEL, shares.SAMPLER, shares.EVALUATION, shares.LOG, shares.BARS, shares.STUDY)
    _head("units, 2 workers", *parts, "all but kernel and sampler", "sum of parts / clock", "between units")
    for backend, units in timed.items():
        total: Counter[str] = Counter()
        for unit in units:
            total.update(unit.shares)
        whole = sum(total.values())
        clock = sum(unit.seconds for unit in units)
        rest = whole - total[shares.KERNEL] - total[shares.SAMPLER]
        _row(
            backend, *(f"{total[part] / whole:.1%}" for part in parts), f"{rest / whole:.1%}", f"{whole / clock:.4f}",
            f"{_between(units):.1%}",
        )  # fmt: skip


def print_bare(rates: Mapping[int, float]) -> None:
    """What the machine gives to plain processes."""
    print(f"\nwithout Ray, candidates per second in 1 and 2 plain processes: {rates[1]:,.0f} and {rates[2]:,.0f}, "
          f"ratio {rates[2] / rates[1]:.2f}")  # fmt: skip


def print_memory(measured: Mapping[str, Sequence[tuple[int, int]]]) -> None:
    """Growth of the driver between a shorter and a longer sweep."""
    _head("driver of", "candidates", "MiB above the start", "bytes per candidate more")
    for name, sizes in measured.items():
        (few, small), (many, large) = sizes
        _row(
            name, f"{few:,} and {many:,}", f"{small / 2**20:.1f} and {large / 2**20:.1f}",
            f"{(large - small) / (many - few):,.0f}",
        )  # fmt: skip


def _between(units: Sequence[UnitRecord]) -> float:
    """The share of the workers' time, from each one's first unit to its last, that was spent in no unit."""
    by_worker: dict[int, list[UnitRecord]] = {}
    for unit in units:
        by_worker.setdefault(unit.pid, []).append(unit)
    spans = sum(max(u.end for u in own) - min(u.start for u in own) for own in by_worker.values())
    return 1.0 - sum(unit.seconds for unit in units) / spans


def _times(rate: float, found: Mapping[str, Finding], what: str) -> str:
    return f"{rate / getattr(found[PEER], what):.1f}" if PEER in found else ""


def _head(*names: str) -> None:
    print()
    _row(*names)
    _row("---", *["---:"] * (len(names) - 1))


def _row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)
