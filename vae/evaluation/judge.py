"""A trained model as a judge of images: codes, reconstructions and likelihoods."""
import os

import numpy as np
import tensorflow as tf
from keras import ops

from vae.checkpoint.directory import restore
from vae.evaluation.metrics import estimate_likelihood
from vae.evaluation.tally import Measured
from vae.images.sheets import to_float32
from vae.model.losses import reconstruction_loss, to_images
from vae.model.network import VAE

BATCH = 64
SEED = 0  # of the codes that are drawn, with an image's row


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
    """Measures images with a model, computing in float32.

    Args:
        model: a `VAE`.
        samples: codes to draw an image.
    """

    def __init__(self, model, samples):
        self._model, self._samples = model, samples
        images = tf.TensorSpec((None, *model.encoder.input_shape[1:]), tf.float32)
        z = tf.TensorSpec((None, model.config.latent_dim), tf.float32)
        self._encode = tf.function(model.encoder, input_signature=[images])
        self._decode = tf.function(self._show, input_signature=[z])
        self._score = tf.function(self._compare, input_signature=[images, z])

    @property
    def variation(self):
        """(H, W, C) float32, standard deviation of each pixel of the actor, 0..1."""
        return self._model.variation.numpy()

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
            `vae.evaluation.tally.Measured`
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
            again = self.decode(z_mean)
            yield Measured(batch, again, z_mean, z_log_var, reconstruction, weighted)

    def _show(self, z):
        means = to_images(self._model.config.likelihood, self._model.decoder(z))
        return ops.cast(ops.round(means * 255.0), "uint8")

    def _compare(self, images, z):
        """Log-likelihood (B,) of images given their codes, nats."""
        outputs = self._model.decoder(z)
        likelihood, sigma = self._model.config.likelihood, self._model.sigma
        return -reconstruction_loss(likelihood, images, outputs, sigma.value)
