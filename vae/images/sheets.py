"""Pictures out: PNG files, grids and pairs of images, each uint8 (H, W, C)."""

import io
import os
import zlib
from typing import Any

import numpy as np

from vae.files import replace_file
from vae.images.pixels import to_picture


def write_png(path: str | os.PathLike, image: np.ndarray, **settings: Any) -> None:
    """Writes uint8 (H, W, C) whole or not at all, in place of what was there.

    Equal pixels give equal bytes; nothing but pixels is stored. Missing folders are
    made, a link at `path` is replaced. `settings` are Pillow's.

    Raises:
        VaeError: it can't be written; an older file is still intact.
    """
    content = io.BytesIO()
    to_picture(image).save(content, "PNG", **settings)
    replace_file(path, content.getvalue())


def write_face(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes a PNG as `write_png` does, of a face, three times as fast.

    Deflate looks for no repetitions, since a face has none.
    """
    write_png(path, image, compress_type=zlib.Z_RLE)


def make_grid(images: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
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
    high, wide = height + gap, width + gap
    cells = np.zeros((rows * columns, high, wide, channels), images.dtype)
    cells[:count, :height, :width] = images
    cells = cells.reshape(rows, columns, high, wide, channels)
    sheet = cells.swapaxes(1, 2).reshape(rows * high, columns * wide, channels)
    return sheet[: rows * high - gap, : columns * wide - gap]


def stack_pairs(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Puts images above others: two of (..., H, W, C) give (..., 2H, W, C)."""
    return np.concatenate([top, bottom], axis=-3)


def join_side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Puts images beside others: two of (..., H, W, C) give (..., H, 2W, C)."""
    return np.concatenate([left, right], axis=-2)
