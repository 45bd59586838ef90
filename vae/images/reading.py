"""Find image files, and decode them; they are untrusted.

Only the formats below are tried, whatever a file is called, and size is checked before
pixels are decoded.
"""

import contextlib
import ctypes
import logging
import os
import stat
import threading
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vae.errors import RefusedError, VaeError
from vae.files import explain, natural_key, printable
from vae.images.pixels import resize_image, to_array

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
EXTENSIONS += (".apng", ".jfif", ".jif", ".jpe", ".dib")  # seldom; as Pillow has them
FORMATS = ("PNG", "JPEG", "BMP", "DIB", "WEBP", "TIFF")  # DIB: BMP without its head
MAX_MEGAPIXELS = 64
MAX_SIDE = 65535  # pixels; resizing a longer line takes memory out of all proportion
MAX_BYTES = MAX_MEGAPIXELS * 10**6 * 4  # of a file; some readers load it whole
LARGE_PIXELS = 4 * 10**6  # pictures of more are decoded one at a time
SIGNATURE_BYTES = 8  # of a PNG
MAX_PASSES = 64  # over a JPEG; each takes as long as all of a plain one
_PIXEL_LIMIT = f"the limit of {MAX_MEGAPIXELS} megapixels"
# Pictures and videos that a folder may hold and that are not read from it.
_OTHER_EXTENSIONS = frozenset(
    ".gif .heic .heif .avif .jxl .jp2 .j2k .jpx .jxr .psd .xcf .tga .exr .hdr .svg .eps"
    " .ppm .pgm .pbm .pnm .pcx .ico .icns .mpo .dng .cr2 .cr3 .crw .nef .nrw .arw .srf"
    " .sr2 .orf .rw2 .raf .pef .srw .3fr .raw"
    " .mp4 .m4v .mov .avi .mkv .webm .mpg .mpeg .wmv".split()
)
# What systems leave behind, in any case; names that begin with a dot are besides.
_SYSTEM_NAMES = frozenset(
    ("__macosx", "@eadir", "@recycle", "#recycle", "$recycle.bin", "lost+found")
    + ("system volume information", "thumbs.db", "desktop.ini")
)
_HIDDEN_FILE, _HIDDEN_FOLDER = "hidden or system file", "hidden or system folder"
_BROKEN, _OUTWARD = "broken link", "link that leads out of it"
_PLURALS = {kind: f"{kind}s" for kind in (_HIDDEN_FILE, _HIDDEN_FOLDER, _BROKEN)}
_PLURALS[_OUTWARD] = "links that lead out of it"
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


class ImageError(VaeError):
    """An image can't be read; the message is the reason alone, without the path."""


def read_image(
    path: str | os.PathLike,
    width: int,
    height: int,
    channels: int,
    on_note: Callable[[str], Any] | None = None,
) -> np.ndarray:
    """Reads one image file as pixels of a given size, uint8 (H, W, C).

    The first frame is taken and turned upright by its EXIF orientation. Transparent
    parts are laid on black. 16-bit gray is divided by 257; float pixels must lie in
    0..1. Colour profiles are ignored. An image of another size is resized without
    keeping its aspect ratio.

    Args:
        path: only a regular file is opened.
        channels: 3 for RGB, 1 for gray (luma).
        on_note: called with a line if there are more frames than the first.

    Raises:
        ImageError: it is no image, too large, damaged or unreadable.
    """
    try:
        _check_file(os.stat(path))
        with warnings.catch_warnings(action="ignore"), open(path, "rb") as file:
            image = _open(file)
            large = image.width * image.height > LARGE_PIXELS
            with _one_large if large else contextlib.nullcontext():
                _check_content(image.format, file)
                return resize_image(_load(image, channels, on_note), width, height)
    except ImageError:
        raise
    except Exception as error:  # Pillow raises nearly anything on damaged bytes
        raise ImageError(_reason(error)) from error


def _load(image, channels, on_note):
    image.load()
    if on_note and getattr(image, "is_animated", False):
        on_note("several frames, the first one is used")
    with contextlib.suppress(Exception):  # broken EXIF says nothing
        ImageOps.exif_transpose(image, in_place=True)
    rgb = _to_rgb(image)
    return to_array(rgb if channels == 3 else rgb.convert("L"))


def _check_file(status):
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise ImageError(f"{kind}, not a file")
    if status.st_size == 0:
        raise ImageError("an empty file")
    if status.st_size > MAX_BYTES:
        raise ImageError(f"{status.st_size} bytes, over the limit of {MAX_BYTES}")


