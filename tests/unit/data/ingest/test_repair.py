from __future__ import annotations

import pytest

from backtune.data.ingest.importer import import_bars
from backtune.data.load import load_bars

HEADER = "time,open,high,low,close,volume\n"
GOOD = [f"2022-01-{day:02},2,3,1,2,5" for day in range(3, 31)]

# rows put in the place of good ones: the refusal without --repair, the note with it, the number of rows that are left.
MENDED = {
    "high below the close in the last place": (
        {2: "2022-01-05,7.3,7.31,7.2,7.310000000000001,5"},
        "close is above high (value 7.310000000000001, high 7.31)", "high or low of 1 row evened out in the last place", 28),
    "low above the open in the last place": (
        {2: "2022-01-05,0.09999999999999999,0.2,0.1,0.15,5"},
        "open is below low (value 0.09999999999999999, low 0.1)", "high or low of 1 row evened out in the last place", 28),
    "NaN in every price": (
        {2: "2022-01-05,NaN,NaN,NaN,NaN,NaN", 4: "2022-01-07,nan,nan,nan,nan,0"},
        "row 2, column 'open': has no price; 2 rows of 28 have none; --repair drops them", "dropped 2 rows without a price", 26),
    "null in every price": ({2: "2022-01-05,null,null,null,null,null"}, "has no price", "dropped 1 row without a price", 27),
    "nothing but the time": ({2: "2022-01-05,,,,,"}, "has no price", "dropped 1 row without a price", 27),
    "no volume": ({2: "2022-01-05,2,3,1,2,"}, "row 2, column 'volume': has no volume; 1 row of 28 have none",
                  "1 absent volume set to 0", 28),
    "high below low": ({2: "2022-01-05,2,1,3,2,5"}, "high is below low (value 1.0, low 3.0)",
                       "dropped 1 row whose values break the schema", 27),
    "a price of 0": ({2: "2022-01-05,0,3,1,2,5"}, "a price must be above 0 (value 0.0)",
                     "dropped 1 row whose values break the schema", 27),
    "one price absent": ({2: "2022-01-05,2,,1,2,5"}, "row 2, column 'high': is not a finite number",
                         "dropped 1 row whose values break the schema", 27),
    "an open of 0 for years at the beginning": (
        {i: f"2022-01-{i + 3:02},0,3,1,2,5" for i in range(20)}, "a price must be above 0",
        "dropped the first 20 rows, to 2022-01-22 00:00: their prices break the schema", 8),
    "a negative volume": ({2: "2022-01-05,2,3,1,2,-5"}, "a volume must not be negative",
                          "dropped 1 row whose values break the schema", 27),
}  # fmt: skip


@pytest.mark.parametrize("kind", MENDED)
def test_repair_mends_and_says(tmp_path, kind):
    rows, refusal, note, n_rows = MENDED[kind]
    path = tmp_path / "A_1d.csv"
    path.write_text(HEADER + "\n".join(rows.get(i, row) for i, row in enumerate(GOOD)))
    (refused,) = import_bars(path, tmp_path / "root")
    assert refusal in refused.error
    (report,) = import_bars(path, tmp_path / "root", repair=True)
    assert (report.error, report.notes, report.rows) == (None, (note,), n_rows)
    assert len(load_bars(tmp_path / "root", "A", "1d")) == n_rows


def test_more_than_slips_are_refused(tmp_path):
    rows = [row.replace(",3,1,", ",1,3,") if 3 < i < 20 else row for i, row in enumerate(GOOD)]
    (tmp_path / "A_1d.csv").write_text(HEADER + "\n".join(rows))
    (report,) = import_bars(tmp_path / "A_1d.csv", tmp_path / "root", repair=True)
    assert "row 4, column 'high': high is below low" in report.error


@pytest.mark.parametrize(
    ("volumes", "note"),
    [
        (["N/A"] * 28, None),
        ([""] * 28, None),
        (["-"] * 28, None),
        (["5", "-"] * 14, "14 bars without a volume, as the file says: 0"),
    ],
)
def test_volumes_that_a_file_says_it_has_not(tmp_path, volumes, note):
    rows = [row.rsplit(",", 1)[0] + f",{volume}" for row, volume in zip(GOOD, volumes, strict=True)]
    (tmp_path / "A_1d.csv").write_text(HEADER + "\n".join(rows))
    (report,) = import_bars(tmp_path / "A_1d.csv", tmp_path / "root")
    assert report.error is None
    assert report.notes == ((note,) if note else ())
    assert load_bars(tmp_path / "root", "A", "1d").volume.sum() == sum(v == "5" for v in volumes) * 5


@pytest.mark.parametrize(
    ("header", "row", "volume"),
    [
        ("<TICKVOL>,<VOL>", "{tick},0", "<TICKVOL>"),
        ("<VOL>,<TICKVOL>", "{rare},{tick}", "<TICKVOL>"),
        ("Volume,Tick Volume", "{tick},0", "Volume"),
        ("Volume BTC,Volume USD", "{tick},9", "Volume BTC"),
    ],
)
def test_the_volume_with_the_fewest_empty_bars(tmp_path, header, row, volume):
    rows = [
        good.rsplit(",", 1)[0] + "," + row.format(tick=i + 1, rare=10**9 if i < 3 else 0)
        for i, good in enumerate(GOOD)
    ]
    (tmp_path / "A_1d.csv").write_text(f"time,open,high,low,close,{header}\n" + "\n".join(rows))
    (report,) = import_bars(tmp_path / "A_1d.csv", tmp_path / "root")
    assert report.assumed["volume"].startswith(f"{volume!r} (empty in 0% of the bars) rather than")
    assert load_bars(tmp_path / "root", "A", "1d").volume.tolist() == [i + 1.0 for i in range(28)]
