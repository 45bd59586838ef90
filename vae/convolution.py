"""Convolutions of small images as matrix products, in numpy.

Maps are (H, B, W, C) here: rows first, then the images of a batch. The rows above and
below those of a whole batch are then a stretch of the same array, that a matrix product
takes as it lies, and only the neighbours to the left and to the right are copied.
"""
import numpy as np


def convolve(x, kernel, bias, relu=False):
    """A 3x3 convolution that keeps the size, with zeros around.

    Args:
        x: float32 (H, B, W, C).
        kernel: (3, 3, C, K). bias: (K,).
        relu: take what is below zero in `x` as zero.

    Returns:
        float32 (H, B, W, K)
    """
    rows, count, columns, channels = x.shape
    beside = np.empty((rows + 2, count, columns, 3, channels), np.float32)
    beside[[0, -1]] = 0
    inner = beside[1:-1]
    inner[:, :, 0, 0] = inner[:, :, -1, 2] = 0
    inner[..., 1, :] = np.maximum(x, 0) if relu else x
    inner[:, :, 1:, 0] = inner[:, :, :-1, 1]
    inner[:, :, :-1, 2] = inner[:, :, 1:, 1]
    above, here, below = kernel.reshape(3, 3 * channels, -1)
    y = beside[:-2].reshape(-1, 3 * channels) @ above
    y += inner.reshape(-1, 3 * channels) @ here
    y += beside[2:].reshape(-1, 3 * channels) @ below
    y += bias
    return y.reshape(rows, count, columns, -1)


def project(x, kernel, bias):
    """A 1x1 convolution: (H, B, W, C) to (H, B, W, K)."""
    y = x.reshape(-1, x.shape[-1]) @ kernel.reshape(x.shape[-1], -1)
    y += bias
    return y.reshape(*x.shape[:-1], -1)


def fold(x, size):
    """Space to depth: (H, B, W, C) to (H/n, B, W/n, n*n*C)."""
    rows, count, columns, channels = x.shape
    x = x.reshape(rows // size, size, count, columns // size, size, channels)
    x = x.transpose(0, 2, 3, 1, 4, 5)
    return x.reshape(rows // size, count, columns // size, -1)


def unfold(x, size):
    """Depth to space: (H, B, W, n*n*C) to (H*n, B, W*n, C)."""
    rows, count, columns, _ = x.shape
    x = x.reshape(rows, count, columns, size, size, -1).transpose(0, 3, 1, 2, 4, 5)
    return x.reshape(rows * size, count, columns * size, -1)
