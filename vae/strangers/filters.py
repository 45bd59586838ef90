"""Resampling and blurring of images, by a matrix for each axis. numpy only."""
import numpy as np


def area_matrix(length, size):
    """(S, L): the share of each of L pixels in each of S."""
    edges = np.arange(size + 1) * length / size
    low = np.maximum(edges[:-1, None], np.arange(length))
    high = np.minimum(edges[1:, None], np.arange(length) + 1)
    return np.maximum(high - low, 0) * size / length


def blur_matrix(length, sigma):
    """(L, L): a Gaussian blur of one axis, mirrored at its ends."""
    index = np.arange(length)
    mirrored = (index, -1 - index, 2 * length - 1 - index)
    weights = sum(
        np.exp(-((index[:, None] - where) ** 2) / (2 * sigma**2)) for where in mirrored
    )
    return weights / weights.sum(axis=1, keepdims=True)


def blur(images, sigma):
    """A Gaussian blur of square images (..., S, S), mirrored at their ends."""
    matrix = blur_matrix(images.shape[-1], sigma)
    return matrix @ images @ matrix.T


def cubic_matrix(length, points):
    """(L, P): cubic interpolation (Keys 1981) of evenly spaced control points."""
    place = (np.arange(length) + 0.5) * points / length - 0.5
    distance = np.abs(place[:, None] - np.arange(points))
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    return weights / weights.sum(axis=1, keepdims=True)
