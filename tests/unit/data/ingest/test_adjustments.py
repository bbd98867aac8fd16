from __future__ import annotations

import numpy as np
import pytest

from backtune.data.ingest.importer import import_bars
from backtune.data.load import load_bars

# A split of 4 for 1 on the third day, and a dividend of 1 on the fourth; prices stand still otherwise.
RAW = """\
date,open,high,low,close,volume,{columns}
2022-01-03,400,408,396,400,1000,{0}
2022-01-04,400,408,396,400,1000,{1}
2022-01-05,100,102,99,100,4000,{2}
2022-01-06,99,101,98,99,4000,{3}
"""
SPLIT = ("1.0", "1.0", "4.0", "1.0")
DIVIDEND = ("0", "0", "0", "1.0")
BY_BOTH = [99.0, 99.0, 99.0, 99.0]
BY_SPLIT = [100.0, 100.0, 100.0, 99.0]
AS_THEY_STAND = [400.0, 400.0, 100.0, 99.0]


def _write(tmp_path, columns, *values):
    rows = [",".join(row) for row in zip(*values, strict=True)]
    path = tmp_path / "ACME_1d.csv"
    path.write_text(RAW.format(*rows, columns=columns))
    return path


CASES = {
    "Yahoo": ("Adj Close", [("99", "99", "99", "99")], "all", BY_BOTH),
    "Alpha Vantage": (
        "5. adjusted close,7. dividend amount,8. split coefficient",
        [("99", "99", "99", "99"), DIVIDEND, SPLIT], "all", BY_BOTH,
    ),
    "Tiingo without adjusted prices": ("divCash,splitFactor", [DIVIDEND, SPLIT], "all", BY_BOTH),
    "splits alone": ("splitFactor", [SPLIT], "all", BY_SPLIT),
    "splits as 4:1": ("Stock Splits", [("", "", "4:1", "")], "all", BY_SPLIT),
    "splits as 0 on other days": ("Stock Splits", [("0", "0", "4", "0")], "all", BY_SPLIT),
    "only for splits": ("divCash,splitFactor", [DIVIDEND, SPLIT], "splits", BY_SPLIT),
    "not at all": ("Adj Close", [("99", "99", "99", "99")], "none", AS_THEY_STAND),
    "not for anything": ("divCash,splitFactor", [DIVIDEND, SPLIT], "none", AS_THEY_STAND),
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("newest_first", [False, True])
def test_closes(tmp_path, kind, newest_first):
    columns, values, adjust, closes = CASES[kind]
    path = _write(tmp_path, columns, *values)
    if newest_first:
        header, *rows = path.read_text().splitlines()
        path.write_text("\n".join([header, *reversed(rows)]))
    (report,) = import_bars(path, tmp_path / "root", adjust=adjust)
    assert report.error is None
    bars = load_bars(tmp_path / "root", "ACME", "1d")
    np.testing.assert_allclose(bars.close, closes, rtol=1e-12)
    np.testing.assert_allclose(bars.high / bars.close, [1.02, 1.02, 1.02, 101 / 99], rtol=1e-12)
    assert report.assumed["prices"].startswith(
        "as they stand, though" if adjust == "none" else "adjusted for"
    )


def test_volumes_follow_splits(tmp_path):
    import_bars(_write(tmp_path, "splitFactor", SPLIT), tmp_path / "root")
    assert load_bars(tmp_path / "root", "ACME", "1d").volume.tolist() == [4000, 4000, 4000, 4000]


def test_prices_adjusted_for_the_split_already_are_left(tmp_path):
    """yfinance tells of splits beside prices that are adjusted for them."""
    text = RAW.format("0", "0", "4.0", "0", columns="Stock Splits").replace(
        "400,408,396,400", "100,102,99,100"
    )
    (tmp_path / "ACME_1d.csv").write_text(text)
    (report,) = import_bars(tmp_path / "ACME_1d.csv", tmp_path / "root")
    assert load_bars(tmp_path / "root", "ACME", "1d").close.tolist() == BY_SPLIT
    assert report.assumed["prices"] == "as they stand"


def test_adjusted_close_alone_does_not_tell_splits_from_dividends(tmp_path):
    path = _write(tmp_path, "Adj Close", ("99", "99", "99", "99"))
    (report,) = import_bars(path, tmp_path / "root", adjust="splits")
    assert "no column of splits tells them from dividends; pass --adjust all or --adjust none" in report.error


def test_equal_adjusted_prices_need_no_word(tmp_path):
    (report,) = import_bars(_write(tmp_path, "Adj Close", ("400", "400", "100", "99")), tmp_path / "root")
    assert report.assumed["prices"] == "as they stand"


def test_new_rows_at_another_level_do_not_replace_a_part(tmp_path):
    """A file that was adjusted for a split in between would leave a step of 75 % at the border."""
    path, root = tmp_path / "ACME_1d.csv", tmp_path / "root"
    rows = [f"2022-01-{day:02},400,408,396,400,10" for day in range(3, 13)]
    path.write_text("date,open,high,low,close,volume\n" + "\n".join(rows))
    import_bars(path, root)
    later = [row.replace("400,408,396,400", "100,102,99,100") for row in rows[5:]]
    path.write_text("date,open,high,low,close,volume\n" + "\n".join(later))
    (report,) = import_bars(path, root, replace=True)
    assert "prices are 0.25 times those that the catalog has of ACME" in report.error
    assert "import a file with the whole history" in report.error
    assert load_bars(root, "ACME", "1d").close.tolist() == [400.0] * 10
    whole = [row.replace("400,408,396,400", "100,102,99,100") for row in rows]
    path.write_text("date,open,high,low,close,volume\n" + "\n".join(whole))
    (report,) = import_bars(path, root, replace=True)
    assert report.error is None
    assert "prices are 0.25 times those that the catalog had" in report.notes
    assert load_bars(root, "ACME", "1d").close.tolist() == [100.0] * 10
