"""A trained model in use: images to codes and back, in batches of numpy arrays."""
import os

import numpy as np
import tensorflow as tf
from keras import ops

from vae.checkpoint import restore
from vae.images import to_float32
from vae.losses import to_images
from vae.model import VAE

BATCH = 64


def load_actor(folder, config):
    """Returns the `Actor` of a model directory.

    Args:
        folder: the model directory.
        config: its `ModelConfig`.

    Raises:
        VaeError: the weights are missing, damaged or of another model.
    """
    model = VAE(config)
    restore(model.arrays, os.path.join(folder, "weights.h5"))
    return Actor(model)


class Actor:
    """A model that encodes and decodes arrays, with functions compiled once.

    Args:
        model: a `VAE`; its weights may change later.

    Attributes:
        reads_strangers: whether `read` can be used.
    """

    def __init__(self, model):
        self.model = model
        self.reads_strangers = model.reader is not None
        shape = (None, *model.encoder.input_shape[1:])
        floats = [tf.TensorSpec(shape, tf.float32)]
        self._encode = tf.function(model.encoder, input_signature=floats)
        self._decode = decode_function(model)
        if self.reads_strangers:
            self._read = tf.function(model.reader, input_signature=floats)

    def assign(self, arrays):
        """Takes the values of arrays, or of variables, by their names in the model."""
        for name, variable in self.model.arrays.items():
            variable.assign(arrays[name])

    @property
    def average(self):
        """(H, W, C) float32, mean of each pixel over the actor's images, 0..1."""
        return self.model.average.numpy()

    @property
    def variation(self):
        """(H, W, C) float32, standard deviation of each pixel, 0..1."""
        return self.model.variation.numpy()

    def encode(self, images):
        """Returns z_mean, z_log_var, each (B, Z) float32, of uint8 (B, H, W, C)."""
        parts = [self._encode(to_float32(part)) for part in _split(images)]
        return tuple(np.concatenate(part) for part in zip(*parts))

    def encode_floats(self, images):
        """Returns z_mean (B, Z) of float32 (B, H, W, C), where 0 is black, 1 white."""
        return np.concatenate([self._encode(part)[0] for part in _split(images)])

    def read(self, change):
        """Returns z_mean (B, Z) of images less their person's average (B, H, W, C)."""
        return np.concatenate([self._read(part) for part in _split(change)])

    def decode(self, z):
        """Returns uint8 images (B, H, W, C) of codes (B, Z)."""
        return np.concatenate([self._decode(part) for part in _split(z)])


def _split(rows):
    return [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]


def encode_function(model):
    """Returns a compiled function: uint8 (B, H, W, C) -> z_mean, z_log_var (B, Z)."""
    images = tf.TensorSpec((None, *model.encoder.input_shape[1:]), tf.uint8, "images")

    def encode(images):
        z_mean, z_log_var = model.encoder(ops.cast(images, "float32") / 255.0)
        return z_mean, z_log_var

    return tf.function(encode, input_signature=[images])


def decode_function(model):
    """Returns a compiled function: z (B, Z) -> uint8 images (B, H, W, C)."""
    z = tf.TensorSpec((None, model.config.latent_dim), tf.float32, "z")

    def decode(z):
        means = to_images(model.config.likelihood, model.decoder(z))
        return ops.cast(ops.round(means * 255.0), "uint8")

    return tf.function(decode, input_signature=[z])


def export_saved_model(model, folder):
    """Writes a TensorFlow SavedModel with signatures encode, decode and reconstruct.

    Images are uint8 (B, H, W, C), rows first, going in and coming out; codes are
    float32 (B, Z). The folder appears whole, by renaming.

    Args:
        model: a `VAE`.
        folder: path of the SavedModel, replaced if it is there.
    """
    module = tf.Module()
    module.variables_used = [v.value for v in model.arrays.values()]
    encode, decode = encode_function(model), decode_function(model)

    @tf.function(input_signature=encode.input_signature)
    def named_encode(images):
        z_mean, z_log_var = encode(images)
        return {"z_mean": z_mean, "z_log_var": z_log_var}

    @tf.function(input_signature=decode.input_signature)
    def named_decode(z):
        return {"images": decode(z)}

    @tf.function(input_signature=encode.input_signature)
    def named_reconstruct(images):
        return {"images": decode(encode(images)[0])}

    module.encode, module.decode = named_encode, named_decode
    module.reconstruct = named_reconstruct
    signatures = {
        "encode": named_encode,
        "decode": named_decode,
        "reconstruct": named_reconstruct,
    }
    tf.saved_model.save(module, folder, signatures)
