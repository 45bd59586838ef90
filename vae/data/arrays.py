"""Batches of training images, shuffled, at any file size and in bounded memory.

Images that fit `HOLD_BYTES` are held as uint8 and shuffled fully. A larger file is read
in blocks of whole chunks: the blocks in random order, a pool of them at a time, and the
images of a pool mixed before batches are cut, by one thread that reads ahead. The order
is a pure function of (seed, epoch), so a resumed run needs nothing but its step.
"""
import math
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vae.errors import VaeError
from vae.files import explain, printable
from vae.images.sheets import resize_image

HOLD_BYTES = 512 << 20  # held in memory, as uint8
POOL_BYTES = 96 << 20  # a pool; up to three exist at a time
SAMPLE_IMAGES = 4096  # stand for the training set where all would take too long
SAMPLE_PARTS = 64
PREVIEW_BYTES = 64 << 20  # held-out images kept for measuring after each epoch


def load_rows(file, start, stop, size, spill_dir=None, watch=iter):
    """Returns images start..stop of a file at `size`: an array, or a stand-in for one.

    Images are resized once, here. What does not fit `HOLD_BYTES` stays in the file, or,
    if it had to be resized, goes to a nameless temporary file.

    Args:
        file: an open `vae.data.hdf5.ImageFile`.
        size: (width, height) of the images returned.
        spill_dir: folder for the temporary file.
        watch: wraps the list of blocks, to show progress.

    Returns:
        uint8 (N, H, W, C), or a `FileRows` with the same rows.

    Raises:
        VaeError: a block can't be read or holds values out of range.
    """
    width, height = size
    same = (width, height) == (file.width, file.height)
    shape = (stop - start, height, width, file.channels)
    if same and not fits_memory(shape):
        return FileRows(file, start, stop)
    rows = make_rows(shape, spill_dir)
    for first in watch(range(start, stop, file.block_rows)):
        block = file.read(first, min(first + file.block_rows, stop))
        if not same:
            block = np.stack([resize_image(image, width, height) for image in block])
        rows[first - start : first - start + len(block)] = block
    return rows


