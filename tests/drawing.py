"""Pictures that tests draw for themselves: faces, noise, encoded or raw."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def make_faces(count, height=24, width=20, channels=3, seed=0):
    """Draws simple pictures that vary smoothly: a disc that moves and opens.

    Returns:
        uint8 (N, H, W, C)
    """
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 6, 3) + np.arange(count)[:, None] / 7  # (N, 3)
    y, x = np.mgrid[0:height, 0:width] / [[[height]], [[width]]]
    centre = 0.5 + 0.15 * np.sin(phase)[:, :2]
    radius = 0.3 + 0.1 * np.sin(phase)[:, 2]
    distance = np.hypot(
        y - centre[:, 0, None, None], x - centre[:, 1, None, None]
    )  # (N, H, W)
    disc = np.clip((radius[:, None, None] - distance) * 20, 0, 1)
    tint = np.array([220, 160, 120][:channels])
    return (disc[..., None] * tint).astype(np.uint8)


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


def write_animation(path, form="WEBP"):
    """Writes three frames, the first one darker."""
    frames = [Image.new("RGB", (8, 8), (level,) * 3) for level in (10, 200, 90)]
    content = encode(frames[0], form, save_all=True, append_images=frames[1:])
    path.write_bytes(content)
