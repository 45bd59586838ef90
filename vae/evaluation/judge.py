"""A trained model as a judge of images: reconstructions and likelihoods, added up.

An image leaves six numbers behind, so that memory hardly grows with the file.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from vae.evaluation import metrics
from vae.images.pixels import psnr, to_float32
from vae.model.latent import kl_per_dimension
from vae.model.losses import reconstruction_loss, to_images
from vae.model.network import VAE
from vae.strangers.alignment import MIN_CROPS, limit_of, score_stranger

BATCH = 64
SEED = 0  # of the codes that are drawn, with an image's row
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


class Judge:
    """Measures images with a model, computing in float32, and adds up what it finds.

    Args:
        samples: codes to draw an image.

    Attributes:
        count: images added so far.
    """

    def __init__(self, model: VAE, samples: int) -> None:
        self._model, self._samples, self._config = model, samples, model.config
        self._variation = model.variation.numpy()  # (H, W, C), of the actor's pixels
        images = tf.TensorSpec((None, *self._variation.shape), tf.float32)
        z = tf.TensorSpec((None, model.config.latent_dim), tf.float32)
        self._encode = tf.function(model.encoder, [images])
        self._decode = tf.function(self._render, [z])
        self._score = tf.function(self._log_likelihood, [images, z])
        self._parts = defaultdict(list)  # measure -> (B,) of each batch
        self._sums = np.zeros((3, model.config.latent_dim))  # KL, z_mean, its square
        self._missing = np.zeros(self._variation.shape, int)  # gray levels
        self.count = 0

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """Returns uint8 images (B, H, W, C) as they are after encoding and decoding."""
        codes = [self._encode(to_float32(part))[0] for part in _cut(images)]
        return self.decode(np.concatenate(codes))

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Returns uint8 images (B, H, W, C) of codes (B, Z)."""
        return np.concatenate([self._decode(part) for part in _cut(z)])

    def measure(self, images: np.ndarray, row: int) -> Iterator[Measured]:
        """Yields what the model makes of images, a batch at a time.

        Args:
            images: uint8 (N, H, W, C).
            row: of the first of them; the codes drawn for an image follow from its own.
        """
        for batch in _cut(images):
            pixels = tf.constant(to_float32(batch))
            z_mean, z_log_var = (part.numpy() for part in self._encode(pixels))
            rows = range(row, row + len(batch))
            noises = [np.random.default_rng([SEED, each]) for each in rows]
            likelihoods = metrics.estimate_likelihood(
                partial(self._score, pixels), z_mean, z_log_var, self._samples, noises
            )
            yield Measured(batch, self.decode(z_mean), z_mean, z_log_var, *likelihoods)
            row += len(batch)

    def _render(self, z: tf.Tensor) -> tf.Tensor:
        means = to_images(self._config.likelihood, self._model.decoder(z))
        return ops.cast(ops.round(means * 255.0), "uint8")

    def _log_likelihood(self, images: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Of images given their codes: (B,), nats."""
        outputs = self._model.decoder(z)
        likelihood, sigma = self._config.likelihood, self._model.sigma
        return -reconstruction_loss(likelihood, images, outputs, sigma.value)

    def add(self, measured: Measured) -> np.ndarray:
        """Adds a batch; returns the PSNR of each of its images (B,)."""
        images, reconstructed = measured.images, measured.reconstructed
        kl = kl_per_dimension(measured.z_mean, measured.z_log_var)  # (B, Z)
        decibel = psnr(images, reconstructed)
        values = {
            "elbo": measured.reconstruction - kl.sum(1),
            "reconstruction": measured.reconstruction,
            "kl": kl.sum(1),
            "weighted": measured.weighted,
            "psnr": decibel,
            "ssim": metrics.ssim(images, reconstructed),
        }
        for name, value in values.items():
            self._parts[name].append(value)
        z_mean = measured.z_mean.astype(np.float64)
        self._sums += [kl.sum(0), z_mean.sum(0), np.square(z_mean).sum(0)]
        self._missing += images.sum(0, int) - reconstructed.sum(0, int)
        self.count += len(decibel)
        return decibel

    def series(self) -> dict[str, np.ndarray]:
        """Returns each image's numbers, name -> (N,), with bits/dim where there are.

        SSIM is missing for images that are too small for it, bits for a likelihood that
        is no probability.
        """
        found = {name: np.concatenate(part) for name, part in self._parts.items()}
        if np.isnan(found["ssim"]).any():
            del found["ssim"]
        size = self._variation.size
        for name, bound in (("bits", "elbo"), ("weighted_bits", "weighted")):
            bits = metrics.bits_per_dim(-found[bound], self._config.likelihood, size)
            if bits is not None:
                found[name] = bits
        return found

    def summarise(self, name_row: Callable[[int], str]) -> dict[str, Any]:
        """Returns the summary as a dictionary that JSON can hold.

        Nats are an image's. Of psnr (dB) and ssim, mean, median and the worst images;
        of all else the mean. What does not exist is None.

        Args:
            name_row: row -> the name of its image.
        """
        series = self.series()
        summary = {"images": self.count, "likelihood": self._config.likelihood}
        for name in AVERAGED:
            summary[name] = float(series[name].mean()) if name in series else None
        for name in ("psnr", "ssim"):
            found = series.get(name)
            summary[name] = None if found is None else _describe(found, name_row)
        kl, z_mean, squares = self._sums / self.count
        score = score_stranger(self._missing / self.count / 255, self._variation)
        return summary | {
            "latent_dim": self._config.latent_dim,
            "active_units": metrics.count_active(squares - np.square(z_mean)),
            "kl_per_dimension": kl.tolist(),
            "stranger_score": float(score) if self.count >= MIN_CROPS else None,
            "stranger_above": limit_of(self.count),
        }


def _cut(array: np.ndarray) -> list[np.ndarray]:
    return [array[at : at + BATCH] for at in range(0, len(array), BATCH)]


def _describe(values: np.ndarray, name_row: Callable[[int], str]) -> dict[str, Any]:
    rows = np.argsort(values, kind="stable")[:WORST].tolist()
    worst = [{"name": name_row(row), "value": float(values[row])} for row in rows]
    median = float(np.median(values))
    return {"mean": float(values.mean()), "median": median, "worst": worst}
