"""A trained model in use: images to codes and back, in batches of numpy arrays."""
import os

import numpy as np
import tensorflow as tf
from keras import ops

from vae.checkpoint import restore
from vae.losses import to_images
from vae.model import VAE

BATCH = 64


class Actor:
    """A model directory, ready to encode and decode.

    Args:
        folder: the model directory.
        config: its `ModelConfig`.

    Raises:
        VaeError: the weights are missing, damaged or of another model.
    """

    def __init__(self, folder, config):
        self._model = VAE(config)
        restore(self._model.arrays, os.path.join(folder, "weights.h5"))
        self._encode = encode_function(self._model)
        self._decode = decode_function(self._model)

    def encode(self, images):
        """Returns z_mean, z_log_var, each (B, Z) float32, of uint8 (B, H, W, C)."""
        parts = [self._encode(part) for part in _split(images)]
        return tuple(np.concatenate(part) for part in zip(*parts))

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
