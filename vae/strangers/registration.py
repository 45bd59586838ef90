"""Where a stranger's features are in the actor's face: a smooth warp between averages.

The average images of two people, and the maps of where they move, show eyes, brows and
mouth without any detector. A coarse, left-right symmetric grid of displacements is
fitted so that the stranger's maps, warped, correlate with the actor's. numpy only.
"""

import numpy as np

WORK_SIZE = 64  # pixels; maps are compared at this size, whatever the images' own
GRID = 5  # control points along each side
LIMIT = 5.0  # pixels of WORK_SIZE, of a displacement
SMOOTHNESS = 0.01  # weight of differences between neighbouring control points
ENERGY_WEIGHT = 0.5  # of the map of movement, against that of the average face
SCALES = (3.0, 1.5, 0.7)  # blurs in pixels, coarse to fine
STEPS = 40  # at each scale
RATE, DECAY, SQUARE_DECAY = 0.15, 0.9, 0.999  # of Adam (Kingma and Ba 2015)
BLACK = 0.08  # of 0..1; what is darker on average is outside the mask
DETAIL, NEIGHBOURHOOD = 5.0, 8.0  # blurs in pixels: local contrast, local movement


def register(
    average: np.ndarray,
    variation: np.ndarray,
    actor_average: np.ndarray,
    actor_variation: np.ndarray,
) -> np.ndarray:
    """Finds, for each pixel of the actor, the place in the stranger's image.

    Args:
        average, variation: (H, W, C), mean and standard deviation of each pixel over a
            stranger's images, 0..1.
        actor_average, actor_variation: (H, W, C), the same of the actor.

    Returns:
        (H, W, 2) float32, row and column in pixels.
    """
    height, width = average.shape[:2]
    ours, theirs = (
        _maps(*pair)
        for pair in ((average, variation), (actor_average, actor_variation))
    )
    grid = np.zeros((2, GRID, GRID))
    moment, square, count = np.zeros_like(grid), np.zeros_like(grid), 0
    for scale in SCALES:
        source, target = blur(ours, scale), blur(theirs, scale)
        for _ in range(STEPS):
            count += 1
            slope = _slope(grid, source, target)
            moment += (1 - DECAY) * (slope - moment)
            square += (1 - SQUARE_DECAY) * (slope**2 - square)
            size = np.sqrt(square / (1 - SQUARE_DECAY**count)) + 1e-7
            grid -= RATE * moment / (1 - DECAY**count) / size
    down, across = cubic_matrix(height, GRID), cubic_matrix(width, GRID)
    moved = down @ _displacements(grid)[0] @ across.T  # (2, H, W)
    rows, columns = np.mgrid[0:height, 0:width]
    place = np.stack(
        [rows + moved[0] * height / WORK_SIZE, columns + moved[1] * width / WORK_SIZE],
        axis=-1,
    )
    return place.astype(np.float32)


