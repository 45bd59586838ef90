"""The model for programs that know nothing of ours: SavedModel, Keras, ONNX, LiteRT.

A SavedModel takes and gives uint8 images. The other formats hold the networks alone,
which take and give float32 between 0 and 1.
"""

import os
import shutil
import warnings
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from vae.checkpoint.directory import publish_folder
from vae.config import EXPORTS, NETWORKS, ModelConfig
from vae.errors import VaeError
from vae.files import explain, printable
from vae.images.pixels import to_float32, to_uint8
from vae.model.losses import to_images
from vae.model.network import VAE, MeanImage

TOLERANCE = 1e-4  # of a code (of larger ones, the share), of an image between 0 and 1
PROBES = (1, 5)  # images that are compared, a batch of each size
Arrays = Mapping[str, np.ndarray]


def load_vae(config: ModelConfig, arrays: Arrays) -> VAE:
    """Returns the model in float32 with arrays of `architecture.shape_arrays`."""
    model = VAE(config)
    for name, variable in model.arrays.items():
        variable.assign(arrays[name])
    return model


def export_saved_model(model: VAE, folder: str) -> None:
    """Writes a TensorFlow SavedModel with signatures encode, decode and reconstruct.

    Images are uint8 (B, H, W, C), rows first, going in and coming out; codes are
    float32 (B, Z). The signature that serves by default is reconstruct.

    Args:
        folder: path of the SavedModel, replaced if it is there.
    """
    likelihood, z_size = model.config.likelihood, model.config.latent_dim
    module = tf.Module()
    module.variables_used = [v.value for v in model.arrays.values()]
    images = tf.TensorSpec((None, *model.encoder.input_shape[1:]), tf.uint8, "images")
    z = tf.TensorSpec((None, z_size), tf.float32, "z")

    @tf.function(input_signature=[images])
    def encode(images):
        z_mean, z_log_var = model.encoder(ops.cast(images, "float32") / 255.0)
        return {"z_mean": z_mean, "z_log_var": z_log_var}

    @tf.function(input_signature=[z])
    def decode(z):
        means = to_images(likelihood, model.decoder(z))
        return {"images": ops.cast(ops.round(means * 255.0), "uint8")}

    @tf.function(input_signature=[images])
    def reconstruct(images):
        return decode(encode(images)["z_mean"])

    functions = {"encode": encode, "decode": decode, "reconstruct": reconstruct}
    for name, function in functions.items():
        setattr(module, name, function)
    tf.saved_model.save(module, folder, functions | {"serving_default": reconstruct})


