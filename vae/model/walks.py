"""Walks through the latent space: where they lead, and how fast. numpy only."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, pairwise

import numpy as np

from vae.model.latent import LatentStatistics, whiten

STEPS_AT_A_TIME = 64  # codes of a walk
OVERSAMPLING = 4  # pictures looked at for each that is shown, for a constant speed
REACH = 2.0  # standard deviations of the film's codes, to both sides of a direction
Decode = Callable[[np.ndarray], np.ndarray]  # codes (B, Z) to uint8 (B, H, W, C)


@dataclass(frozen=True)
class Prior:
    """Where codes are drawn from: Gaussians, all of one spread.

    Points are in units of the root, from the mean on, so that the film's codes are as
    spread in any direction.

    Attributes:
        mean: (Z,) float64. root: (Z, Z), the symmetric root of a covariance.
        weights, centres: (K,), (K, Z), of each Gaussian, as points.
        spread: (Z, Z), the root of their covariance.
    """

    mean: np.ndarray
    root: np.ndarray
    weights: np.ndarray
    centres: np.ndarray
    spread: np.ndarray

    def draw(self, rng: np.random.Generator, temperature: float) -> np.ndarray:
        """Returns a point (Z,); at temperature 0, one of the centres."""
        away = rng.standard_normal(len(self.mean)) @ self.spread
        chosen = 0
        if len(self.centres) > 1:
            chosen = rng.choice(len(self.centres), p=self.weights)
        return self.centres[chosen] + temperature * away

    def place(self, points: np.ndarray) -> np.ndarray:
        """Returns the codes (B, Z) float32 of points (B, Z)."""
        return (points @ self.root + self.mean).astype(np.float32)


def make_prior(kind: str, statistics: LatentStatistics) -> Prior:
    """Returns a prior.

    It is `normal`, that of the KL term; `gaussian`, of the mean and the covariance of
    the film's codes; or `mixture`, of many Gaussians, which follow the film. A model
    without a mixture gives the `gaussian` instead.
    """
    size = len(statistics.mean)
    one, centre, unit = np.ones(1), np.zeros((1, size)), np.eye(size)
    if kind == "normal":
        return Prior(np.zeros(size), unit, one, centre, unit)
    mean, root, inverse = whiten(statistics.mean, statistics.covariance)
    if kind == "gaussian" or statistics.mixture_weights is None:
        return Prior(mean, root, one, centre, unit)
    weights = statistics.mixture_weights.astype(np.float64)
    _, spread, _ = whiten(mean, statistics.mixture_covariance)
    centres = (statistics.mixture_means - mean) @ inverse
    return Prior(mean, root, weights / weights.sum(), centres, spread @ inverse)


@dataclass(frozen=True)
class Walk:
    """A way from knot to knot.

    Attributes:
        knots: called, it begins to yield them, one more than there are stretches.
        stretches: how many there are; time goes from 0 to that.
        between: function of two knots and fractions (S,) to codes (S, Z).
        ends: whether the last knot is shown; else the next walk or round begins there.
    """

    knots: Callable[[], Iterator[np.ndarray]]
    stretches: int
    between: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    ends: bool = False

    def spread_times(self, count: int) -> np.ndarray:
        """Returns evenly spaced times of so many pictures, (N,)."""
        return np.linspace(0, self.stretches, count, endpoint=self.ends)

    def follow(self, times: np.ndarray) -> Iterator[np.ndarray]:
        """Yields the codes (B, Z) of ascending times, few at once."""
        stretch = np.minimum(times.astype(int), self.stretches - 1)
        begin = 0
        for number, (start, end) in enumerate(pairwise(self.knots())):
            stop = np.searchsorted(stretch, number, "right")
            for at in range(begin, stop, STEPS_AT_A_TIME):
                part = times[at : min(at + STEPS_AT_A_TIME, stop)]
                yield self.between(start, end, part - number)
            begin = stop
            if begin == len(times):
                return

    def even_out(self, count: int, decode: Decode) -> np.ndarray:
        """Returns times (N,) between which pictures change by equal amounts (RMS)."""
        fine = np.linspace(0, self.stretches, OVERSAMPLING * count + 1)
        changes, last = [], None
        for codes in self.follow(fine):
            images = decode(codes).astype(np.float32)
            if last is not None:
                images = np.concatenate([last, images])
            changes.append(np.sqrt(np.square(np.diff(images, axis=0)).mean((1, 2, 3))))
            last = images[-1:]
        covered = np.concatenate([[0], np.cumsum(np.concatenate(changes))])
        if not covered[-1]:
            return self.spread_times(count)
        shares = np.linspace(0, covered[-1], count, endpoint=self.ends)
        times = np.interp(shares, covered, fine)
        times[0] = 0  # also where nothing changes at first
        return times


def walk_at_random(
    prior: Prior, count: int, seed: int, temperature: float, closed: bool
) -> Walk:
    """Returns a walk along points drawn from a prior; a closed one ends at its start.

    It turns from one to the other at a constant angle (spherical interpolation, White
    2016, arXiv 1609.04468) in the whitened space, so that no point on it is untypical.
    """

    def draw():
        rng = np.random.default_rng(seed)
        points = (prior.draw(rng, temperature) for _ in range(count + (not closed)))
        if not closed:
            return points
        first = next(points)
        return chain([first], points, [first])

    def between(start, end, fractions):
        return prior.place(interpolate(start, end, fractions))

    return Walk(draw, count, between)


def walk_through(codes: np.ndarray, path: str) -> Walk:
    """Returns a walk through codes (N, Z), N at least 2, along lines or a `spline`.

    The spline is a cubic one that has the slope of its neighbours at each code (Catmull
    and Rom 1974), and at both ends that of the first or last stretch.
    """
    codes = codes.astype(np.float64)
    slopes = np.gradient(codes, axis=0)
    knots = codes if path == "linear" else np.stack([codes, slopes], axis=1)
    between = _go_straight if path == "linear" else _go_round
    return Walk(lambda: iter(knots), len(codes) - 1, between, ends=True)


def _go_straight(start, end, fractions):
    return (start + np.outer(fractions, end - start)).astype(np.float32)


def _go_round(start, end, fractions):
    """A cubic with given values and slopes at both ends (Hermite)."""
    t = fractions
    rise = t**2 * (3 - 2 * t)
    weights = np.stack([1 - rise, t * (1 - t) ** 2, rise, t**2 * (t - 1)], axis=1)
    return (weights @ np.concatenate([start, end])).astype(np.float32)


def find_directions(
    prior: Prior, decode: Decode, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the directions that change the picture most.

    They are at right angles in the whitened space, the right singular vectors of what a
    standard deviation along each of its axes changes around the mean.

    Returns:
        directions (K, Z), a standard deviation each, largest change first, K at most
        the count, and the share of all change (squares) that each makes, (K,).
    """
    size = len(prior.mean)
    axes = np.eye(size)
    power = np.zeros((size, size))
    up, down = (decode(prior.place(sign * axes)) for sign in (0.5, -0.5))
    changes = (up.astype(np.float32) - down).reshape(size, -1)
    power = (changes @ changes.T).astype(np.float64)
    values, vectors = np.linalg.eigh(power)
    order = np.argsort(-values)[:count]
    found = vectors.T[order]
    largest = np.take_along_axis(found, np.abs(found).argmax(1)[:, None], axis=1)
    shares = values[order] / max(values.sum(), 1e-12)
    return (found * np.sign(largest)) @ prior.root, shares


