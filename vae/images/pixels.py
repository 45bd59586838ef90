"""Gives a picture the size and the channels of a data file."""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vae.images.sheets import resize_image


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
