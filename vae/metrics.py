"""Measures of images against each other. numpy only."""
import numpy as np

SMALLEST_ERROR = 1e-10  # mean square error of identical images: 100 dB


def psnr(images, others):
    """Peak signal-to-noise ratio of each pair, in dB.

    Args:
        images, others: uint8 (N, H, W, C)

    Returns:
        (N,) float64; 100 for identical images.
    """
    difference = images.astype(np.float32) - others.astype(np.float32)
    error = np.square(difference).mean(axis=(1, 2, 3), dtype=np.float64) / 255.0**2
    return -10.0 * np.log10(np.maximum(error, SMALLEST_ERROR))
