"""The trial log: append-only Parquet segments of finished trials, which are both the result and the checkpoint.

A segment ``<first>-<last>.parquet`` holds the trials with these numbers. It appears whole or not at all. Two segments
may overlap (a worker that was believed dead, or a crash between merging and deleting): rows are a function of the
study alone, so the reader keeps one of each number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from backtune.errors import ResultsError
from backtune.results.trial import Trial
from backtune.simulation.metrics import METRICS
from backtune.simulation.types import N_BLOCKS
from backtune.space import Parameter, Space, Value
from backtune.storage.files import list_files, list_names, read_bytes, remove_file, write_atomically
from backtune.storage.location import Location

_NAME = re.compile(r"(\d+)-(\d+)\.parquet")
_COLUMN_TYPES: dict[type, pl.DataType] = {
    int: pl.Int64(),
    float: pl.Float64(),
    bool: pl.Boolean(),
    str: pl.String(),
}
_BLOCKS = ("block_count", "block_sum", "block_sum_squares")


class TrialLog:
    """The trials of one study in its folder. One writer at a time is assumed; see above for what if not."""

    def __init__(self, folder: Location, space: Space, n_objectives: int, n_rungs: int = 0) -> None:
        self._folder = folder
        self._space = space
        self._n_objectives = n_objectives
        self._n_rungs = n_rungs
        self._schema = build_log_schema(space, n_objectives, n_rungs)

    def read(self) -> list[Trial]:
        """Return all trials, in order of number, 0 to the last.

        Raises:
            ResultsError: A segment cannot be read, or numbers are missing.
        """
        frame = read_log(self._folder)
        if frame is None:
            return []
        if frame.schema != self._schema:
            raise ResultsError(
                f"{self._folder}: its columns are not those of this study; move the folder away"
            )
        return self._trials(frame)

    def append(self, trials: Sequence[Trial]) -> None:
        """Write trials with consecutive numbers as one segment.

        Raises:
            ResultsError: The file cannot be written; what was there before stays.
        """
        columns = _encode_trials(trials, self._space, self._n_objectives, self._n_rungs)
        write_segment(self._folder, pl.DataFrame(columns, schema=self._schema))

    def merge(self) -> None:
        """Replace several segments by one. Safe at any moment: the pieces go only after the whole is there."""
        pieces = _segments(self._folder)
        frame = read_log(self._folder) if len(pieces) > 1 else None
        if frame is None:
            return
        whole = write_segment(self._folder, frame)
        for piece in pieces:
            if piece != whole:
                remove_file(piece)

    def _trials(self, frame: pl.DataFrame) -> list[Trial]:
        blocks = extract_block_moments(frame)
        values = self._values(frame, "")
        rungs = [self._values(frame, f"rung_{k}_") for k in range(self._n_rungs)]
        metrics = frame.select(list(METRICS)).iter_rows()
        rows = frame.drop(_BLOCKS).iter_rows(named=True)
        return [
            Trial(
                number=row["number"],
                params=decode_params(row, self._space),
                state=row["state"],
                reason=row["reason"],
                values=values[i],
                metrics=dict(zip(METRICS, own_metrics, strict=True)),
                blocks=blocks[i],
                duration_seconds=row["duration_seconds"],
                rungs=tuple(rung[i] for rung in rungs),
            )
            for i, (row, own_metrics) in enumerate(zip(rows, metrics, strict=True))
        ]

    def _values(self, frame: pl.DataFrame, prefix: str) -> list[tuple[float, ...] | None]:
        columns = [f"{prefix}values_{i}" for i in range(self._n_objectives)]
        return [None if None in values else values for values in frame.select(columns).iter_rows()]


def read_log(folder: Location) -> pl.DataFrame | None:
    """Return a study's trials as a frame, one row a trial in order of number; None where there is none.

    Columns: number, state, reason, params_<name>, values_<i>, with early stopping rung_<k>_values_<i>, one per metric,
    block_count, block_sum and block_sum_squares (16 each), duration_seconds.

    Raises:
        ResultsError: A segment cannot be read, or numbers are missing.
    """
    frames = []
    for path in _segments(folder):
        try:
            frames.append(_read_segment(path))
        except FileNotFoundError:
            # Merged away since the listing: the whole has what it had.
            return read_log(folder)
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise ResultsError(
                f"{path}: unreadable trials ({reason}); delete the file to run them again"
            ) from error
    if not frames:
        return None
    frame = pl.concat(frames).unique("number", keep="first", maintain_order=True).sort("number")
    if frame["number"][-1] != len(frame) - 1:
        gap = int((frame["number"] != pl.Series(range(len(frame)))).arg_max() or 0)
        raise ResultsError(f"{folder}: trial {gap} is missing; delete the later segments to run them again")
    return frame


def write_segment(folder: Location, frame: pl.DataFrame) -> Location:
    """Write rows with consecutive numbers, in the columns of :func:`read_log`, as one segment.

    Raises:
        ResultsError: The file cannot be written; what was there before stays.
    """
    path = folder / f"{frame['number'][0]:06d}-{frame['number'][-1]:06d}.parquet"
    # Numbers of a search hardly compress, and nobody filters by them: denser files would take twice as long.
    write_atomically(path, lambda target: frame.write_parquet(target, compression="lz4", statistics=False))
    return path


def count_trials(folder: Location) -> int:
    """Return the number of trials in a study's folder, from the names of the segments alone."""
    found = map(_NAME.fullmatch, list_names(folder))
    return max((int(match[2]) + 1 for match in found if match), default=0)


