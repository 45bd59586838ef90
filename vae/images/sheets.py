"""Pictures in and out: find, read, resize, write, and lay out in sheets.

An image is uint8 (H, W, C), C being 3 (RGB) or 1 (gray). Here and in `vae.images.reading`,
which reads the files, is the only place where pixels change range or size.
"""
import io
import os
import zlib
from functools import partial

import numpy as np
from PIL import Image

from vae.errors import RefusedError
from vae.files import explain, natural_key, printable, replace_file
from vae.images.reading import decode, to_array

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


def find_images(folder):
    """Returns the paths of all image files below `folder`, in natural order.

    A file counts by its extension, in any case; pipes and folders of such a name are
    returned as well, for `read_image` to refuse. Linked folders are not entered, and
    links that lead out of `folder` are left out.

    Returns:
        List of str, relative to `folder`, with "/" between parts.

    Raises:
        RefusedError: `folder` or one below can't be listed, or there is no image.
    """
    root = os.path.join(os.path.realpath(folder), "")
    names, outside, pending = [], 0, [(folder, "")]
    while pending:
        path, prefix = pending.pop()
        for entry in _list_folder(path):
            if entry.is_symlink() and not os.path.realpath(entry).startswith(root):
                outside += 1
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append((entry.path, f"{prefix}{entry.name}/"))
            if os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
                names.append(prefix + entry.name)
    if not names:
        left_out = f"; {outside} links lead out of it" if outside else ""
        raise RefusedError(
            f"{printable(folder)}: no image found "
            f"(looked for {' '.join(EXTENSIONS)}{left_out})"
        )
    return sorted(sorted(names), key=natural_key)  # what is in order sorts fast


def _list_folder(folder):
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise RefusedError(
            f"{printable(folder)}: can't be listed ({explain(error)}), "
            "a folder of images expected"
        ) from error


def read_image(path, width, height, channels, note=None):
    """Reads one image file as pixels of a given size.

    The first frame is taken and turned upright by its EXIF orientation. Transparent
    parts are laid on black. 16-bit gray is divided by 257; float pixels must lie in
    0..1. Colour profiles are ignored. An image of another size is resized without
    keeping its aspect ratio.

    Args:
        path: the file; only a regular file is opened.
        width, height: pixels of the result.
        channels: 3 for RGB, 1 for gray (luma).
        note: called with a line if there are more frames than the first.

    Returns:
        uint8 array (height, width, channels).

    Raises:
        ImageError: it is no image, too large, damaged or unreadable.
    """
    finish = partial(resize_image, width=width, height=height)
    return decode(path, channels, finish, note)


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


def to_picture(image):
    """Returns uint8 (H, W, C), C 1 or 3, as a PIL image."""
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


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
