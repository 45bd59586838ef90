"""A trained model as a judge of images: reconstructions and likelihoods, added up.

An image leaves six numbers behind, so that memory hardly grows with the file.
"""

import os
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from keras import ops

from vae.checkpoint.directory import restore
from vae.evaluation.metrics import (
    bits_per_dim,
    count_active,
    estimate_likelihood,
    kl_per_dimension,
    ssim,
)
from vae.images.pixels import psnr, to_float32
from vae.model.losses import reconstruction_loss, to_images
from vae.model.network import VAE
from vae.strangers.alignment import MIN_CROPS, limit_of, score_stranger

BATCH = 64
SEED = 0  # of the codes that are drawn, with an image's row
IMAGE_MEASURES = ("elbo", "reconstruction", "kl", "weighted", "psnr", "ssim")
AVERAGED = ("elbo", "reconstruction", "kl", "weighted", "bits", "weighted_bits")
WORST = 3  # images named for each measure of likeness


@dataclass(frozen=True)
class Measured:
    """What a model makes of a batch of images.

    Attributes:
        images, reconstructed: uint8 (B, H, W, C), and as the model decodes their
            `z_mean`.
        z_mean, z_log_var: (B, Z).
        reconstruction: (B,), mean log-likelihood given codes that were drawn, nats.
        weighted: (B,), importance-weighted bound on the log-likelihood, nats.
    """

    images: np.ndarray
    reconstructed: np.ndarray
    z_mean: np.ndarray
    z_log_var: np.ndarray
    reconstruction: np.ndarray
    weighted: np.ndarray


def load_judge(folder, config, samples):
    """Returns the `Judge` of a model directory.

    Args:
        folder: the model directory.
        config: its `ModelConfig`.
        samples: codes to draw an image.

    Raises:
        VaeError: the weights are missing, damaged or of another model.
    """
    model = VAE(config)
    restore(model.arrays, os.path.join(folder, "weights.h5"))
    return Judge(model, samples)


