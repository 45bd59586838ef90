"""Pictures without their end, at every byte; and those that are transparent alone."""

import struct

import numpy as np
import pytest
from PIL import Image

from tests.drawing import chunk, encode, noise, raw_png, row
from vae.errors import ImageError
from vae.images.reading import read_image

FLAT = Image.new("RGB", (40, 24), (200, 30, 90))
SMOOTH = Image.fromarray(
    np.add.outer(np.arange(24) * 5, np.arange(40) * 3).astype(np.uint8)
)
JPEGS = {
    "plain": (noise(20), {}),
    "best": (noise(16), {"quality": 100, "subsampling": 0}),
    "worst": (noise(20), {"quality": 5}),
    "optimized": (noise(20), {"optimize": True}),
    "progressive": (noise(20), {"progressive": True}),
    "best, progressive": (noise(16), {"progressive": True, "quality": 100}),
    "restarts": (noise(20), {"restart_marker_blocks": 2}),
    "gray": (SMOOTH, {}),
    "flat": (FLAT, {"optimize": True}),
    "flat, progressive": (FLAT, {"progressive": True}),
    "flat, restarts": (FLAT, {"restart_marker_blocks": 1, "optimize": True}),
    "CMYK": (noise(20).convert("CMYK"), {}),
}
PNGS = {
    "RGB": encode(noise(10)),
    "palette": encode(noise(16).quantize(16)),
    "flat": encode(FLAT),
    "text behind": encode(noise(8))[:-12]
    + chunk(b"tEXt", b"Comment\0" + b"x" * 40)
    + chunk(b"IEND", b""),
}


def find_cuts(path, content, picture, start=0):
    """Cuts a file at each byte from `start` on; returns {bytes cut: notes} if read."""
    taken = {}
    path.write_bytes(content)
    whole = read_image(path, *picture.size, 3)
    for cut in range(start, len(content)):
        path.write_bytes(content[:cut])
        notes = []
        try:
            pixels = read_image(path, *picture.size, 3, notes.append)
        except ImageError as error:
            assert len(str(error).splitlines()) == 1
            continue
        assert np.array_equal(pixels, whole), cut
        taken[len(content) - cut] = notes
    return taken


@pytest.mark.parametrize("name", JPEGS)
def test_row_84_a_jpeg_cut_anywhere_is_read_whole_or_not_at_all(tmp_path, name):
    picture, options = JPEGS[name]
    content = encode(picture, "JPEG", **options)
    start = content.index(b"\xff\xda") - 20
    taken = find_cuts(tmp_path / "x", content, picture, start)
    assert {1, 2} <= set(taken)
    if "flat" not in name:  # there, cut bits may be those that all others are too
        assert max(taken) <= 4
    notes = ["its end marker is missing, none of its pixels are"]
    assert all(found == notes for found in taken.values())


@pytest.mark.parametrize("name", PNGS)
def test_row_84_a_png_cut_anywhere_is_read_whole_or_not_at_all(tmp_path, name):
    content = PNGS[name]
    with Image.open(write(tmp_path / "whole", content)) as picture:
        taken = find_cuts(tmp_path / "x", content, picture)
    behind = len(content) - content.rindex(b"IDAT") + 4
    behind -= 12 + int.from_bytes(content[len(content) - behind :][:4])
    assert set(range(5, behind + 1)) <= set(taken) <= set(range(1, behind + 1))
    notes = ["its end chunk is missing, none of its pixels are"]
    assert all(taken[cut] == notes for cut in range(5, behind + 1))


@pytest.mark.parametrize(
    "form, options",
    [
        ("BMP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "jpeg"}),
    ],
)
def test_row_84_other_formats_cut_anywhere_are_read_whole_or_not_at_all(
    tmp_path, form, options
):
    find_cuts(tmp_path / "x", encode(noise(12), form, **options), noise(12))


def write(path, content):
    path.write_bytes(content)
    return path


TRANSPARENT = {
    "RGBA": (row("RGBA", (9, 8, 7, 0), (1, 2, 3, 0)), {}, [[9, 8, 7], [1, 2, 3]]),
    "LA": (row("LA", (9, 0), (7, 0)), {}, [[9] * 3, [7] * 3]),
    "RGB key": (row("RGB", (9, 8, 7)), {"transparency": (9, 8, 7)}, [[9, 8, 7]]),
}


@pytest.mark.parametrize("name", TRANSPARENT)
def test_row_85_transparent_everywhere_means_the_colours(tmp_path, name):
    picture, options, expected = TRANSPARENT[name]
    check_transparent(write(tmp_path / "x", encode(picture, **options)), expected)


def test_row_85_transparent_everywhere_of_16_bits(tmp_path):
    data = struct.pack(">B2H", 0, 25700, 25700)
    extra = chunk(b"tRNS", struct.pack(">H", 25700))
    content = raw_png(2, 1, data, depth=16, extra=extra)
    check_transparent(write(tmp_path / "x", content), [[100] * 3] * 2)


def check_transparent(path, expected):
    notes = []
    assert read_image(path, len(expected), 1, 3, notes.append)[0].tolist() == expected
    assert notes == ["transparent everywhere, the colours below are used"]


def test_row_85_one_opaque_pixel_makes_the_others_black(tmp_path):
    picture, notes = row("RGBA", (9, 8, 7, 0), (1, 2, 3, 255)), []
    path = write(tmp_path / "x", encode(picture))
    pixels = read_image(path, 2, 1, 3, notes.append)
    assert pixels[0].tolist() == [[0, 0, 0], [1, 2, 3]] and not notes
