"""Features that hold for anyone: oriented gradients, and numbers of the mouth.

A gray face becomes histograms of oriented gradients in a grid of cells (Dalal and
Triggs 2005), each gradient in units of the contrast around it. Skin, colour and light
hardly change them, so a linear map that was fitted on one person's faces holds for
another's, once features are in the same place.

A regression fitted on one actor confuses an open mouth with whatever accompanies it in
that film. So four numbers of the mouth come from a small network that was fitted on a
thousand drawn people, `mouths.npz`; `tools/teach_mouths.py` makes it. Gradients of a
beard, for instance, correlate with those numbers in one person and not in another; a
share of what correlates is taken out of everybody's. numpy only.
"""

import math
import os
from functools import lru_cache

import numpy as np

from vae.strangers.registration import WORK_SIZE, area_matrix, blur_matrix

CELL = 4  # pixels a side
DIRECTIONS = 8
SOFTNESS, NEIGHBOURHOOD, POOLING = 0.7, 8.0, 2.0  # blurs, in pixels
FAINTEST = 0.05  # contrast, of 0..1, that is taken for noise
CELLS = WORK_SIZE // CELL  # along each side
EDGES = CELLS**2 * DIRECTIONS
MOUTH_ROW = 9  # of cells; from it on edges are of the mouth, the chin and the cheeks
MOUTH_EDGES = slice(MOUTH_ROW * CELLS * DIRECTIONS, EDGES)
MOUTHS = 4  # numbers of the mouth: open, smile, width, shift
TAKEN_OUT = 3  # of them, of what correlates; a head that rolls shifts its mouth too
FEATURES = EDGES + MOUTHS
MOUTHS_PATH = os.path.join(os.path.dirname(__file__), "mouths.npz")
RIDGE_CROPS = 10.0  # crops whose weight the ridge of a correlation has
BLOCK = 256  # faces measured together
EPSILON, EPSILON_OF_NUMBERS = 1e-8, 1e-6  # keep divisions finite


def measure_features(faces: np.ndarray) -> np.ndarray:
    """Returns oriented gradients and the numbers of the mouth.

    Args:
        faces: float32 (N, H, W, C), 0..1.

    Returns:
        float32 (N, FEATURES)
    """
    edges = oriented_gradients(faces)
    return np.concatenate([edges, measure_mouths(edges)], axis=1)


def oriented_gradients(faces: np.ndarray) -> np.ndarray:
    """Returns histograms of oriented gradients of faces.

    Args:
        faces: float32 (N, H, W, C), 0..1.

    Returns:
        float32 (N, EDGES), cell by cell in rows, `DIRECTIONS` of each.
    """
    parts = range(0, len(faces), BLOCK)
    return np.concatenate([_histograms(faces[at : at + BLOCK]) for at in parts])


def _histograms(faces):
    soft = blur_matrix(WORK_SIZE, SOFTNESS)
    sizes = faces.shape[1:3]
    down, across = (soft @ area_matrix(length, WORK_SIZE) for length in sizes)
    gray = _filter(faces.mean(axis=-1), down, across)
    rows, columns = np.zeros_like(gray), np.zeros_like(gray)  # (N, S, S)
    rows[:, 1:-1] = gray[:, 2:] - gray[:, :-2]
    columns[:, :, 1:-1] = gray[:, :, 2:] - gray[:, :, :-2]
    power = rows**2 + columns**2
    near = blur_matrix(WORK_SIZE, NEIGHBOURHOOD)
    contrast = np.sqrt(np.maximum(_filter(power, near, near), 0)) + FAINTEST
    scale = 1 / ((np.sqrt(power) + EPSILON) * contrast)
    pool = blur_matrix(WORK_SIZE, POOLING)[CELL // 2 :: CELL]
    cells = []
    for direction in range(DIRECTIONS):
        turn = 2 * math.pi * direction / DIRECTIONS
        along = np.maximum(columns * math.cos(turn) + rows * math.sin(turn), 0)
        cells.append(_filter(along**2 * scale, pool, pool))
    return np.stack(cells, axis=-1).reshape(len(faces), -1)


def _filter(images, down, across):
    """Applies a matrix to each axis of images (N, H, W)."""
    return down.astype("f4") @ images @ across.T.astype("f4")


def measure_mouths(edges: np.ndarray) -> np.ndarray:
    """Returns the numbers of the mouth: open, smile, width, shift.

    Only their differences between faces of one person mean something. They are 0 where
    there are no edges.

    Args:
        edges: (N, EDGES), of `oriented_gradients`.

    Returns:
        float32 (N, MOUTHS)
    """
    arrays = load_mouths()
    bias = arrays["hidden_bias"]
    hidden = np.maximum(edges @ arrays["hidden_kernel"] + bias, 0)
    return (hidden - np.maximum(bias, 0)) @ arrays["kernel"]


@lru_cache
def load_mouths() -> dict[str, np.ndarray]:
    """Returns the arrays of the network of mouths, float32."""
    with np.load(MOUTHS_PATH, allow_pickle=False) as file:
        return {name: file[name].astype("f4") for name in file.files}


def correlate_with_mouths(numbers: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns the part of values that a regression on the mouth's numbers explains.

    The regression is on all of the numbers; the part is that of opening, smile and
    width.

    Args:
        numbers: (N, MOUTHS), of the crops of one person.
        values: (N, D), whatever depends on the same crops.

    Returns:
        (N, D), of mean 0.
    """
    centred = numbers - numbers.mean(0)
    centred = centred / (centred.std(0) + EPSILON_OF_NUMBERS)
    power = centred.T @ centred + RIDGE_CROPS * np.eye(MOUTHS)
    slopes = np.linalg.solve(power, centred.T @ (values - values.mean(0)))
    return centred[:, :TAKEN_OUT] @ slopes[:TAKEN_OUT]
