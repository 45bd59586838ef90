"""Image files of every mode and form, decoded to the same exact pixels."""

import struct

import numpy as np
import pytest
from PIL import Image

from tests.drawing import chunk, encode, levels, palette_row, raw_png, row
from vae.images.reading import read_image

RGB_ROW = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 99, 200]]


def read(path, content, channels=3):
    """Writes `content` to `path` and reads it in the size it decodes to by itself."""
    path.write_bytes(content)
    with Image.open(path) as picture:
        picture.load()
        width, height = picture.size
        if picture.getexif().get(0x0112, 1) > 4:
            width, height = height, width
    return read_image(path, width, height, channels)


def ycck():
    """Returns a JPEG of Y 200, no chroma, no black: 55 of each light is left."""
    content = encode(Image.new("CMYK", (8, 8), (55, 127, 127, 0)), "JPEG", quality=100)
    adobe = content.index(b"Adobe") + 11  # the byte that says how colour is stored
    assert content[adobe] == 0
    return content[:adobe] + b"\2" + content[adobe + 1 :]


GRAY16 = struct.pack(">B4H", 0, 0, 4000, 25700, 65535)
MODES = {
    "1": (encode(row("1", 0, 255)), [0, 255]),
    "L": (encode(row("L", 0, 77, 255)), [0, 77, 255]),
    "2-bit": (raw_png(4, 1, b"\0\x1b", depth=2), [0, 85, 170, 255]),
    "L key": (encode(row("L", 7, 200), transparency=200), [7, 0]),
    "LA": (encode(row("LA", (200, 255), (200, 0), (200, 128))), [200, 0, 100]),
    "RGB": (encode(row("RGB", *map(tuple, RGB_ROW))), RGB_ROW),
    "RGB key": (
        encode(row("RGB", (1, 2, 3), (4, 5, 6)), transparency=(4, 5, 6)),
        [[1, 2, 3], [0, 0, 0]],
    ),
    "RGBA": (
        encode(row("RGBA", (10, 20, 30, 255), (10, 20, 30, 0), (255, 100, 50, 51))),
        [[10, 20, 30], [0, 0, 0], [51, 20, 10]],
    ),
    "RGBA WebP": (
        encode(row("RGBA", (1, 2, 3, 255), (9, 9, 9, 0)), "WEBP", lossless=True),
        [[1, 2, 3], [0, 0, 0]],
    ),
    "P": (encode(palette_row(0, 1, 2)), RGB_ROW[:3]),
    "P index": (
        encode(palette_row(0, 1, 2), transparency=1),
        [[255, 0, 0], [0, 0, 0], [0, 0, 255]],
    ),
    "P alphas": (
        encode(palette_row(0, 1, 2), transparency=b"\xff\x33\x00"),
        [[255, 0, 0], [0, 51, 0], [0, 0, 0]],
    ),
    "CMYK": (
        encode(row("CMYK", (0, 0, 0, 0), (255, 0, 0, 0), (0, 0, 0, 255)), "TIFF"),
        [[255, 255, 255], [0, 255, 255], [0, 0, 0]],
    ),
    "YCCK": (ycck(), [55] * 8),
    "BMP": (encode(row("RGB", (1, 2, 3), (4, 5, 6)), "BMP"), [[1, 2, 3], [4, 5, 6]]),
    "I;16": (raw_png(4, 1, GRAY16, depth=16), [0, 16, 100, 255]),
    "I;16 key": (
        raw_png(4, 1, GRAY16, depth=16, extra=chunk(b"tRNS", b"\xff\xff")),
        [0, 16, 100, 0],
    ),
    "I;16B": (encode(levels(">u2", 0, 4000, 65535), "TIFF"), [0, 16, 255]),
    "I": (encode(levels("i4", 0, 4000, 65535), "TIFF"), [0, 16, 255]),
    "F": (encode(levels("f4", 0, 0.2, 1), "TIFF"), [0, 51, 255]),
    "16-bit RGB": (
        raw_png(1, 1, struct.pack(">B3H", 0, 256, 4000, 65535), depth=16, colour=2),
        [[1, 15, 255]],
    ),
}


@pytest.mark.parametrize("name", MODES)
def test_row_40_each_mode_gives_exact_rgb_pixels(tmp_path, name):
    content, expected = MODES[name]
    if not isinstance(expected[0], list):
        expected = [[value] * 3 for value in expected]
    pixels = read(tmp_path / "x", content)
    assert pixels.dtype == np.uint8
    assert pixels[0].tolist() == expected


@pytest.mark.parametrize(
    "name, expected",
    [
        ("RGB", [76, 150, 29, 84]),
        ("P", [76, 150, 29]),
        ("L", [0, 77, 255]),
        ("LA", [200, 0, 100]),
        ("I;16", [0, 16, 100, 255]),
    ],
)
def test_one_channel_is_luma(tmp_path, name, expected):
    pixels = read(tmp_path / "x", MODES[name][0], channels=1)
    assert pixels.shape == (1, len(expected), 1)
    assert pixels[0, :, 0].tolist() == expected


UPRIGHT = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_row_39_exif_orientation_is_undone(tmp_path, orientation, form):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.array(UPRIGHT[1], np.uint8) * 40).convert("RGB")
    options = {"lossless": True} if form == "WEBP" else {}
    pixels = read(tmp_path / "x", encode(picture, form, exif=exif, **options))
    assert (pixels[..., 0] // 40).tolist() == UPRIGHT[orientation]


@pytest.mark.parametrize("exif", [b"Exif\0\0rubbish", b"II*\0\xff\xff\xff\xff", b""])
def test_row_39_broken_exif_is_ignored(tmp_path, recwarn, exif):
    content = raw_png(2, 1, b"\0\7\x08", extra=chunk(b"eXIf", exif))
    (tmp_path / "x").write_bytes(content)
    assert read_image(tmp_path / "x", 2, 1, 1).tolist() == [[[7], [8]]]
    assert not recwarn.list


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_row_41_first_frame_of_several(tmp_path, form):
    frames = [Image.new("RGB", (2, 1), colour) for colour in ((1, 2, 3), (9, 9, 9))]
    options = {"lossless": True} if form == "WEBP" else {}
    content = encode(
        frames[0], form, save_all=True, append_images=frames[1:], **options
    )
    assert read(tmp_path / "x", content).tolist() == [[[1, 2, 3], [1, 2, 3]]]
