"""Behaviour of image files in and out: names, decoding, damage, writing, sheets."""
import io
import os
import resource
import socket
import struct
import unicodedata
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vae import files, images
from vae.errors import RefusedError, VaeError
from vae.files import natural_key, plan_outputs, printable
from vae.images import ImageError, find_images, read_image, write_png

RGB_ROW = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 99, 200]]


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
def test_each_mode_gives_exact_rgb_pixels(tmp_path, name):
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
def test_exif_orientation_is_undone(tmp_path, orientation, form):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.array(UPRIGHT[1], np.uint8) * 40).convert("RGB")
    options = {"lossless": True} if form == "WEBP" else {}
    pixels = read(tmp_path / "x", encode(picture, form, exif=exif, **options))
    assert (pixels[..., 0] // 40).tolist() == UPRIGHT[orientation]


@pytest.mark.parametrize("exif", [b"Exif\0\0rubbish", b"II*\0\xff\xff\xff\xff", b""])
def test_broken_exif_is_ignored(tmp_path, recwarn, exif):
    content = raw_png(2, 1, b"\0\7\x08", extra=chunk(b"eXIf", exif))
    (tmp_path / "x").write_bytes(content)
    assert read_image(tmp_path / "x", 2, 1, 1).tolist() == [[[7], [8]]]
    assert not recwarn.list


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_first_frame_of_several(tmp_path, form):
    frames = [Image.new("RGB", (2, 1), colour) for colour in ((1, 2, 3), (9, 9, 9))]
    options = {"lossless": True} if form == "WEBP" else {}
    content = encode(
        frames[0], form, save_all=True, append_images=frames[1:], **options
    )
    assert read(tmp_path / "x", content).tolist() == [[[1, 2, 3], [1, 2, 3]]]


def test_resizing_is_antialiased_and_the_same_for_arrays_and_files(tmp_path):
    board = np.indices((64, 64)).sum(axis=0)[..., None] % 2 * np.uint8(255)
    board = board.astype(np.uint8)
    small = images.resize_image(board, 8, 4)
    assert small.shape == (4, 8, 1)
    assert np.abs(small.astype(int) - 127).max() <= 4
    picture = noise()
    (tmp_path / "x").write_bytes(encode(picture))
    resized = images.resize_image(np.array(picture), 20, 9)
    assert np.array_equal(read_image(tmp_path / "x", 20, 9, 3), resized)
    assert resized.shape == (9, 20, 3)


def test_resizing_to_the_same_size_returns_the_image_itself():
    image = np.array(noise())
    assert images.resize_image(image, 32, 32) is image
    assert images.resize_image(image, 32, 31) is not image


def broken_checksum():
    content = encode(noise())
    end = content.index(b"IEND") - 4
    return content[: end - 4] + b"\0\0\0\0" + content[end:]


def flipped_pixels():
    content = encode(noise())
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]


