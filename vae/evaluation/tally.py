"""What a model makes of many images, added up. numpy only.

An image leaves six numbers behind, so that memory hardly grows with the file.
"""
from dataclasses import dataclass

import numpy as np

from vae.evaluation.metrics import (
    bits_per_dim,
    count_active,
    kl_per_dimension,
    psnr,
    ssim,
)
from vae.strangers.alignment import FEWEST, limit_of, score_stranger

IMAGE_MEASURES = ("elbo", "reconstruction", "kl", "weighted", "psnr", "ssim")
AVERAGED = ("elbo", "reconstruction", "kl", "weighted", "bits", "weighted_bits")
WORST = 3  # images named for each measure of likeness


@dataclass(frozen=True)
class Measured:
    """What a model makes of a batch of images.

    Attributes:
        images, again: uint8 (B, H, W, C), and as the model decodes their `z_mean`.
        z_mean, z_log_var: (B, Z).
        reconstruction: (B,), mean log-likelihood given codes that were drawn, nats.
        weighted: (B,), importance-weighted bound on the log-likelihood, nats.
    """

    images: np.ndarray
    again: np.ndarray
    z_mean: np.ndarray
    z_log_var: np.ndarray
    reconstruction: np.ndarray
    weighted: np.ndarray


class Tally:
    """Adds up `Measured` batches of one model.

    Args:
        config: the model's `ModelConfig`.
        variation: (H, W, C), standard deviation of each of the actor's pixels, 0..1.

    Attributes:
        count: images so far.
    """

    def __init__(self, config, variation):
        self._config, self._variation = config, variation
        self._parts = {name: [] for name in IMAGE_MEASURES}
        self._kl = np.zeros(config.latent_dim)
        self._z, self._squares = np.zeros((2, config.latent_dim))
        self._missing = np.zeros(variation.shape)
        self.count = 0

    def add(self, measured):
        """Adds a batch; returns the PSNR of each of its images (B,)."""
        kl = kl_per_dimension(measured.z_mean, measured.z_log_var)  # (B, Z)
        decibel = psnr(measured.images, measured.again)
        values = {
            "elbo": measured.reconstruction - kl.sum(1),
            "reconstruction": measured.reconstruction,
            "kl": kl.sum(1),
            "weighted": measured.weighted,
            "psnr": decibel,
            "ssim": ssim(measured.images, measured.again),
        }
        for name, value in values.items():
            self._parts[name].append(value)
        z_mean = measured.z_mean.astype(np.float64)
        self._kl += kl.sum(0)
        self._z += z_mean.sum(0)
        self._squares += np.square(z_mean).sum(0)
        for images, sign in ((measured.images, 1), (measured.again, -1)):
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
        summary["stranger_score"] = score if self.count >= FEWEST else None
        summary["stranger_above"] = limit_of(self.count)
        return summary


def _describe(values, name_row):
    rows = np.argsort(values, kind="stable")[:WORST].tolist()
    worst = [{"name": name_row(row), "value": float(values[row])} for row in rows]
    mean, median = float(values.mean()), float(np.median(values))
    return {"mean": mean, "median": median, "worst": worst}
