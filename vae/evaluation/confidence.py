"""How sure the mean of a difference is when neighbours are near copies. numpy only.

Neighbouring frames of a video repeat each other, so a thousand of them know less than a
thousand images, and an interval that takes them for independent is far too narrow. Here
contiguous blocks are drawn, not images (the circular block bootstrap), each as long as
the series remembers: the block length is chosen by its autocorrelation. Order counts:
images must come in the order of time, and an image beside its copies is one piece of
evidence. A series of fewer than `MIN_PIECES` blocks decides nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RESAMPLES = 4000
LEVEL, NORMAL = 0.95, 1.96  # of an interval, and its half width in deviations
MIN_PIECES = 5  # blocks in the series; the interval of fewer is a guess
MAX_LAGS = 300  # frames; a scene that lasts longer is split
QUIET_LAGS = 5  # that are small in a row; max(5, sqrt(log10 N)) is 5 for any real N
AT_A_TIME = 1 << 20  # blocks drawn
SEED = 0


@dataclass(frozen=True)
class Interval:
    """A mean and where it may lie.

    Attributes:
        mean: of the series. low, high: 95 % interval of the mean.
        block: images a block. pieces: blocks in the series.
    """

    mean: float
    low: float
    high: float
    block: int
    pieces: float

    @property
    def sign(self) -> int:
        """1 or -1 if the mean is surely above or below 0, else 0."""
        if self.pieces < MIN_PIECES:
            return 0
        return int(self.low > 0) - int(self.high < 0)


def bound_mean(series: np.ndarray) -> Interval:
    """Bounds the mean of floats (N,) in the order of time, N at least 1."""
    block = choose_block(series)
    found = _resample(series, block)
    return _bound(float(np.mean(series)), found, block, len(series) / block)


def bound_figure(
    figure: Callable[[np.ndarray], np.ndarray], columns: np.ndarray, block: int
) -> Interval:
    """Bounds a figure that follows from the means of several series.

    Args:
        figure: means (K, ...) -> the figure (...).
        columns: (N, K), in the order of time; blocks are drawn of all alike.
        block: rows a block.
    """
    drawn = np.stack([_resample(column, block) for column in columns.T])
    value = float(figure(columns.mean(0)))
    return _bound(value, figure(drawn), block, len(columns) / block)


def _bound(value, drawn, block, pieces):
    tail = (1 - LEVEL) / 2
    ends = np.quantile(drawn, [tail, 1 - tail])
    low, high = value + _widening(pieces) * (ends - value)
    return Interval(value, float(low), float(high), block, pieces)


def _widening(pieces: float) -> float:
    """What few pieces widen an interval by: Student's t instead of the normal.

    The quantile is its expansion in 1 / freedom (Abramowitz and Stegun 26.7.5).
    """
    freedom, z = max(pieces - 1, 1), NORMAL
    student = z + (z**3 + z) / (4 * freedom)
    student += (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return student / z * math.sqrt((freedom + 1) / freedom)


def _resample(series: np.ndarray, block: int) -> np.ndarray:
    """Returns means (RESAMPLES,) of series put together from random blocks."""
    count = len(series)
    blocks = -(-count // block)
    last = count - (blocks - 1) * block  # the last block is cut to fit
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([series, series]))])
    rng = np.random.default_rng(SEED)
    means = np.empty(RESAMPLES)
    step = max(1, AT_A_TIME // blocks)
    for at in range(0, RESAMPLES, step):
        part = means[at : at + step]
        starts = rng.integers(0, count, (len(part), blocks))
        ends = starts + block
        ends[:, -1] = starts[:, -1] + last
        part[:] = (sums[ends] - sums[starts]).sum(1) / count
    return means


def choose_block(series: np.ndarray) -> int:
    """Returns the length of block that suits floats (N,) in the order of time best.

    Politis and White 2004, "Automatic block-length selection for the dependent
    bootstrap", with the correction of Patton, Politis and White 2009, for the circular
    bootstrap: lags count until autocorrelations stay small, under a flat-top window.
    They are looked for farther than proposed there, since a scene lasts many frames.
    """
    count = len(series)
    most = math.ceil(math.sqrt(count)) + QUIET_LAGS  # lags that are looked at
    most = max(most, min(count // 4, MAX_LAGS))
    if count <= most + 1 or np.ptp(series) == 0:
        return 1
    centred = series - series.mean()
    products = [centred[: count - lag] @ centred[lag:] for lag in range(most + 1)]
    covariance = np.array(products) / count
    small = np.abs(covariance[1:] / covariance[0])
    small = small < 2 * math.sqrt(math.log10(count) / count)
    runs = np.convolve(small, np.ones(QUIET_LAGS), "valid") == QUIET_LAGS
    remembered = int(np.argmax(runs)) if runs.any() else most - QUIET_LAGS
    reach = min(2 * max(remembered, 1), most)
    lags = np.arange(-reach, reach + 1)
    weights = np.clip(2 * (1 - np.abs(lags) / reach), 0, 1)  # 1, then down to 0
    spectrum = weights * covariance[np.abs(lags)]
    bend, level = (np.abs(lags) * spectrum).sum(), spectrum.sum()
    if level <= 0:  # neighbours alternate: blocks would not help
        return 1
    best = (1.5 * (bend / level) ** 2 * count) ** (1 / 3)  # 2 / (4/3) = 1.5
    limit = math.ceil(min(3 * math.sqrt(count), count / 3))
    return max(1, min(math.ceil(best), limit))
