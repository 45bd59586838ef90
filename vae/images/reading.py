"""Decodes image files, which are untrusted.

Only the formats below are tried, whatever a file is called, and size is checked before
pixels are decoded.
"""

import contextlib
import ctypes
import io
import logging
import os
import stat
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from vae.errors import ImageError
from vae.files import explain
from vae.images.containers import (
    PNG_SIGNATURE,
    SIGNATURE_BYTES,
    TIFF_ORDERS,
    check_sums,
    check_tags,
    find_turn,
    list_chunks,
    load_jpeg,
    read_jpeg_head,
)
from vae.images.pixels import resize_image, to_array

FORMATS = ("PNG", "JPEG", "BMP", "DIB", "WEBP", "TIFF")  # DIB: BMP without its head
MAX_MEGAPIXELS = 64
MAX_SIDE = 65535  # pixels; resizing a longer line takes memory out of all proportion
MAX_BYTES = MAX_MEGAPIXELS * 10**6 * 4  # of a file; some readers load it whole
LARGE_PIXELS = 4 * 10**6  # pictures of more are decoded one at a time
_PIXEL_LIMIT = f"the limit of {MAX_MEGAPIXELS} megapixels"
_TRANSPARENT = "transparent everywhere, the colours below are used"
_LYING = (5, 6, 7, 8)  # orientations that swap width and height
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_one_large = threading.Lock()  # each takes up to a gigabyte, and there are many cores

# Pillow logs some damage that it raises for as well; without a handler that is printed.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# libtiff prints what it dislikes about a damaged file, past Python, unless it is told
# not to; where it can't be reached, it prints.
with contextlib.suppress(AttributeError, OSError):
    _libtiff = ctypes.CDLL(Image.core.__file__)
    _libtiff.TIFFSetErrorHandler(None)
    _libtiff.TIFFSetWarningHandler(None)


def read_image(
    path: str | os.PathLike,
    width: int,
    height: int,
    channels: int,
    on_note: Callable[[str], Any] | None = None,
) -> np.ndarray:
    """Reads one image file as pixels of a given size, uint8 (H, W, C).

    The first frame is taken and turned upright by its EXIF orientation. Transparent
    parts are laid on black, unless nothing else is there. 16-bit gray is divided by
    257; float pixels must lie in 0..1. Colour profiles are ignored. An image of another
    size is resized without keeping its aspect ratio. A JPEG or PNG that lacks its end,
    but none of its pixels, is read.

    Args:
        path: only a regular file is opened.
        channels: 3 for RGB, 1 for gray (luma).
        on_note: called with a line on what else is in the file, or is missing there.

    Raises:
        ImageError: it is no image, too large, damaged or unreadable.
    """
    on_note = on_note or (lambda line: None)
    try:
        with _open(path) as (image, file):
            large = image.width * image.height > LARGE_PIXELS
            with _one_large if large else contextlib.nullcontext():
                image = _load(image, file, on_note)
                rgb = _to_rgb(image, on_note)
                pixels = to_array(rgb if channels == 3 else rgb.convert("L"))
                return resize_image(pixels, width, height)
    except ImageError:
        raise
    except Exception as error:  # Pillow raises nearly anything on damaged bytes
        raise ImageError(_reason(error)) from error


def read_size(path: str | os.PathLike) -> tuple[int, int] | None:
    """Returns the upright (width, height) an image file declares, or None.

    Nothing is decoded; an EXIF record after the pixels of a PNG is not looked for.
    """
    try:
        with _open(path) as (image, _):
            turned = find_turn(image) in _LYING
            return image.size[::-1] if turned else image.size
    except Exception:  # Pillow raises nearly anything; reading will say what is wrong
        return None


