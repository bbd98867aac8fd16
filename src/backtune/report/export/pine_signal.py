"""The Pine template of a strategy: ``<class>.pine``, beside the file that defines the class.

A template is a fragment of Pine v6. Every parameter of the strategy is a variable in it, ``EQUAL`` is the share of a
price below which two prices tie, and it sets ``side`` to 1, 0 or -1 at every close.
"""

from __future__ import annotations

import inspect
from pathlib import Path

from backtune.errors import ReportError
from backtune.spec import StrategyFile
from backtune.strategy.registry import resolve_strategy


def read_signal(entry: str | StrategyFile) -> str:
    """Read the Pine template of a strategy that a spec names.

    Raises:
        ReportError: There is no template, or it cannot be read.
        SpecError: No strategy has that name.
    """
    path = _path(entry)
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ReportError(
            f"{entry} has no Pine template: write {path}, as docs/pine.md tells, or choose a study of another strategy"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _path(entry: str | StrategyFile) -> Path:
    if isinstance(entry, StrategyFile):
        return Path(entry.file).with_name(f"{entry.class_name}.pine")
    cls = resolve_strategy(entry).cls
    try:
        file = inspect.getsourcefile(cls) if cls is not None else None
    except TypeError:
        file = None
    if cls is None or file is None:
        raise ReportError(f"{entry} is defined in no file, so there is no Pine template beside it")
    return Path(file).with_name(f"{cls.__name__}.pine")
