"""The length of a file's bars: from its name, the user or the rows, and the rows that do not fit it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import polars as pl

from backtune.data.ingest.table import SeriesTable
from backtune.data.ingest.words import count_of
from backtune.data.window import iso
from backtune.errors import BarsError
from backtune.spec.timeframe import Timeframe, month_numbers, month_starts

Label = Literal["open", "close"]

_SECOND: Final = 1_000_000
_WEEK_SECONDS: Final = 7 * 86_400
_MINUTE: Final = 60 * _SECOND
_DAY: Final = 86_400 * _SECOND
_MONTH: Final = 2_629_800 * _SECOND
# A length is that of the usual step if so many steps are whole multiples of it.
_MOST: Final = 0.9
# So many rows, all a multiple of the named length apart, are bars of that multiple.
_ENOUGH: Final = 20
# So many rows of months are bars of months, whatever the last row is: vendors end files with the bar of today.
_FEW_MONTHS: Final = 5
_FIRST_MONDAY: Final = 4 * _DAY
_REPAIR: Final = "--repair moves them to the grid, or drops them where there is a bar already"
# Nobody recorded prices within a day before; an earlier time was misunderstood.
_FIRST_INTRADAY: Final = 315_532_800 * _SECOND  # 1980-01-01


@dataclass(frozen=True)
class Length:
    """The length of bars, and who says so.

    Attributes:
        timeframe: The length.
        origin: A phrase that says where it is from.
        is_chosen: True if the user gave it.
    """

    timeframe: Timeframe
    origin: str
    is_chosen: bool = False


def find_length(table: SeriesTable, source: str) -> Length:
    """Tell the length of bars from the rows.

    It is the usual step between them, or where many steps are no multiple of it, the longest length that divides all.

    Raises:
        BarsError: A single row cannot tell, or the rows are less than a second apart.
    """
    times = np.unique(table.frame["timestamp"].drop_nulls().to_physical().to_numpy())
    if len(times) < 2:
        if table.length:
            return Length(_as_timeframe(table.length), "from the column of the bars' ends")
        raise BarsError(
            "neither the file's name nor a single row tells the timeframe; pass --timeframe", source=source
        )
    steps = np.diff(times)
    usual = _usual(steps)
    if usual < _SECOND:
        raise BarsError(
            f"rows are usually {usual / _SECOND:g} s apart, so these are not bars, or their times were misunderstood; "
            "name the column of the times with --columns time=NAME",
            source=source,
            column="timestamp",
        )
    months = _months(times, steps) or (_months(times[:-1], steps[:-1]) if len(times) > _FEW_MONTHS else None)
    if months is not None:
        return Length(Timeframe.of_months(months), "the rows' usual step")
    usual = _whole_days(usual)
    if not _is_usual_length(usual // _SECOND):
        raise BarsError(
            f"rows are usually {usual // _SECOND} s apart, which is hardly the length of bars: their times may have been "
            f"misunderstood; if they were not, pass --timeframe {Timeframe(usual // _SECOND)}",
            source=source,
            column="timestamp",
        )
    if np.mean(_is_multiple(steps, usual)) < _MOST:
        divisor = int(np.gcd.reduce(steps))
        if divisor >= 60 * _SECOND and usual % divisor == 0:
            return Length(
                Timeframe(divisor // _SECOND), "the longest length that divides all steps between rows"
            )
    return Length(Timeframe(usual // _SECOND), "the rows' usual step")


def label_by_open(table: SeriesTable, timeframe: Timeframe, label: Label) -> SeriesTable:
    """Move times to the opens of their bars.

    A date names a day, also where it is the last of a week or a month; other times at which bars end are moved back by a length. Dates
    of months become the first of them.
    """
    times = table.frame["timestamp"].to_physical()
    if times.null_count():
        return table
    opens, is_date, ends = times.to_numpy().copy(), table.is_date, label == "close" or table.stamps_are_ends
    if timeframe.seconds >= 60 and len(opens) > 1 and bool(np.all(opens % _MINUTE >= 59 * _SECOND)):
        # The last second or millisecond of a bar stands for its end.
        opens, is_date, ends = (opens // _SECOND + 1) * _SECOND, False, True
    if timeframe.months:
        opens, said = _months_by_open(opens, timeframe, is_date=is_date, ends=ends)
    elif not ends:
        said = "open (assumed)"
    elif is_date:
        opens, said = _dates_by_open(opens, timeframe)
    else:
        opens = -(-opens // _SECOND) * _SECOND - timeframe.microseconds
        said = "the times are those of closes: moved back by a bar"
    notes = table.notes
    if is_date and not ends and _are_weekends(opens, timeframe):
        notes = (*notes, "weeks are dated at their end, it seems; if so, pass --label close")
    stamps = pl.Series("timestamp", opens).cast(table.frame.schema["timestamp"])
    frame, assumed = table.frame.with_columns(stamps), {**table.assumed, "label": said}
    return replace(table, frame=frame, assumed=assumed, notes=notes)


def _dates_by_open(dates: np.ndarray, timeframe: Timeframe) -> tuple[np.ndarray, str]:
    """Return the opens of bars that are dated by their last days, or weeks by the Monday on which they end."""
    if timeframe.seconds == 86_400:
        return dates, "dates name their days"
    if timeframe.seconds % _WEEK_SECONDS:
        return dates - (timeframe.microseconds - _DAY), "the dates are those of last days: moved to the first"
    days_since_monday = (dates - _FIRST_MONDAY) % (7 * _DAY)
    if not np.any(days_since_monday):
        return dates - timeframe.microseconds, "the dates are those on which bars end: moved back by a bar"
    first = dates - days_since_monday - (timeframe.microseconds - 7 * _DAY)
    return first, "the dates are those of last days: moved to the first"


def _are_weekends(dates: np.ndarray, timeframe: Timeframe) -> bool:
    """Return True for weeks that are all dated on one and the same Friday, Saturday or Sunday."""
    if timeframe.months or timeframe.seconds % _WEEK_SECONDS:
        return False
    days = np.unique((dates - _FIRST_MONDAY) % (7 * _DAY) // _DAY)
    return len(days) == 1 and int(days[0]) >= 4


def fit_to_length(
    table: SeriesTable, length: Length, *, repair: bool, source: str, way_out: str = _REPAIR
) -> SeriesTable:
    """Check that steps between rows are whole numbers of bars, and mend the few that are not where ``repair`` is set.

    Args:
        way_out: The advice for rows that open too early.

    Raises:
        BarsError: The rows are those of another length, or some open before the bar before them has ended.
    """
    frame, timeframe = table.frame, length.timeframe
    opens = frame["timestamp"].to_physical().to_numpy()
    if len(opens) < 2:
        return table
    steps = timeframe.steps(opens)
    notes = list(table.notes)
    gaps = np.diff(opens)
    gaps = gaps[gaps > 0]
    short = (steps < 1 - 1e-9) & (np.diff(opens) > 0)
    usual = _usual(gaps) if len(gaps) else timeframe.microseconds
    if np.mean(short) > 0.5 or (np.any(short) and usual < timeframe.microseconds * 0.99):
        raise _wrong_length(length, usual, gaps, source)
    if not timeframe.months:
        _check_multiples(length, opens, usual, source)
        if timeframe.seconds >= 86_400:
            short |= np.abs(steps - np.rint(steps)) > 1e-9
    elif np.any(np.diff(opens) == 0):
        frame, notes = _without_second_rows(frame, opens, timeframe, notes, repair=repair, source=source)
        opens = frame["timestamp"].to_physical().to_numpy()
        short = short[:0]
    if np.any(short):
        if not repair:
            row = int(np.flatnonzero(short)[0]) + 1
            n_off = int((opens % timeframe.microseconds != _phase(opens, timeframe)).sum())
            raise BarsError(
                f"opens {_span(opens[row] - opens[row - 1])} after the row before, at {iso(int(opens[row]))}, where bars are of "
                f"{timeframe}; {count_of(n_off, 'row')} of {len(opens):,} off the grid; {way_out}",
                source=source,
                row=int(frame["row"][row]),
                column="timestamp",
            )
        frame, moved, dropped = _snap(frame, timeframe)
        if moved:
            notes.append(f"moved {count_of(moved, 'row')} to the grid of {timeframe}")
        if dropped:
            notes.append(f"dropped {count_of(dropped, 'row')} between the bars of {timeframe}")
    return replace(table, frame=frame, notes=tuple(notes))


def check_plausible(table: SeriesTable, timeframe: Timeframe, source: str) -> None:
    """Refuse bars within a day from years in which nobody recorded any: their times were misunderstood.

    Raises:
        BarsError: The first bar opens before 1980.
    """
    first = int(table.frame["timestamp"].to_physical()[0])
    if timeframe.microseconds < _DAY and first < _FIRST_INTRADAY:
        raise BarsError(
            f"bars of {timeframe} from {iso(first)} are not plausible: the times were misunderstood, perhaps in their unit",
            source=source,
            row=int(table.frame["row"][0]),
            column="timestamp",
        )


def _check_multiples(length: Length, opens: np.ndarray, usual: int, source: str) -> None:
    timeframe = length.timeframe
    steps = np.diff(opens)
    steps = steps[steps > 0]
    if usual > timeframe.microseconds and not _is_multiple(np.array([usual]), timeframe.microseconds)[0]:
        raise _wrong_length(length, usual, steps, source)
    divisor = int(np.gcd.reduce(steps)) if len(steps) else 0
    if (
        not length.is_chosen
        and len(opens) >= _ENOUGH
        and divisor > timeframe.microseconds
        and usual > timeframe.microseconds
        and not (timeframe.microseconds == _DAY and divisor < 7 * _DAY)  # days of a calendar with gaps
    ):
        raise _wrong_length(length, usual, steps, source)


def _wrong_length(length: Length, usual: int, steps: np.ndarray, source: str) -> BarsError:
    least = _span(int(steps[steps > 0].min())) if np.any(steps > 0) else "0s"
    advice = (
        "" if length.is_chosen else f"; pass --timeframe {length.timeframe} if that is right all the same"
    )
    return BarsError(
        f"the timeframe is said to be {length.timeframe} ({length.origin}), but the rows are {least} apart at the least and "
        f"{_span(usual)} usually; pass the right --timeframe{advice}",
        source=source,
        column="timestamp",
    )


def _snap(frame: pl.DataFrame, timeframe: Timeframe) -> tuple[pl.DataFrame, int, int]:
    """Move rows to the grid on which most of them lie; where a row is there already, drop the moved one."""
    opens = frame["timestamp"].to_physical().to_numpy()
    step = timeframe.microseconds
    phase = _phase(opens, timeframe)
    snapped = opens - (opens - phase) % step
    is_moved = snapped != opens
    order = np.lexsort((is_moved, snapped))
    first = np.concatenate([[True], np.diff(snapped[order]) > 0])
    kept = np.sort(order[first | ~is_moved[order]])
    stamps = pl.Series("timestamp", snapped).cast(frame.schema["timestamp"])
    moved = int(is_moved[kept].sum())
    return frame.with_columns(stamps)[kept], moved, len(opens) - len(kept)


def _without_second_rows(
    frame: pl.DataFrame,
    opens: np.ndarray,
    timeframe: Timeframe,
    notes: list[str],
    *,
    repair: bool,
    source: str,
) -> tuple[pl.DataFrame, list[str]]:
    """Drop the later rows of a month that has several, or refuse them."""
    second = np.concatenate([[False], np.diff(opens) == 0])
    row = int(np.flatnonzero(second)[0])
    if not repair:
        raise BarsError(
            f"lies in the same bar of {timeframe} as the row before, {iso(int(opens[row]))} (the unfinished bar of the day of "
            "download?); --repair drops it",
            source=source,
            row=int(frame["row"][row]),
            column="timestamp",
        )
    return frame.filter(~pl.Series(second)), [
        *notes,
        f"dropped {count_of(int(second.sum()), 'second row')} of a bar",
    ]


def _phase(opens: np.ndarray, timeframe: Timeframe) -> int:
    """Return the offset from the epoch's grid at which most rows lie."""
    return _usual(opens % timeframe.microseconds)


