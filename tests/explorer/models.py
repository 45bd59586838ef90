"""Models that are made and not trained: of random weights, and of drawn faces."""

from dataclasses import replace

import numpy as np

from tests.actors import PLAIN
from vae.checkpoint.model_files import write_model_files
from vae.checkpoint.storage import SCHEMA, pack_arrays
from vae.config import ModelConfig
from vae.images.pixels import measure_pixels
from vae.model.architecture import shape_arrays
from vae.model.latent import LatentStatistics, no_measures, summarise_codes
from vae.strangers.features import FEATURES, measure_features
from vae.strangers.reader import fit_ridge

READ_AT = 0.01  # scale of a random reader


def write_model(folder, config, arrays, statistics):
    """Writes a model directory as train does; returns it."""
    folder.mkdir()
    contents = {"weights.h5": pack_arrays(arrays), "latent.npz": statistics.pack()}
    write_model_files(folder, {"schema": SCHEMA, "model": config.to_dict()}, contents)
    return folder


def write_random_model(folder, frames=40, keep_film=True, **form):
    """Writes a model whose weights are random; its pictures are noise that varies."""
    config = ModelConfig(**form)
    rng = np.random.default_rng(0)
    arrays = {}
    for name, shape in shape_arrays(config).items():
        scale = 1 / np.sqrt(np.prod(shape[:-1])) if len(shape) > 1 else 0.1
        arrays[name] = rng.normal(0, scale, shape).astype("f4")
    channels = arrays["decoder/mean_image/image"].shape
    arrays["decoder/mean_image/image"] = rng.uniform(0.2, 0.8, channels).astype("f4")
    size = config.latent_dim
    codes = rng.normal(size=(frames, size))
    plain = {
        name: np.zeros((*array.shape[:-1], size), "f4")
        for name, array in PLAIN.items()
        if name in ("reader", "blink")
    }
    plain["reader"] = rng.normal(0, READ_AT, (FEATURES, size)).astype("f4")
    share = {"mouth_share": PLAIN["mouth_share"], **no_measures(size)}
    statistics = LatentStatistics(**summarise_codes(codes), **plain, **share)
    if not keep_film:
        statistics = replace(statistics, film=None)
    return write_model(folder, config, arrays, statistics)


def write_drawn_model(folder, images, size=20):
    """Writes a model whose pictures are the main components of images (N, H, W, 1).

    A dense decoder computes them exactly, since GELU(x) - GELU(-x) is x. What it
    encodes is nothing.
    """
    height, width = images.shape[1:3]
    config = ModelConfig(width, height, 1, size, "discretized")
    flat = images.reshape(len(images), -1) / 255.0
    average = flat.mean(0)
    left, scales, right = np.linalg.svd(flat - average, full_matrices=False)
    codes = left[:, :size] * np.sqrt(len(images))
    axes = right[:size] * scales[:size, None] / np.sqrt(len(images))  # (Z, P)
    arrays = {
        name: np.zeros(shape, "f4") for name, shape in shape_arrays(config).items()
    }
    both = np.concatenate([np.eye(size), -np.eye(size)], axis=1)  # (Z, 2 Z)
    arrays["decoder/hidden_a/kernel"][:, : 2 * size] = both
    means = np.zeros((512, height * width, 2))
    means[: 2 * size, :, 0] = both.T @ axes
    arrays["decoder/out/kernel"] = means.reshape(512, -1).astype("f4")
    arrays["decoder/mean_image/image"][..., 0] = average.reshape(height, width)
    arrays["average"], arrays["variation"] = measure_pixels(images)
    features = measure_features(images.astype("f4") / 255)
    reader = fit_ridge(features, codes, arrays["average"])
    statistics = LatentStatistics(
        **summarise_codes(codes),
        reader=reader,
        blink=np.zeros((2, size), "f4"),
        mouth_share=np.zeros(1, "f4"),
        **no_measures(size),
    )
    return write_model(folder, config, arrays, statistics), codes
