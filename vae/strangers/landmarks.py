"""Measures of expressions that mean the same in anyone's face, by small networks.

A mesh laid over a crop tells of the mouth and of how the head is turned; the network
that looks at one eye tells of lids, gaze and brows, which it reads far better than the
mesh does. A crop is looked at as it is and mirrored, and the mean is taken.
"""

from collections.abc import Iterable
from itertools import chain
from queue import SimpleQueue

import numpy as np
from PIL import Image, ImageOps

from vae.images.networks import (
    CORNERS,
    LIKELY,
    Network,
    cut_level,
    cut_picture,
    find_similarity,
    invert,
    move_points,
    place_eyes,
)
from vae.parallel import count_cores, map_ordered
from vae.terminal import progress_bar, quiet_stderr

MESH_EYES = np.array([[0.38, 0.40], [0.62, 0.40]])  # farther off: mouths are read best
EYE_PLACES = np.array([[1 / 3, 1 / 2], [2 / 3, 1 / 2]])  # of an eye's corners
EYE_POINTS, IRIS = 76, 71  # of one eye: outline, brow and iris; the iris' middle
PROBE = 16  # crops that tell whether there are faces at all
FACES = 0.8  # share of images with a face, below which nothing is measured
STABLE = [33, 133, 263, 362, 168, 6, 197]  # corners of the eyes, bridge of the nose
CORNERS_OF_MOUTH, LIPS = [61, 291], [13, 14, 0, 17]
GAPS = [13, 82, 312], [14, 87, 317]
CHIN, BELOW_NOSE, TIP, OUTLINE = [152, 148, 377], [2, 97, 326], [1, 4], [234, 454]
# Of one eye: corners, lids, brow, the brow's inner end.
EYE_CORNERS, UPPER, LOWER = [0, 8], [11, 12, 13], [3, 4, 5]
BROW, BROW_END = [65, 66, 67], [68, 69]
_PAIRS = {33: 263, 133: 362, 61: 291, 82: 312, 87: 317, 148: 377, 97: 326, 234: 454}
_MIRRORED = {**_PAIRS, **{right: left for left, right in _PAIRS.items()}}
NAMES = (
    *("mouth open", "mouth wide", "smile", "smile aside", "pucker", "lips apart"),
    *("mouth aside", "jaw", "left eye", "right eye", "gaze aside", "gaze down"),
    *("left brow", "right brow", "inner brows", "head turned", "head bent"),
)