def write_saved_model(config: ModelConfig, arrays: Arrays, output: str) -> None:
    """Puts a SavedModel in place of the one that was there, whole or not at all.

    Args:
        arrays: name -> array, of `architecture.shape_arrays`.
        output: the model directory.

    Raises:
        VaeError: it can't be written; an older one is still intact.
    """
    aside = os.path.join(output, ".tmp-saved_model")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        export_saved_model(load_vae(config, arrays), aside)
        publish_folder(aside, os.path.join(output, "saved_model"))
    except (OSError, tf.errors.OpError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise VaeError(
            f"{printable(output)}: the SavedModel can't be written"
            f" ({_explain(error)}); the rest of the model is whole"
        ) from error


def _explain(error):
    reason = explain(error) if isinstance(error, OSError) else error.message
    return f"{' '.join(reason.split()):.200}"


def build_networks(model: VAE, own_layers: bool = True) -> list[keras.Model]:
    """Returns encoder, decoder and autoencoder as Keras models of one model.

    The encoder takes `images` (B, H, W, C), 0..1, and gives `z_mean` and `z_log_var`
    (B, Z). The decoder takes `z` and gives `images`. The autoencoder takes `images` and
    gives their `reconstruction`, that of `z_mean`.

    Args:
        own_layers: false to have them of Keras's layers alone, so that Keras can read
            them where our package is not.
    """
    decoder = model.decoder if own_layers else _without_own_layers(model.decoder)
    images, z, likelihood = model.encoder.input, decoder.input, model.config.likelihood
    z_mean, z_log_var = model.encoder(images)
    decoded = to_images(likelihood, decoder(z))
    reconstruction = to_images(likelihood, decoder(z_mean))
    parts = (
        (images, {"z_mean": z_mean, "z_log_var": z_log_var}),
        (z, {"images": decoded}),
        (images, {"reconstruction": reconstruction}),
    )
    pairs = zip(NETWORKS, parts, strict=True)
    return [keras.Model(*ends, name=name) for name, ends in pairs]


def _without_own_layers(decoder):
    """Returns a copy whose mean image is subtracted by Keras's Normalization."""

    def build(layer):
        if isinstance(layer, MeanImage):
            return layers.Normalization(axis=(1, 2, 3), name=layer.name)
        return layer.from_config(layer.get_config())

    copy = keras.models.clone_model(decoder, clone_function=build)
    for layer, copied in zip(decoder.layers, copy.layers, strict=True):
        weights = layer.get_weights()
        if isinstance(layer, MeanImage):
            [image] = weights
            copied.set_weights([-image, np.ones_like(image), np.array(0)])
            copied.finalize_state()
        else:
            copied.set_weights(weights)
    return copy


def export_keras(model: VAE, folder: str) -> None:
    """Writes `encoder.keras` and so on, which need no class of ours."""
    for network in build_networks(model, own_layers=False):
        network.save(os.path.join(folder, f"{network.name}.keras"))


def export_onnx(model: VAE, folder: str) -> None:
    """Writes `encoder.onnx` and so on; needs the packages of the extra `onnx`."""
    _export_each(model, folder, "onnx")


def export_litert(model: VAE, folder: str) -> None:
    """Writes `encoder.tflite` and so on, of LiteRT's own operations alone."""
    _export_each(model, folder, "litert")


def _export_each(model, folder, kind):
    for network in build_networks(model):
        network(np.zeros((1, *network.input_shape[1:]), "f4"))  # Keras asks for it
        path = os.path.join(folder, network.name + EXPORTS[kind])
        network.export(path, format=kind, verbose=False)


Run = Callable[[np.ndarray], dict[str, np.ndarray]]


def _open_saved_model(folder: str) -> tuple[Run, Run, Run]:
    found = tf.saved_model.load(folder)

    def call(name, key):
        return lambda array: found.signatures[name](**{key: tf.constant(array)})

    return call("encode", "images"), call("decode", "z"), call("reconstruct", "images")


def _open_keras(folder: str) -> list[Run]:
    paths = [os.path.join(folder, f"{name}.keras") for name in NETWORKS]
    return [keras.models.load_model(path) for path in paths]


def _open_onnx(folder: str) -> list[Run]:
    from onnxruntime import InferenceSession

    def open_one(name):
        path = os.path.join(folder, f"{name}.onnx")
        session = InferenceSession(path, providers=["CPUExecutionProvider"])
        [given], names = session.get_inputs(), [o.name for o in session.get_outputs()]
        return lambda array: dict(
            zip(names, session.run(names, {given.name: array}), strict=True)
        )

    return [open_one(name) for name in NETWORKS]


def _open_litert(folder: str) -> list[Run]:
    from ai_edge_litert.interpreter import Interpreter

    def open_one(name):
        found = Interpreter(os.path.join(folder, f"{name}.tflite"))
        [signature] = found.get_signature_list()
        run = found.get_signature_runner(signature)
        [key] = run.get_input_details()
        return lambda array: run(**{key: array})

    return [open_one(name) for name in NETWORKS]


FORMATS = {  # name -> how it is written, and opened again as three functions
    "saved-model": (export_saved_model, _open_saved_model),
    "keras": (export_keras, _open_keras),
    "onnx": (export_onnx, _open_onnx),
    "litert": (export_litert, _open_litert),
}


def export(model: VAE, kind: str, folder: str) -> float:
    """Writes a model in one of `FORMATS` into a new folder, and checks what it wrote.

    Returns:
        The largest difference from the Keras model; see `measure_difference`.

    Raises:
        VaeError: it can't be written, or computes something else than the model.
    """
    write, reopen = FORMATS[kind]
    os.makedirs(folder, exist_ok=True)
    try:
        with warnings.catch_warnings(action="ignore"):  # tf2onnx is behind numpy
            write(model, folder)
        difference = measure_difference(model, reopen(folder))
    except (OSError, tf.errors.OpError) as error:
        raise VaeError(
            f"{printable(os.path.dirname(folder))}: can't be written"
            f" ({_explain(error)})"
        ) from error
    if not difference <= TOLERANCE:
        raise VaeError(
            f"--format: {kind} differs by {difference:.2g} from the model, at most"
            f" {TOLERANCE:g} expected; it is not kept"
        )
    return difference


def measure_difference(model: VAE, functions: list[Run] | tuple[Run, ...]) -> float:
    """Compares what other programs compute with what the Keras model does.

    Images are made up: the actor's average, varied as the actor's pixels are. Batches
    of several sizes go through.

    Args:
        functions: encoder, decoder, autoencoder: array -> name -> array. Where the
            result is uint8, its rounding is no difference.

    Returns:
        The largest difference: of codes in units of the larger of 1 and the code, of
        images on the scale 0..1.
    """
    encode, decode, reconstruct = functions
    takes_bytes = _gives_bytes(decode, model)
    rng, gaps = np.random.default_rng(0), []
    for count in PROBES:
        noise = rng.standard_normal((count, *model.average.shape))
        varied = model.average.numpy() + noise * model.variation.numpy()
        images = to_uint8(np.clip(varied, 0, 1).astype("f4"))
        floats = to_float32(images)
        codes = dict(zip(("z_mean", "z_log_var"), model.encoder(floats), strict=True))
        means = to_images(model.config.likelihood, model.decoder(codes["z_mean"]))
        given = images if takes_bytes else floats
        found = encode(given)
        for name, expected in codes.items():
            gaps.append(_differ(found[name], expected))
        for found in (decode(np.asarray(codes["z_mean"])), reconstruct(given)):
            [decoded] = found.values()
            gaps.append(_differ(decoded, means))
    return float(np.max(gaps))


def _gives_bytes(decode, model):
    [decoded] = decode(np.zeros((1, model.config.latent_dim), "f4")).values()
    return np.asarray(decoded).dtype == np.uint8


def _differ(found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    if found.dtype == np.uint8:
        beyond = np.abs(found - expected * 255.0) - 0.5
        return max(0.0, float(beyond.max()) / 255.0)
    gap = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    return float(gap.max())