def _months_by_open(
    opens: np.ndarray, timeframe: Timeframe, *, is_date: bool, ends: bool
) -> tuple[np.ndarray, str]:
    numbers = month_numbers(opens)
    days_in = (opens - month_starts(numbers)) // _DAY
    days_left = (month_starts(numbers + 1) - opens) // _DAY
    if is_date and ends and not np.any(days_in):
        first = month_starts(numbers - timeframe.months)
        return first, "the dates are those on which bars end: moved back by a bar"
    if is_date and (ends or bool(np.all((days_left <= 4) & (days_in > 0)))):
        first = month_starts(numbers - (timeframe.months - 1))
        return first, "the dates are those of last days: moved to the first"
    if is_date and np.any(days_in):
        return month_starts(numbers), "moved to the first of their month"
    if ends:
        numbers = month_numbers(opens - 1)
        first = month_starts(numbers - (timeframe.months - 1))
        return first, "the times are those of closes: moved back by a bar"
    return opens, "open (assumed)"


def _months(times: np.ndarray, steps: np.ndarray) -> int | None:
    """Return how many months a bar has, where rows follow each other by calendar months."""
    usual = float(np.median(steps))
    months = round(usual / _MONTH)
    if (
        months < 1
        or abs(usual - months * _MONTH) > 4 * _DAY
        or len(np.unique(month_numbers(times))) < len(times)
    ):
        return None
    counts = np.round(steps / (months * _MONTH))
    inside = np.abs(steps - counts * months * _MONTH) <= 5 * _DAY
    # Steps of exactly 28 or 30 days are weeks and days; months differ in length.
    return months if np.all(inside) and (len(set(steps.tolist())) > 1 or len(steps) < 3) else None


