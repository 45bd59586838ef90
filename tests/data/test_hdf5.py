"""Reading image files: kinds of numbers, which axis is the width, fingerprints."""

import os

import h5py
import numpy as np
import pytest

from tests.drawing import make_faces
from tests.files import write_h5
from vae.data import hdf5
from vae.data.hdf5 import ImageFile
from vae.errors import RefusedError, VaeError

NOTE = (
    "--layout: images of 20 x 28 are read as 20 wide and 28 high, the documented order;"
    " say --layout rows-first if they lie on their side"
)
LEVELS = np.arange(256, dtype=np.uint8).reshape(1, 8, 32, 1)  # every gray level


@pytest.fixture
def open_images(tmp_path):
    """Returns a function that writes images to a file and opens it."""

    def start(images, recorded=None, layout="auto", size=(None, None), **settings):
        path = write_h5(tmp_path / "in.h5", images, **settings)
        if recorded is not None:
            with h5py.File(path, "a") as file:
                file["data"].attrs["layout"] = recorded
        return ImageFile(path, layout=layout, size=size)

    return start


def read_all(file):
    """Returns all images of a file."""
    with file:
        return file.read(0, file.count)


@pytest.mark.parametrize("dtype", ["u1", "f2", "f4", ">f4", "f8", ">f8"])
def test_row_28_every_kind_of_number_gives_the_same_pixels(dtype, open_images):
    images = LEVELS if dtype == "u1" else (LEVELS / 255).astype(dtype)
    found = read_all(open_images(images, layout="rows-first"))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, LEVELS)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("height, width", [(4, 4), (7, 5), (5, 7), (31, 33)])
def test_sizes_and_channels_are_those_of_the_file(channels, height, width, open_images):
    images = make_faces(5, height, width, channels)
    file = open_images(images, layout="rows-first")
    assert (file.height, file.width, file.channels) == (height, width, channels)
    np.testing.assert_array_equal(read_all(file), images)


def test_the_largest_side_is_read(open_images):
    images = np.zeros((1, 4, 1024, 1), np.uint8)
    assert open_images(images, layout="rows-first").width == 1024


def test_a_square_image_is_read_with_rows_first(open_images):
    images = make_faces(3, 20, 20)
    file = open_images(images)
    assert (file.layout.name, file.layout.note) == ("rows-first", "")
    np.testing.assert_array_equal(read_all(file), images)


BYTES = np.bytes_(b"rows-first")
AS_OTHERS_STORE = {
    "bytes": BYTES,
    "padded bytes": np.array(b"rows-first", "S16"),
    "one of an array": np.array([b"rows-first"], "S10"),
    "one text of an array": ["rows-first"],
}


@pytest.mark.parametrize("case", AS_OTHERS_STORE)
def test_row_70_the_layout_is_read_as_other_programs_store_it(case, open_images):
    file = open_images(make_faces(2, 20, 28), recorded=AS_OTHERS_STORE[case])
    assert (file.layout.name, file.layout_notes) == ("rows-first", [])


@pytest.mark.parametrize("recorded", ["sideways", 3, b"rows", [b"a", b"b"], "x" * 99])
def test_row_70_a_layout_that_is_not_understood_gets_a_line(recorded, open_images):
    first, *rest = open_images(make_faces(2, 20, 28), recorded=recorded).layout_notes
    assert "dataset 'data': attribute layout " in first and rest == [NOTE]
    assert first.endswith(", rows-first or width-first expected; it is not used")


def test_row_70_images_in_the_order_of_matlab_are_told(tmp_path):
    path = write_h5(tmp_path / "in.h5", make_faces(9, 8, 8).transpose(3, 1, 2, 0))
    with pytest.raises(RefusedError, match=r"expected; if MATLAB wrote it, permute\(x"):
        ImageFile(path)


def test_row_72_a_file_that_becomes_shorter_while_it_is_read_is_told(open_images):
    file = open_images(make_faces(4000, 8, 8), chunks=(8, 8, 8, 3))
    assert file.read(0, 8).any()
    os.truncate(file.dataset.file.filename, 200_000)
    with pytest.raises(VaeError, match="the file became shorter while it was read"):
        file.read(2000, 2008)