def _open(file):
    image = Image.open(file, formats=FORMATS)
    width, height = image.size
    if width * height > MAX_MEGAPIXELS * 10**6:
        raise ImageError(f"{width}x{height} pixels, over {_PIXEL_LIMIT}")
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"{width}x{height} pixels, over {MAX_SIDE} on one side")
    return image


def _check_content(kind, file):
    """Refuses what decoding takes too long for, or wouldn't notice."""
    place = file.tell()
    file.seek(0)
    if kind == "PNG":
        _check_sums(file)
    elif file.read(2) == b"\xff\xd8":  # a JPEG may send its pixels over and over
        passes = file.read().count(b"\xff\xda")
        if passes > MAX_PASSES:
            raise ImageError(f"{passes} passes, over the limit of {MAX_PASSES}")
    file.seek(place)


def _check_sums(file):
    """Refuses a PNG with a wrong checksum, which decoding does not look at."""
    file.seek(SIGNATURE_BYTES)
    while (head := file.read(8))[4:] != b"IEND":
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        content, found = file.read(length), file.read(4)
        if len(found) < 4:
            raise ImageError("truncated")
        if zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big") != found:
            raise ImageError(f"damaged (broken PNG file: wrong checksum in {kind!r})")


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


def _to_rgb(image):
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_to_levels(image)).convert("RGB")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
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
        return np.rint(pixels * 255).astype(np.uint8)
    levels = (pixels.astype(np.int32) + 128) // 257
    transparent = pixels == image.info.get("transparency", -1)
    return np.where(transparent, 0, levels).astype(np.uint8)


def find_images(
    folder: str | os.PathLike, on_note: Callable[[str], Any] | None = None
) -> list[str]:
    """Returns the paths of all image files below `folder`, in natural order.

    They are relative to it, with "/" between parts. A file counts by its extension, in
    any case; pipes and folders of such a name are returned as well, for `read_image` to
    refuse. Hidden names, what systems leave behind (`__MACOSX`) and links that lead out
    of `folder` are left out. Linked folders are not entered; what they hold is found
    where it is.

    Args:
        on_note: called with a line that counts what is left out, if anything is.

    Raises:
        RefusedError: `folder` or one below can't be listed, or there is no image.
    """
    root = os.path.join(os.path.realpath(folder), "")
    names, left_out, pending = [], Counter(), [(folder, "")]
    while pending:
        path, prefix = pending.pop()
        for entry in _list_folder(path):
            kind = _find_kind(entry, root)
            if kind:
                left_out[kind] += 1
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append((entry.path, f"{prefix}{entry.name}/"))
            if _find_extension(entry) in EXTENSIONS:
                names.append(prefix + entry.name)
    counts = f"left out: {_list_counts(left_out)}"
    if not names:
        counts = f"; {counts}" if left_out else ""
        raise RefusedError(
            f"{printable(folder)}: no image found "
            f"(looked for {' '.join(EXTENSIONS)}{counts})"
        )
    if on_note and left_out:
        is_picture = not _OTHER_EXTENSIONS.isdisjoint(left_out)
        read = "; PNG, JPEG, BMP, WebP and TIFF are read" if is_picture else ""
        on_note(f"{printable(folder)}: {counts}{read}")
    return sorted(sorted(names), key=natural_key)  # what is in order sorts fast


def _find_extension(entry):
    return os.path.splitext(entry.name)[1].lower()


def _find_kind(entry, root):
    """Returns what an entry is left out as, or None.

    A broken link is kept if it is called like an image, to be told by its name.
    """
    extension = _find_extension(entry)
    if entry.name.startswith(".") or entry.name.lower() in _SYSTEM_NAMES:
        return _HIDDEN_FOLDER if entry.is_dir(follow_symlinks=False) else _HIDDEN_FILE
    if entry.is_symlink():
        is_image = extension in EXTENSIONS
        leads_out = not os.path.realpath(entry).startswith(root)
        if not os.path.exists(entry):
            return None if is_image and not leads_out else _BROKEN
        if leads_out and (is_image or entry.is_dir()):
            return _OUTWARD
    return extension if extension in _OTHER_EXTENSIONS and entry.is_file() else None


def _list_counts(counts):
    return ", ".join(
        f"{count} {_PLURALS.get(kind, kind) if count > 1 else kind}"
        for kind, count in sorted(counts.items())
    )


def _list_folder(folder: str | os.PathLike) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise RefusedError(
            f"{printable(folder)}: can't be listed ({explain(error)}), "
            "a folder of images expected"
        ) from error
