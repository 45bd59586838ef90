"""Behaviour of `prepare`: pixels, chunks, sizes, order and origins."""

import os

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.drawing import make_faces
from tests.files import files_below, load, write_crops, write_h5
from vae.data import sources
from vae.data.hdf5 import ImageFile
from vae.images.pixels import Target, fit_image


def test_pixels_order_and_origin_survive(tmp_path, run_cli):
    images = make_faces(70)
    folder = write_crops(tmp_path / "crops", images, "f{}.png")
    output = tmp_path / "data.h5"
    status, out, err = run_cli("prepare", folder, output)
    assert status == 0
    assert out.splitlines()[0] == f"{output}: 70 images, 20x24 RGB"
    data, names, frames = load(output)
    assert np.array_equal(data, images)
    assert names == [f"crops/f{number}.png" for number in range(1, 71)]
    assert frames == [0] * 70
    with ImageFile(str(output)) as file:
        assert (file.width, file.height, file.layout.name) == (20, 24, "rows-first")
        assert np.array_equal(file.read(0, 70), images)
    assert files_below(tmp_path).count("data.h5") == 1
    assert not [name for name in files_below(tmp_path) if name.endswith(".part")]


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_chunks_are_whole_images_of_a_megabyte_and_checked(
    tmp_path, run_cli, compression
):
    images = np.random.default_rng(0).integers(0, 256, (60, 112, 112, 3), np.uint8)
    folder = write_crops(tmp_path / "crops", images)
    output = tmp_path / "data.h5"
    assert run_cli("prepare", "--compression", compression, folder, output)[0] == 0
    with h5py.File(output) as file:
        assert file["data"].chunks == (27, 112, 112, 3)
        assert file["data"].fletcher32 and file["frame"].fletcher32
        assert file["data"].compression == (None if compression == "none" else "gzip")
        assert file["data"].attrs["layout"] == "rows-first"
        assert np.array_equal(file["data"][:], images)
        assert file["frame"][:].tolist() == list(range(1, 61))


def test_sizes_that_differ_become_112_with_a_line(tmp_path, run_cli):
    folder = write_crops(tmp_path / "crops", make_faces(2))
    write_crops(folder, make_faces(1, 30, 30), "large{}.png")
    output = tmp_path / "data.h5"
    status, _, err = run_cli("prepare", folder, output)
    assert status == 0
    assert err == (
        "--width, --height: images of 2 sizes found, 20x24 to 30x30; all are made"
        " 112x112 (--fit crop)\n"
    )
    assert load(output)[0].shape == (3, 112, 112, 3)


@pytest.mark.parametrize(
    "options, size",
    [
        (["--width", "10"], (10, 12)),
        (["--height", "12"], (10, 12)),
        (["--width", "8", "--height", "8"], (8, 8)),
    ],
)
def test_a_size_can_be_asked_for(tmp_path, run_cli, options, size):
    folder = write_crops(tmp_path / "crops", make_faces(3))
    output = tmp_path / "data.h5"
    assert run_cli("prepare", *options, folder, output)[0] == 0
    assert load(output)[0].shape == (3, size[1], size[0], 3)


def test_fit():
    image = np.zeros((10, 20, 3), np.uint8)
    image[:, :5], image[:, 5:15], image[:, 15:] = 50, 100, 200
    cropped = fit_image(image, Target(10, 10, 3, "crop"))
    assert (cropped == 100).all()
    padded = fit_image(image, Target(20, 20, 3, "pad"))
    assert np.array_equal(padded[5:15], image)
    assert not padded[:5].any() and not padded[15:].any()
    stretched = fit_image(image, Target(20, 40, 3, "stretch"))
    assert (stretched[:, 1] == 50).all() and (stretched[:, -2] == 200).all()
    gray = fit_image(image, Target(20, 10, 1, "crop"))
    assert gray.shape == (10, 20, 1) and (gray[:, 10] == 100).all()
    assert fit_image(gray, Target(20, 10, 3, "crop")).shape == (10, 20, 3)


def test_a_photo_that_lies_counts_with_its_upright_size(tmp_path, run_cli):
    exif = Image.Exif()
    exif[0x0112] = 6
    folder = tmp_path / "crops"
    folder.mkdir()
    Image.new("RGB", (30, 20)).save(folder / "a.jpg", exif=exif)
    output = tmp_path / "data.h5"
    assert run_cli("prepare", folder, output)[1].splitlines()[0].endswith("20x30 RGB")


@pytest.mark.parametrize("flip", [1, -1])
def test_bitmap_headers_are_read_as_pillow_reads_them(tmp_path, flip):
    path = tmp_path / "a.bmp"
    Image.new("RGB", (7, 5)).save(path)
    content = bytearray(path.read_bytes())
    content[22:26] = (5 * flip).to_bytes(4, "little", signed=True)
    path.write_bytes(content)
    with Image.open(path) as image:
        assert sources.read_size(path) == image.size == (7, 5)


def test_inputs_keep_their_order_and_pictures_sort_naturally(tmp_path, run_cli):
    images = make_faces(12)
    folder = write_crops(tmp_path / "z", images, "{}.png")
    old = write_h5(tmp_path / "old.h5", images[:2])
    pictures = sorted(folder.iterdir(), key=str)  # 1, 10, 11, 12, 2, as a shell does
    output = tmp_path / "data.h5"
    options = ["--layout", "rows-first"]
    assert run_cli("prepare", *options, old, *pictures, old, output)[0] == 0
    data, names, frames = load(output)
    assert np.array_equal(data, np.concatenate([images[:2], images, images[:2]]))
    assert names[:2] == ["old.h5"] * 2 and frames[:2] == [0, 1]
    last_parts = [os.path.basename(name) for name in names]
    assert last_parts[2:5] == ["1.png", "2.png", "3.png"]
