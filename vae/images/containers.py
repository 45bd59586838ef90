"""What JPEG, PNG and TIFF files hold around their pixels, bounded before Pillow looks.

A file may claim metadata, tables, chunks or passes without end, lack its own end, or
have a changed byte; Pillow believes nearly all of it. Here that is an `ImageError`.
"""

import contextlib
import io
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image

from vae.errors import ImageError

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
_JPEG_FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC))
_JPEG_MARKER = re.compile(rb"\xff+[^\0\xd0-\xd7\xff]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


def read_jpeg_head(file: BinaryIO) -> tuple[bytes, dict[str, Any]]:
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


def load_jpeg(content: bytes, on_note: Callable[[str], Any]) -> Image.Image:
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


def list_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
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


def check_sums(
    image: Image.Image, file: BinaryIO, on_note: Callable[[str], Any]
) -> Image.Image:
    """Refuses a PNG with a wrong checksum, which decoding does not look at.

    Returns the image, opened again if its end is missing: decoding says whether its
    pixels are whole.
    """
    end, kinds = SIGNATURE_BYTES, []
    for kind, place, length in list_chunks(file):
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


def check_tags(file: BinaryIO) -> None:
    """Refuses a TIFF with more numbers in its tags than pictures have, before Pillow.

    Followed are the first directory and those of EXIF, GPS and interoperability below
    it, which Pillow reads as well (TIFF 6.0, section 2).
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(16)
    order, big = TIFF_ORDERS[head[:2]], head[2:3] == b"+"
    offset, entry = (
        (f"{order}Q", f"{order}HHQ") if big else (f"{order}I", f"{order}HHI")
    )
    pending, total = [struct.unpack_from(offset, head, 8 if big else 4)[0]], 0
    for place in pending:
        file.seek(min(place, end))
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


def find_turn(image: Image.Image) -> int | None:
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
