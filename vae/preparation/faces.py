"""Cuts an upright face out of a picture: eyes level, at one place and one scale.

The place is where OpenFace puts eyes in its crops of 112 x 112 (a scale of 0.7). Points
are (x, y) in pixels, and the first pixel spans 0..1.
"""
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

CROP_SIDE = 112  # pixels of a crop that has the eyes at
EYES = np.array([[33.0, 34.0], [79.0, 34.0]])


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


def crop_face(image, face, width, height, masked):
    """Cuts a face out, with antialiasing; what lies outside the image is black.

    OpenFace's square is fitted into the middle of a crop that is not one.

    Args:
        image: uint8 (H, W, 3). face: a `Face`.
        width, height: pixels of the result.
        masked: whether to blacken what is outside the outline.

    Returns:
        uint8 (height, width, 3)
    """
    size = np.array([width, height])
    scale = size.min() / CROP_SIDE
    places = scale * EYES + (size - scale * CROP_SIDE) / 2
    matrix = find_similarity(face.eyes, places)
    crop = cut_picture(Image.fromarray(image), matrix, width, height)
    if not masked:
        return np.asarray(crop)
    inside = Image.new("L", crop.size)
    outline = move_points(face.outline, matrix) - 0.5  # drawn from the pixels' middle
    ImageDraw.Draw(inside).polygon([tuple(point) for point in outline], fill=255)
    return np.asarray(crop) * (np.asarray(inside)[..., None] > 0)


def find_similarity(points, places):
    """Returns the turn, scale and shift, (2, 3), that bring two points to two places.

    Args:
        points, places: (2, 2); the points must differ.
    """
    turn = complex(*(places[1] - places[0])) / complex(*(points[1] - points[0]))
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([matrix, places[0] - matrix @ points[0]])


def invert(matrix):
    """Returns the way back, (2, 3)."""
    inverse = np.linalg.inv(matrix[:, :2])
    return np.column_stack([inverse, -inverse @ matrix[:, 2]])


def move_points(points, matrix):
    """Returns points (P, 2) moved by a matrix (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def cut_picture(picture, matrix, width, height):
    """Returns what a matrix (2, 3) brings into width x height pixels, else black.

    Args:
        picture: a PIL image; one that shrinks much is averaged first.
    """
    shrink = int(1 / np.sqrt(np.linalg.det(matrix[:, :2])))
    if shrink > 1:
        picture = picture.reduce(shrink)
        matrix = matrix * [shrink, shrink, 1]
    return picture.transform(
        (width, height),
        Image.Transform.AFFINE,
        invert(matrix).ravel(),
        Image.Resampling.BICUBIC,
    )
