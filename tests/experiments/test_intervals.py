"""Intervals over seeds: against the textbook, and by how often they hold the truth."""
import numpy as np
import pytest
from scipy import stats

from sobolev_lib.experiments.intervals import interval


def test_the_interval_is_students():
    values = [0.3, 1.7, 0.9, 1.1, -0.2]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert interval(values) == pytest.approx((np.mean(values), low, high))
    narrow = interval(values, level=0.5)
    assert low < narrow.low < narrow.mean < narrow.high < high


def test_it_holds_the_mean_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(2.0, 3.0, (4_000, 3))
    held = np.mean([low <= 2.0 <= high for _, low, high in map(interval, draws)])
    assert 0.935 < held < 0.965


@pytest.mark.parametrize("values, side", [([1, 1.1, 1.2], "above"), ([-1, -1.1, -1.2], "below"), ([-1, 1, 0.1], "around"),
                                          ([5.0], "around")])
def test_it_says_on_which_side_of_zero_it_lies(values, side):
    assert interval(values).side() == side


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [[1.0, 2.0]]])
def test_values_that_are_none_are_refused(values):
    with pytest.raises(ValueError, match="values: expected a list of finite numbers"):
        interval(values)


@pytest.mark.parametrize("level", [95, 1, 0, float("nan")])
def test_a_level_that_is_no_share_is_refused(level):
    with pytest.raises(ValueError, match="level: expected a share between 0 and 1"):
        interval([1.0, 2.0], level)
