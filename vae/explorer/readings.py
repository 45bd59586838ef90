"""What faces do, read from pictures alone: generic numbers that name the sliders.

The mouth's numbers come from `strangers.features`. The others are motion: how far parts
of the face are moved from where they are on average, by one step of
Lucas and Kanade's least squares (1981). They need no training and no detector: the eyes
of an upright face are where the upper half of it changes most across. Pupils move by
more than their size; they are the darkest in an eye. numpy only.
"""

from typing import NamedTuple

import numpy as np

from vae.images.pixels import to_float32
from vae.strangers.features import EDGES, EPSILON, measure_features
from vae.strangers.registration import WORK_SIZE, area_matrix, blur, blur_matrix

MOUTH_NAMES = ("open", "smile", "width", "aside")
SOFTNESS, SPOT = 1.0, 2.0  # blurs, in pixels of WORK_SIZE
EDGE = 0.02  # of the height or width, over which a window fades
SLIGHT = 1e-3  # of what moves, for ridge
EYE_ROWS, EYE_COLUMNS = (0.22, 0.55), (0.2, 0.42)  # where the left eye is looked for
# Top, bottom, left and right of a window around the left half's eye, in distances
# between the eyes; the nose's is around the middle of both.
EYE, LID = (-0.06, 0.1, -0.2, 0.2), (-0.25, -0.02, -0.3, 0.3)
BROW, NOSE = (-0.5, -0.2, -0.36, 0.36), (0.15, 0.65, -0.3, 0.3)


class Measures(NamedTuple):
    """What is known of faces, and their codes.

    Attributes:
        names: what each number says, of `directions.SLIDERS`.
        values: (N, M). codes: (N, Z), of the same faces, in the order of time.
    """

    names: tuple[str, ...]
    values: np.ndarray
    codes: np.ndarray


def measure_pictures(images: np.ndarray, codes: np.ndarray) -> Measures:
    """Reads what pictures of one person show.

    Args:
        images: uint8 (N, H, W, C). codes: (N, Z), of the same.
    """
    faces = to_float32(images)
    mouths = measure_features(faces)[:, EDGES:]  # (N, 4)
    gray = _shrink(faces)
    row, column = _find_eye(gray)
    apart = 1 - 2 * column

    def measure(sides, *columns):
        moved = [_motion(gray, (row, at), apart * np.array(sides)) for at in columns]
        return np.stack(moved, axis=1)  # across and down: (2, windows, N)

    pair = column, 1 - column
    nose = measure(NOSE, 0.5)[:, 0]
    lids, brows = (measure(sides, *pair) for sides in (LID, BROW))
    pupils = [_find_dark(gray, (row, at), apart * np.array(EYE)) for at in pair]
    others = {
        "eyes": -lids[1].mean(0),
        "wink": lids[1, 0] - lids[1, 1],
        "gaze": np.mean(pupils, axis=0),
        "brows": nose[1] - brows[1].mean(0),
        "yaw": nose[0],
    }
    values = np.column_stack([mouths, *others.values()])
    return Measures((*MOUTH_NAMES, *others), values, codes)


def _shrink(faces):
    """Returns soft gray faces (N, WORK_SIZE, WORK_SIZE)."""
    soft = blur_matrix(WORK_SIZE, SOFTNESS)
    sizes = faces.shape[1:3]
    down, across = (soft @ area_matrix(length, WORK_SIZE) for length in sizes)
    return down.astype("f4") @ faces.mean(axis=-1) @ across.T.astype("f4")


def _find_eye(gray):
    """Returns where the left eye is, as shares of the height and of the width."""
    # Pupils move across; brows and lids, which move down, change what is across little.
    changing = blur(np.gradient(gray, axis=2).std(axis=0), SPOT)
    changing += changing[:, ::-1]
    (top, bottom), (left, right) = (
        np.rint(np.multiply(ends, WORK_SIZE)).astype(int)
        for ends in (EYE_ROWS, EYE_COLUMNS)
    )
    part = changing[top:bottom, left:right]
    row, column = np.unravel_index(part.argmax(), part.shape)
    return (top + row + 0.5) / WORK_SIZE, (left + column + 0.5) / WORK_SIZE


def _motion(gray, centre, sides):
    """Returns how far a window is moved across and down: (2, N)."""
    average = gray.mean(0)
    by_row, by_column = np.gradient(average)
    place = (np.arange(WORK_SIZE) + 0.5) / WORK_SIZE
    rows, columns = (place - middle for middle in centre)
    weight = np.outer(_fade(rows, *sides[:2]), _fade(columns, *sides[2:]))
    shapes = [-by_column, -by_row, average, np.ones_like(average)]
    shapes = np.stack([(weight * shape).ravel() for shape in shapes], axis=1)  # (P, 4)
    power = shapes.T @ shapes
    power[np.diag_indices(4)] += SLIGHT * np.diag(power) + EPSILON
    changes = (weight * (gray - average)).reshape(len(gray), -1)
    return np.linalg.solve(power, shapes.T @ changes.T)[:2]


def _find_dark(gray, centre, sides):
    """Returns how far right the dark is in a window, on average, (N,)."""
    place = (np.arange(WORK_SIZE) + 0.5) / WORK_SIZE
    rows, columns = (place - middle for middle in centre)
    weight = np.outer(_fade(rows, *sides[:2]), _fade(columns, *sides[2:]))
    usual = (gray * weight).sum((1, 2)) / weight.sum()
    dark = np.maximum(usual[:, None, None] - gray, 0) * weight  # (N, S, S)
    return (dark * columns).sum((1, 2)) / (dark.sum((1, 2)) + EPSILON)


def _fade(place, low, high):
    """1 from low to high, 0 outside, soft at both ends."""
    return np.clip(np.minimum(place - low, high - place) / EDGE + 0.5, 0, 1)
