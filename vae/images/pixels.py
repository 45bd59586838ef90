"""Pixels of images: their size, their range, and measures of them.

An image is uint8 (H, W, C), C being 3 (RGB) or 1 (gray). Pixels change range or size
nowhere else.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

SMALLEST_ERROR = 1e-10  # mean square error of identical images: 100 dB
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
    cut_face: Callable | None = None

    @property
    def shape(self):
        """(H, W, C) of an image."""
        return self.height, self.width, self.channels

    @property
    def image_bytes(self):
        """Bytes of an image as uint8."""
        return self.height * self.width * self.channels

    def describe(self):
        """Returns the form of an image in words: 112x112 RGB."""
        kind = "RGB" if self.channels == 3 else "gray"
        return f"{show_size((self.width, self.height))} {kind}"


def show_size(size):
    """Returns (width, height) as it is printed: 112x96."""
    return f"{size[0]}x{size[1]}"


def show_channels(count):
    """Returns a number of channels as it is printed: 1 channel, 3 channels."""
    return f"{count} channel" + ("s" if count != 1 else "")


def limit_size(shape, side):
    """Returns (width, height) of images (..., H, W, C), made to fit a square of `side`."""
    height, width = shape[-3:-1]
    scale = min(1, side / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def fit_image(image, target):
    """Makes an image of any size into one of the target's.

    An image that has the size is returned as is. `crop` cuts what is too long off both
    ends and `pad` puts black there, so that shapes stay; `stretch` changes them.

    Args:
        image: uint8 (H, W, C), C 1 or 3.
        target: a `Target`.

    Returns:
        uint8 array of the target's shape; None if a face is wanted and not there.
    """
    if target.cut_face:
        image = target.cut_face(_with_channels(image, 3))
        if image is None:
            return None
    image = _with_channels(image, target.channels)
    width, height = target.width, target.height
    if image.shape[:2] == (height, width) or target.fit == "stretch":
        return resize_image(image, width, height)
    if target.fit == "crop":
        return resize_image(_cut(image, width, height), width, height)
    return _pad(image, width, height)


def _with_channels(image, channels):
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    return np.asarray(Image.fromarray(image).convert("L"))[..., None]


def _cut(image, width, height):
    """The largest part in the middle that has the shape width:height."""
    rows, columns = image.shape[:2]
    wide = min(columns, max(1, round(rows * width / height)))
    high = min(rows, max(1, round(columns * height / width)))
    top, left = (rows - high) // 2, (columns - wide) // 2
    return image[top : top + high, left : left + wide]


def _pad(image, width, height):
    rows, columns = image.shape[:2]
    wide = min(width, max(1, round(columns * height / rows)))
    high = min(height, max(1, round(rows * width / columns)))
    top, left = (height - high) // 2, (width - wide) // 2
    canvas = np.zeros((height, width, image.shape[2]), np.uint8)
    canvas[top : top + high, left : left + wide] = resize_image(image, wide, high)
    return canvas


def resize_image(image, width, height):
    """Resizes with antialiasing (Lanczos); an image of that size is returned as is.

    Args:
        image: uint8 (H, W, C), C 1 or 3.
        width, height: pixels of what is returned; the aspect ratio may change.
    """
    if image.shape[:2] == (height, width):
        return image
    picture = to_picture(image).resize((width, height), Image.Resampling.LANCZOS)
    return to_array(picture)


def to_picture(image):
    """Returns uint8 (H, W, C), C 1 or 3, as a PIL image."""
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def to_uint8(images):
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


def to_float32(images):
    """Turns uint8 0..255 into float32 0..1; raises TypeError for anything else."""
    if images.dtype != np.uint8:
        raise TypeError(f"{images.dtype} pixels found, uint8 expected")
    return images.astype(np.float32) / 255


def to_array(picture):
    """Returns a PIL image as uint8 (H, W, C)."""
    return np.array(picture).reshape(picture.height, picture.width, -1)


def psnr(images, others):
    """Peak signal-to-noise ratio of each pair, in dB.

    Args:
        images, others: uint8 (N, H, W, C)

    Returns:
        (N,) float64; 100 for identical images.
    """
    difference = images.astype(np.float32) - others.astype(np.float32)
    error = np.square(difference).mean(axis=(1, 2, 3), dtype=np.float64) / 255.0**2
    return -10.0 * np.log10(np.maximum(error, SMALLEST_ERROR))


def measure_pixels(images):
    """Returns the mean and the standard deviation of each pixel over images.

    Args:
        images: uint8 (N, H, W, C)

    Returns:
        two (H, W, C) float32, 0..1.
    """
    total = np.zeros(images.shape[1:])
    squares = np.zeros(images.shape[1:])
    for start in range(0, len(images), MEASURED_TOGETHER):
        batch = images[start : start + MEASURED_TOGETHER].astype(
            np.float32
        )  # whole numbers
        total += batch.sum(0)
        squares += np.square(batch).sum(0)
    average = total / len(images) / 255
    variance = np.maximum(squares / len(images) / 255**2 - average**2, 0)
    return average.astype(np.float32), np.sqrt(variance).astype(np.float32)
