"""Pictures out: PNG files, grids and pairs of images, each uint8 (H, W, C)."""

import io
import math
import os
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import ImageDraw, ImageFont

from vae.files import replace_file
from vae.images.pixels import to_array, to_picture

LABEL_HEIGHT = 14  # pixels


def write_png(path: str | os.PathLike, image: np.ndarray, **settings: Any) -> None:
    """Writes uint8 (H, W, C) whole or not at all, in place of what was there.

    Equal pixels give equal bytes; nothing but pixels is stored. Missing folders are
    made, a link at `path` is replaced. `settings` are Pillow's.

    Raises:
        VaeError: it can't be written; an older file is still intact.
    """
    replace_file(path, encode_png(image, **settings))


def encode_png(image: np.ndarray, **settings: Any) -> bytes:
    """Returns uint8 (H, W, C) as the bytes of a PNG file; `settings` are Pillow's."""
    content = io.BytesIO()
    to_picture(image).save(content, "PNG", **settings)
    return content.getvalue()


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


def label_grid(
    sheet: np.ndarray,
    size: tuple[int, int],
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    gap: int = 2,
) -> np.ndarray:
    """Writes a line of text before each row of a grid and above each column.

    What would run into the text before it is left out.

    Args:
        sheet: uint8 (H, W, C), as `make_grid` returns it.
        size: (width, height) of its images in pixels. gap: as for `make_grid`.

    Returns:
        uint8 (H', W', C), the sheet in its lower right corner.
    """
    font = ImageFont.load_default()
    left = max((_text_width(font, text) + 4 for text in rows), default=0)
    top = LABEL_HEIGHT if any(columns) else 0
    sheet = np.pad(sheet, ((top, 0), (left, 0), (0, 0)))
    picture = to_picture(sheet)
    draw = ImageDraw.Draw(picture)
    white = (255,) * 3 if sheet.shape[2] == 3 else 255
    free = 0
    for number, text in enumerate(columns):
        at = left + number * (size[0] + gap)
        if at >= free:
            draw.text((at, 0), text, white, font)
            free = at + _text_width(font, text) + 4
    for number, text in enumerate(rows):
        draw.text((0, top + number * (size[1] + gap)), text, white, font)
    return to_array(picture)


def _text_width(font, text):
    return math.ceil(font.getlength(text))


def stack_pairs(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Puts images above others: two of (..., H, W, C) give (..., 2H, W, C)."""
    return np.concatenate([top, bottom], axis=-3)


def join_side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Puts images beside others: two of (..., H, W, C) give (..., H, 2W, C)."""
    return np.concatenate([left, right], axis=-2)