def _usual(steps: np.ndarray) -> int:
    values, counts = np.unique(steps, return_counts=True)
    return int(values[np.argmax(counts)])


def _is_usual_length(seconds: int) -> bool:
    """Return True for whole days, parts of a day in whole minutes, and parts of a minute."""
    if seconds >= 86_400:
        return seconds % 86_400 == 0
    return seconds % 60 == 0 if seconds >= 60 else 60 % seconds == 0


def _whole_days(usual: int) -> int:
    """Return a step of days without the hour that a change of clocks takes or gives."""
    days = round(usual / _DAY)
    return days * _DAY if days and abs(usual - days * _DAY) <= 3_600 * _SECOND else usual // _SECOND * _SECOND


def _is_multiple(steps: np.ndarray, length: int) -> np.ndarray:
    return np.abs(steps / length - np.rint(steps / length)) * length < (
        3_601 * _SECOND if length >= _DAY else 1
    )


def _as_timeframe(length: int) -> Timeframe:
    months = round(length / _MONTH)
    if months and abs(length - months * _MONTH) <= 3 * _DAY and length % (7 * _DAY):
        return Timeframe.of_months(months)
    return Timeframe(max(1, length // _SECOND))


def _span(microseconds: int) -> str:
    return (
        str(Timeframe(int(microseconds) // _SECOND))
        if microseconds >= _SECOND
        else f"{microseconds / _SECOND:g}s"
    )
