"""Find image files, and decode them; they are untrusted.

Only the formats below are tried, whatever a file is called, and size is checked before
pixels are decoded.
"""

import contextlib
import ctypes
import io
import logging
import os
import re
import stat
import struct
import threading
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

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
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
SIGNATURE_BYTES = len(PNG_SIGNATURE)
MAX_CHUNKS = 100_000  # of a PNG; most writers put 8 KB or more into each
MAX_OTHER_CHUNKS = 1024  # of them that hold no pixels
MAX_PASSES = 64  # over a JPEG; each takes as long as all of a plain one
MAX_SEGMENTS = 100_000  # of a JPEG, before its pixels
MAX_HEAD_BYTES = 1 << 20  # of a JPEG's tables; a hundredth of that is usual
ENDING_BYTES = 4096  # put behind a JPEG that was cut; two units of pixels take less
TIFF_ORDERS = {b"II": "<", b"MM": ">"}
TIFF_BYTES = (1, 2, 6, 7)  # types that stay bytes
TIFF_DIRECTORIES = (34665, 34853, 40965)  # EXIF, GPS, interoperability
MAX_DIRECTORIES = 8
MAX_NUMBERS = 1 << 18  # in the tags of a TIFF; 65535 strips have half as many
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
_JPEG_FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC))
_JPEG_MARKER = re.compile(rb"\xff+[^\0\xd0-\xd7\xff]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
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
            turned = _find_turn(image) in _LYING
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
            head, metadata = _read_jpeg_head(file)
            source = io.BytesIO(head)
        elif start == PNG_SIGNATURE:
            next((kind for kind, *_ in _list_chunks(file) if kind == b"IDAT"), None)
        elif start[:2] in TIFF_ORDERS:
            _check_tags(file)
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
        image = _load_jpeg(image.fp.getvalue() + file.read(), on_note)
        image.info |= metadata
    elif image.format == "PNG":
        image = _check_sums(image, file, on_note)
    image.load()
    if several:
        on_note("several frames, the first one is used")
    turn = _TURNS.get(_find_turn(image))
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


def _read_jpeg_head(file):
    """Returns what stands before a JPEG's pixels, but metadata; and {name: metadata}.

    Kept out are the segments APP1 to APP15 and COM, but Adobe's, which tells how
    colours are stored (ISO/IEC 10918-6). The EXIF record is the first one.
    """
    head, metadata, kept, frames = [b"\xff\xd8"], {}, 0, 0
    file.seek(2)
    for _ in range(MAX_SEGMENTS):
        start = file.read(2)
        if start[:1] != b"\xff" or start[1:] in (b"\0", b"\xff"):
            if len(start) < 2:
                raise ImageError("truncated")
            file.seek(-1, os.SEEK_CUR)  # no marker yet
            continue
        kind, size = start[1:], file.read(2)
        body = file.read(max(0, int.from_bytes(size) - 2))
        if b"\xe1" <= kind <= b"\xef" or kind == b"\xfe":
            if kind == b"\xe1" and body.startswith(b"Exif\0\0"):
                metadata.setdefault("exif", body)
            if kind == b"\xe1" and body.startswith(b"http://ns.adobe.com/xap/1.0/"):
                metadata.setdefault("xmp", body)
            metadata |= {"several": True} if body.startswith(b"MPF\0") else {}
            if not body.startswith(b"Adobe"):
                continue
        kept += len(body)
        frames += ord(kind or b"\0") in _JPEG_FRAMES
        if kept > MAX_HEAD_BYTES or frames > 1:
            raise ImageError("damaged (more tables than a picture has)")
        head.append(start + size + body)
        if kind == b"\xda" or not size:
            return b"".join(head), metadata
    raise ImageError(f"over {MAX_SEGMENTS} segments before its pixels")


def _load_jpeg(content, on_note):
    """Decodes a JPEG; one that is only without its end is taken, others are not.

    What its pixels lack, if anything, is what follows the cut. Four endings are tried,
    each of other bits than the next: if they make no difference, nothing is missing.
    Between their bits stands the restart marker that may be due, without which the
    decoder would fill the rest in by itself.
    """
    passes = content.count(b"\xff\xda")  # a JPEG may send its pixels over and over
    if passes > MAX_PASSES:
        raise ImageError(f"{passes} passes, over the limit of {MAX_PASSES}")
    image = Image.open(io.BytesIO(content), formats=("JPEG",))
    try:
        image.load()
        return image
    except OSError as error:
        if "truncated" not in str(error):
            raise
    content = content.removesuffix(b"\xff")
    restarts = _count_restarts(content)
    if restarts is None:
        raise ImageError("truncated")
    first = None
    for bits in (b"\0", b"\xfe", b"\x55", b"\xaa"):
        due = bytes((0xFF, 0xD0 + restarts % 8))
        ending = bits * ENDING_BYTES + due + bits * ENDING_BYTES + b"\xff\xd9"
        image = Image.open(io.BytesIO(content + ending), formats=("JPEG",))
        pixels = np.asarray(image)
        first = pixels if first is None else first
        if not np.array_equal(first, pixels):
            raise ImageError("truncated")
    on_note("its end marker is missing, none of its pixels are")
    return image


def _count_restarts(content):
    """Number of restart markers in the last scan of a JPEG that was cut.

    It is None if the cut isn't within a scan, or if scans are missing: those there must
    send each coefficient of each component, to its last bit (ISO/IEC 10918-1, G.1).
    """
    at, kind, low_bits = 2, 0, {}
    while found := _JPEG_MARKER.search(content, at):
        kind, start = content[found.end() - 1], found.end()
        at = start + int.from_bytes(content[start : start + 2])
        body = content[start + 2 : at]
        if at > len(content) or (kind in (*_JPEG_FRAMES, 0xDA) and len(body) < 6):
            return None
        if kind in _JPEG_FRAMES:
            low_bits = {name: [None] * 64 for name in body[6::3][: body[5]]}
        if kind == 0xDA:
            count = body[0]
            first, last, bits = body[1 + 2 * count : 4 + 2 * count]
            for name in body[1 : 1 + 2 * count : 2]:
                sent = range(first, min(last, 63) + 1)
                low_bits[name] = [
                    bits & 15 if place in sent else low
                    for place, low in enumerate(low_bits[name])
                ]
    if kind != 0xDA or any(low != 0 for lows in low_bits.values() for low in lows):
        return None
    return len(_RESTART.findall(content, at))


def _list_chunks(file):
    """Yields (kind, place, length) of each chunk of a PNG up to its end."""
    place, others = SIGNATURE_BYTES, 0
    for _ in range(MAX_CHUNKS):
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = int.from_bytes(head[:4]), head[4:]
        yield kind, place, length
        if kind == b"IEND":
            return
        others += kind[:1].islower() and kind not in (b"fcTL", b"fdAT")
        if others > MAX_OTHER_CHUNKS:
            raise ImageError(f"over {MAX_OTHER_CHUNKS} chunks that are no pixels")
        place += 12 + length
    raise ImageError(f"over {MAX_CHUNKS} chunks")


def _check_sums(image, file, on_note):
    """Refuses a PNG with a wrong checksum, which decoding does not look at.

    Returns the image, opened again if its end is missing: decoding says whether its
    pixels are whole.
    """
    end, kinds = SIGNATURE_BYTES, []
    for kind, place, length in _list_chunks(file):
        kinds.append(kind)
        if kind == b"IEND":
            return image
        file.seek(place + 8)
        content, found = file.read(length), file.read(4)
        if len(found) < 4:
            break
        if zlib.crc32(content, zlib.crc32(kind)).to_bytes(4) != found:
            raise ImageError(f"damaged (broken PNG file: wrong checksum in {kind!r})")
        end = place + 12 + length
    if b"IDAT" not in kinds or (kind == b"IDAT" and len(found) < 4):
        raise ImageError("truncated")
    file.seek(0)
    content = file.read(end) + PNG_END
    image = Image.open(io.BytesIO(content), formats=("PNG",))
    image.load()
    on_note("its end chunk is missing, none of its pixels are")
    return image


def _check_tags(file):
    """Refuses a TIFF with more numbers in its tags than pictures have, before Pillow.

    Followed are the first directory and those of EXIF, GPS and interoperability below
    it, which Pillow reads as well (TIFF 6.0, section 2).
    """
    file.seek(0)
    head = file.read(16)
    order, big = TIFF_ORDERS[head[:2]], head[2:3] == b"+"
    offset, entry = (
        (f"{order}Q", f"{order}HHQ") if big else (f"{order}I", f"{order}HHI")
    )
    pending, total = [struct.unpack_from(offset, head, 8 if big else 4)[0]], 0
    for place in pending:
        file.seek(min(place, MAX_BYTES))
        start = file.read(8 if big else 2)
        count = int.from_bytes(start, "little" if order == "<" else "big")
        total += count
        for _ in range(count if total <= MAX_NUMBERS else 0):
            content = file.read(20 if big else 12)
            if len(content) < (20 if big else 12):
                break
            tag, kind, size = struct.unpack_from(entry, content)
            total += size if kind not in TIFF_BYTES else 0
            if tag in TIFF_DIRECTORIES and len(pending) < MAX_DIRECTORIES:
                pending.append(struct.unpack_from(offset, content, 12 if big else 8)[0])
        if total > MAX_NUMBERS:
            raise ImageError(f"over {MAX_NUMBERS} numbers in its tags")


def _find_turn(image):
    """The EXIF orientation, 1 to 8, of the EXIF record or else of XMP; None without.

    Pillow turns a TIFF by itself, and would make objects of all that a record holds.
    """
    if image.format == "TIFF":
        return None
    info, turn = image.info, None
    with contextlib.suppress(Exception):  # broken EXIF says nothing
        turn = _read_turn(info.get("exif") or _unpack_profile(info))
    for name in ("XML:com.adobe.xmp", "xmp"):
        if turn is None and info.get(name):
            text = (
                info[name]
                if isinstance(info[name], str)
                else info[name].decode("latin")
            )
            found = re.search(r'tiff:Orientation(?:="|>)([0-9])', text)
            turn = int(found[1]) if found else None
    return turn


def _unpack_profile(info):
    """The EXIF record that ImageMagick writes as hexadecimal text."""
    return bytes.fromhex("".join(info["Raw profile type exif"].split("\n")[3:]))


def _read_turn(record):
    """Reads one tag of the first directory of an EXIF record (TIFF 6.0, section 2)."""
    while record.startswith(b"Exif\0\0"):
        record = record[6:]
    order = TIFF_ORDERS[record[:2]]
    (place,) = struct.unpack_from(f"{order}I", record, 4)
    (count,) = struct.unpack_from(f"{order}H", record, place)
    for at in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", record, at)
        if tag == ExifTags.Base.Orientation:
            form = {1: "B", 4: "I"}.get(kind, "H")
            return struct.unpack_from(order + form, record, at + 8)[0]
    return None


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
