"""Pictures in and out: find, read, resize, write, and lay out in sheets.

Image files are untrusted: only five formats are tried, whatever a file is called, and
size is checked before pixels are decoded. An image is uint8 (H, W, C), C being 3 (RGB)
or 1 (gray); this is the only place where pixels change range or size.
"""
import io
import logging
import os
import stat
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError

from vae.errors import RefusedError, VaeError
from vae.files import explain, natural_key, printable, replace_file
from vae.png import encode_png

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
MAX_MEGAPIXELS = 64
MAX_SIDE = 65535  # pixels; resizing a longer line takes memory out of all proportion
MAX_BYTES = MAX_MEGAPIXELS * 10**6 * 4  # of a file; some readers load it whole
PNG_LEVEL = 6  # fixed, so that equal pixels give equal files
_PIXEL_LIMIT = f"the limit of {MAX_MEGAPIXELS} megapixels"
_ORIENTATION_TAG = 0x0112  # EXIF
_UPRIGHT = {
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

# Pillow logs some damage that it raises for as well; without a handler that is printed.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class ImageError(VaeError):
    """An image can't be read; the message is the reason alone, without the path."""


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


def read_image(path, width, height, channels):
    """Reads one image file as pixels of a given size.

    The first frame is taken and turned upright by its EXIF orientation. Transparent
    parts are laid on black. 16-bit gray is divided by 257; float pixels must lie in
    0..1. Colour profiles are ignored. An image of another size is resized without
    keeping its aspect ratio.

    Args:
        path: the file; only a regular file is opened.
        width, height: pixels of the result.
        channels: 3 for RGB, 1 for gray (luma).

    Returns:
        uint8 array (height, width, channels).

    Raises:
        ImageError: it is no image, too large, damaged or unreadable.
    """
    try:
        pixels = _decode(path, channels)
    except ImageError:
        raise
    except Exception as error:  # Pillow raises nearly anything on damaged bytes
        raise ImageError(_reason(error)) from error
    return resize_image(pixels, width, height)


def _decode(path, channels):
    _check_file(os.stat(path))
    with warnings.catch_warnings(), open(path, "rb") as file:
        warnings.simplefilter("ignore")
        _open(file).verify()  # the checksums of a PNG, which decoding ignores
        image = _open(file)
        image.load()
        upright = _turn_upright(_to_rgb(image), image)
    return _to_array(upright if channels == 3 else upright.convert("L"))


def _check_file(status):
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise ImageError(f"{kind}, not a file")
    if status.st_size == 0:
        raise ImageError("an empty file")
    if status.st_size > MAX_BYTES:
        raise ImageError(f"{status.st_size} bytes, over the limit of {MAX_BYTES}")


def _open(file):
    file.seek(0)
    image = Image.open(file, formats=FORMATS)
    width, height = image.size
    if width * height > MAX_MEGAPIXELS * 10**6:
        raise ImageError(f"{width}x{height} pixels, over {_PIXEL_LIMIT}")
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"{width}x{height} pixels, over {MAX_SIDE} on one side")
    return image


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


def _turn_upright(picture, source):
    """Turns `picture` as the EXIF data of `source` says; broken EXIF says nothing."""
    try:
        turn = _UPRIGHT.get(source.getexif().get(_ORIENTATION_TAG))
    except Exception:
        return picture
    return picture if turn is None else picture.transpose(turn)


def _to_rgb(image):
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_to_levels(image)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba, canvas = image.convert("RGBA"), Image.new("RGB", image.size)
    canvas.paste(rgba, mask=rgba)
    return canvas


def _to_levels(image):
    """Gray of more than 8 bits as uint8; Pillow's own conversion clips it to white."""
    pixels = np.asarray(image)
    top = 1 if image.mode == "F" else 65535
    if not (pixels.min() >= 0 and pixels.max() <= top):  # catches NaN as well
        raise ImageError(f"pixel values outside 0..{top}")
    if image.mode == "F":
        return to_uint8(pixels)
    levels = (pixels.astype(np.int32) + 128) // 257
    transparent = pixels == image.info.get("transparency", -1)
    return np.where(transparent, 0, levels).astype(np.uint8)


def _to_array(picture):
    return np.array(picture).reshape(picture.height, picture.width, -1)


def resize_image(image, width, height):
    """Resizes with antialiasing (Lanczos); an image of that size is returned as is.

    Args:
        image: uint8 (H, W, C), C 1 or 3.
        width, height: pixels of what is returned; the aspect ratio may change.
    """
    if image.shape[:2] == (height, width):
        return image
    resized = _to_picture(image).resize((width, height), Image.Resampling.LANCZOS)
    return _to_array(resized)


def _to_picture(image):
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def write_png(path, image, repeats=False, sync=False):
    """Writes a PNG whole or not at all, in place of what was there.

    Equal pixels give equal bytes; nothing but pixels is stored.

    Args:
        path: the file; missing folders are made, a link is replaced.
        image: uint8 (H, W, C), C 1 or 3.
        repeats: it is a sheet or a chart, no face, and is packed with more care.
        sync: wait until the disk holds it.

    Raises:
        VaeError: it can't be written; an older file is still intact.
    """
    if repeats:
        content = io.BytesIO()
        _to_picture(image).save(content, "PNG", compress_level=PNG_LEVEL)
        replace_file(path, content.getvalue(), sync)
    else:
        replace_file(path, encode_png(image), sync)


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
    levels = np.rint(images.astype(np.float32).clip(0, 1) * 255)
    if np.isnan(levels).any():
        raise ValueError("a pixel is not a number")
    return levels.astype(np.uint8)


def to_float32(images):
    """Turns uint8 0..255 into float32 0..1; raises TypeError for anything else."""
    if images.dtype != np.uint8:
        raise TypeError(f"{images.dtype} pixels found, uint8 expected")
    return images.astype(np.float32) / 255
