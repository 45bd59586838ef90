"""The two parts of the evidence lower bound, as pure functions of tensors.

Training and validation call the same functions. All losses are in nats an image; for
the Gaussian they belong to a density over pixels scaled to 0..1.
"""

import math

import tensorflow as tf
from keras import ops

SIGMA_RANGE = (0.01, 1.0)  # of a pixel; 0.01 is 2.5 grey levels
LOG_SIGMA_RANGE = (math.log(0.002), 0.0)  # of one that the decoder predicts
LOGISTIC_PER_SIGMA = math.sqrt(3) / math.pi  # scale of a logistic with sigma 1
LEVELS = 255.0


def kl_loss(z_mean: tf.Tensor, z_log_var: tf.Tensor) -> tf.Tensor:
    """KL divergence of the code's Gaussian from the standard normal.

    Kingma and Welling 2014 (arXiv 1312.6114), appendix B.

    Args:
        z_mean, z_log_var: (B, Z)

    Returns:
        (B,), nats, never negative.
    """
    terms = ops.exp(z_log_var) + ops.square(z_mean) - 1.0 - z_log_var  # (B, Z)
    return 0.5 * ops.sum(terms, axis=-1)


def reconstruction_loss(
    likelihood: str, images: tf.Tensor, outputs: tf.Tensor, sigma: tf.Tensor
) -> tf.Tensor:
    """Negative log-likelihood of images under the decoder's outputs.

    Args:
        likelihood: gaussian (a density), bernoulli (the original's; for grey pixels it
            is not a probability of anything) or discretized (256 levels; comparable
            with published bits/dim).
        images: (B, H, W, C), 0..1.
        outputs: what the decoder returns: (B, H, W, C), means, or logits for bernoulli;
            for discretized (B, H, W, 2C), means and then the logarithm of each pixel's
            standard deviation.
        sigma: scalar, the standard deviation of a pixel; used by gaussian alone.

    Returns:
        (B,), nats.
    """
    score = {
        "gaussian": _gaussian,
        "bernoulli": _bernoulli,
        "discretized": _discretized,
    }[likelihood]
    return ops.sum(score(images, outputs, sigma), axis=(1, 2, 3))


def optimal_sigma(mean_square_error: tf.Tensor) -> tf.Tensor:
    """The sigma that maximises a Gaussian likelihood: the root mean square error.

    Rybkin et al. 2021 (arXiv 2006.13202), equation 7; clipped to `SIGMA_RANGE`.
    """
    return ops.clip(ops.sqrt(mean_square_error), *SIGMA_RANGE)


def to_images(likelihood: str, outputs: tf.Tensor) -> tf.Tensor:
    """The expected image, 0..1, of decoder outputs; see `reconstruction_loss`."""
    if likelihood == "bernoulli":
        return ops.sigmoid(outputs)
    if likelihood == "discretized":
        outputs = outputs[..., : outputs.shape[-1] // 2]
    return ops.clip(outputs, 0.0, 1.0)


def _gaussian(images, outputs, sigma):
    scaled = (images - outputs) / sigma
    return 0.5 * (ops.square(scaled) + math.log(2 * math.pi)) + ops.log(sigma)


def _bernoulli(images, outputs, sigma):
    return ops.relu(outputs) - outputs * images + ops.softplus(-ops.abs(outputs))


def _discretized(images, outputs, sigma):
    """A logistic distribution, integrated over each of the 256 levels.

    Salimans et al. 2017 (arXiv 1701.05517), equation 2, with one component. The
    decoder predicts its scale too: how sure it is differs from pixel to pixel and from
    face to face.
    """
    means, log_sigma = ops.split(outputs, 2, axis=-1)  # (B, H, W, C) each
    scale = LOGISTIC_PER_SIGMA * ops.exp(ops.clip(log_sigma, *LOG_SIGMA_RANGE))
    half = 0.5 / LEVELS
    upper = (images + half - means) / scale
    lower = (images - half - means) / scale
    top = images > 1.0 - half  # level 255 holds all that is above it
    bottom = images < half
    # log(sigmoid(u) - sigmoid(l)) without cancellation: u - l is a known constant.
    middle = (
        upper
        - ops.softplus(upper)
        - ops.softplus(lower)
        + ops.log1p(-ops.exp(lower - upper))
    )
    inner = ops.where(bottom, -ops.softplus(-upper), middle)
    return -ops.where(top, -ops.softplus(lower), inner)
