from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from backtune.data.ingest.importer import import_bars
from backtune.data.load import load_bars

HEADER = "time,open,high,low,close,volume\n"


def _write(tmp_path, name, times):
    path = tmp_path / name
    path.write_text(HEADER + "".join(f"{time},2,3,1,2,{i}\n" for i, time in enumerate(times)))
    return path


def _times(start, step, *counts):
    first = datetime.fromisoformat(start)
    return [str(first + step * count) for count in counts]


M, H, D = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LENGTHS = {
    "usual step": ("A.csv", _times("2022-01-03", H, 0, 1, 2, 3, 5), "1h"),
    "one stray row does not make minutes": ("A_1h.csv", _times("2022-01-03", H, 0, 1, 2, 7), "1h"),
    "two rows over a weekend": ("A_1d.csv", ["2023-11-10", "2023-11-13"], "1d"),
    "sparse minutes, named": ("A_1m.csv", _times("2022-01-03", M, 0, 2, 5, 11, 13, 20), "1m"),
    "sparse minutes, not named": ("A.csv", _times("2022-01-03", M, 0, 2, 5, 11, 13, 20, 27), "1m"),
    "days of trade": ("A.csv", ["2022-01-06", "2022-01-07", "2022-01-10", "2022-01-11"], "1d"),
    "weeks": ("A.csv", _times("2022-01-03", 7 * D, 0, 1, 2, 3), "1w"),
    "four weeks are no month": ("A.csv", _times("2022-01-03", 28 * D, 0, 1, 2, 3), "4w"),
    "months": ("A.csv", ["2022-01-01", "2022-02-01", "2022-03-01", "2022-04-01"], "1mo"),
    "months by their last day": ("A.csv", ["2022-01-31", "2022-02-28", "2022-03-31", "2022-04-30"], "1mo"),
    "months by their last day of trade": ("A.csv", ["2022-01-31", "2022-02-28", "2022-03-31", "2022-04-29"], "1mo"),
    "months by their first day of trade": ("A.csv", ["2022-01-03", "2022-02-01", "2022-03-01", "2022-04-04"], "1mo"),
    "months as YYYY-MM": ("A.csv", ["2022-01", "2022-02", "2022-03", "2022-05"], "1mo"),
    "months that open on the evening before, in UTC": ("A.csv", ["2024-01-31 22:00", "2024-02-29 22:00", "2024-03-31 21:00"], "1mo"),
    "months with a gap": ("A.csv", ["2024-01-02", "2024-02-01", "2024-03-01", "2024-06-03"], "1mo"),
    "every fourth Monday": ("A.csv", ["2024-01-01", "2024-01-29", "2024-02-26"], "4w"),
    "quarters": ("A.csv", ["2021-01-01", "2021-04-01", "2021-07-01", "2021-10-01"], "3mo"),
    "years": ("A.csv", ["2019-01-01", "2020-01-01", "2021-01-01", "2022-01-01"], "1y"),
    "days at local midnight, over a change of clocks": (
        "A_1d.csv", ["2022-03-25 23:00", "2022-03-26 23:00", "2022-03-27 22:00", "2022-03-28 22:00"], "1d"),
    "sessions of hours": ("A.csv", [f"2022-01-{d:02} {h}:30" for d in (3, 4, 5) for h in range(14, 21)], "1h"),
}  # fmt: skip


@pytest.mark.parametrize("kind", LENGTHS)
def test_length_of_bars(tmp_path, kind):
    name, times, length = LENGTHS[kind]
    (report,) = import_bars(_write(tmp_path, name, times), tmp_path / "root")
    assert report.error is None
    assert (report.timeframe, report.rows) == (length, len(times))


@pytest.mark.parametrize(
    "times",
    [
        ["2022-01-31", "2022-02-28", "2022-03-31"],
        ["2022-01-03", "2022-02-01", "2022-03-01"],
        ["2022-01", "2022-02", "2022-03"],
        ["Jan 2022", "Feb 2022", "Mar 2022"],
    ],
)
def test_months_open_on_the_first(tmp_path, times):
    import_bars(_write(tmp_path, "A_1mo.csv", times), tmp_path / "root")
    opens = load_bars(tmp_path / "root", "A", "1mo").to_frame()["timestamp"]
    assert [f"{open_:%Y-%m-%d}" for open_ in opens] == ["2022-01-01", "2022-02-01", "2022-03-01"]


