"""Damaged, hostile and missing pictures: what is said, and what is never opened."""

import os
import socket
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.drawing import chunk, encode, levels, noise, raw_png
from vae.errors import ImageError, RefusedError
from vae.images import reading
from vae.images.folders import find_images
from vae.images.reading import read_image


def broken_checksum():
    content = encode(noise())
    end = content.index(b"IEND") - 4
    return content[: end - 4] + b"\0\0\0\0" + content[end:]


def flipped_pixels():
    content = encode(noise())
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]


def many_passes(count):
    content = encode(noise(8), "JPEG", progressive=True)
    passes = content.count(b"\xff\xda")
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * (count - passes) + b"\xff\xd9"


ZTXT_BOMB = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(4_000_000)))
HUGE = "pixels, over the limit of 64 megapixels"
DAMAGE = {
    "row_36 zero bytes": (b"", "an empty file"),
    "row_36 text.jpg": (b"hello\n", "not an image (PNG, JPEG, BMP, WebP or TIFF)"),
    "row_36 half a JPEG": (encode(noise(), "JPEG")[:900], "truncated"),
    "row_36 half a PNG": (encode(noise())[:1500], "truncated"),
    "row_36 checksum": (broken_checksum(), "damaged (broken PNG file"),
    "row_36 flipped": (flipped_pixels(), "damaged (broken PNG file"),
    "row_38 EPS": (encode(noise(), "EPS"), "not an image"),
    "row_38 PDF": (encode(noise(), "PDF"), "not an image"),
    "row_38 GIF": (encode(noise(), "GIF"), "not an image"),
    "row_38 PSD": (b"8BPS\0\1" + bytes(40), "not an image"),
    "row_38 FITS": (b"SIMPLE  =                    T".ljust(2880), "not an image"),
    "row_38 HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(90), "not an image"),
    "row_38 SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
    "row_37 bomb": (raw_png(20000, 20000), "too many " + HUGE),
    "row_37 bomb Pillow warns of": (raw_png(10000, 10000), "10000x10000 " + HUGE),
    "row_37 bomb Pillow takes": (raw_png(8001, 8000), "8001x8000 " + HUGE),
    "row_37 line": (raw_png(1, 65536), "1x65536 pixels, over 65535 on one side"),
    "row_37 passes": (many_passes(65), "65 passes, over the limit of 64"),
    "row_37 0x0": (raw_png(0, 0), "not an image"),
    "row_37 text bomb": (
        raw_png(1, 1, b"\0\0", extra=ZTXT_BOMB),
        "damaged (Decompressed",
    ),
    "row_40 over 16 bits": (
        encode(levels("i4", 0, 65536), "TIFF"),
        "pixel values outside",
    ),
    "row_40 negative": (
        encode(levels("i4", -1, 0), "TIFF"),
        "pixel values outside 0..65535",
    ),
    "row_40 float 0..255": (
        encode(levels("f4", 0, 255), "TIFF"),
        "pixel values outside 0..1",
    ),
    "row_40 NaN": (
        encode(levels("f4", 0, np.nan), "TIFF"),
        "pixel values outside 0..1",
    ),
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


@pytest.mark.parametrize("packing", ["tiff_lzw", "tiff_adobe_deflate", "jpeg", None])
def test_row_36_nothing_is_printed_past_python(tmp_path, capfd, packing):
    good, rng = encode(noise(), "TIFF", compression=packing), np.random.default_rng(0)
    failed = 0
    for _ in range(60):
        content = bytearray(good)
        content[rng.integers(len(good))] ^= 0xFF
        (tmp_path / "x").write_bytes(content)
        try:
            read_image(tmp_path / "x", 4, 4, 3)
        except ImageError:
            failed += 1
    assert capfd.readouterr() == ("", "") and failed


def test_row_37_the_most_passes_are_read(tmp_path):
    (tmp_path / "x").write_bytes(many_passes(64))
    assert read_image(tmp_path / "x", 2, 2, 1).shape == (2, 2, 1)


def test_pixel_limit_itself_is_read(tmp_path):
    (tmp_path / "x").write_bytes(raw_png(1, 65535, bytes(2 * 65535)))
    assert read_image(tmp_path / "x", 2, 2, 1).shape == (2, 2, 1)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)


