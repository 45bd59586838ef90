"""Batches of one epoch: every row once, any order again, few reads, bounded memory."""

import sys
import threading
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawing import make_faces
from tests.files import write_h5
from vae.data import arrays, hdf5
from vae.data.arrays import StoredImages, load_images, spread_images
from vae.data.batches import count_batches, cut_batches
from vae.data.hdf5 import ImageFile
from vae.data.shards import open_images
from vae.errors import VaeError
from vae.images.pixels import resize_image

ROW_BYTES = 4 * 4 * 3


class Numbered:
    """A file of images that each hold their own number; notes what is read."""

    width = height = 4
    channels = 3

    def __init__(self, count, block_rows, broken=None):
        self.count, self.block_rows, self.broken = count, block_rows, broken
        self.spans, self.picked = [], 0

    def pick(self, rows):
        """Returns the images of some rows, and counts them."""
        assert (np.diff(rows) > 0).all() and 0 <= rows[0] <= rows[-1] < self.count
        self.picked += len(rows)
        return self.images_of(rows)

    def read(self, start, stop):
        """Returns images whose first two values are their row."""
        if self.broken is not None and start <= self.broken < stop:
            raise VaeError("in.h5: images can't be read")
        self.spans.append((start, stop))
        return self.images_of(np.arange(start, stop))

    def images_of(self, rows):
        """Returns images that hold these numbers."""
        images = np.zeros((len(rows), 4, 4, 3), np.uint8)
        images[:, 0, 0, 0], images[:, 0, 0, 1] = np.divmod(rows, 256)
        return images


def numbers(images):
    """Returns the rows that images of a `Numbered` came from."""
    return images[:, 0, 0, 0].astype(int) * 256 + images[:, 0, 0, 1]


def streamed(count, block_rows=8, broken=None):
    """Returns (rows that stay in the file, the file)."""
    file = Numbered(count, block_rows, broken)
    return StoredImages(file, 0, count), file


def rows_of(count, way):
    """Returns rows that are held, or that stay in the file."""
    return Numbered(count, 8).read(0, count) if way == "held" else streamed(count)[0]


def epoch_of(rows, batch_size=16, seed=1, epoch=0, first=0):
    """Returns the row numbers of each batch of an epoch."""
    return [numbers(each) for each in cut_batches(rows, batch_size, seed, epoch, first)]


@pytest.fixture(autouse=True)
def small_pools(monkeypatch):
    """Pools of 40 images, so that a few hundred make an epoch of several."""
    monkeypatch.setattr("vae.data.batches.POOL_BYTES", 40 * ROW_BYTES)


both = pytest.mark.parametrize("way", ["held", "streamed"])


@both
def test_row_31_an_epoch_has_every_row_once_in_even_batches(way):
    batches = epoch_of(rows_of(203, way))
    assert sorted(np.concatenate(batches)) == list(range(203))
    sizes = [len(batch) for batch in batches]
    assert len(sizes) == count_batches(203, 16) == 13
    assert max(sizes) <= 16 and max(sizes) - min(sizes) <= 1


@both
def test_a_resumed_epoch_is_the_rest_of_the_whole_one(way):
    rows = rows_of(203, way)
    whole = epoch_of(rows)
    for first in range(len(whole) + 1):
        rest = epoch_of(rows, first=first)
        assert [list(batch) for batch in rest] == [list(b) for b in whole[first:]]


@both
def test_the_order_follows_from_seed_and_epoch_alone(way):
    orders, rows = {}, rows_of(203, way)
    for seed, epoch in ((1, 0), (1, 1), (2, 0)):
        orders[seed, epoch] = list(np.concatenate(epoch_of(rows, 16, seed, epoch)))
        again = np.concatenate(epoch_of(rows_of(203, way), 16, seed, epoch))
        assert orders[seed, epoch] == list(again) != list(range(203))
    assert orders[1, 0] != orders[1, 1] != orders[2, 0] != orders[1, 0]


@both
def test_one_row_is_one_batch(way):
    assert [list(batch) for batch in epoch_of(rows_of(1, way))] == [[0]]


def test_streamed_batches_hold_the_pixels_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "TARGET_BLOCK_BYTES", 1000)
    monkeypatch.setattr(arrays, "HOLD_BYTES", 0)
    images = make_faces(50, 6, 5)
    path = write_h5(tmp_path / "in.h5", images, chunks=(4, 6, 5, 3), compression="gzip")
    with ImageFile(path, layout="rows-first") as file:
        rows = load_images(file, 0, 45, (5, 6))
        assert isinstance(rows, StoredImages) and rows.shape == (45, 6, 5, 3)
        found = np.concatenate(list(cut_batches(rows, 7, 0, 0)))
    assert sorted(map(bytes, found)) == sorted(map(bytes, images[:45]))


