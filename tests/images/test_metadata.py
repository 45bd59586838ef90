"""Metadata without end: bounded before Pillow makes objects of it."""

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from benchmarks.faults import bombs
from tests.drawing import chunk, encode, noise, raw_png
from vae.errors import ImageError
from vae.images.reading import read_image, read_size

LYING = Image.new("RGB", (40, 24), (200, 30, 90))


@pytest.fixture
def few(monkeypatch):
    """Makes the bombs small, but larger than the limits."""
    monkeypatch.setattr(bombs, "MILLIONS", 300_000)


def put_segments(content):
    record = bombs.rationals()
    parts = [record[start : start + 65_000] for start in range(0, len(record), 65_000)]
    made = [bombs.segment(b"\xe1", b"Exif\0\0" + part) for part in parts]
    return content[:2] + b"".join(made) + content[2:]


LARGE_EXIF = {
    "JPEG": lambda: put_segments(encode(LYING, "JPEG")),
    "PNG": lambda: encode(LYING, exif=bombs.rationals()),
    "WebP": lambda: encode(LYING, "WEBP", exif=bombs.rationals()),
}


@pytest.mark.parametrize("name", LARGE_EXIF)
def test_row_86_of_a_large_exif_record_the_orientation_alone_is_read(
    tmp_path, monkeypatch, few, name
):
    content = LARGE_EXIF[name]()

    def refuse(*arguments):
        raise AssertionError("an object was made of a number in it")

    monkeypatch.setattr(TiffImagePlugin, "IFDRational", refuse)
    (tmp_path / "x").write_bytes(content)
    assert read_size(tmp_path / "x") == (24, 40)
    assert read_image(tmp_path / "x", 24, 40, 3).shape == (40, 24, 3)


def count_texts(count):
    return raw_png(1, 1, b"\0\0", extra=chunk(b"tEXt", b"a\0b") * count)


def put_comments(count):
    content = encode(LYING, "JPEG")
    return content[:2] + bombs.segment(b"\xfe", b"") * count + content[2:]


ENDLESS = {
    "strips": (bombs.tiff_strips, "over 262144 numbers in its tags"),
    "EXIF of a TIFF": (bombs.tiff_exif, "over 262144 numbers in its tags"),
    "texts": (lambda: count_texts(1025), "over 1024 chunks that are no pixels"),
    "chunks": (
        lambda: raw_png(1, 1, extra=chunk(b"fcTL", b"") * 100_001),
        "over 100000 chunks",
    ),
    "comments": (
        lambda: put_comments(100_001),
        "over 100000 segments before its pixels",
    ),
    "fill": (
        lambda: b"\xff\xd8" + b"\xff" * 200_000,
        "over 100000 segments before its pixels",
    ),
    "tables": (
        lambda: b"\xff\xd8" + bombs.segment(b"\xdb", bytes(65_000)) * 17,
        "damaged (more tables than a picture has)",
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_row_86_metadata_without_end_is_refused(tmp_path, monkeypatch, few, name):
    make, reason = ENDLESS[name]
    content = make()

    def refuse(*arguments, **options):
        raise AssertionError("Pillow was given the file")

    monkeypatch.setattr(Image, "open", refuse)
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / "x", 4, 4, 3)
    assert str(caught.value) == reason
    assert read_size(tmp_path / "x") is None


def test_row_86_what_real_pictures_have_is_read(tmp_path):
    path = tmp_path / "x"
    for content in (count_texts(1024), put_comments(90_000), bombs.tiff({}, 1000)):
        path.write_bytes(content)
        assert read_image(path, 4, 4, 3).shape == (4, 4, 3)


def test_row_86_strips_that_come_again_are_refused(tmp_path):
    start = 72 + 2 + 12 * 8 + 4
    tags = {257: (3, 1, 8), 278: (3, 1, 7), 273: (4, 9, start), 279: (4, 9, start)}
    rest = (8).to_bytes(4, "little") * 9
    (tmp_path / "x").write_bytes(bombs.tiff(tags, rest=rest))
    with pytest.raises(ImageError, match="more strips than the picture has"):
        read_image(tmp_path / "x", 4, 4, 3)


def test_row_86_a_sparse_file_is_not_opened(tmp_path):
    bombs.sparse(tmp_path / "x")
    assert read_size(tmp_path / "x") is None
    with pytest.raises(ImageError, match="bytes, over the limit of"):
        read_image(tmp_path / "x", 4, 4, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_row_39_a_jpeg_is_turned_by_exif_or_by_xmp(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.zeros((24, 40), np.uint8)
    pixels[:8, :8] = 255
    plain = encode(Image.fromarray(pixels), "JPEG")
    xmp = f'<x tiff:Orientation="{orientation}"/>'.encode()
    body = b"http://ns.adobe.com/xap/1.0/\0" + xmp
    tagged = plain[:2] + bombs.segment(b"\xe1", body) + plain[2:]
    corner = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0)}
    corner |= {5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}
    for content in (encode(Image.fromarray(pixels), "JPEG", exif=exif), tagged):
        (tmp_path / "x").write_bytes(content)
        size = (24, 40) if orientation > 4 else (40, 24)
        assert read_size(tmp_path / "x") == size
        found = read_image(tmp_path / "x", *size, 1)[..., 0]
        ends = found[[0, -1]][:, [0, -1]] > 128
        assert np.argwhere(ends).tolist() == [list(corner[orientation])]


def test_row_41_more_pictures_behind_a_jpeg_are_told(tmp_path):
    first, notes = noise(16), []
    content = encode(first, "MPO", save_all=True, append_images=[noise(16)])
    (tmp_path / "x").write_bytes(content)
    read_image(tmp_path / "x", 4, 4, 3, notes.append)
    assert notes == ["several frames, the first one is used"]