WRONG = {
    "hours named minutes": ("A_1m.csv", {}, _times("2022-01-03", H, *range(30)), "said to be 1m (from the file's name)"),
    "minutes named hours": ("A_1h.csv", {}, _times("2022-01-03", M, *range(5)), "said to be 1h"),
    "weeks named days": ("A_1d.csv", {}, _times("2022-01-03", 7 * D, *range(30)), "said to be 1d"),
    "90 minutes named hours": ("A_1h.csv", {}, _times("2022-01-03", 90 * M, *range(5)), "usually; pass the right --timeframe"),
    "one row between two": ("A_1h.csv", {}, ["2022-01-03 00:00", "2022-01-03 01:00", "2022-01-03 01:01", "2022-01-03 02:00",
                            "2022-01-03 03:00"], "opens 1m after the row before, at 2022-01-03T01:01:00Z, where bars are of 1h; 1 row of 5"),
    "less than a second": ("A.csv", {}, ["2022-01-03 00:00:00.000", "2022-01-03 00:00:00.100", "2022-01-03 00:00:00.200"],
                           "rows are usually 0.1 s apart, so these are not bars"),
    "one row and no name": ("A.csv", {}, ["2022-01-03"], "neither the file's name nor a single row tells the timeframe"),
    "minutes of 1970": ("A_1m.csv", {}, ["1970-01-01 00:00", "1970-01-01 00:01"], "bars of 1m from 1970-01-01T00:00:00Z are not plausible"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_rows_of_another_length_are_refused(tmp_path, kind):
    name, options, times, message = WRONG[kind]
    (report,) = import_bars(_write(tmp_path, name, times), tmp_path / "root", **options)
    assert message in report.error


def test_stating_the_length_settles_it(tmp_path):
    path = _write(tmp_path, "A.csv", _times("2022-01-03", H, *range(30)))
    (report,) = import_bars(path, tmp_path / "root", timeframe="1m")
    assert (report.error, report.timeframe, report.gaps) == (None, "1m", 29)


OFF_GRID = {
    "a run that is late": ([*_times("2022-01-03", M, 0, 1, 2), "2022-01-03 00:03:14", "2022-01-03 00:04:14", *_times("2022-01-03", M, 5, 6)], 7, "moved 2 rows to the grid of 1m"),
    "a stray row": ([*_times("2022-01-03", M, 0, 1, 2), "2022-01-03 00:02:01", *_times("2022-01-03", M, 3, 4)], 5,
                    "dropped 1 row between the bars of 1m"),
    "an unfinished last row": ([*_times("2022-01-03", M, 0, 1, 2, 3), "2022-01-03 00:03:30"], 4,
                               "dropped 1 row between the bars of 1m"),
}  # fmt: skip


@pytest.mark.parametrize("kind", OFF_GRID)
def test_repair_moves_or_drops_rows_off_the_grid(tmp_path, kind):
    times, n_rows, note = OFF_GRID[kind]
    path = _write(tmp_path, "A_1m.csv", times)
    (refused,) = import_bars(path, tmp_path / "root")
    assert "--repair moves them to the grid, or drops them" in refused.error
    (report,) = import_bars(path, tmp_path / "root", repair=True)
    assert (report.error, report.rows, report.notes) == (None, n_rows, (note,))
    assert (load_bars(tmp_path / "root", "A", "1m").timestamp % 60_000_000 == 0).all()


LABELS = {
    "minutes": ("A_5m.csv", ["2022-01-03 09:35", "2022-01-03 09:40"], "2022-01-03T09:30", {}),
    "hours": ("A_1h.csv", ["2022-01-03 10:00", "2022-01-03 11:00"], "2022-01-03T09:00", {}),
    "dates name days": ("A_1d.csv", ["2022-01-03", "2022-01-04"], "2022-01-03T00:00", {}),
    "weeks by their Friday": ("A_1w.csv", ["2022-01-07", "2022-01-14"], "2022-01-03T00:00", {}),
    "months by their last day": ("A_1mo.csv", ["2022-01-31", "2022-02-28"], "2022-01-01T00:00", {}),
    "in New York": ("A_5m.csv", ["2022-01-03 09:35", "2022-01-03 09:40"], "2022-01-03T14:30", {"timezone": "America/New_York"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", LABELS)
def test_label_close(tmp_path, kind):
    name, times, first, options = LABELS[kind]
    (report,) = import_bars(_write(tmp_path, name, times), tmp_path / "root", label="close", **options)
    assert report.error is None
    assert report.start.isoformat() == f"{first}:00+00:00"
    assert report.assumed["label"] != "open (assumed)"


def test_a_column_of_ends_alone_is_taken_for_ends(tmp_path):
    (tmp_path / "A_1m.csv").write_text(
        "close_time,open,high,low,close,volume\n1641220259999,2,3,1,2,5\n1641220319999,2,3,1,2,5\n"
    )
    (report,) = import_bars(tmp_path / "A_1m.csv", tmp_path / "root")
    assert report.start.isoformat() == "2022-01-03T14:30:00+00:00"