ZTXT_BOMB = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(4_000_000)))
HUGE = "pixels, over the limit of 64 megapixels"
DAMAGE = {
    "zero bytes": (b"", "an empty file"),
    "text.jpg": (b"hello\n", "not an image (PNG, JPEG, BMP, WebP or TIFF)"),
    "half a JPEG": (encode(noise(), "JPEG")[:900], "truncated"),
    "half a PNG": (encode(noise())[:1500], "truncated"),
    "checksum": (broken_checksum(), "damaged (broken PNG file"),
    "flipped": (flipped_pixels(), "damaged (broken PNG file"),
    "EPS": (encode(noise(), "EPS"), "not an image"),
    "PDF": (encode(noise(), "PDF"), "not an image"),
    "GIF": (encode(noise(), "GIF"), "not an image"),
    "PSD": (b"8BPS\0\1" + bytes(40), "not an image"),
    "FITS": (b"SIMPLE  =                    T".ljust(2880), "not an image"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(90), "not an image"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
    "bomb": (raw_png(20000, 20000), "too many " + HUGE),
    "bomb Pillow warns of": (raw_png(10000, 10000), "10000x10000 " + HUGE),
    "bomb Pillow takes": (raw_png(8001, 8000), "8001x8000 " + HUGE),
    "line": (raw_png(1, 65536), "1x65536 pixels, over 65535 on one side"),
    "0x0": (raw_png(0, 0), "not an image"),
    "text bomb": (raw_png(1, 1, b"\0\0", extra=ZTXT_BOMB), "damaged (Decompressed"),
    "over 16 bits": (encode(levels("i4", 0, 65536), "TIFF"), "pixel values outside"),
    "negative": (encode(levels("i4", -1, 0), "TIFF"), "pixel values outside 0..65535"),
    "float 0..255": (encode(levels("f4", 0, 255), "TIFF"), "pixel values outside 0..1"),
    "NaN": (encode(levels("f4", 0, np.nan), "TIFF"), "pixel values outside 0..1"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_line_without_the_path(tmp_path, recwarn, name):
    content, reason = DAMAGE[name]
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(ImageError) as caught:
        read_image(path, 4, 4, 3)
    message = str(caught.value)
    assert message.startswith(reason)
    assert "x.png" not in message and len(message.splitlines()) == 1
    assert not recwarn.list


def test_pixel_limit_itself_is_read(tmp_path):
    (tmp_path / "x").write_bytes(raw_png(1, 65535, bytes(2 * 65535)))
    assert read_image(tmp_path / "x", 2, 2, 1).shape == (2, 2, 1)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)


def make_large(path):
    with open(path, "wb") as file:
        file.truncate(images.MAX_BYTES + 1)


@pytest.mark.parametrize(
    "make, reason",
    [
        (os.mkfifo, "a named pipe, not a file"),
        (os.mkdir, "a folder, not a file"),
        (make_socket, "a socket, not a file"),
        (lambda path: os.symlink("/dev/zero", path), "a device, not a file"),
        (lambda path: os.symlink(path, path), "too many levels of symbolic links"),
        (lambda path: os.symlink("nowhere", path), "no such file or directory"),
        (make_large, "256000001 bytes, over the limit of 256000000"),
    ],
)
def test_what_is_no_image_file_is_not_opened(tmp_path, monkeypatch, make, reason):
    monkeypatch.chdir(tmp_path)  # a socket's path may not be long
    make("x.png")
    with pytest.raises(ImageError) as caught:
        read_image("x.png", 4, 4, 3)
    assert str(caught.value) == reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden_files_and_folders(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(encode(noise()))
    path.chmod(0)
    with pytest.raises(ImageError, match="^permission denied$"):
        read_image(path, 4, 4, 3)
    (tmp_path / "locked").mkdir(mode=0)
    with pytest.raises(RefusedError, match="locked: can't be listed .permission"):
        find_images(tmp_path)


def test_find_images_sorts_naturally_and_keeps_what_must_be_reported(tmp_path):
    for name in ("frame_10.png", "frame_2.PNG", "frame_1.jpeg", "notes.txt", ".png"):
        (tmp_path / name).touch()
    for folder in ("clip10", "clip9/deep", "x.tif"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.webp").touch()
    os.mkfifo(tmp_path / "pipe.bmp")
    assert find_images(tmp_path) == [
        "clip9/deep/a.webp",
        "clip10/a.webp",
        "frame_1.jpeg",
        "frame_2.PNG",
        "frame_10.png",
        "pipe.bmp",
        "x.tif",
        "x.tif/a.webp",
    ]


def test_find_images_follows_no_link_outside_and_ends_on_loops(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "in_other"
    for folder in (inside / "sub", outside):
        folder.mkdir(parents=True)
        (folder / "a.png").touch()
    (inside / "out.png").symlink_to(outside / "a.png")
    (inside / "folder").symlink_to(outside)
    with pytest.raises(RefusedError, match="no image found .*; 2 links lead out"):
        (inside / "sub" / "a.png").rename(inside / "sub" / "a.txt")
        find_images(inside)
    (inside / "sub" / "b.png").touch()
    (inside / "link.png").symlink_to(inside / "sub" / "b.png")
    (inside / "loop").symlink_to(inside)
    (inside / "loop.png").symlink_to("loop.png")
    assert find_images(inside) == ["link.png", "loop.png", "sub/b.png"]
    (tmp_path / "alias").symlink_to(inside)
    assert find_images(tmp_path / "alias") == find_images(inside)


def test_find_images_refuses_a_folder_without_images(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "new\nline").mkdir()
    for name, reason in [
        ("missing", r"missing: can't be listed \(no such file"),
        ("file", r"file: can't be listed \(not a directory"),
        ("new\nline", r"new\\nline: no image found \(looked for .png .jpg .jpeg "),
    ]:
        with pytest.raises(RefusedError, match=reason) as caught:
            find_images(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path))


@given(st.lists(st.integers(0, 10**30), unique=True), st.randoms())
def test_natural_order_is_the_order_of_numbers(numbers, random):
    names = [f"Clip{number % 7}/f{number}.png" for number in numbers]
    numbers = sorted(numbers, key=lambda number: (number % 7, number))
    expected = [f"Clip{number % 7}/f{number}.png" for number in numbers]
    random.shuffle(names)
    assert sorted(names, key=natural_key) == expected


@given(st.lists(st.text("aA1é0/\udcff"), unique=True), st.randoms())
def test_natural_order_is_total(names, random):
    shuffled = random.sample(names, len(names))
    assert sorted(shuffled, key=natural_key) == sorted(names, key=natural_key)


@pytest.mark.parametrize(
    "names, outputs",
    [
        (["a.jpg", "b/a.jpg"], ["a.png", "b/a.png"]),
        (["a.jpg", "a.png", "b.png"], ["a_jpg.png", "a_png.png", "b.png"]),
        (["A.png", "a.png"], ["A_png.png", "a_png_2.png"]),
        (["a.jpg", "a.png", "a_jpg.bmp"], ["a_jpg_2.png", "a_png.png", "a_jpg.png"]),
        (["é.png", "e\u0301.png"], ["é_png.png", "e\u0301_png_2.png"]),
        (["a.jpg", "a.png/b.jpg"], ["a_jpg.png", "a.png/b.png"]),
        (["con.jpg", "x/NUL.tar.png"], ["_con.png", "x/_NUL.tar.png"]),
        (["a. /b\n.png", "-x.png"], ["a/b_.png", "-x.png"]),
        (["b\udcff.png", "b_.png"], ["b__png.png", "b__png_2.png"]),
        (["../../x.png", "/etc/x.png"], ["_/_/x.png", "etc/x.png"]),
        (["é" * 125 + ".jpeg"], ["é" * 125 + ".png"]),
        (["é" * 126 + ".gz"], ["é" * 125 + ".png"]),
    ],
)
def test_outputs_of_given_names(names, outputs):
    assert plan_outputs(names) == outputs


PARTS = st.sampled_from(
    ["a", "A", "a.png", "a.jpg", "A.png", "a_png.png", "a_png_2.jpg", "é.png", "a."]
    + ["e\u0301.png", "ſ.png", "s.png", "K.png", "k.png", "nul.png", "COM1", "..", ""]
    + ["b\n.png", "b\udcff.png", "x" * 251 + ".png", "X" * 250 + ".jpg", "é" * 200]
) | st.text(max_size=5).map(lambda text: text.replace("/", ""))
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@given(st.lists(PATHS))
def test_outputs_are_distinct_and_writable_anywhere(names):
    outputs = plan_outputs(names)
    folded = {unicodedata.normalize("NFC", path).casefold() for path in outputs}
    assert len(folded) == len(outputs) == len(names)
    assert not any(path.startswith(f"{other}/") for path in folded for other in folded)
    for part in (part for path in outputs for part in path.split("/")):
        assert 0 < len(part.encode()) <= 255
        assert not any(char < " " or char in '<>:"|?*\\' for char in part)
        assert part == part.rstrip(". ") and len(part.splitlines()) == 1
        assert part.split(".")[0].upper() not in ("CON", "NUL", "COM1")


def test_outputs_of_many_twins_take_linear_time():
    outputs = plan_outputs(["a\n.png", "a_.png"] + ["a\t.png"] * 20_000)
    assert len(set(outputs)) == 20_002 and outputs[-1] == "a__png_20002.png"


@given(st.binary(max_size=20))
def test_printable_is_one_line_of_utf8(name):
    text = printable(name)
    assert len(text.splitlines()) <= 1 and text.isprintable()
    text.encode()


def test_printable_escapes_only_what_it_must():
    assert printable(b"caf\xc3\xa9 \xff\n\x1b[31m") == r"café \xff\n\x1b[31m"


@pytest.mark.parametrize("channels", [1, 3])
def test_png_round_trip_is_exact_bare_and_repeatable(tmp_path, channels):
    image = np.array(noise())[..., :channels]
    for path in (tmp_path / "new" / "folder" / "a.png", tmp_path / "b.png"):
        write_png(path, image)
        assert np.array_equal(read_image(path, 32, 32, channels), image)
        with Image.open(path) as picture:
            assert picture.info == {} and picture.format == "PNG"
            assert picture.mode == ("L" if channels == 1 else "RGB")
    content = (tmp_path / "b.png").read_bytes()
    assert content == (tmp_path / "new" / "folder" / "a.png").read_bytes()


def test_write_leaves_the_old_file_when_the_disk_fills_half_way(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(VaeError) as caught:
            write_png(path, np.array(noise()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value) == f"{path}: can't be written (file too large)"
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.png"]


def test_write_leaves_nothing_behind_when_interrupted(tmp_path, monkeypatch):
    def interrupt(*paths):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_png(tmp_path / "a.png", np.array(noise()))
    assert os.listdir(tmp_path) == []


def test_write_replaces_a_planted_link_and_refuses_a_folder(tmp_path):
    (tmp_path / "precious").write_bytes(b"precious")
    path = tmp_path / "a.png"
    path.symlink_to("precious")
    write_png(path, np.array(noise()))
    assert not path.is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"precious"
    (tmp_path / "b.png").mkdir()
    with pytest.raises(VaeError, match=r"b.png: can't be written \(is a directory\)"):
        write_png(tmp_path / "b.png", np.array(noise()))
    assert sorted(os.listdir(tmp_path)) == ["a.png", "b.png", "precious"]


def test_temporary_file_never_follows_a_link(tmp_path, monkeypatch):
    monkeypatch.setattr(files.secrets, "token_hex", lambda count: "guessed")
    (tmp_path / ".guessed.tmp").symlink_to("precious")
    with pytest.raises(VaeError, match="file exists"):
        write_png(tmp_path / "a.png", np.array(noise()))
    assert os.listdir(tmp_path) == [".guessed.tmp"]


def test_sync_is_asked_for(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    write_png(tmp_path / "a.png", np.array(noise()))
    assert len(synced) == 0
    write_png(tmp_path / "a.png", np.array(noise()), sync=True)
    assert len(synced) == 2  # the file, then the folder that holds its name


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_lays_out_rows_on_black(channels):
    batch = np.arange(1, 4, dtype=np.uint8)[:, None, None, None]
    batch = np.tile(batch, (1, 1, 2, channels))  # (3, 1, 2, C)
    sheet = images.make_grid(batch, columns=2, gap=1)
    assert sheet.dtype == np.uint8
    assert sheet[..., 0].tolist() == [[1, 1, 0, 2, 2], [0] * 5, [3, 3, 0, 0, 0]]
    assert sheet.shape == (3, 5, channels)
    bare = images.make_grid(batch, columns=1, gap=0)
    assert bare[..., -1].tolist() == [[1, 1], [2, 2], [3, 3]]
    assert images.make_grid(batch, columns=4).shape == (1, 14, channels)


def test_pairs_and_sides():
    left, right = np.full((2, 1, 2, 1), 1), np.full((2, 1, 2, 1), 2)
    assert images.stack_pairs(left, right)[0, ..., 0].tolist() == [[1, 1], [2, 2]]
    assert images.stack_pairs(left, right).shape == (2, 2, 2, 1)
    joined = images.join_side_by_side(left[0], right[0])
    assert joined[..., 0].tolist() == [[1, 1, 2, 2]]


def test_pixel_range_there_and_back():
    pixels = np.arange(256, dtype=np.uint8)
    floats = images.to_float32(pixels)
    assert floats.dtype == np.float32
    assert floats[[0, 51, 255]].tolist() == [0, np.float32(0.2), 1]
    assert np.array_equal(images.to_uint8(floats), pixels)
    extremes = np.array([-np.inf, -1, 0.0019, 0.002, 2, np.inf])
    assert images.to_uint8(extremes).tolist() == [0, 0, 0, 1, 255, 255]


def test_pixels_of_the_wrong_range_are_refused():
    with pytest.raises(TypeError, match="^uint8 pixels found, floats"):
        images.to_uint8(np.zeros(3, np.uint8))
    with pytest.raises(TypeError, match="^float32 pixels found, uint8"):
        images.to_float32(np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="not a number"):
        images.to_uint8(np.array([0.5, np.nan]))