@given(st.integers(1, 300), st.integers(1, 70), st.integers(1, 40), st.integers(1, 200))
def test_every_row_comes_once_whatever_the_sizes(count, batch_size, block, pool):
    rows, file = streamed(count, block)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vae.data.batches.POOL_BYTES", pool * ROW_BYTES)
        batches = epoch_of(rows, batch_size)
    assert sorted(np.concatenate(batches)) == list(range(count))
    assert {len(batch) for batch in batches} <= {
        count // len(batches),
        -(-count // len(batches)),
    }
    assert len(file.spans) == len(set(file.spans)) == -(-count // block)


def test_each_block_is_read_once_an_epoch_and_whole():
    rows, file = streamed(203)
    epoch_of(rows)
    expected = [(at, min(at + 8, 203)) for at in range(0, 203, 8)]
    assert sorted(file.spans) == expected
    assert file.spans != expected


def test_a_resumed_epoch_does_not_read_the_pools_before_it():
    rows, file = streamed(400)
    epoch_of(rows, batch_size=40, first=8)
    assert len(file.spans) == 10


def test_row_34_batches_of_a_sorted_file_are_mixed():
    rows, _ = streamed(4000, block_rows=10)  # 20 identities, 200 images of each
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vae.data.batches.POOL_BYTES", 800 * ROW_BYTES)
        batches = epoch_of(rows, 64)
    assert np.mean([len(set(batch // 200)) for batch in batches]) >= 15


def test_row_32_no_more_than_three_pools_are_in_memory():
    rows, file = streamed(400)
    batches = cut_batches(rows, 40, 0, 0)
    next(batches)
    batches.close()
    assert len(file.spans) <= 15


def count_threads():
    """Returns the number of threads of this process."""
    return threading.active_count()


def test_an_error_of_the_reader_is_raised_where_the_batches_are_used():
    before = count_threads()
    rows, _ = streamed(203, broken=150)
    with pytest.raises(VaeError, match="^in.h5: images can't be read$"):
        epoch_of(rows)
    assert count_threads() == before


def test_the_reader_ends_when_the_epoch_is_left_early():
    before = count_threads()
    batches = cut_batches(streamed(4000)[0], 16, 0, 0)
    next(batches)
    assert count_threads() == before + 1
    batches.close()
    assert count_threads() == before


@pytest.mark.parametrize("hold", [1 << 20, 0])
def test_images_are_resized_once_whether_held_or_spilled(hold, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "HOLD_BYTES", hold)
    monkeypatch.setattr(hdf5, "TARGET_BLOCK_BYTES", 3000)
    images, calls = make_faces(20, 12, 10), []
    path = write_h5(tmp_path / "in.h5", images)

    def resize(image, width, height):
        calls.append(image)
        return resize_image(image, width, height)

    monkeypatch.setattr(arrays, "resize_image", resize)
    with ImageFile(path, layout="rows-first") as file:
        rows = load_images(file, 2, 20, (7, 9), tmp_path)
    assert isinstance(rows, np.memmap) == (hold == 0) and len(calls) == 18
    expected = np.stack([resize_image(image, 7, 9) for image in images[2:]])
    np.testing.assert_array_equal(rows, expected)
    found = np.concatenate(list(cut_batches(rows, 5, 0, 0)))
    assert sorted(map(bytes, found)) == sorted(map(bytes, expected))
    assert len(calls) == 18
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.h5"]


def test_images_that_fit_are_an_array_of_the_file_itself():
    rows = load_images(Numbered(50, 8), 5, 50, (4, 4))
    assert type(rows) is np.ndarray
    assert list(numbers(rows)) == list(range(5, 50))


def test_a_disk_without_room_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "HOLD_BYTES", 0)
    with pytest.raises(VaeError, match=r"^.*/gone: no room for the resized images \("):
        load_images(Numbered(5, 8), 0, 5, (6, 6), tmp_path / "gone")


def test_progress_is_shown_a_block_at_a_time():
    seen = []

    def watch(blocks):
        for block in blocks:
            seen.append(block)
            yield block

    load_images(Numbered(20, 8), 0, 20, (4, 4), show=watch)
    assert seen == [0, 8, 16]


def test_held_out_images_are_all_of_them_while_they_fit():
    found = spread_images(Numbered(50, 8), 40, 50, (4, 4))
    assert list(numbers(found)) == list(range(40, 50))


def test_of_many_held_out_images_an_even_share_is_kept(monkeypatch):
    monkeypatch.setattr(arrays, "PREVIEW_BYTES", 40 * ROW_BYTES)
    found = numbers(spread_images(Numbered(1000, 8), 200, 1000, (4, 4)))
    assert len(found) == len(set(found)) == 40
    assert found[0] == 200 and found[-1] < 1000
    assert max(b - a for a, b in pairwise(found)) < 200


@both
def test_the_sample_is_all_rows_or_an_even_share(way, monkeypatch):
    assert list(numbers(arrays.sample_images(rows_of(203, way)))) == list(range(203))
    monkeypatch.setattr(arrays, "SAMPLE_IMAGES", 20)
    monkeypatch.setattr(arrays, "SAMPLE_PARTS", 5)
    found = numbers(arrays.sample_images(rows_of(203, way)))
    assert len(set(found)) == 20 and found[0] == 0 and found[-1] == 202


def pick_share(at, count, halo=3):
    """Returns the places in a batch that one of several workers reads."""

    def share(total):
        first, stop = (total * each // count for each in (at, at + 1))
        return np.arange(first - halo, stop) % total

    return share


@pytest.mark.parametrize("way", ["held", "streamed", "spilled"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_row_57_shares_are_rows_of_the_batches_that_one_worker_reads(
    way, count, tmp_path
):
    rows, seed, epoch, first = rows_of(203, "held"), 1, 0, 5
    if way == "streamed":
        rows = streamed(203)[0]
    if way == "spilled":
        rows.tofile(tmp_path / "spilled")
        rows = np.memmap(tmp_path / "spilled", np.uint8, shape=rows.shape)
    whole = epoch_of(rows, seed=seed, first=first)
    for at in range(count):
        share = pick_share(at, count)
        found = cut_batches(rows, 16, seed, epoch, first, share)
        for part, batch in zip(found, whole, strict=True):
            np.testing.assert_array_equal(numbers(part), batch[share(len(batch))])


@given(st.integers(1, 300), st.integers(1, 70), st.integers(1, 40), st.integers(1, 9))
def test_shares_of_any_size_are_rows_of_the_batches(count, batch_size, block, workers):
    rows, _ = streamed(count, block)
    whole = epoch_of(rows, batch_size)
    for at in {0, workers // 2, workers - 1}:
        share = pick_share(at, workers, halo=1)
        found = cut_batches(rows, batch_size, 1, 0, 0, share)
        for part, batch in zip(found, whole, strict=True):
            np.testing.assert_array_equal(numbers(part), batch[share(len(batch))])


def test_a_share_takes_nothing_else_from_the_file():
    for workers in (2, 4):
        taken = []
        for at in range(workers):
            rows, file = streamed(2000)
            for _ in cut_batches(rows, 40, 0, 0, 0, pick_share(at, workers, halo=0)):
                continue
            taken.append(file.picked)
            assert file.spans == []
        assert sum(taken) == 2000
        assert max(taken) - min(taken) <= 50  # a batch is cut to whole images


def test_chosen_rows_of_files_are_those_images(tmp_path):
    images = make_faces(50, 6, 5)
    one = write_h5(tmp_path / "one.h5", images, chunks=(4, 6, 5, 3))
    with h5py.File(tmp_path / "floats.h5", "w", userblock_size=512) as file:
        file["first"] = np.arange(99)
        file["data"] = (images.transpose(0, 2, 1, 3) / 255).astype(">f8")
        file["data"].attrs["layout"] = "width-first"
    write_h5(tmp_path / "a.h5", images[:13])
    write_h5(tmp_path / "b.h5", images[13:])
    cut = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for paths, layout in (
        ([one], "rows-first"),
        (cut, "rows-first"),
        ([tmp_path / "floats.h5"], "auto"),
    ):
        found = open_images(list(map(str, paths)), "data", layout, (None, None))
        for rows in ([0], [3, 12, 13, 14, 49], [20, 21]):
            rows = np.array(rows)
            np.testing.assert_array_equal(found.pick(rows), images[rows])


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts what is read")
@pytest.mark.parametrize("chunk", [None, 4, 32])
def test_row_57_a_worker_reads_its_share_of_a_file(chunk, tmp_path, monkeypatch):
    size = 16 * 16 * 3
    monkeypatch.setattr(hdf5, "TARGET_BLOCK_BYTES", 32 * size)
    monkeypatch.setattr("vae.data.batches.POOL_BYTES", 3072 * size)
    images = np.random.default_rng(0).integers(0, 256, (6144, 16, 16, 3), np.uint8)
    chunks = chunk and (chunk, 16, 16, 3)
    with ImageFile(write_h5(tmp_path / "in.h5", images, chunks=chunks)) as file:
        rows = StoredImages(file, 0, len(images))
        for workers in (2, 4):
            for at in range(workers):
                share, before = pick_share(at, workers, halo=0), count_bytes_read()
                for _ in cut_batches(rows, 64, 0, 0, 0, share):
                    continue
                read = count_bytes_read() - before
                assert read / images.nbytes == pytest.approx(1 / workers, abs=0.02)


def count_bytes_read():
    """Returns how many bytes this process has asked the system for."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(lines[0].removeprefix("rchar: "))