@contextlib.contextmanager
def _open(path):
    """Yields (image, file), of which no more than the header is read and checked.

    Pillow makes objects of metadata without end: it gets none of a JPEG's, and no PNG
    or TIFF with too much of it.
    """
    _check_file(os.stat(path))
    with warnings.catch_warnings(action="ignore"), open(path, "rb") as file:
        start = file.read(SIGNATURE_BYTES)
        source, metadata = file, {}
        if start.startswith(b"\xff\xd8"):
            head, metadata = read_jpeg_head(file)
            source = io.BytesIO(head)
        elif start == PNG_SIGNATURE:
            next((kind for kind, *_ in list_chunks(file) if kind == b"IDAT"), None)
        elif start[:2] in TIFF_ORDERS:
            check_tags(file)
        if source is file:
            file.seek(0)
        image = Image.open(source, formats=FORMATS)
        image.info |= metadata
        check_size(*image.size)
        _check_strips(image)
        yield image, file


def _load(image, file, on_note):
    """Decodes the first frame and turns it upright."""
    several = image.info.get("several") or getattr(image, "is_animated", False)
    if image.format == "JPEG":
        metadata = image.info
        image = load_jpeg(image.fp.getvalue() + file.read(), on_note)
        image.info |= metadata
    elif image.format == "PNG":
        image = check_sums(image, file, on_note)
    image.load()
    if several:
        on_note("several frames, the first one is used")
    turn = _TURNS.get(find_turn(image))
    return image if turn is None else image.transpose(turn)


def _check_file(status):
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise ImageError(f"{kind}, not a file")
    if status.st_size == 0:
        raise ImageError("an empty file")
    if status.st_size > MAX_BYTES:
        raise ImageError(f"{status.st_size} bytes, over the limit of {MAX_BYTES}")


def check_size(width: int, height: int) -> None:
    """Raises `ImageError` for a picture or frame too large to be decoded."""
    if width * height > MAX_MEGAPIXELS * 10**6:
        raise ImageError(f"{width}x{height} pixels, over {_PIXEL_LIMIT}")
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"{width}x{height} pixels, over {MAX_SIDE} on one side")


def _check_strips(image):
    """Refuses a TIFF that sends its pixels over and over."""
    boxes = [tile.extents for tile in image.tile if tile.extents]
    stored = sum((right - left) * (low - high) for left, high, right, low in boxes)
    if stored > image.width * image.height * len(image.getbands()):
        raise ImageError("damaged (more strips than the picture has)")


def _reason(error):
    text = " ".join(str(error).split())
    if isinstance(error, UnidentifiedImageError):
        return "not an image (PNG, JPEG, BMP, WebP or TIFF)"
    if isinstance(error, Image.DecompressionBombError):
        return f"too many pixels, over {_PIXEL_LIMIT}"
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    if isinstance(error, OSError) and error.errno:
        return explain(error)
    return "truncated" if "truncated" in text.lower() else f"damaged ({text})"


def _to_rgb(image, on_note):
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_to_levels(image, on_note)).convert("RGB")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    rgba, canvas = image.convert("RGBA"), Image.new("RGB", image.size)
    if rgba.getchannel("A").getextrema() == (0, 0):
        on_note(_TRANSPARENT)
        return rgba.convert("RGB")
    canvas.paste(rgba, mask=rgba)
    return canvas


def _to_levels(image, on_note):
    """Gray of more than 8 bits as uint8; Pillow's own conversion clips it to white."""
    pixels = np.asarray(image)
    top = 1 if image.mode == "F" else 65535
    if not (pixels.min() >= 0 and pixels.max() <= top):  # catches NaN as well
        raise ImageError(f"pixel values outside 0..{top}")
    if image.mode == "F":
        return np.rint(pixels * 255).astype(np.uint8)
    levels = (pixels.astype(np.int32) + 128) // 257
    transparent = pixels == image.info.get("transparency", -1)
    if transparent.all():
        on_note(_TRANSPARENT)
        return levels.astype(np.uint8)
    return np.where(transparent, 0, levels).astype(np.uint8)