class Judge:
    """Measures images with a model, computing in float32, and adds up what it finds.

    Args:
        model: a `VAE`.
        samples: codes to draw an image.

    Attributes:
        count: images added so far.
    """

    def __init__(self, model, samples):
        self._model, self._samples, self._config = model, samples, model.config
        self._variation = model.variation.numpy()  # (H, W, C), of the actor's pixels
        images = tf.TensorSpec((None, *model.encoder.input_shape[1:]), tf.float32)
        z = tf.TensorSpec((None, model.config.latent_dim), tf.float32)
        self._encode = tf.function(model.encoder, input_signature=[images])
        self._decode = tf.function(self._show, input_signature=[z])
        self._score = tf.function(self._compare, input_signature=[images, z])
        self._parts = {name: [] for name in IMAGE_MEASURES}
        self._kl = np.zeros(model.config.latent_dim)
        self._z, self._squares = np.zeros((2, model.config.latent_dim))
        self._missing = np.zeros(self._variation.shape)
        self.count = 0

    def reconstruct(self, images):
        """Returns uint8 images (B, H, W, C) as they are after encoding and decoding."""
        parts = [images[at : at + BATCH] for at in range(0, len(images), BATCH)]
        codes = [self._encode(to_float32(part))[0] for part in parts]
        return self.decode(np.concatenate(codes))

    def decode(self, z):
        """Returns uint8 images (B, H, W, C) of codes (B, Z)."""
        parts = [z[at : at + BATCH] for at in range(0, len(z), BATCH)]
        return np.concatenate([self._decode(part) for part in parts])

    def measure(self, images, row):
        """Yields what the model makes of images, a batch at a time.

        Args:
            images: uint8 (N, H, W, C).
            row: of the first of them; the codes drawn for an image follow from its own.

        Yields:
            `Measured`
        """
        for at in range(0, len(images), BATCH):
            batch = images[at : at + BATCH]
            pixels = tf.constant(to_float32(batch))
            z_mean, z_log_var = (part.numpy() for part in self._encode(pixels))
            rows = range(row + at, row + at + len(batch))
            reconstruction, weighted = estimate_likelihood(
                lambda z, pixels=pixels: self._score(pixels, z),
                z_mean,
                z_log_var,
                self._samples,
                [np.random.default_rng([SEED, each]) for each in rows],
            )
            decoded = self.decode(z_mean)
            yield Measured(batch, decoded, z_mean, z_log_var, reconstruction, weighted)

    def _show(self, z):
        means = to_images(self._config.likelihood, self._model.decoder(z))
        return ops.cast(ops.round(means * 255.0), "uint8")

    def _compare(self, images, z):
        """Log-likelihood (B,) of images given their codes, nats."""
        outputs = self._model.decoder(z)
        likelihood, sigma = self._config.likelihood, self._model.sigma
        return -reconstruction_loss(likelihood, images, outputs, sigma.value)

    def add(self, measured):
        """Adds a batch; returns the PSNR of each of its images (B,)."""
        kl = kl_per_dimension(measured.z_mean, measured.z_log_var)  # (B, Z)
        decibel = psnr(measured.images, measured.reconstructed)
        values = {
            "elbo": measured.reconstruction - kl.sum(1),
            "reconstruction": measured.reconstruction,
            "kl": kl.sum(1),
            "weighted": measured.weighted,
            "psnr": decibel,
            "ssim": ssim(measured.images, measured.reconstructed),
        }
        for name, value in values.items():
            self._parts[name].append(value)
        z_mean = measured.z_mean.astype(np.float64)
        self._kl += kl.sum(0)
        self._z += z_mean.sum(0)
        self._squares += np.square(z_mean).sum(0)
        for images, sign in ((measured.images, 1), (measured.reconstructed, -1)):
            self._missing += sign * images.sum(0, dtype=np.float64) / 255
        self.count += len(decibel)
        return decibel

    def series(self):
        """Returns each image's numbers, name -> (N,), with bits/dim where there are.

        SSIM is missing for images that are too small for it, bits for a likelihood that
        is no probability.
        """
        found = {name: np.concatenate(part) for name, part in self._parts.items()}
        if np.isnan(found["ssim"]).any():
            del found["ssim"]
        size = self._variation.size
        for name, bound in (("bits", "elbo"), ("weighted_bits", "weighted")):
            bits = bits_per_dim(-found[bound], self._config.likelihood, size)
            if bits is not None:
                found[name] = bits
        return found

    def summarise(self, name_row):
        """Returns the summary as a dictionary that JSON can hold.

        Nats are an image's. Of psnr (dB) and ssim, mean, median and the worst images;
        of all else the mean. What does not exist is None.

        Args:
            name_row: function of a row, the name of its image.
        """
        series = self.series()
        summary = {"images": self.count, "likelihood": self._config.likelihood}
        for name in AVERAGED:
            summary[name] = float(series[name].mean()) if name in series else None
        for name in ("psnr", "ssim"):
            summary[name] = None
            if name in series:
                summary[name] = _describe(series[name], name_row)
        z_mean = self._z / self.count
        variance = self._squares / self.count - z_mean**2
        summary["latent_dim"] = self._config.latent_dim
        summary["active_units"] = count_active(variance)
        summary["kl_per_dimension"] = (self._kl / self.count).tolist()
        missing = self._missing / self.count
        score = float(score_stranger(missing, self._variation))
        summary["stranger_score"] = score if self.count >= MIN_CROPS else None
        summary["stranger_above"] = limit_of(self.count)
        return summary


def _describe(values, name_row):
    rows = np.argsort(values, kind="stable")[:WORST].tolist()
    worst = [{"name": name_row(row), "value": float(values[row])} for row in rows]
    mean, median = float(values.mean()), float(np.median(values))
    return {"mean": mean, "median": median, "worst": worst}
