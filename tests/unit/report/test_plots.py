"""Axes, frames and paths of the figures."""

from datetime import UTC, datetime

import numpy as np
import pytest

from backtune.report.markup import Markup, element, join_markup
from backtune.report.plots.axis import (
    format_percent_tick,
    make_choice_axis,
    make_linear_axis,
    make_log_axis,
    make_time_axis,
)
from backtune.report.plots.colour_scale import compute_colour
from backtune.report.plots.frame import Frame
from backtune.report.plots.paths import draw_dots, draw_line, draw_steps, select_extremes


def microseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e6)


def names(axis) -> list[str]:
    return [name for _, name in axis.ticks]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, ["0", "2", "4", "6", "8", "10"]),
        (-1.3, 2.1, ["-1", "0", "1", "2"]),
        (0.01, 0.052, ["0.01", "0.02", "0.03", "0.04", "0.05"]),
        (8_000, 61_000, ["20,000", "40,000", "60,000"]),
        (0, 1.2e7, ["0", "2.5M", "5M", "7.5M", "10M"]),
        (3, 3, ["2.8", "3.0", "3.2"]),
    ],
)
def test_round_numbers_are_named(low, high, expected):
    assert names(make_linear_axis(low, high)) == expected


def test_fractions_are_named_in_per_cent():
    assert names(make_linear_axis(-0.3, 0.0, text=format_percent_tick)) == ["-30%", "-20%", "-10%", "0%"]


def test_a_logarithmic_axis_names_powers_and_shares_by_ratio():
    axis = make_log_axis(1, 1000)
    assert names(axis) == ["1", "10", "100", "1,000"]
    np.testing.assert_allclose(axis.share(np.array([1, 10, 1000])), [0, 1 / 3, 1], rtol=1e-12)
    assert len(make_log_axis(20, 30).ticks) >= 2


def test_choices_have_places():
    np.testing.assert_allclose(make_choice_axis(["a", "b"]).share(np.array([0, 1])), [0.25, 0.75])


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2018-01-01", "2020-01-01", ["Jan 2018", "Jul 2018", "Jan 2019", "Jul 2019", "Jan 2020"]),
        ("2001-06-01", "2011-06-01", ["2002", "2004", "2006", "2008", "2010"]),
        ("2021-03-01", "2021-03-02", ["01 Mar 00:00", "01 Mar 06:00", "01 Mar 12:00", "01 Mar 18:00", "02 Mar 00:00"]),
        ("2021-01-01", "2021-01-20", ["01 Jan 2021", "06 Jan 2021", "11 Jan 2021", "16 Jan 2021"]),
        ("2021-01-01", "2021-03-01", ["Jan 2021", "Feb 2021", "Mar 2021"]),
    ],
)  # fmt: skip
def test_times_are_named_at_the_starts_of_things(start, end, expected):
    assert names(make_time_axis(microseconds(start), microseconds(end)))[: len(expected)] == expected


def test_thinning_keeps_the_extremes_of_every_column():
    random = np.random.default_rng(4)
    x, y = np.arange(100_000.0), random.normal(size=100_000).cumsum()
    kept = select_extremes(x, y, 300)
    assert 300 <= len(kept) <= 602
    assert (kept[0], kept[-1]) == (0, 99_999)
    assert (np.diff(kept) > 0).all()
    columns = np.minimum((x / x[-1] * 300).astype(int), 299)
    for column in range(300):
        inside, shown = y[columns == column], y[kept[columns[kept] == column]]
        assert (inside.min(), inside.max()) == (shown.min(), shown.max())


def test_few_points_are_all_kept():
    assert select_extremes(np.arange(5.0), np.ones(5), 3).tolist() == [0, 1, 2, 3, 4]


def test_paths():
    x, y = np.array([0.0, 1.25, 3.0]), np.array([4.0, 5.04, 6.0])
    assert draw_line(x, y) == "M0 4l1.2 1 1.8 1"
    assert draw_line(np.array([10.0, 9.8, 9.8]), np.array([0.5, -0.5, 20])) == "M10 .5l-.2-1 0 20.5"
    assert draw_steps(x, y, 9) == "M0 4H1.2V5H3V6H9"
    assert draw_dots(np.array([1.2, 0.9, 7]), np.array([2.0, 2.1, 3])) == "M1 2h0M7 3h0"
    assert draw_line(x[:0], y[:0]) == draw_steps(x[:0], y[:0], 9) == ""


def test_values_are_where_the_frame_says():
    frame = Frame(200, 100, make_linear_axis(0, 10), make_linear_axis(0, 1))
    assert frame.across(np.array([0, 10])).tolist() == [frame.left, frame.right]
    assert frame.up(np.array([0, 1, 2, -5])).tolist() == [frame.bottom, frame.top, frame.top, frame.bottom]


def test_names_below_an_axis_do_not_touch():
    frame = Frame(
        150, 100, make_choice_axis(["exponential", "simple", "weighted", "hull"]), make_linear_axis(0, 1)
    )
    texts = [tick for tick in ("exponential", "simple", "weighted", "hull") if tick in frame.svg("x").text]
    assert texts[0] == "exponential"
    assert len(texts) < 4


def test_text_is_escaped_and_markup_is_not():
    made = element(
        "p", '<b>"&', Markup("<i>x</i>"), None, class_='a"b', aria_label="<", hidden=True, lang=None
    )
    assert made.text == '<p class="a&quot;b" aria-label="&lt;" hidden>&lt;b&gt;&quot;&amp;<i>x</i></p>'
    assert element("rect", x=1.26, width=3.0).text == '<rect x="1.3" width="3"/>'
    assert join_markup("a\x00b", "\n").text == "ab\n"


@pytest.mark.parametrize(
    ("value", "known", "arguments", "expected"),
    [
        (2.0, [-4.0, 2.0], {"is_signed": True}, 0.5),
        (-4.0, [-4.0, 2.0], {"is_signed": True}, -1.0),
        # Where all lost, the best of them is no gain.
        (-1.0, [-4.0, -1.0], {"is_signed": True}, -0.25),
        (0.0, [0.0], {"is_signed": True}, 0.0),
        (0.2, [0.2, 0.6], {"is_signed": False}, -1.0),
        (0.2, [0.2, 0.6], {"is_signed": False, "minimize": True}, 1.0),
        (0.3, [0.3], {"is_signed": False}, 0.0),
    ],
)
def test_tones(value, known, arguments, expected):
    assert compute_colour(value, known, **arguments) == expected
