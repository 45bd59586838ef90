"""Pictures that tests make for themselves: encoded, noisy, raw."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from vae.images.reading import read_image


def encode(picture, form="PNG", **options):
    """Returns a PIL image as the bytes of a file."""
    content = io.BytesIO()
    picture.save(content, form, **options)
    return content.getvalue()


def row(mode, *pixels):
    """Returns a PIL image that is one row of `pixels`."""
    picture = Image.new(mode, (len(pixels), 1))
    picture.putdata(pixels)
    return picture


def palette_row(*pixels):
    """Returns a palette image: 0 is red, 1 green, 2 blue."""
    picture = row("P", *pixels)
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    return picture


def levels(dtype, *values):
    """Returns a gray PIL image that is one row of more than 8 bits."""
    return Image.fromarray(np.array([values], dtype))


def chunk(name, data):
    """Returns one chunk of a PNG file."""
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum


def raw_png(width, height, data=b"", depth=8, colour=0, extra=b""):
    """Returns a PNG file that declares what it likes."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + chunks + chunk(b"IEND", b"")


def noise(side=32):
    """Returns a PIL image that compresses badly."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    return Image.fromarray(pixels)


def read(path, content, channels=3):
    """Writes `content` to `path` and reads it in the size it decodes to by itself."""
    path.write_bytes(content)
    with Image.open(path) as picture:
        picture.load()
        width, height = picture.size
        if picture.getexif().get(0x0112, 1) > 4:
            width, height = height, width
    return read_image(path, width, height, channels)