def make_large(path):
    with open(path, "wb") as file:
        file.truncate(reading.MAX_BYTES + 1)


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
def test_row_47_what_is_no_image_file_is_not_opened(
    tmp_path, monkeypatch, make, reason
):
    monkeypatch.chdir(tmp_path)  # a socket's path may not be long
    make("x.png")
    with pytest.raises(ImageError) as caught:
        read_image("x.png", 4, 4, 3)
    assert str(caught.value) == reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_row_47_forbidden_files_and_folders(tmp_path):
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


def test_row_46_find_images_follows_no_link_outside_and_ends_on_loops(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "in_other"
    for folder in (inside / "sub", outside):
        folder.mkdir(parents=True)
        (folder / "a.png").touch()
    (inside / "out.png").symlink_to(outside / "a.png")
    (inside / "folder").symlink_to(outside)
    with pytest.raises(RefusedError, match="no image .* out: 2 links that lead out of"):
        (inside / "sub" / "a.png").rename(inside / "sub" / "a.txt")
        find_images(inside)
    (inside / "sub" / "b.png").touch()
    (inside / "link.png").symlink_to(inside / "sub" / "b.png")
    (inside / "loop").symlink_to(inside)
    (inside / "loop.png").symlink_to("loop.png")
    assert find_images(inside) == ["link.png", "loop.png", "sub/b.png"]
    (tmp_path / "alias").symlink_to(inside)
    assert find_images(tmp_path / "alias") == find_images(inside)


def touch(folder, *names):
    """Makes empty files; returns the folder."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


JUNK = ["._a.png", ".hidden.png", "sub/.DS_Store", "Thumbs.db", "sub/DESKTOP.INI"]
JUNK_FOLDERS = ["__MACOSX", "@eaDir", "sub/.thumbnails", ".ipynb_checkpoints", ".x/.y"]


def test_row_81_hidden_names_and_what_systems_leave_are_counted_not_read(tmp_path):
    root, notes = tmp_path / ".crops", []  # what the user names may be hidden
    touch(root, "a.png", "sub/b.png", *JUNK, *(f"{at}/c.png" for at in JUNK_FOLDERS))
    assert find_images(root, notes.append) == ["a.png", "sub/b.png"]
    counts = "5 hidden or system files, 5 hidden or system folders"
    assert notes == [f"{root}: left out: {counts}"]
    (root / "a.png").rename(root / ".a.png")
    (root / "sub" / "b.png").unlink()
    with pytest.raises(RefusedError, match="left out: 6 hidden or system files, 5 hid"):
        find_images(root)


def test_row_82_other_pictures_and_links_are_counted(tmp_path):
    root, notes = touch(tmp_path / "in", "a.png", "notes.txt", "clip.csv"), []
    assert find_images(root, notes.append) == ["a.png"] and not notes
    kinds = "heic HEIC heif avif gif jp2 psd tga exr svg ppm dng CR2 nef mp4".split()
    touch(root, *(f"{number}.{kind}" for number, kind in enumerate(kinds)))
    (root / "clip.gif").mkdir()
    touch(tmp_path / "out", "b.png", "notes.txt")
    for name in ("b.png", "notes.txt", "gone.png", "gone"):
        (root / f"link_{name}").symlink_to(tmp_path / "out" / name)
    (root / "out").symlink_to(tmp_path / "out")
    (root / "inside").symlink_to(root / "clip.gif")
    assert find_images(root, notes.append) == ["a.png"]
    extensions = sorted(kind for kind in kinds if kind.islower() and kind != "heic")
    counts = [f"1 .{kind}" for kind in extensions + ["cr2"]] + ["2 .heic"]
    counts.sort(key=lambda count: count.split(" ")[1])
    assert notes == [
        f"{root}: left out: {', '.join(counts)}, 2 broken links, 2 links that lead out"
        " of it; PNG, JPEG, BMP, WebP and TIFF are read"
    ]


@pytest.mark.parametrize("ending", ["jfif", "JPE", "jif", "dib", "bmp.dib", "apng"])
def test_row_82_seldom_extensions_are_found_and_read(tmp_path, ending):
    forms = {"dib": "DIB", "bmp.dib": "BMP", "apng": "PNG"}
    content = encode(Image.new("RGB", (4, 4), (10, 10, 10)), forms.get(ending, "JPEG"))
    (tmp_path / f"a.{ending}").write_bytes(content)
    [name] = find_images(tmp_path)
    assert (read_image(tmp_path / name, 4, 4, 3) == 10).all()


def test_row_35_find_images_refuses_a_folder_without_images(tmp_path):
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
