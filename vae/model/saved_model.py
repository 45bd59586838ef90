"""The model as a TensorFlow SavedModel, for programs that know nothing of ours."""

import os
import shutil
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from keras import ops

from vae.checkpoint.directory import publish_folder
from vae.config import ModelConfig
from vae.errors import VaeError
from vae.files import explain, printable
from vae.model.losses import to_images
from vae.model.network import VAE


def export_saved_model(
    config: ModelConfig, arrays: Mapping[str, np.ndarray], folder: str
) -> None:
    """Writes a TensorFlow SavedModel with signatures encode, decode and reconstruct.

    Images are uint8 (B, H, W, C), rows first, going in and coming out; codes are
    float32 (B, Z).

    Args:
        arrays: name -> array, of `architecture.shape_arrays`.
        folder: path of the SavedModel, replaced if it is there.
    """
    model = VAE(config)
    for name, variable in model.arrays.items():
        variable.assign(arrays[name])
    module = tf.Module()
    module.variables_used = [v.value for v in model.arrays.values()]
    images = tf.TensorSpec((None, *model.encoder.input_shape[1:]), tf.uint8, "images")
    z = tf.TensorSpec((None, config.latent_dim), tf.float32, "z")

    @tf.function(input_signature=[images])
    def encode(images):
        z_mean, z_log_var = model.encoder(ops.cast(images, "float32") / 255.0)
        return {"z_mean": z_mean, "z_log_var": z_log_var}

    @tf.function(input_signature=[z])
    def decode(z):
        means = to_images(config.likelihood, model.decoder(z))
        return {"images": ops.cast(ops.round(means * 255.0), "uint8")}

    @tf.function(input_signature=[images])
    def reconstruct(images):
        return decode(encode(images)["z_mean"])

    signatures = {"encode": encode, "decode": decode, "reconstruct": reconstruct}
    for name, function in signatures.items():
        setattr(module, name, function)
    tf.saved_model.save(module, folder, signatures)


def write_saved_model(
    config: ModelConfig, arrays: Mapping[str, np.ndarray], output: str
) -> None:
    """Puts a SavedModel in place of the one that was there, whole or not at all.

    Args:
        config, arrays: as `export_saved_model` takes them.
        output: the model directory.

    Raises:
        VaeError: it can't be written; an older one is still intact.
    """
    aside = os.path.join(output, ".tmp-saved_model")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        export_saved_model(config, arrays, aside)
        publish_folder(aside, os.path.join(output, "saved_model"))
    except (OSError, tf.errors.OpError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        reason = explain(error) if isinstance(error, OSError) else error.message
        raise VaeError(
            f"{printable(output)}: the SavedModel can't be written"
            f" ({' '.join(reason.split()):.200}); the rest of the model is whole"
        ) from error