LAYOUTS = {  # for a file of N x 20 x 28: (settings, layout found, has a note)
    "not told": ({}, "width-first", NOTE),
    "told rows": ({"layout": "rows-first"}, "rows-first", ""),
    "told width": ({"layout": "width-first"}, "width-first", ""),
    "recorded rows": ({"recorded": "rows-first"}, "rows-first", ""),
    "recorded width": ({"recorded": "width-first"}, "width-first", ""),
    "recorded nonsense": ({"recorded": "sideways"}, "width-first", NOTE),
    "recorded number": ({"recorded": 3}, "width-first", NOTE),
    "told beats recorded": (
        {"layout": "width-first", "recorded": "rows-first"},
        "width-first",
        "",
    ),
    "recorded beats size": (
        {"recorded": "width-first", "size": (28, 20)},
        "width-first",
        "",
    ),
    "width of rows": ({"size": (28, None)}, "rows-first", ""),
    "width of width": ({"size": (20, None)}, "width-first", ""),
    "height of rows": ({"size": (None, 20)}, "rows-first", ""),
    "height of width": ({"size": (None, 28)}, "width-first", ""),
    "size of rows": ({"size": (28, 20)}, "rows-first", ""),
    "size of width": ({"size": (20, 28)}, "width-first", ""),
    "shape of rows": ({"size": (14, 10)}, "rows-first", ""),
    "shape of width": ({"size": (40, 56)}, "width-first", ""),
    "another size": ({"size": (64, 64)}, "width-first", NOTE),
    "another width": ({"size": (64, None)}, "width-first", NOTE),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_the_layout_of_an_image_that_is_not_square(case, open_images):
    settings, name, note = LAYOUTS[case]
    images = make_faces(2, 20, 28)
    file = open_images(images, **settings)
    assert (file.layout.name, file.layout.note) == (name, note)
    turned = images.transpose(0, 2, 1, 3) if name == "width-first" else images
    assert (file.height, file.width) == turned.shape[1:3]
    np.testing.assert_array_equal(read_all(file), turned)


def test_any_stretch_of_a_file_can_be_read(open_images):
    images = make_faces(10, 8, 8)
    with open_images(images, chunks=(3, 8, 8, 3), compression="lzf") as file:
        np.testing.assert_array_equal(file.read(2, 7), images[2:7])


@pytest.mark.parametrize("path", ["a/b", "/a/b", "a//b/"])
def test_a_dataset_in_a_group_is_found(path, tmp_path):
    images = make_faces(2, 8, 8)
    write_h5(tmp_path / "in.h5", images, "a/b")
    np.testing.assert_array_equal(read_all(ImageFile(tmp_path / "in.h5", path)), images)


def test_a_missing_part_of_a_path_is_told(tmp_path):
    write_h5(tmp_path / "in.h5", make_faces(2, 8, 8), "a/b")
    with pytest.raises(RefusedError, match=r"'a/b/c' found, .* expected: a/b \(2, 8"):
        ImageFile(tmp_path / "in.h5", "a/b/c")


def test_a_path_with_a_line_break_stays_on_one_line(tmp_path):
    with pytest.raises(RefusedError) as caught:
        ImageFile(tmp_path / "a\nb.h5")
    assert str(caught.value).startswith(f"{tmp_path}/a\\nb.h5: no such file")


def test_row_30_the_float_that_is_out_of_range_is_named_by_its_image(open_images):
    images = np.zeros((9, 4, 4, 1), np.float32)
    images[6, 1, 1] = 1.0001
    file = open_images(images)
    with pytest.raises(RefusedError, match="image 6 spans 0 to 1, floats between 0 an"):
        file.read(4, 9)
    assert file.read(0, 6).shape == (6, 4, 4, 1)


def test_blocks_are_whole_chunks_of_about_a_megabyte(open_images, monkeypatch):
    monkeypatch.setattr(hdf5, "TARGET_BLOCK_BYTES", 10 * 8 * 8 * 3)
    images = make_faces(30, 8, 8)
    sizes = {None: 10, (4, 8, 8, 3): 8, (5, 4, 4, 3): 10, (20, 8, 8, 3): 20}
    for chunks, rows in sizes.items():
        assert open_images(images, chunks=chunks).block_rows == rows


def test_the_fingerprint_changes_with_any_pixel_of_a_small_file(open_images):
    images = make_faces(40, 8, 8)
    prints = {open_images(images).fingerprint(), open_images(images).fingerprint()}
    assert len(prints) == 1
    for place in ((0, 0, 0, 0), (20, 3, 3, 1), (39, 7, 7, 2)):
        changed = images.copy()
        changed[place] ^= 1
        prints.add(open_images(changed).fingerprint())
    assert len(prints) == 4


def test_the_fingerprint_tells_layout_and_count(open_images):
    images = np.zeros((40, 8, 16, 3), np.uint8)
    ways = [{"layout": "rows-first"}, {"layout": "width-first"}]
    prints = {open_images(images, **way).fingerprint() for way in ways}
    prints.add(open_images(images[:39], layout="rows-first").fingerprint())
    assert len(prints) == 3


def test_the_fingerprint_of_a_large_file_reads_1024_images(open_images, monkeypatch):
    file, spans = open_images(make_faces(5000, 4, 4)), []
    read = file.read
    monkeypatch.setattr(file, "read", lambda *span: spans.append(span) or read(*span))
    file.fingerprint()
    assert len(spans) == 64 and spans[0] == (0, 16) and spans[-1] == (4984, 5000)


def test_row_69_the_same_images_have_one_fingerprint_however_they_are_stored(
    open_images,
):
    images = make_faces(2000, 6, 8)
    turned = images.transpose(0, 2, 1, 3)
    prints = {
        open_images(images, layout="rows-first").fingerprint(),
        open_images(images, layout="rows-first", chunks=(7, 6, 8, 3)).fingerprint(),
        open_images(images / np.float32(255), layout="rows-first").fingerprint(),
        open_images(turned, layout="width-first", compression="lzf").fingerprint(),
    }
    assert len(prints) == 1


def test_row_19_damage_anywhere_in_a_file_is_a_told_error(tmp_path):
    path = write_h5(tmp_path / "in.h5", make_faces(6, 4, 4), compression="gzip")
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[at] ^= 0x55
        path.write_bytes(changed)
        try:
            assert read_all(ImageFile(path)).dtype == np.uint8
        except VaeError as error:
            assert "\n" not in str(error) and str(path) in str(error)
