"""The verdict on a leaderboard in a few sentences: the rows whose test is more than luck."""

from __future__ import annotations

from collections.abc import Sequence

from backtune.results.evidence.family import FamilyResult
from backtune.results.leaderboard.row import Row

# So many rows are named.
_MOST_NAMED = 10


def describe_verdict(rows: Sequence[Row]) -> str:
    """Return in words which rows test better than luck would, and what luck would show; empty where nothing was tested.

    A row with fewer than 30 trades is not named among them, whatever its test: so few trades show anything.

    Args:
        rows: All rows, in the order of the leaderboard.
    """
    family = next((row.evidence.family for row in rows if row.evidence.family is not None), None)
    if family is None:
        return ""
    passed = [(place, row) for place, row in enumerate(rows, start=1) if is_better_than_luck(row)]
    named = [(place, row) for place, row in passed if not row.has_few_trades]
    few = [place for place, row in passed if row.has_few_trades]
    words = [_verdict(named, family.luck.n_tests)]
    if few:
        words.append(
            f"{_rows(few)} {'does' if len(few) == 1 else 'do'} as well, with too few trades to count."
        )
    return " ".join([*words, *_luck(family, len(rows))])


def is_better_than_luck(row: Row) -> bool:
    """Return whether the test of a row is better than luck would be, whatever the number of its trades."""
    return row.evidence.family is not None and row.evidence.family.is_significant


def _verdict(named: Sequence[tuple[int, Row]], n_tests: int) -> str:
    if not named:
        return (
            "No row does better out of sample than luck would."
            if n_tests > 1
            else "The test is no better than luck."
        )
    verb = "does" if len(named) == 1 else "do"
    sentence = f"{_rows([place for place, _ in named])} {verb} better out of sample than luck would"
    assets = {row.asset for _, row in named}
    if len(named) > 1 and len(assets) == 1:
        return f"{sentence}, all on {assets.pop()}: that is one finding rather than {len(named):,}."
    return f"{sentence}."


def _rows(places: Sequence[int]) -> str:
    if len(places) == 1:
        return f"Row {places[0]}"
    shown = [str(place) for place in places[:_MOST_NAMED]]
    if len(places) > _MOST_NAMED:
        return f"Rows {', '.join(shown)} and {len(places) - _MOST_NAMED:,} more"
    return f"Rows {', '.join(shown[:-1])} and {shown[-1]}"


def _luck(family: FamilyResult, n_rows: int) -> list[str]:
    luck = family.luck
    tests = "one test" if luck.n_tests == 1 else f"the best of {luck.n_tests:,} tests"
    without = n_rows - luck.n_tests
    untested = f" ({without:,} of {n_rows:,} rows have none)" if without > 0 else ""
    average, most = f"{luck.mean:.1f} on average", f"less than {luck.upper:.1f} in 95 of 100 sweeps"
    words = [f"Without skill {tests}{untested} would show a Sharpe ratio of {average}, and {most}."]
    if family.share_with_edge is not None:
        words.append(
            f"By the number of high p-values, {100 * family.share_with_edge:.0f} of 100 rows have an edge."
        )
    return words
