"""Which spans are asked for, with hours as the unit of time."""

import numpy as np
import pytest

from backtune.data.download.absent import Cursor, Span, absent_spans

DAY = Span(0, 24)


@pytest.mark.parametrize(
    ("stored", "goes_on", "expected"),
    [
        pytest.param([], False, [(0, 24)], id="nothing is stored"),
        pytest.param(range(24), True, [], id="all is stored, and more after it"),
        pytest.param(range(24), False, [(22, 24)], id="all is stored, and the last may have been unfinished"),
        pytest.param(range(10), False, [(8, 24)], id="the end is absent"),
        pytest.param(range(10, 24), True, [(0, 10)], id="the beginning is absent"),
        pytest.param(range(10, 20), True, [(0, 10), (18, 24)], id="both ends are absent"),
        pytest.param([*range(5), *range(9, 24)], True, [(3, 9)], id="a gap, with the bars before it"),
        pytest.param([0, 2, 4, *range(5, 24)], True, [(0, 4)], id="gaps side by side are one span"),
        pytest.param([7], True, [(0, 24)], id="one bar alone"),
    ],
)
def test_absent_spans(stored, goes_on, expected):
    found = absent_spans(np.array(list(stored), dtype=np.int64), DAY, 1, goes_on=goes_on)
    assert found == [Span(*span) for span in expected]


def test_a_span_shorter_than_a_bar_is_not_asked_for():
    assert absent_spans(np.arange(5, 20, 10), Span(0, 20), 10, goes_on=True) == []


def test_pages_cover_what_lies_in_them():
    cursor = Cursor([Span(0, 3), Span(5, 6), Span(20, 24)], 1)
    assert cursor.next() == Span(0, 24)
    cursor.advance(10)  # one page of ten covers two of the spans
    assert cursor.next() == Span(20, 24)
    cursor.advance(22)
    assert cursor.next() == Span(22, 24)
    cursor.advance(24)
    assert cursor.next() is None
