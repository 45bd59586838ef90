"""What the page holds of a model: layers, weights, sliders, the reader, the film."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np

from vae.config import ModelConfig
from vae.explorer.directions import SLIDERS, fit_sliders
from vae.explorer.readings import measure_pictures
from vae.images.pixels import to_float32
from vae.model.architecture import Residual, design_network
from vae.model.inference import Actor
from vae.model.latent import LatentStatistics, whiten
from vae.strangers.features import (
    CELL,
    DIRECTIONS,
    FAINTEST,
    NEIGHBOURHOOD,
    POOLING,
    SOFTNESS,
    load_mouths,
    measure_features,
)
from vae.strangers.registration import WORK_SIZE, area_matrix, blur_matrix

MEASURED = 500  # frames that sliders are fitted on, at most
PRINCIPAL = 8  # directions in which the film's codes vary most
EPSILON = 1e-12


@dataclass(frozen=True)
class Content:
    """What is written into a page.

    Attributes:
        values: what JSON holds. sliders: their names. frames: of the film, in it.
    """

    values: dict[str, Any]
    sliders: list[str]
    frames: int


def gather_content(
    title: str,
    config: ModelConfig,
    actor: Actor,
    statistics: LatentStatistics,
    keep_film: bool = True,
) -> Content:
    """Returns what the page of a model holds.

    Args:
        title: the model's name, as it is shown.
        keep_film: whether the film's codes are in it, of which frames are decoded.

    Raises:
        VaeError: the weights are so large that no picture comes out.
    """
    film = statistics.film
    codes = _draw(statistics) if film is None else film.astype("f4")
    codes = codes[:: -(-len(codes) // MEASURED)]
    images = actor.decode(codes)
    sliders = fit_sliders(measure_pictures(images, codes), statistics.neutral)
    kept = film is not None and keep_film
    values = {
        "title": title,
        "width": config.width,
        "height": config.height,
        "channels": config.channels,
        "likelihood": config.likelihood,
        "latent_dim": config.latent_dim,
        "decoder": [_list_layer(layer) for layer in design_network(config).decoder],
        "arrays": {
            name: pack(array)
            for name, array in actor.arrays.items()
            if name.startswith("decoder/")
        },
        "mean": pack(statistics.mean, "f4"),
        "std": pack(statistics.std, "f4"),
        "neutral": pack(statistics.neutral, "f4"),
        "principal": pack(_find_principal(statistics.covariance), "f4"),
        "sliders": [_list_slider(slider) for slider in sliders],
        "reader": _list_reader(config, statistics, images),
        "film": pack(film) if kept else None,
    }
    names = [slider["label"] for slider in values["sliders"]]
    return Content(values, names, len(film) if kept else 0)


def pack(array: np.ndarray, form: str = "f2") -> dict[str, Any]:
    """Returns an array as JSON holds it, little-endian in base64.

    Half precision holds 11 bits; values are divided by `scale`, the largest of them,
    since it holds none above 65504.
    """
    scale = float(np.abs(array).max(initial=0)) or 1.0
    data = np.ascontiguousarray(array / scale, "<" + form).tobytes()
    text = base64.b64encode(data).decode()
    return {"shape": list(array.shape), "form": form, "scale": scale, "data": text}


def _list_layer(layer):
    """Returns a layer of the list as JSON holds it."""
    values = {"kind": type(layer).__name__} | layer._asdict()
    if isinstance(layer, Residual):
        values["layers"] = [_list_layer(each) for each in layer.layers]
    return values


def _list_slider(slider):
    group, label, low_label, high_label = SLIDERS[slider.name]
    return {
        "name": slider.name,
        "group": group,
        "label": label,
        "ends": [low_label, high_label],
        "low": float(slider.low),
        "high": float(slider.high),
        "reading": pack(slider.reading, "f4"),
        "direction": pack(slider.direction, "f4"),
    }


def _list_reader(config, statistics, images):
    """The matrices of `measure_features`, and what reads codes of its features.

    `rest` is what is read of the actor on average: until a person's own mean is known,
    they are taken for the actor.
    """
    soft = blur_matrix(WORK_SIZE, SOFTNESS)
    read = measure_features(to_float32(images)) @ statistics.reader
    matrices = {
        "down": soft @ area_matrix(config.height, WORK_SIZE),
        "across": soft @ area_matrix(config.width, WORK_SIZE),
        "near": blur_matrix(WORK_SIZE, NEIGHBOURHOOD),
        "pool": blur_matrix(WORK_SIZE, POOLING)[CELL // 2 :: CELL],
    }
    return {
        "size": WORK_SIZE,
        "directions": DIRECTIONS,
        "faintest": FAINTEST,
        **{name: pack(matrix, "f4") for name, matrix in matrices.items()},
        **{name: pack(array) for name, array in load_mouths().items()},
        "reader": pack(statistics.reader),
        "rest": pack(read.mean(axis=0), "f4"),
    }


def _draw(statistics):
    """Codes like the film's, for a model that holds none of them: (MEASURED, Z)."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((MEASURED, len(statistics.mean)))
    mean, root, _ = whiten(statistics.mean, statistics.covariance)
    return (points @ root + mean).astype("f4")


def _find_principal(covariance):
    """Returns principal directions (P, Z), a standard deviation each, largest first."""
    values, vectors = np.linalg.eigh(covariance.astype(np.float64))
    root = vectors * np.sqrt(np.maximum(values, 0))
    return root.T[::-1][:PRINCIPAL]
