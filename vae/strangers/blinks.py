"""Finds a person's blinks among their own crops; nothing is learned before. numpy only.

Shut eyes change the edges of one face the opposite way to another's: a bright lid in a
deep socket, a dark line of lashes across a pale face. So a map learned on the actor
misreads them. But everybody's blinks are rare, and of the eyes alone. So, of the main
directions in which somebody's edges around the eyes vary, once what goes along with the
rest of the face is taken out, the blink is the one with the most skewed distribution:
independent component analysis with skewness as its contrast (Hyvärinen 1999), found by
powers of the tensor of third moments (Anandkumar et al. 2014, arXiv 1210.7559).
"""

from dataclasses import dataclass

import numpy as np

from vae.strangers.features import CELLS, DIRECTIONS, EDGES

HALF = CELLS // 2
EYES = slice(3, 7), slice(2, 7)  # rows and columns of cells, of the left half
REST = [*range(0, 2), *range(8, CELLS)]  # rows of cells
POOL = 2  # cells a side; where exactly the rest of the face moves is no matter
REST_PARTS, EYE_PARTS = 2, 5  # principal components: taken out, searched
MIN_SHARE = 0.02  # of what varies, in a component
MIN_CROPS, MAX_CROPS = 50, 4096  # crops that are learned from
# Blinks of five photographed people: 2.7 to 6.4; drawn ones, who blink slowly: 1.1 to
# 2.1; chance alone, in 50 crops, at most 1.8.
MIN_SKEW = 2.4
STARTS, STEPS = 40, 100  # of the search
EPSILON = 1e-12
_MIRRORED = (DIRECTIONS // 2 - np.arange(DIRECTIONS)) % DIRECTIONS
_EYE_SHAPE = tuple(part.stop - part.start for part in EYES) + (DIRECTIONS,)
_EYE_SIZE = int(np.prod(_EYE_SHAPE))


@dataclass(frozen=True)
class Blinks:
    """What one person's blinks are.

    Attributes:
        average: (V,), of what `view` shows of the person's crops.
        directions: (V, 2), how far from it along these: lids are shut, near 0 at rest
            and 1 in a blink; the left ones more than on average, 0.5 in a wink.
        patterns: float32 (2, EDGES), what each changes edges by.
    """

    average: np.ndarray
    directions: np.ndarray
    patterns: np.ndarray

    def measure(self, views: np.ndarray) -> np.ndarray:
        """Returns how far lids are shut in views (N, V), and left ones more: (N, 2)."""
        return ((views - self.average) @ self.directions).astype("f4")


def view(edges: np.ndarray) -> np.ndarray:
    """Returns what blinks are found by, (N, V), of histograms `edges` (N, EDGES).

    The mean of both eyes, one folded over the other; then half their difference; then
    the rest of the face, folded too, coarsely.
    """
    grid = edges.reshape(-1, CELLS, CELLS, DIRECTIONS)
    left, right = grid[:, :, :HALF], grid[:, :, : HALF - 1 : -1][..., _MIRRORED]
    folded, eyes = (left + right) / 2, (slice(None), *EYES)
    rest = folded[:, REST].reshape(
        -1, len(REST) // POOL, POOL, HALF // POOL, POOL, DIRECTIONS
    )
    parts = folded[eyes], (left[eyes] - right[eyes]) / 2, rest.sum((2, 4))
    return np.concatenate([part.reshape(len(grid), -1) for part in parts], axis=1)


def learn_blinks(views: np.ndarray) -> Blinks | None:
    """Finds the blinks of one person, who may have none.

    Args:
        views: (N, V), what `view` shows of their crops, in any order.

    Returns:
        `Blinks`, or None if there are too few crops or nothing rare happens.
    """
    if len(views) < MIN_CROPS:
        return None
    sample = views[:: -(-len(views) // MAX_CROPS)]
    average = sample.mean(0, dtype=np.float64)
    centred = sample - average
    eyes, _, rest = np.split(centred, [_EYE_SIZE, 2 * _EYE_SIZE], axis=1)
    rest_axes = _whiten(rest, REST_PARTS)  # (V - E, P)
    along = rest_axes @ ((rest @ rest_axes).T @ eyes) / len(sample)  # (V - E, E)
    alone = eyes - rest @ along
    axes = _whiten(alone, EYE_PARTS)  # (E, P)
    skew, turn = _most_skewed(alone @ axes)
    if skew < MIN_SKEW:
        return None
    shut = alone @ axes @ turn  # (N,), of mean 0 and variance 1
    height = (shut**4).sum() / (shut**3).sum()  # of a rare event's peaks
    direction, none = axes @ turn / height, np.zeros(_EYE_SIZE)
    both = np.concatenate([direction, none, -along @ direction])
    left = np.concatenate([none, direction, np.zeros(len(along))])
    pattern = shut @ eyes / len(sample) * height
    patterns = np.stack([_unfold(pattern, sign) for sign in (1, -1)])
    return Blinks(average, np.stack([both, left], axis=1), patterns)


def separate_blinks(features: np.ndarray, blinks: Blinks | None) -> np.ndarray:
    """Takes somebody's blinks out of what their faces' edges show.

    Args:
        features: (N, F), the first EDGES of them edges.
        blinks: theirs, or None.

    Returns:
        (N, F + 2), the last what `Blinks.measure` returns; 0 without blinks.
    """
    if blinks is None:
        return np.pad(features, ((0, 0), (0, 2)))
    edges, numbers = features[:, :EDGES], features[:, EDGES:]
    shut = blinks.measure(view(edges))  # (N, 2)
    return np.concatenate([edges - shut @ blinks.patterns, numbers, shut], axis=1)


def _whiten(samples, count):
    """Returns (D, P): the first principal axes, so scaled that parts have variance 1.

    Axes along which hardly anything varies are zeros.
    """
    values, vectors = np.linalg.eigh(samples.T @ samples / len(samples))
    floor = MIN_SHARE * values.sum() + EPSILON
    scales = np.where(values > floor, 1 / np.sqrt(np.maximum(values, floor)), 0)
    return (vectors * scales)[:, -count:]


def _most_skewed(parts):
    """Returns the largest skewness along any direction in parts (N, P), and it (P,)."""
    moments = np.einsum("ni,nj,nk->ijk", parts, parts, parts, optimize=True)
    moments /= len(parts)
    turns = np.random.default_rng(0).normal(size=(STARTS, parts.shape[1]))
    for _ in range(STEPS):
        turns = np.einsum("ijk,sj,sk->si", moments, turns, turns)
        turns /= np.linalg.norm(turns, axis=1, keepdims=True) + EPSILON
    skews = np.einsum("ijk,si,sj,sk->s", moments, turns, turns, turns)
    best = np.argmax(skews)
    return skews[best], turns[best]


def _unfold(eyes, sign):
    """Returns edges (EDGES,): a left eye like folded ones (E,), a right one by sign."""
    grid = np.zeros((CELLS, CELLS, DIRECTIONS), "f4")
    grid[EYES] = eyes.reshape(_EYE_SHAPE)
    grid += sign * grid[:, ::-1][..., _MIRRORED]
    return grid.reshape(-1)