def count_trials_below(studies: Location) -> dict[str, int]:
    """Return how many trials each study of a sweep has, by id, from one listing of its files.

    Raises:
        ResultsError: S3 does not answer.
    """
    counts: dict[str, int] = {}
    for path in list_files(studies):
        name, _, file = path.partition("/")
        match = _NAME.fullmatch(file)
        if match:
            counts[name] = max(counts.get(name, 0), int(match[2]) + 1)
    return counts


def build_log_schema(space: Space, n_objectives: int, n_rungs: int = 0) -> pl.Schema:
    """Return the columns of a study's trial log."""
    return pl.Schema(
        {
            "number": pl.Int64(),
            "state": pl.String(),
            "reason": pl.String(),
            **{f"params_{name}": _column_type(parameter) for name, parameter in space.items()},
            **{f"values_{i}": pl.Float64() for i in range(n_objectives)},
            **{f"rung_{k}_values_{i}": pl.Float64() for k in range(n_rungs) for i in range(n_objectives)},
            **dict.fromkeys(METRICS, pl.Float64()),
            **dict.fromkeys(_BLOCKS, pl.Array(pl.Float64(), N_BLOCKS)),
            "duration_seconds": pl.Float64(),
        }
    )


def extract_block_moments(log: pl.DataFrame) -> np.ndarray:
    """Return the (n_trials, 16, 3) block moments of the trials of a log."""
    return np.stack([log[name].to_numpy() for name in _BLOCKS], axis=-1)


def decode_params(row: dict[str, Any], space: Space) -> dict[str, Value]:
    """Return the parameters of a row of the log; one that did not matter is null there and left out here."""
    found = {name: row[f"params_{name}"] for name in space}
    return {name: _decode(value, space[name]) for name, value in found.items() if value is not None}


def decode_param_columns(log: pl.DataFrame, space: Space) -> dict[str, list[Value | None]]:
    """Return the values of each parameter in a log, None where it did not matter."""
    return {
        name: [
            None if value is None else _decode(value, parameter) for value in log[f"params_{name}"].to_list()
        ]
        for name, parameter in space.items()
    }


def _segments(folder: Location) -> list[Location]:
    found = [match for name in list_names(folder) if (match := _NAME.fullmatch(name))]
    return [folder / match[0] for match in sorted(found, key=lambda match: (int(match[1]), -int(match[2])))]


def _read_segment(path: Location) -> pl.DataFrame:
    content = read_bytes(path)
    if content is None:
        raise FileNotFoundError
    return pl.read_parquet(content)


def _encode_trials(trials: Sequence[Trial], space: Space, n_objectives: int, n_rungs: int) -> dict[str, Any]:
    """Return the columns of :func:`build_log_schema`; column by column, which costs a tenth of a row for every trial."""
    blocks = np.array([trial.blocks for trial in trials])
    return {
        "number": [trial.number for trial in trials],
        "state": [trial.state for trial in trials],
        "reason": [trial.reason for trial in trials],
        **{
            f"params_{name}": _encode([trial.params.get(name) for trial in trials], parameter)
            for name, parameter in space.items()
        },
        **_encode_values("", [trial.values for trial in trials], n_objectives),
        **{
            name: column
            for k in range(n_rungs)
            for name, column in _encode_values(
                f"rung_{k}_", [t.rungs[k] if t.rungs else None for t in trials], n_objectives
            ).items()
        },
        **{name: [trial.metrics[name] for trial in trials] for name in METRICS},
        **{name: blocks[:, :, i] for i, name in enumerate(_BLOCKS)},
        "duration_seconds": [trial.duration_seconds for trial in trials],
    }


def _encode_values(
    prefix: str, values: Sequence[tuple[float, ...] | None], n_objectives: int
) -> dict[str, list[float | None]]:
    return {
        f"{prefix}values_{i}": [own[i] if own is not None else None for own in values]
        for i in range(n_objectives)
    }


def _column_type(parameter: Parameter) -> pl.DataType:
    if len(parameter.value_types) > 1:
        return pl.String()
    (value_type,) = parameter.value_types
    return _COLUMN_TYPES[value_type]


def _encode(values: list[Value | None], parameter: Parameter) -> list[Value | None]:
    if len(parameter.value_types) == 1:
        return values
    return [None if value is None else json.dumps(value) for value in values]


def _decode(value: Value, parameter: Parameter) -> Value:
    if len(parameter.value_types) == 1:
        return value
    decoded: Value = json.loads(str(value))
    return decoded
