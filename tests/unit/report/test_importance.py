"""How much of a study's values each parameter explains."""

import numpy as np
import pytest

from backtune.report.importance import measure_importance


def shares(n: int = 2000) -> dict[str, float]:
    random = np.random.default_rng(1)
    strong, weak, idle = random.random((3, n))
    values = np.sin(6 * strong) + 0.4 * weak
    return measure_importance({"idle": idle, "weak": weak, "strong": strong}, values)


def test_the_parameters_are_ranked_by_what_they_explain():
    found = shares()
    assert list(found) == ["strong", "weak", "idle"]
    assert found["strong"] > 0.85
    assert 0.005 < found["weak"] < 0.15
    assert found["idle"] < 0.01


@pytest.mark.parametrize(
    "column", [np.arange(100.0), np.repeat([0.0, 1.0], 50), np.tile([3.0, 1.0, 2.0, 1.0], 25)]
)
def test_a_parameter_that_decides_all_has_nearly_all(column):
    values = np.searchsorted(np.unique(column), column).astype(float)
    assert measure_importance({"only": column}, values)["only"] == pytest.approx(1.0, abs=0.02)


def test_binned_means_by_hand():
    # Ranks 1..20; two choices that hold the lower and the upper half: between 500, in all 665, by chance 165 / 18.
    column = np.repeat([0.0, 1.0], 10)
    expected = (500 - 165 / 18) / 665
    assert measure_importance({"half": column}, np.arange(20.0))["half"] == pytest.approx(expected, rel=1e-12)


def test_values_matter_by_rank_alone():
    random = np.random.default_rng(2)
    column = random.random(300)
    values = column + 0.3 * random.random(300)
    assert measure_importance({"a": column}, values) == measure_importance({"a": column}, np.exp(9 * values))


def test_inactive_values_are_a_kind_of_their_own():
    random = np.random.default_rng(3)
    column = np.where(random.random(400) < 0.5, np.nan, random.random(400))
    values = np.where(np.isnan(column), 1.0, 0.0) + 0.01 * random.random(400)
    assert measure_importance({"a": column}, values)["a"] > 0.7


@pytest.mark.parametrize("values", [np.arange(19.0), np.ones(50)])
def test_nothing_is_said_of_few_or_equal_values(values):
    assert measure_importance({"a": np.arange(len(values), dtype=float)}, values) == {}


def test_a_fixed_parameter_explains_nothing():
    assert measure_importance({"a": np.ones(50)}, np.arange(50.0)) == {"a": 0.0}