def spread_rows(file, start, stop, size, watch=iter):
    """Returns images start..stop or, of many, as many as fit `PREVIEW_BYTES`.

    Those are the first of equal parts, so that they spread over the whole stretch.
    """
    width, height = size
    most = max(1, PREVIEW_BYTES // (width * height * file.channels))
    count = stop - start
    if count <= most:
        return load_rows(file, start, stop, size, watch=watch)
    parts = max(1, most // file.block_rows)
    length = min(file.block_rows, most)
    firsts = [start + part * (count - length) // parts for part in range(parts)]
    loaded = [load_rows(file, at, at + length, size) for at in watch(firsts)]
    return np.concatenate(loaded)


def sample_rows(rows):
    """Returns training images that stand for all: those of equal parts, in order.

    Args:
        rows: what `load_rows` returned.

    Returns:
        uint8 (M, H, W, C), at most `SAMPLE_IMAGES` of them.
    """
    count = len(rows)
    if count <= SAMPLE_IMAGES:
        return rows[0:count]
    length = max(1, SAMPLE_IMAGES // SAMPLE_PARTS)
    firsts = np.linspace(0, count - length, SAMPLE_PARTS).astype(int)
    return np.concatenate([rows[at : at + length] for at in firsts])


def fits_memory(shape):
    """Whether uint8 images of a shape (N, H, W, C) are to be held in memory."""
    return math.prod(shape) <= HOLD_BYTES


def make_rows(shape, folder=None):
    """Returns a uint8 array of zeros, in memory or in a nameless temporary file.

    Args:
        shape: (N, H, W, C)
        folder: where the file goes if memory is too small; by default the system's.
    """
    if fits_memory(shape):
        return np.zeros(shape, np.uint8)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:  # the map keeps it alive
            if hasattr(os, "posix_fallocate"):  # a full disk would kill the process
                os.posix_fallocate(file.fileno(), 0, math.prod(shape))
            return np.memmap(file, np.uint8, "w+", shape=shape)
    except OSError as error:
        place = printable(folder or tempfile.gettempdir())
        raise VaeError(
            f"{place}: no room for the resized images ({explain(error)}); make some, or"
            " resize them in the file"
        ) from error


class FileRows:
    """A stretch of an `ImageFile` that is too large to hold."""

    def __init__(self, file, start, stop):
        self._file, self._start = file, start
        self.shape = (stop - start, file.height, file.width, file.channels)
        self.block_rows = file.block_rows

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        """Returns a contiguous slice as uint8 (B, H, W, C)."""
        start, stop, _ = rows.indices(len(self))
        return self._file.read(self._start + start, self._start + stop)


def count_batches(count, batch_size):
    """Returns the number of batches an epoch: no batch is larger than `batch_size`."""
    return -(-count // batch_size)


def cut_batches(rows, batch_size, seed, epoch, first=0):
    """Yields the batches of one epoch, each row exactly once.

    Batches differ in size by one image at most, so that none is a small remainder.

    Args:
        rows: uint8 (N, H, W, C) array or `FileRows`.
        first: index of the first batch to yield, for a resumed epoch.

    Yields:
        uint8 (B, H, W, C)
    """
    count = len(rows)
    batches = count_batches(count, batch_size)
    bounds = [index * count // batches for index in range(batches + 1)]
    if type(rows) is np.ndarray:
        order = np.random.default_rng([seed, epoch]).permutation(count)
        for index in range(first, batches):
            yield rows[order[bounds[index] : bounds[index + 1]]]
        return
    yield from _cut_pools(rows, plan_pools(rows, seed, epoch), bounds, first)


def _cut_pools(rows, plan, bounds, index):
    """Yields the batches from `index` on; one that spans two pools is put together."""
    offset = bounds[index]
    while plan and plan[0].rows <= offset:
        offset -= plan.pop(0).rows
    kept = np.empty((0, *rows.shape[1:]), np.uint8)
    for pool, order in _read_ahead(rows, plan):
        order, offset = order[offset:], 0
        while index < len(bounds) - 1:
            missing = bounds[index + 1] - bounds[index] - len(kept)
            kept = np.concatenate([kept, pool[order[:missing]]])
            order = order[missing:]
            if len(kept) < bounds[index + 1] - bounds[index]:
                break
            yield kept
            kept, index = kept[:0], index + 1


class Pool:
    """Blocks that are read together, and the order their images leave in."""

    def __init__(self, blocks, block_rows, count, rng):
        firsts = [block * block_rows for block in blocks]
        self.spans = [(first, min(first + block_rows, count)) for first in firsts]
        self.rows = sum(stop - start for start, stop in self.spans)
        self.order = rng.permutation(self.rows)


def plan_pools(rows, seed, epoch):
    """Returns the epoch's list of `Pool`, a pure function of (seed, epoch, form)."""
    rng = np.random.default_rng([seed, epoch])
    count, *shape = rows.shape
    image_bytes = int(np.prod(shape))
    block_rows = getattr(rows, "block_rows", max(1, (1 << 20) // image_bytes))
    blocks = rng.permutation(-(-count // block_rows))
    size = max(1, POOL_BYTES // (block_rows * image_bytes))
    groups = [blocks[at : at + size] for at in range(0, len(blocks), size)]
    return [Pool(group, block_rows, count, rng) for group in groups]


def _read_ahead(rows, plan):
    """Yields (images, order) of each pool; a thread reads the next one meanwhile."""
    with ThreadPoolExecutor(1) as reader:
        reading = [reader.submit(_read_pool, rows, pool) for pool in plan[:1]]
        for index, pool in enumerate(plan):
            images = reading.pop().result()
            for later in plan[index + 1 : index + 2]:
                reading.append(reader.submit(_read_pool, rows, later))
            yield images, pool.order


def _read_pool(rows, pool):
    images = np.empty((pool.rows, *rows.shape[1:]), np.uint8)
    at = 0
    for first, last in sorted(pool.spans):
        images[at : at + last - first] = rows[first:last]
        at += last - first
    return images