def warp(images: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Returns images (N, H, W, C), each pixel taken from its `place` (H, W, 2)."""
    corners, (down, across) = _corners(images.shape[1:3], place[..., 0], place[..., 1])
    flat = images.reshape(len(images), -1, images.shape[3])
    down, across = down[..., None].astype("f4"), across[..., None].astype("f4")
    top_left, top_right, low_left, low_right = (flat[:, index] for index in corners)
    top = top_left + across * (top_right - top_left)
    low = low_left + across * (low_right - low_left)
    return top + down * (low - top)


def _corners(size, rows, columns):
    """Flat indices of the four pixels around each place, and the shares of the lower
    and the right ones."""
    rows = np.clip(rows, 0, size[0] - 1.001)
    columns = np.clip(columns, 0, size[1] - 1.001)
    above, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    first = above * size[1] + left
    corners = first, first + 1, first + size[1], first + size[1] + 1
    return corners, (rows - above, columns - left)


def _maps(average, variation):
    """Returns (2, S, S): local contrast of the average face, and local movement."""
    face, energy = (
        _symmetric(_shrink(image.mean(axis=-1, dtype=np.float64)))
        for image in (average, variation)
    )
    inside = blur((face > BLACK).astype(float), 1.0)
    local = blur(face * inside, DETAIL) / (blur(inside, DETAIL) + 0.05)
    detail = (face - local) * inside
    contrast = np.sqrt(blur(detail**2, DETAIL) + 1e-4)
    moving = energy / (blur(energy, NEIGHBOURHOOD) + 0.01)
    return np.stack([detail / contrast * inside, (moving - moving.mean()) * inside])


def _shrink(image):
    """Resizes (H, W) to the working size, averaging what falls together."""
    down, across = (area_matrix(length, WORK_SIZE) for length in image.shape)
    return down @ image @ across.T


def _symmetric(image):
    return (image + image[:, ::-1]) / 2


def _displacements(grid):
    """Limits the control points (2, P, P) and makes them left-right symmetric.

    Returns:
        The displacements in pixels, rows and columns, and their derivative by `grid`.
    """
    bounded = np.tanh(grid / LIMIT)
    moved = LIMIT * bounded
    sign = np.array([1.0, -1.0])[:, None, None]
    return (moved + sign * moved[:, :, ::-1]) / 2, 1 - bounded**2


def _slope(grid, source, target):
    """The derivative of the loss by the control points, (2, P, P)."""
    moved, derivative = _displacements(grid)
    matrix = cubic_matrix(WORK_SIZE, GRID)
    rows, columns = np.mgrid[0:WORK_SIZE, 0:WORK_SIZE] + matrix @ moved @ matrix.T
    corners, (down, across) = _corners(target.shape[1:], rows, columns)
    a, b, c, d = (source.reshape(2, -1)[:, index] for index in corners)  # (2, S, S)
    top, low = a + across * (b - a), c + across * (d - c)
    by_value = _correlation_slope(top + down * (low - top), target)
    by_row = (by_value * (low - top)).sum(0)
    by_column = (by_value * ((b - a) + down * ((d - c) - (b - a)))).sum(0)
    by_moved = -(matrix.T @ np.stack([by_row, by_column]) @ matrix)
    by_moved += _roughness_slope(moved)
    sign = np.array([1.0, -1.0])[:, None, None]
    return derivative * (by_moved + sign * by_moved[:, :, ::-1]) / 2


def _correlation_slope(values, target):
    """The derivative of the weighted sum of both maps' correlations, (2, S, S)."""
    slopes = []
    for value, wanted, weight in zip(values, target, (1.0, ENERGY_WEIGHT), strict=True):
        value, wanted = value - value.mean(), wanted - wanted.mean()
        size = np.linalg.norm(value) + 1e-6
        value, wanted = value / size, wanted / (np.linalg.norm(wanted) + 1e-6)
        slopes.append(weight * (wanted - (value * wanted).sum() * value) / size)
    return np.stack(slopes)


def _roughness_slope(moved):
    """The derivative of SMOOTHNESS times the mean square differences, (2, P, P)."""
    slope = 0.2 * moved / moved.size
    for axis in (1, 2):
        steps = np.diff(moved, axis=axis)
        before = [(0, 0)] * 3
        before[axis] = (1, 0)
        after = [(0, 0)] * 3
        after[axis] = (0, 1)
        slope += 2 * (np.pad(steps, before) - np.pad(steps, after)) / steps.size
    return SMOOTHNESS * slope


def area_matrix(length: int, size: int) -> np.ndarray:
    """(S, L): the share of each of L pixels in each of S."""
    edges = np.arange(size + 1) * length / size
    low = np.maximum(edges[:-1, None], np.arange(length))
    high = np.minimum(edges[1:, None], np.arange(length) + 1)
    return np.maximum(high - low, 0) * size / length


def blur_matrix(length: int, sigma: float) -> np.ndarray:
    """(L, L): a Gaussian blur of one axis, mirrored at its ends."""
    index = np.arange(length)
    mirrored = (index, -1 - index, 2 * length - 1 - index)
    weights = sum(
        np.exp(-((index[:, None] - where) ** 2) / (2 * sigma**2)) for where in mirrored
    )
    return weights / weights.sum(axis=1, keepdims=True)


def blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur of square images (..., S, S), mirrored at their ends."""
    matrix = blur_matrix(images.shape[-1], sigma)
    return matrix @ images @ matrix.T


def cubic_matrix(length: int, points: int) -> np.ndarray:
    """(L, P): cubic interpolation (Keys 1981) of evenly spaced control points."""
    place = (np.arange(length) + 0.5) * points / length - 0.5
    distance = np.abs(place[:, None] - np.arange(points))
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    return weights / weights.sum(axis=1, keepdims=True)