def traverse(
    mean: np.ndarray, directions: np.ndarray, steps: int, temperature: float
) -> Iterator[np.ndarray]:
    """Yields codes (B, Z) along directions (K, Z), through the mean, few at a time."""
    places = REACH * temperature * np.linspace(-1, 1, steps) if steps > 1 else [0.0]
    for direction in directions:
        for at in range(0, steps, STEPS_AT_A_TIME):
            part = np.outer(places[at : at + STEPS_AT_A_TIME], direction)
            yield (mean + part).astype(np.float32)


def draw_samples(
    prior: Prior, count: int, seed: int, temperature: float
) -> Iterator[np.ndarray]:
    """Yields codes (B, Z) of independent points of a prior, few at a time."""
    rng = np.random.default_rng(seed)
    points = (prior.draw(rng, temperature) for _ in range(count))
    while batch := list(islice(points, STEPS_AT_A_TIME)):
        yield prior.place(np.stack(batch))


def number_parts(parts: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (how many codes came before, codes) of each part (B, Z)."""
    first = 0
    for codes in parts:
        yield first, codes
        first += len(codes)


def interpolate(
    start: np.ndarray, end: np.ndarray, fractions: np.ndarray
) -> np.ndarray:
    """Spherical interpolation between two points; lengths are interpolated linearly.

    Args:
        start, end: (Z,)
        fractions: (S,), 0 is start, 1 is end.

    Returns:
        (S, Z)
    """
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    if min(lengths) < 1e-12:
        return start + np.outer(fractions, end - start)
    a, b = start / lengths[0], end / lengths[1]
    angle = np.arccos(np.clip(a @ b, -1.0, 1.0))
    if np.sin(angle) < 1e-6:  # along one line: turning has no plane
        return start + np.outer(fractions, end - start)
    weights_a = np.sin((1 - fractions) * angle) / np.sin(angle)  # (S,)
    weights_b = np.sin(fractions * angle) / np.sin(angle)  # (S,)
    turned = np.outer(weights_a, a) + np.outer(weights_b, b)  # (S, Z)
    length = lengths[0] + fractions * (lengths[1] - lengths[0])
    return turned * length[:, None]
