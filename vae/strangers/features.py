"""Reads expressions from where edges are, which way they run, and what mouths do.

A gray face becomes histograms of gradient directions in a grid of cells (Dalal and
Triggs 2005), each gradient in units of the contrast around it. Skin, colour and light
hardly change them, so what a linear map learns from one person's faces holds for
another's, once features are in the same place. What one person's film can't teach, how
a mouth that opens differs from one that smiles, `vae/strangers/mouths.py` knows. numpy only.
"""
import math

import numpy as np

from vae.strangers.filters import area_matrix, blur_matrix
from vae.strangers.mouths import MOUTHS, read_mouths
from vae.strangers.registration import BLACK, WORK_SIZE

CELL = 4  # pixels a side
DIRECTIONS = 8
SOFTNESS, NEIGHBOURHOOD, POOLING = 0.7, 8.0, 2.0  # blurs, in pixels
FAINTEST = 0.05  # contrast, of 0..1, that is taken for noise
MASK_SOFTNESS, MASK_SHARE = 3.0, 0.85  # pixels; cells nearer to its edge don't count
RIDGE = 1.0  # of the features' mean power
MOUTH_WEIGHT = 15.0  # of what mouths do, against the mean spread of an edge
CELLS = WORK_SIZE // CELL  # along each side
EDGES = CELLS**2 * DIRECTIONS
MOUTH_ROW = 9  # of cells; from it on edges are of the mouth, the chin and the cheeks
MOUTH_EDGES = slice(MOUTH_ROW * CELLS * DIRECTIONS, EDGES)
FEATURES = EDGES + MOUTHS
BLOCK = 256  # faces described together
SMALLEST = 1e-8


def describe(faces):
    """Returns histograms of gradient directions, and what is known of mouths.

    Args:
        faces: float32 (N, H, W, C), 0..1.

    Returns:
        float32 (N, FEATURES)
    """
    edges = describe_edges(faces)
    return np.concatenate([edges, read_mouths(edges)], axis=1)


def describe_edges(faces):
    """Returns histograms of gradient directions, (N, EDGES), of faces (N, H, W, C)."""
    parts = range(0, len(faces), BLOCK)
    found = [_describe(faces[start : start + BLOCK]) for start in parts]
    return np.concatenate(found)


def _describe(faces):
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
    scale = 1 / ((np.sqrt(power) + SMALLEST) * contrast)
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


def fit_reader(features, codes, average):
    """Learns to read codes from features by ridge regression (Hoerl and Kennard 1970).

    Args:
        features: (N, FEATURES), of the actor's faces.
        codes: (N, Z), of the same faces.
        average: (H, W, C), the actor's average face; it shows where the mask is.

    Returns:
        float32 (FEATURES, Z). `describe(faces) @ kernel`, less its mean, is the code's
        distance from the average code, of the same spread over the actor's faces.
    """
    features = features - features.mean(axis=0)
    weights = _weigh(features, _inside(average))
    features *= weights
    codes = codes - codes.mean(axis=0)
    power = features.T @ features  # (F, F)
    ridge = RIDGE * np.trace(power) / len(power) + SMALLEST
    power[np.diag_indices_from(power)] += ridge
    kernel = np.linalg.solve(power, features.T @ codes)
    spread = np.square(features @ kernel).sum()
    kernel *= np.sqrt(np.square(codes).sum() / (spread + SMALLEST))
    return (weights[:, None] * kernel).astype("f4")


def _weigh(features, inside):
    """Weights (FEATURES,): edges within the face as they are, mouths all alike."""
    spread = features.std(axis=0)
    usual = np.sqrt(np.square(spread[:EDGES] * inside).mean())
    mouths = MOUTH_WEIGHT * usual / (spread[EDGES:] + SMALLEST)
    return np.concatenate([inside, mouths])


def _inside(average):
    """1 for edges (EDGES,) of cells well within the face, else 0."""
    down, across = (area_matrix(length, WORK_SIZE) for length in average.shape[:2])
    face = down @ average.mean(axis=-1) @ across.T > BLACK
    soft = blur_matrix(WORK_SIZE, MASK_SOFTNESS)[CELL // 2 :: CELL]
    cells = soft @ face @ soft.T > MASK_SHARE
    return np.repeat(cells, DIRECTIONS).astype("f4")
