"""The actor's face put back into the frame it came from.

Points are (x, y) in pixels, the first pixel spans 0..1, and a matrix (2, 3) is a turn,
a scale and a shift, as in `vae.images.networks`.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from vae.images.networks import (
    cut_picture,
    find_similarity,
    invert,
    move_points,
    place_eyes,
)
from vae.images.pixels import to_picture
from vae.preparation.faces import Face

FEATHER = 0.05  # of the crop's shorter side: from the outline inwards, in a Gaussian
EDGE = 0.6  # of a Gaussian over an edge: a little within it
SMOOTH_SECONDS = 0.1  # standard deviation of what a face's path is fitted over
REACH = 3  # of these, to both sides
MAX_GAIN = 2.0  # of contrast
DARK = 32  # gray levels; what is darker, from the edge of a picture on, is no face
EPSILON = 1e-3


@dataclass(frozen=True)
class Patch:
    """What is laid over a frame.

    Attributes:
        image: uint8 (h, w, 3), of the model's size.
        mask: uint8 (h, w), 255 where only the patch is seen.
        matrix: (2, 3), from places in the frame to places in the patch.
    """

    image: np.ndarray
    mask: np.ndarray
    matrix: np.ndarray


class Compositor:
    """Makes patches for the faces of one film.

    Args:
        faces: of each crop. times: of each crop, in seconds, ascending.
        places: number of each crop's frame; a gap ends a path.
        crops: uint8 (N, h, w, C), what was cut out.
        results: uint8 (M, h, w, C), what some of them became.
    """

    def __init__(
        self,
        faces: list[Face],
        times: np.ndarray,
        places: list[int],
        crops: np.ndarray,
        results: np.ndarray,
    ) -> None:
        height, width = results.shape[1:3]
        points = np.stack([np.vstack([face.eyes, face.outline]) for face in faces])
        runs = np.cumsum(np.diff(places, prepend=places[0]) > 1)
        points = smooth_path(points.astype(float), np.asarray(times), runs)
        target = place_eyes(width, height)
        self._matrices = [find_similarity(each[:2], target) for each in points]
        self._outlines = [
            move_points(each[2:], matrix)
            for each, matrix in zip(points, self._matrices, strict=True)
        ]
        usual = np.mean([_find_face(image) for image in results], axis=0) > 0.5
        colours = np.stack(
            [
                _measure(crop, self._draw_mask(number, usual))
                for number, crop in enumerate(crops)
            ]
        )
        self._colours = smooth_path(colours, np.asarray(times), runs, degree=0)
        common = self._draw_mask(len(faces) // 2, usual)
        self._own = np.mean([_measure(image, common) for image in results], axis=0)

    def make_patch(self, number: int, image: np.ndarray) -> Patch:
        """Returns the patch of one crop, of the actor's face in it, uint8 (h, w, C)."""
        (mean, spread), (own_mean, own_spread) = self._colours[number], self._own
        gain = np.clip(spread / (own_spread + EPSILON), 1 / MAX_GAIN, MAX_GAIN)
        matched = (image - own_mean) * gain + mean
        matched = np.broadcast_to(matched, (*image.shape[:2], 3))
        mask = self._draw_mask(number, _find_face(image))
        return Patch(
            np.rint(matched.clip(0, 255)).astype(np.uint8),
            np.rint(mask * 255).astype(np.uint8),
            self._matrices[number],
        )

    def _draw_mask(self, number, face):
        """0..1 (h, w): 1 well within the outline and the actor's face (h, w)."""
        height, width = face.shape
        feather = FEATHER * min(height, width)
        edge = int(np.ceil(REACH * feather))
        picture = Image.new("L", (width, height))
        outline = self._outlines[number] - 0.5  # drawn from the pixels' middle
        ImageDraw.Draw(picture).polygon([tuple(point) for point in outline], fill=255)
        inside = np.pad(np.asarray(picture) * face, edge)
        blurred = Image.fromarray(inside).filter(ImageFilter.GaussianBlur(feather))
        soft = np.asarray(blurred)[edge : edge + height, edge : edge + width] / 255
        return ((soft - EDGE) / (1 - EDGE)).clip(0, 1)


def _find_face(image):
    """(h, w): False where it is dark from an edge of the picture on."""
    dark = image.max(axis=2) < DARK
    ways = [dark, dark[:, ::-1], dark.T, dark[::-1].T]
    left, right, top, bottom = (np.minimum.accumulate(way, axis=1) for way in ways)
    return ~(left | right[:, ::-1] | top.T | bottom.T[::-1])


def _measure(image, mask):
    """Mean and spread of each channel within a mask, (2, C)."""
    weights = mask[..., None] / max(mask.sum(), EPSILON)
    pixels = image.astype(np.float64)
    mean = (weights * pixels).sum((0, 1))
    return np.stack([mean, np.sqrt((weights * (pixels - mean) ** 2).sum((0, 1)))])


def smooth_path(
    values: np.ndarray, times: np.ndarray, runs: np.ndarray, degree: int = 2
) -> np.ndarray:
    """Smooths values over time by local regression (Cleveland 1979), without delay.

    Through the neighbours of each, weighted by a Gaussian of `SMOOTH_SECONDS`, goes a
    polynomial; so a jitter is averaged out, and a movement that is even, or evenly
    accelerated, is kept.

    Args:
        values: (N, ...). times: (N,) seconds. runs: (N,), what differs is not joined.
        degree: of the polynomial.
    """
    flat, smoothed = values.reshape(len(values), -1), []
    for at, now in enumerate(times):
        reach = REACH * SMOOTH_SECONDS
        low, high = np.searchsorted(times, [now - reach, now + reach + 1e-9])
        near = np.arange(low, high)[runs[low:high] == runs[at]]
        distance = (times[near] - now) / SMOOTH_SECONDS
        order = min(degree, len(near) - 1)
        weights = np.exp(-(distance**2) / 4)[:, None]  # the root of the Gaussian
        powers = weights * distance[:, None] ** np.arange(order + 1)
        fitted = np.linalg.lstsq(powers, weights * flat[near], rcond=None)[0]
        smoothed.append(fitted[0])
    return np.stack(smoothed).reshape(values.shape)


def lay(frame: np.ndarray, patch: Patch) -> np.ndarray:
    """Returns a frame, uint8 (H, W, 3), with a patch over it."""
    height, width = patch.mask.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    corners = move_points(corners, invert(patch.matrix))
    size = frame.shape[1::-1]
    left, top = np.clip(np.floor(corners.min(0)), 0, size).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(0)), 0, size).astype(int)
    if left >= right or top >= bottom:
        return frame
    back = invert(patch.matrix) - [[0, 0, left], [0, 0, top]]
    box = slice(top, bottom), slice(left, right)
    image, mask = (
        np.asarray(cut_picture(to_picture(part), back, right - left, bottom - top))
        for part in (patch.image, patch.mask[..., None])
    )
    share = mask[..., None].astype(np.float32) / 255
    result = frame.copy()
    result[box] = np.rint(frame[box] + share * (image - frame[box].astype(np.float32)))
    return result
