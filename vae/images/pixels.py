"""Pixels of images: their size, their range, and measures of them.

An image is uint8 (H, W, C), C being 3 (RGB) or 1 (gray). Pixels change range or size
nowhere else.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

LANCZOS = Image.Resampling.LANCZOS
EPSILON = 1e-10  # mean square error of identical images: 100 dB
MEASURED_TOGETHER = 64  # images whose sums are added at a time


@dataclass(frozen=True)
class Target:
    """The images of a data file: what every picture is made into.

    Attributes:
        width, height: pixels. channels: 3 for RGB, 1 for gray.
        fit: crop, pad or stretch, for a picture of another shape.
        cut_face: called with a picture, RGB, it returns the face in it at this size, or
            None if there is none; or None, if pictures are of faces already.
    """

    width: int
    height: int
    channels: int
    fit: str
    cut_face: Callable[[np.ndarray], np.ndarray | None] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of an image."""
        return self.height, self.width, self.channels

    @property
    def image_bytes(self) -> int:
        """Bytes of an image as uint8."""
        return self.height * self.width * self.channels

    def describe(self) -> str:
        """Returns the form of an image in words: 112x112 RGB."""
        kind = "RGB" if self.channels == 3 else "gray"
        return f"{show_size((self.width, self.height))} {kind}"


def show_size(size: tuple[int, int]) -> str:
    """Returns (width, height) as it is printed: 112x96."""
    return f"{size[0]}x{size[1]}"


def show_channels(count: int) -> str:
    """Returns a number of channels as it is printed: 1 channel, 3 channels."""
    return f"{count} channel" + ("s" if count != 1 else "")


def limit_size(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Returns (width, height) at which (..., H, W, C) fits a square of `side`."""
    height, width = shape[-3:-1]
    scale = min(1, side / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def fit_image(image: np.ndarray, target: Target) -> np.ndarray | None:
    """Makes an image of any size into one of the target's, by Lanczos resampling.

    `crop` cuts what is too long off both ends and `pad` puts black there, so that
    shapes stay; `stretch` changes them.

    Args:
        image: uint8 (H, W, C), C 1 or 3.

    Returns:
        uint8 array of the target's shape; None if a face is wanted and not there.
    """
    if target.cut_face:
        rgb = image if image.shape[2] == 3 else np.repeat(image, 3, axis=2)
        image = target.cut_face(rgb)
        if image is None:
            return None
    if image.shape == target.shape:
        return image
    picture = to_picture(image)
    if image.shape[2] != target.channels:
        picture = picture.convert("RGB" if target.channels == 3 else "L")
    width, height = target.width, target.height
    if target.fit == "crop":
        picture = ImageOps.fit(picture, (width, height), LANCZOS)
    elif target.fit == "pad":
        # Of a line that would be thinner than a pixel Pillow leaves nothing.
        wide, high = picture.size
        least = max(wide, -(-high // height)), max(high, -(-wide // width))
        picture = ImageOps.pad(picture.resize(least), (width, height), LANCZOS)
    return resize_image(to_array(picture), width, height)


def resize_image(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resizes with antialiasing (Lanczos); an image of that size is returned as is.

    Args:
        image: uint8 (H, W, C), C 1 or 3; its aspect ratio may change.
    """
    if image.shape[:2] == (height, width):
        return image
    return to_array(to_picture(image).resize((width, height), LANCZOS))


def to_picture(image: np.ndarray) -> Image.Image:
    """Returns uint8 (H, W, C), C 1, 3 or 4 (with alpha), as a PIL image."""
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Turns floats in 0..1 into uint8 0..255, rounded; what lies outside is clipped.

    Raises:
        TypeError: `images` holds integers, whose range is not 0..1.
        ValueError: a pixel is not a number.
    """
    images = np.asarray(images)
    if images.dtype.kind in "biu":
        raise TypeError(f"{images.dtype} pixels found, floats in 0..1 expected")
    levels = images.astype(np.float32, copy=False).clip(0, 1)
    levels *= 255
    if levels.size and np.isnan(levels.min()):
        raise ValueError("a pixel is not a number")
    return np.rint(levels, out=levels).astype(np.uint8)


def to_float32(images: np.ndarray) -> np.ndarray:
    """Turns uint8 0..255 into float32 0..1; raises TypeError for anything else."""
    if images.dtype != np.uint8:
        raise TypeError(f"{images.dtype} pixels found, uint8 expected")
    return images.astype(np.float32) / 255


def to_array(picture: Image.Image) -> np.ndarray:
    """Returns a PIL image as uint8 (H, W, C)."""
    return np.array(picture).reshape(picture.height, picture.width, -1)


def psnr(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the peak signal-to-noise ratio of each pair (N, H, W, C) of uint8, in dB.

    It is (N,) float64; 100 for identical images.
    """
    difference = images.astype(np.float32) - others.astype(np.float32)
    error = np.square(difference).mean(axis=(1, 2, 3), dtype=np.float64) / 255.0**2
    return -10.0 * np.log10(np.maximum(error, EPSILON))


def measure_pixels(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean and the standard deviation of each pixel over images.

    Of uint8 (N, H, W, C) they are (H, W, C) float32, 0..1.
    """
    total = np.zeros(images.shape[1:])
    squares = np.zeros(images.shape[1:])
    for start in range(0, len(images), MEASURED_TOGETHER):
        batch = images[start : start + MEASURED_TOGETHER]
        batch = batch.astype(np.float32)  # whole numbers
        total += batch.sum(0)
        squares += np.square(batch).sum(0)
    average = total / len(images) / 255
    variance = np.maximum(squares / len(images) / 255**2 - average**2, 0)
    return average.astype(np.float32), np.sqrt(variance).astype(np.float32)
