"""Sliders: directions in the code, each of which changes one thing that has a name.

Readings are explained by codes (ridge regression), and directions are the changes of
the code that are most usual in the film among those that change one reading and none of
the others. numpy only.
"""

from dataclasses import dataclass

import numpy as np

from vae.explorer.readings import Measures

SLIDERS = {  # reading -> group, name, and what both ends are; the better ones first
    "open": ("mouth", "Open", "shut", "open"),
    "smile": ("mouth", "Smile", "sad", "smiling"),
    "width": ("mouth", "Width", "narrow", "wide"),
    "pucker": ("mouth", "Pucker", "relaxed", "puckered"),
    "aside": ("mouth", "Aside", "left", "right"),
    "eyes": ("eyes", "Lids", "shut", "wide"),
    "wink": ("eyes", "Wink", "right", "left"),
    "gaze": ("eyes", "Gaze", "left", "right"),
    "brows": ("brows and head", "Brows", "low", "raised"),
    "brow_inner": ("brows and head", "Frown", "knitted", "apart"),
    "yaw": ("brows and head", "Turn", "left", "right"),
}
MOST = 10  # sliders
FOLDS = 4  # stretches of the film; each is told from the others
LEAST_EXPLAINED = 0.2  # of a reading's variance, in frames that it was not fitted on
LEAST_OWN = 0.1  # of a slider's variance, beside all the others
RIDGE = 0.03  # of the variance of a code's number
ENDS = (1.0, 99.0)  # percentiles of the film
FARTHEST = 4.0  # standard deviations of the film's codes, from rest to an end
SINGULAR = 1e-6  # smallest eigenvalue of correlations, below which they have no inverse
EPSILON = 1e-8  # keeps divisions finite


@dataclass(frozen=True)
class Slider:
    """One slider.

    Attributes:
        name: the reading's, of `SLIDERS`.
        reading: (Z,); a code's distance from rest times it is the slider's value.
        direction: (Z,), what a unit of the slider adds to the code.
        low, high: its ends; rest is 0.
    """

    name: str
    reading: np.ndarray
    direction: np.ndarray
    low: float
    high: float


def fit_sliders(measures: Measures, rest: np.ndarray) -> list[Slider]:
    """Fits at most `MOST` sliders, in the order of `SLIDERS`.

    Readings that codes don't tell, or that others tell as well, have none.

    Args:
        rest: (Z,), the code at which all sliders are 0.
    """
    known = [name for name in SLIDERS if name in measures.names]
    columns = [measures.names.index(name) for name in known]
    values = measures.values[:, columns].astype(np.float64)
    spread = values.std(axis=0)
    values = (values - values.mean(axis=0)) / (spread + EPSILON)
    codes = measures.codes.astype(np.float64)
    told = np.where(spread > EPSILON, _explained(codes, values), 0)
    readings = _fit(codes, values)  # (Z, M)
    covariance = np.cov(codes.T).reshape(codes.shape[1], -1)
    kept = _choose(told, readings.T @ covariance @ readings)
    if not kept:
        return []
    readings = readings[:, kept]
    power = readings.T @ covariance @ readings
    directions = np.linalg.solve(power, readings.T @ covariance)  # (K, Z)
    places = (codes - rest) @ readings  # (N, K)
    low, high = np.percentile(places, ENDS, axis=0)
    # A unit of each takes so many standard deviations: the root of this diagonal.
    most = FARTHEST / np.sqrt(np.diag(np.linalg.inv(power)))
    ends = low.clip(-most, 0), high.clip(0, most)
    parts = zip(kept, readings.T, directions, *ends, strict=True)
    return [Slider(known[place], *others) for place, *others in parts]


def _fit(codes, values):
    """Returns (Z, M); codes' distance from their mean times it is nearest to values."""
    centred = codes - codes.mean(axis=0)
    power = centred.T @ centred
    power[np.diag_indices_from(power)] *= 1 + RIDGE
    power[np.diag_indices_from(power)] += EPSILON * len(codes)
    return np.linalg.solve(power, centred.T @ (values - values.mean(axis=0)))


def _explained(codes, values):
    """Returns the share of each value's variance that is told by codes, (M,)."""
    missed = np.zeros_like(values)
    for part in np.array_split(np.arange(len(codes)), FOLDS):
        others = np.setdiff1d(np.arange(len(codes)), part)
        fitted = _fit(codes[others], values[others])
        told = (codes[part] - codes[others].mean(axis=0)) @ fitted
        missed[part] = values[part] - values[others].mean(axis=0) - told
    return 1 - np.square(missed).mean(axis=0) / (values.var(axis=0) + EPSILON)


def _choose(told, power):
    """Returns the places of the sliders to keep, the best told ones, in order."""
    kept = []
    scale = np.sqrt(np.maximum(np.diag(power), EPSILON))
    power = power / np.outer(scale, scale)
    for place in np.argsort(-told):
        if told[place] < LEAST_EXPLAINED or len(kept) == MOST:
            break
        some = [*kept, int(place)]
        part = power[np.ix_(some, some)]
        if np.linalg.eigvalsh(part)[0] < SINGULAR:
            continue
        own = 1 / np.diag(np.linalg.inv(part))
        if own.min() >= LEAST_OWN:
            kept = some
    return sorted(kept)
