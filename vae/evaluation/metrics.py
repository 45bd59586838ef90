"""Measures of images against each other, and of codes against a model. numpy only."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

SSIM_SIGMA = 1.5  # pixels, of the Gaussian window
SSIM_REACH = 5  # pixels either side: 3.5 standard deviations, rounded
SSIM_SIDE = 2 * SSIM_REACH + 1  # pixels, of the whole window
SSIM_FLOORS = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # keep even patches from 0 / 0
LEVELS_APART = 255  # steps between black, 0, and white, 1
ACTIVE_VARIANCE = 0.01


def ssim(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Structural similarity of each pair: 1 for equal images.

    Wang, Bovik, Sheikh and Simoncelli 2004, with their settings: a Gaussian window of
    sigma 1.5 and 11 pixels a side, wherever it fits into the image, K 0.01 and 0.03,
    and variances of the window itself, not estimates for a population. Of colour
    images, the mean over the channels. scikit-image computes the same with
    `gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255`;
    `tf.image.ssim` in float32 is off by up to 6e-4 where patches are flat and bright.

    Args:
        images, others: uint8 (N, H, W, C)

    Returns:
        (N,) float64; NaN for images under 11 pixels a side, which have no window.
    """
    count, height, width, _ = images.shape
    if min(height, width) < SSIM_SIDE:
        return np.full(count, np.nan)
    down, across = _window(height).T, _window(width)
    x, y = (one.transpose(0, 3, 1, 2).astype(np.float64) for one in (images, others))

    def blur(planes: np.ndarray) -> np.ndarray:
        return down @ planes @ across  # (N, C, H - 10, W - 10)

    mean_x, mean_y = blur(x), blur(y)
    variance_x = blur(x * x) - mean_x**2
    variance_y = blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    floor, spread_floor = SSIM_FLOORS
    likeness = (2 * mean_x * mean_y + floor) * (2 * covariance + spread_floor)
    likeness /= mean_x**2 + mean_y**2 + floor
    likeness /= variance_x + variance_y + spread_floor
    return likeness.mean(axis=(1, 2, 3))


def _window(length: int) -> np.ndarray:
    """A matrix (L, L - 10) that averages a row of pixels in windows that fit in it."""
    offsets = np.arange(-SSIM_REACH, SSIM_REACH + 1)
    weights = np.exp(-0.5 * np.square(offsets / SSIM_SIGMA))
    weights /= weights.sum()
    shape = length, length - 2 * SSIM_REACH
    return sum(weight * np.eye(*shape, -at) for at, weight in enumerate(weights))


def bits_per_dim(nats: np.ndarray, likelihood: str, size: int) -> np.ndarray | None:
    """Turns nats an image into bits a pixel value, of a probability over 256 levels.

    A discretized likelihood is such a probability. A Gaussian one is a density over
    pixels of 0..1, and is multiplied by the distance of two levels, 1/255. As long as
    sigma is more than a level or so (this tool keeps it above 2.5), what that gives all
    256 levels adds up to at most 1, so it is a valid code and nothing is flattered;
    what the density puts below black and above white counts as lost.

    Args:
        nats: (N,), negative log-likelihoods or negative ELBOs.
        likelihood: of the model; see `vae.model.losses.reconstruction_loss`.
        size: H * W * C.

    Returns:
        (N,); None for bernoulli, which for gray pixels is not a probability of anything
        and can't be compared with the others.
    """
    if likelihood == "bernoulli":
        return None
    width = math.log(LEVELS_APART) if likelihood == "gaussian" else 0.0
    return (nats / size + width) / math.log(2)


def estimate_likelihood(
    score: Callable[[np.ndarray], Any],
    z_mean: np.ndarray,
    z_log_var: np.ndarray,
    samples: int,
    noises: Sequence[np.random.Generator],
) -> tuple[np.ndarray, np.ndarray]:
    """Estimates the log-likelihood of images with codes drawn from the posterior.

    The reconstruction term of the ELBO is averaged over the samples. The
    importance-weighted bound is Burda, Grosse and Salakhutdinov 2016 (arXiv
    1509.00519): it is never below the ELBO on average, grows with the
    number of samples, and tends to the log-likelihood.

    Args:
        score: codes (B, Z) -> the log-likelihood (B,) of each image given its code, in
            nats.
        z_mean, z_log_var: (B, Z), of the posterior.
        samples: codes an image.
        noises: one for each image, so that its estimate depends on no other.

    Returns:
        reconstruction (B,), the mean log-likelihood given the code, and weighted (B,),
        the bound on the log-likelihood; float64, nats.
    """
    total = np.zeros(len(z_mean))
    log_weights = np.empty((len(z_mean), samples))
    spread = np.exp(0.5 * z_log_var)
    for index in range(samples):
        noise = np.stack([one.standard_normal(z_mean.shape[1]) for one in noises])
        z = z_mean + spread * noise  # (B, Z)
        given = np.asarray(score(z.astype(np.float32)), np.float64)
        total += given
        ratio = np.square(noise) - np.square(z) + z_log_var  # 2 log p(z) / q(z)
        log_weights[:, index] = given + 0.5 * ratio.sum(1)
    weighted = np.logaddexp.reduce(log_weights, axis=1) - math.log(samples)
    return total / samples, weighted


def count_active(variance: np.ndarray) -> int:
    """Counts the active units (Burda et al. 2016) by the variance (Z,) of `z_mean`."""
    return int(np.count_nonzero(variance > ACTIVE_VARIANCE))


class NearestFrames:
    """Finds, for each of a few images, the nearest of many frames.

    Attributes:
        images: uint8 (Q, H, W, C).
        distances: (Q,), gray levels, to the nearest frame so far.
        rows, frames: that frame's row, (Q,), and itself, uint8 (Q, H, W, C).
    """

    def __init__(self, images: np.ndarray) -> None:
        self.images = images
        self._flat = images.reshape(len(images), -1).astype(np.float32)  # (Q, P)
        self.distances = np.full(len(images), np.inf)
        self.rows = np.full(len(images), -1)
        self.frames = np.zeros_like(images)

    def look(self, frames: np.ndarray, row: int) -> None:
        """Compares with frames, uint8 (B, H, W, C), the first of which has this row."""
        flat = frames.reshape(len(frames), -1).astype(np.float32)  # (B, P)
        nearest = np.argmin(np.vecdot(flat, flat) - 2 * self._flat @ flat.T, axis=1)
        # The nearest is measured again, since the squares above are rounded.
        distances = measure_distance(frames[nearest], self.images)
        better = distances < self.distances
        self.distances[better] = distances[better]
        self.rows[better] = row + nearest[better]
        self.frames[better] = frames[nearest[better]]

    def summarise(self) -> dict[str, float]:
        """Returns what was found as a dictionary that JSON can hold."""
        least = int(np.argmin(self.distances))
        return {
            "median": float(np.median(self.distances)),
            "least": float(self.distances[least]),
            "row": int(self.rows[least]),
        }


def measure_distance(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the distance of each pair of uint8 (N, H, W, C), gray levels (N,)."""
    difference = images.astype(np.float32) - others
    return np.sqrt(np.square(difference).mean(axis=(1, 2, 3), dtype=np.float64))
