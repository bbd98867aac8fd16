"""Messages about candidates outside of a space, and about feedback that cannot be taken."""

from __future__ import annotations

import math
import re

import pytest

from backtune.errors import SearchError
from backtune.search.suggesters.feedback import Feedback
from backtune.search.suggesters.samplers import make_suggester
from backtune.search.suggesters.space_encoding import SpaceEncoding
from backtune.space import Value
from backtune.spec import Search
from backtune.testing.suggesters import CONDITIONS, EVERYTHING, corner_of


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"real": 5.1}, "real: 5.1 is outside of [-5, 5]"),
        ({"real": math.nan}, "real: nan is outside"),
        ({"whole": 2.5}, "whole: 2.5 is outside"),
        ({"whole": "two"}, "whole: 'two' is outside"),
        ({"whole": True}, "whole: True is outside"),
        ({"whole_step": 7}, "whole_step: 7 is not 5 plus a whole number of steps of 5"),
        ({"whole_step": 10**30}, "whole_step: 1000000000000000000000000000000 is outside of [5, 201]"),
        ({"real_step": 0.25}, "real_step: 0.25 is not 0.0 plus"),
        ({"fixed_real": 3.0}, "fixed_real: 3.0 is outside"),
        ({"text": "wma"}, "text: 'wma' is not one of the choices ['sma', 'ema']"),
        ({"more": 1}, "more is not a parameter"),
    ],
)
def test_a_candidate_outside_of_the_space_has_no_code(change: dict[str, Value], message: str) -> None:
    encoding = SpaceEncoding(EVERYTHING, math.inf)
    with pytest.raises(SearchError, match=re.escape(message)):
        encoding.encode({**corner_of(EVERYTHING, 0), **change})


def test_an_incomplete_candidate_has_no_code() -> None:
    without_one = {name: value for name, value in corner_of(EVERYTHING, 0).items() if name != "whole_log"}
    with pytest.raises(SearchError, match="whole_log is missing"):
        SpaceEncoding(EVERYTHING, math.inf).encode(without_one)
    with pytest.raises(SearchError, match="trail is given, and does not matter"):
        SpaceEncoding(CONDITIONS, math.inf).encode({"exit": 0, "x": 0.25, "trail": 0.02})


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([Feedback((1.0,))], "1 results for 3 candidates"),
        ([Feedback((1.0,)), Feedback((math.nan,)), Feedback((1.0,))], "result 1 is not finite"),
        ([Feedback((1.0,)), Feedback((1.0,)), Feedback((-math.inf,))], "result 2 is not finite"),
        ([Feedback((1.0,), (math.inf,)), Feedback((1.0,)), Feedback((1.0,))], "result 0 is not finite"),
        ([Feedback((1.0, 2.0)), Feedback((1.0,)), Feedback((1.0,))], "2 values for 1 objectives"),
    ],
)
def test_wrong_feedback_is_refused(batch: list[Feedback], message: str) -> None:
    suggester = make_suggester(Search(), EVERYTHING, 3)
    suggester.ask(3)
    with pytest.raises(SearchError, match=message):
        suggester.tell(batch)
    with pytest.raises(SearchError, match="3 candidates were asked and not told"):
        suggester.ask(3)
