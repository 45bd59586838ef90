"""Intervals of means: right for independent images, and for frames that repeat."""

import numpy as np
import pytest

from vae.evaluation import confidence
from vae.evaluation.confidence import (
    MIN_PIECES,
    Interval,
    bound_figure,
    bound_mean,
    choose_block,
)


def remember(count, memory, seed):
    """Returns a series of mean 0 and variance 1 whose neighbours correlate."""
    noise = np.random.default_rng(seed).normal(size=count)
    series = np.empty(count)
    series[0] = noise[0]
    for at in range(1, count):
        series[at] = memory * series[at - 1] + np.sqrt(1 - memory**2) * noise[at]
    return series


@pytest.fixture
def quick(monkeypatch):
    """Fewer resamples: the coverage is a share of many intervals."""
    monkeypatch.setattr(confidence, "RESAMPLES", 500)


def coverage(memory, count=600, repeats=300):
    """Share of repeats whose interval holds the true mean, 0."""
    found = [bound_mean(remember(count, memory, seed)) for seed in range(repeats)]
    return np.mean([one.low <= 0 <= one.high for one in found])


def test_an_interval_holds_the_mean_as_often_as_it_says(quick):
    assert 0.90 <= coverage(0.0) <= 0.99


def test_copies_do_not_make_it_narrow(quick):
    assert coverage(0.9) > 0.85  # if taken for independent: 0.30


def test_without_memory_it_is_that_of_the_central_limit():
    series = np.random.default_rng(1).normal(size=2000)
    found = bound_mean(series)
    width = 2 * 1.96 * series.std() / np.sqrt(2000)
    assert found.block <= 3
    assert found.high - found.low == pytest.approx(width, rel=0.1)


def test_repeating_each_image_leaves_the_interval_as_wide():
    series = np.random.default_rng(2).normal(size=200)
    once, often = bound_mean(series), bound_mean(np.repeat(series, 10))
    assert 10 <= often.block <= 60
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.3)
    assert often.mean == pytest.approx(once.mean)


def test_blocks_grow_with_memory():
    blocks = [choose_block(remember(4000, memory, 0)) for memory in (0, 0.5, 0.9, 0.98)]
    assert blocks == sorted(blocks) and blocks[0] < 5 < 30 < blocks[-1]


def test_alternating_and_constant_series_need_no_blocks():
    assert choose_block(np.tile([1.0, -1.0], 300)) == 1
    constant = bound_mean(np.full(50, 2.5))
    assert (constant.mean, constant.low, constant.high) == (2.5, 2.5, 2.5)
    assert bound_mean(np.array([3.0])).mean == 3.0


def test_the_sign_is_told_only_when_it_is_sure():
    assert Interval(2, 1, 3, 1, 100).sign == 1
    assert Interval(-2, -3, -1, 1, 100).sign == -1
    assert Interval(2, -1, 3, 1, 100).sign == 0
    assert Interval(2, 1, 3, 20, MIN_PIECES - 1).sign == 0


def test_it_is_the_same_each_time():
    series = remember(300, 0.5, 4)
    assert bound_mean(series) == bound_mean(series)


def test_a_figure_of_several_series_is_bound_by_the_same_blocks_of_all():
    series = np.random.default_rng(0).normal(size=300)
    columns = np.stack([series, series + 1], axis=1)
    block = choose_block(series)
    found = bound_figure(lambda means: means[0], columns, block)
    assert vars(found) == pytest.approx(vars(bound_mean(series)))
    one = bound_figure(lambda means: means[1] - means[0], columns, 24)
    assert (one.mean, one.low, one.high) == pytest.approx((1, 1, 1))
    assert (one.block, one.pieces) == (24, 12.5)