def measure_faces(
    images: np.ndarray, more: Iterable[np.ndarray] = (), count: int = 0
) -> np.ndarray:
    """Returns the measures of crops; only differences within a person mean something.

    Args:
        images: uint8 (N, H, W, C), of one person, eyes where `place_eyes` says.
        more: `count` images of the same person, after the others.

    Returns:
        float64 (N + count, M), a column for each of `NAMES`, in distances between the
        eyes; of an image without a face NaN. If too few of them show one, (0, M).
    """
    detector, found = _Detector(), []
    probed = images[:: -(-len(images) // PROBE)]
    faces = [detector.find(image) is not None for image in probed]
    if np.mean(faces) < FACES:
        return np.zeros((0, len(NAMES)))
    with progress_bar(len(images) + count, "landmarks") as bar:
        for points in map_ordered(detector.find, chain(images, more)):
            found.append(points)
            bar.update()
    there = np.array([points is not None for points in found])
    if there.mean() < FACES:
        return np.zeros((0, len(NAMES)))
    measures = np.full((len(found), len(NAMES)), np.nan)
    measures[there] = _measure(*_steady([points for points in found if points]))
    return measures


class _Detector:
    """Finds points of faces, in several threads at a time."""

    def __init__(self):
        self._free = SimpleQueue()
        with quiet_stderr():
            for _ in range(count_cores()):
                self._free.put((Network("face_landmark"), Network("iris_landmark")))

    def find(self, image):
        """Returns the mesh (468, 2) and both eyes' points (2, 76, 2), or None."""
        networks = self._free.get()
        try:
            return _find_points(image, *networks)
        finally:
            self._free.put(networks)


def _find_points(image, mesh, eye):
    height, width, channels = image.shape
    picture = Image.fromarray(image if channels == 3 else np.repeat(image, 3, axis=2))
    matrix = find_similarity(place_eyes(width, height), mesh.side * MESH_EYES)
    square = cut_level(picture, matrix, mesh.side, mesh.side)
    points, odds = mesh.run(square)
    if odds.item() <= LIKELY:
        return None
    points = points.reshape(-1, 3)[:, :2]
    other = mesh.run(ImageOps.mirror(square))[0].reshape(-1, 3)[:, :2]
    other = [mesh.side, 0] + other * [-1, 1]
    order = [_MIRRORED.get(index, index) for index in range(len(points))]
    points = move_points((points + other[order]) / 2, invert(matrix))
    left, right = points[CORNERS]
    eyes = _find_eye(picture, eye, left), _find_eye(picture, eye, right, True)
    return points, np.stack(eyes)


def _find_eye(picture, eye, corners, mirrored=False):
    """Returns the points of an eye, (76, 2); the network knows left eyes only."""
    matrix = find_similarity(corners, eye.side * EYE_PLACES)
    square = cut_picture(picture, matrix, eye.side, eye.side)
    found = eye.run(ImageOps.mirror(square) if mirrored else square)
    points = np.concatenate([part.reshape(-1, 3)[:, :2] for part in found])
    if mirrored:
        points = [eye.side, 0] + points * [-1, 1]
    return move_points(points, invert(matrix))


def _steady(found):
    """Turns, scales and shifts faces so that eyes and nose rest at their average.

    It is the best similarity (Umeyama 1991). The unit becomes the distance between the
    eyes.

    Returns:
        mesh (N, 468, 2), eyes (N, 2, 76, 2)
    """
    mesh, eyes = (np.stack(parts) for parts in zip(*found, strict=True))
    points = np.concatenate([mesh, eyes.reshape(len(eyes), -1, 2)], axis=1)
    points = points @ [1, 1j]  # complex numbers turn and scale at once
    points = points - points[:, STABLE].mean(1, keepdims=True)
    stable = points[:, STABLE]
    average = stable.mean(0)
    size = np.square(np.abs(stable)).sum(1)
    # Not a matrix product, whose last bits depend on a face's place among the others.
    turn = (stable.conj() * average).sum(1) / size
    points = points * turn[:, None]
    middles = points[:, np.array(CORNERS)].mean((0, 2))
    points = points / abs(middles[1] - middles[0])
    points = np.stack([points.real, points.imag], axis=-1)
    count = mesh.shape[1]
    return points[:, :count], points[:, count:].reshape(-1, 2, EYE_POINTS, 2)


def _measure(mesh, eyes):
    """Returns (N, M), the columns of `NAMES`; y grows downwards."""

    def place(points):
        return mesh[:, points].mean(1)  # (N, 2)

    def gap(upper, lower):
        return np.linalg.norm(mesh[:, upper] - mesh[:, lower], axis=-1).mean(1)

    mouth, corners = place(CORNERS_OF_MOUTH + LIPS), mesh[:, CORNERS_OF_MOUTH]
    wide, apart = gap(*([end] for end in CORNERS_OF_MOUTH)), gap([0], [17])
    middle, iris = eyes[:, :, EYE_CORNERS].mean(2), eyes[:, :, IRIS]  # (N, 2, 2)
    lids = eyes[:, :, UPPER] - eyes[:, :, LOWER]
    lids = np.linalg.norm(lids, axis=-1).mean(2)  # (N, 2)
    gaze = (iris - middle).mean(1)
    brows = (middle - eyes[:, :, BROW].mean(2))[..., 1]  # (N, 2)
    inner = (middle - eyes[:, :, BROW_END].mean(2))[..., 1].mean(1)
    columns = [
        *(gap(*GAPS), wide, (place(LIPS) - corners.mean(1))[:, 1]),
        *(corners[:, 0, 1] - corners[:, 1, 1], -wide / (apart + 1e-3), apart),
        *((mouth - place(BELOW_NOSE))[:, 0], (place(CHIN) - place(BELOW_NOSE))[:, 1]),
        *(lids[:, 0], lids[:, 1], gaze[:, 0], gaze[:, 1]),
        *(brows[:, 0], brows[:, 1], inner, (place(TIP) - place(OUTLINE))[:, 0]),
        (place(TIP) - place([33, 263]))[:, 1],
    ]
    return np.stack(columns, axis=1)
