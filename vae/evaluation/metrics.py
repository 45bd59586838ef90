"""Measures of images against each other, and of codes against a model. numpy only."""

import math

import numpy as np

SSIM_SIGMA = 1.5  # pixels, of the Gaussian window
SSIM_REACH = 5  # pixels either side: 3.5 standard deviations, rounded
SSIM_SIDE = 2 * SSIM_REACH + 1  # pixels, of the whole window
SSIM_FLOORS = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # keep even patches from 0 / 0
LEVELS_APART = 255  # steps between black, 0, and white, 1
ACTIVE_VARIANCE = 0.01


def ssim(images, others):
    """Structural similarity of each pair: 1 for equal images.

    Wang, Bovik, Sheikh and Simoncelli 2004, with their settings: a Gaussian window of
    sigma 1.5 and 11 pixels a side, wherever it fits into the image, K 0.01 and 0.03,
    and variances of the window itself, not estimates for a population. Of colour
    images, the mean over the channels. scikit-image computes the same with
    `gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255`.

    Args:
        images, others: uint8 (N, H, W, C)

    Returns:
        (N,) float64; NaN for images under 11 pixels a side, which have no window.
    """
    count, height, width, _ = images.shape
    if min(height, width) < SSIM_SIDE:
        return np.full(count, np.nan)
    down, across = _window(height).T, _window(width)
    x, y = (rows.transpose(0, 3, 1, 2).astype(np.float64) for rows in (images, others))

    def blur(rows):
        return down @ rows @ across  # (N, C, H - 10, W - 10)

    mean_x, mean_y = blur(x), blur(y)
    variance_x = blur(x * x) - mean_x**2
    variance_y = blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    floor, spread_floor = SSIM_FLOORS
    likeness = (2 * mean_x * mean_y + floor) * (2 * covariance + spread_floor)
    likeness /= mean_x**2 + mean_y**2 + floor
    likeness /= variance_x + variance_y + spread_floor
    return likeness.mean(axis=(1, 2, 3))


def _window(length):
    """A matrix (L, L - 10) that averages a row of pixels in windows that fit in it."""
    offsets = np.arange(-SSIM_REACH, SSIM_REACH + 1)
    weights = np.exp(-0.5 * np.square(offsets / SSIM_SIGMA))
    weights /= weights.sum()
    matrix = np.zeros((length, length - 2 * SSIM_REACH))
    for column in range(matrix.shape[1]):
        matrix[column : column + SSIM_SIDE, column] = weights
    return matrix


def bits_per_dim(nats, likelihood, dimensions):
    """Turns nats an image into bits a pixel value, of a probability over 256 levels.

    A discretized likelihood is such a probability. A Gaussian one is a density over
    pixels of 0..1, and is multiplied by the distance of two levels, 1/255. As long as
    sigma is more than a level or so (this tool keeps it above 2.5), what that gives all
    256 levels adds up to at most 1, so it is a valid code and nothing is flattered;
    what the density puts below black and above white counts as lost.

    Args:
        nats: array or number, negative log-likelihood or negative ELBO, nats an image.
        likelihood: of the model; see `vae.model.losses.reconstruction_loss`.
        dimensions: H * W * C.

    Returns:
        bits/dim, of the form of `nats`; None for bernoulli, which for gray pixels is
        not a probability of anything and can't be compared with the others.
    """
    if likelihood == "bernoulli":
        return None
    width = math.log(LEVELS_APART) if likelihood == "gaussian" else 0.0
    return (nats / dimensions + width) / math.log(2)


def estimate_likelihood(score, z_mean, z_log_var, samples, noises):
    """Estimates how probable images are, by codes drawn from the encoder.

    The reconstruction term of the ELBO is averaged over the samples. The
    importance-weighted bound is Burda, Grosse and Salakhutdinov 2016 (arXiv
    1509.00519): it is never below the ELBO on average, grows with the
    number of samples, and tends to the log-likelihood.

    Args:
        score: function of codes (B, Z), the log-likelihood (B,) of each image given
            its code, in nats.
        z_mean, z_log_var: (B, Z), the encoder's.
        samples: codes an image.
        noises: a numpy random generator for each image, so that what an image gets
            depends on no other.

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
    largest = log_weights.max(1)
    mean = np.exp(log_weights - largest[:, None]).mean(1)
    return total / samples, largest + np.log(mean)


def kl_per_dimension(z_mean, z_log_var):
    """Returns the KL divergence from the standard normal, nats, a code's dimensions.

    Kingma and Welling 2014 (arXiv 1312.6114), appendix B.

    Args:
        z_mean, z_log_var: (B, Z)

    Returns:
        (B, Z) float64
    """
    z_mean, z_log_var = np.float64(z_mean), np.float64(z_log_var)
    return 0.5 * (np.exp(z_log_var) + np.square(z_mean) - 1.0 - z_log_var)


def count_active(variance):
    """Returns how many dimensions of the code say something about the image.

    Burda et al. 2016: those whose `z_mean` varies by more than 0.01.

    Args:
        variance: (Z,), of `z_mean` over the images.
    """
    return int(np.count_nonzero(variance > ACTIVE_VARIANCE))


class NearestFrames:
    """Finds, for each of a few images, the nearest of many frames.

    Args:
        images: uint8 (Q, H, W, C).

    Attributes:
        images: as given.
        distances: (Q,), gray levels, to the nearest frame so far.
        rows, frames: that frame's row, (Q,), and itself, uint8 (Q, H, W, C).
    """

    def __init__(self, images):
        self.images = images
        self._images = images.reshape(len(images), -1).astype(np.float32)  # (Q, P)
        self._squares = np.vecdot(self._images, self._images)
        self.distances = np.full(len(images), np.inf)
        self.rows = np.full(len(images), -1)
        self.frames = np.zeros_like(images)

    def look(self, frames, row):
        """Compares with a batch of frames.

        Args:
            frames: uint8 (B, H, W, C). row: of the first of them.
        """
        flat = frames.reshape(len(frames), -1).astype(np.float32)
        squares = self._squares[:, None] + np.vecdot(flat, flat)
        nearest = np.argmin(squares - 2 * self._images @ flat.T, axis=1)  # (Q,)
        # The nearest is measured again, since the squares above are rounded.
        distances = measure_distance(frames[nearest], self.images)
        better = distances < self.distances
        self.distances[better] = distances[better]
        self.rows[better] = row + nearest[better]
        self.frames[better] = frames[nearest[better]]


def measure_distance(images, others):
    """Returns the distance of each pair of uint8 (N, H, W, C), gray levels (N,)."""
    difference = images.astype(np.float32) - others
    return np.sqrt(np.square(difference).mean(axis=(1, 2, 3), dtype=np.float64))


def summarise_distances(seeker):
    """Returns what a `NearestFrames` found as a dictionary that JSON can hold."""
    least = int(np.argmin(seeker.distances))
    return {
        "median": float(np.median(seeker.distances)),
        "least": float(seeker.distances[least]),
        "row": int(seeker.rows[least]),
    }
