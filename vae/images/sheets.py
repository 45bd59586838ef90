"""Pictures out: PNG files, grids and pairs of images, each uint8 (H, W, C)."""

import io
import zlib

import numpy as np

from vae.files import replace_file
from vae.images.pixels import to_picture


def write_png(path, image):
    """Writes a PNG whole or not at all, in place of what was there.

    Equal pixels give equal bytes; nothing but pixels is stored.

    Args:
        path: the file; missing folders are made, a link is replaced.
        image: uint8 (H, W, C), C 1 or 3.

    Raises:
        VaeError: it can't be written; an older file is still intact.
    """
    replace_file(path, _encode_png(image))


def write_face(path, image):
    """Writes a PNG as `write_png` does, of a face, three times as fast.

    Deflate looks for no repetitions, since a face has none.
    """
    replace_file(path, _encode_png(image, compress_type=zlib.Z_RLE))


def _encode_png(image, **settings):
    content = io.BytesIO()
    to_picture(image).save(content, "PNG", **settings)
    return content.getvalue()


def make_grid(images, columns, gap=2):
    """Lays images out in rows, left to right, on black.

    Args:
        images: uint8 (N, H, W, C), N at least 1; the last row may stay part empty.
        columns: images a row, also where there are fewer of them.
        gap: black pixels between neighbours.

    Returns:
        uint8 (rows * (H + gap) - gap, columns * (W + gap) - gap, C).
    """
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    cells = np.zeros(
        (rows * columns, height + gap, width + gap, channels), images.dtype
    )
    cells[:count, :height, :width] = images
    cells = cells.reshape(rows, columns, *cells.shape[1:])  # (rows, columns, H, W, C)
    sheet = cells.swapaxes(1, 2).reshape(rows * (height + gap), -1, channels)
    return sheet[: sheet.shape[0] - gap, : sheet.shape[1] - gap]


def stack_pairs(top, bottom):
    """Puts images above others: two of (..., H, W, C) give (..., 2H, W, C)."""
    return np.concatenate([top, bottom], axis=-3)


def join_side_by_side(left, right):
    """Puts images beside others: two of (..., H, W, C) give (..., H, 2W, C)."""
    return np.concatenate([left, right], axis=-2)
