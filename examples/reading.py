"""Reads a drawn person's parameters back from pictures, to score the transfer."""

import numpy as np

from examples.performance import PARAMETERS

RIDGE = 30.0
SEEN_EYES = 0.4  # openness from which a gaze can be seen


def fit_reader(images, parameters):
    """Fits a ridge regression from pixels to parameters.

    Args:
        images: uint8 (N, H, W, C), of one person. parameters: (N, P).

    Returns:
        A function that reads parameters (M, P) from images (M, H, W, C).
    """
    x = _features(images)
    system = x.T @ x + RIDGE * np.eye(x.shape[1])
    weights = np.linalg.solve(system, x.T @ parameters)
    return lambda images: _features(images) @ weights


def _features(images):
    flat = images.reshape(len(images), -1) / 255.0
    return np.concatenate([flat, np.ones((len(flat), 1))], axis=1)


def correlate(true, found):
    """Returns parameter -> r over frames; a gaze counts only where the eyes are open.

    Args:
        true, found: (N, P)
    """
    scores = {}
    for column, name in enumerate(PARAMETERS):
        seen = np.ones(len(true), bool)
        if name.startswith("gaze"):
            seen = true[:, PARAMETERS.index("eyes")] > SEEN_EYES
        pair = true[seen, column], found[seen, column]
        scores[name] = float(np.corrcoef(*pair)[0, 1])
    return scores
