"""Plain bitmaps and checksums: the same as Pillow's and HDF5's, only sooner."""
import os

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vae.bitmap import read_bitmap_size, read_bitmaps
from vae.fletcher import fletcher32


@pytest.mark.parametrize("width", [4, 5, 6, 7, 112])
def test_pixels_are_those_that_pillow_reads(tmp_path, width):
    images = np.random.default_rng(0).integers(0, 256, (3, 5, width, 3), np.uint8)
    paths = [str(tmp_path / f"{number}.bmp") for number in range(3)]
    for path, image in zip(paths, images):
        Image.fromarray(image).save(path)
    read, taken = read_bitmaps(paths, width, 5)
    assert taken == [0, 1, 2] and np.array_equal(read, images)
    with Image.open(paths[0]) as picture:
        assert read_bitmap_size(paths[0]) == picture.size


def test_other_files_are_left_to_pillow(tmp_path):
    picture = Image.new("RGB", (8, 8))
    picture.save(tmp_path / "a.bmp")
    picture.save(tmp_path / "b.png")
    picture.convert("L").save(tmp_path / "gray.bmp")
    picture.convert("RGBA").save(tmp_path / "alpha.bmp")
    Image.new("RGB", (8, 9)).save(tmp_path / "large.bmp")
    content = (tmp_path / "a.bmp").read_bytes()
    (tmp_path / "cut.bmp").write_bytes(content[:-1])
    (tmp_path / "head.bmp").write_bytes(content[:20])
    top_first = content[:22] + (-8).to_bytes(4, "little", signed=True) + content[26:]
    (tmp_path / "top.bmp").write_bytes(top_first)
    (tmp_path / "folder.bmp").mkdir()
    os.mkfifo(tmp_path / "pipe.bmp")
    names = ["a.bmp", *sorted(set(os.listdir(tmp_path)) - {"a.bmp"}), "none.bmp"]
    paths = [str(tmp_path / name) for name in names]
    assert len(names) == 11
    assert read_bitmaps(paths, 8, 8)[1] == [0]
    assert read_bitmap_size(tmp_path / "head.bmp") is None
    assert read_bitmap_size(tmp_path / "pipe.bmp") is None


SIZES = st.one_of(st.integers(1, 9), st.integers(2030, 2060), st.integers(1, 70000))
FILLS = st.sampled_from([None, 0, 255, 1])


@settings(deadline=None)
@given(SIZES, FILLS, st.integers(0, 2**32 - 1))
def test_checksums_are_those_of_hdf5(size, fill, seed):
    content = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    if fill is not None:
        content[:] = fill
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        data = file.create_dataset("x", data=content, chunks=(size,), fletcher32=True)
        file.flush()
        stored = data.id.read_direct_chunk((0,))[1]
    assert fletcher32(content) == int.from_bytes(stored[-4:], "little")
