"""Batches of training images, shuffled, at any file size and in bounded memory.

Images that are held in memory are shuffled fully. A larger file is read in blocks of
whole chunks: the blocks in random order, a pool of them at a time, and the images of a
pool mixed before batches are cut, by one thread that reads ahead. The order is a pure
function of (seed, epoch), so a resumed run needs nothing but its step.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

POOL_BYTES = 96 << 20  # a pool; up to three exist at a time
BLOCK_BYTES = 1 << 20  # read together where the images say nothing of blocks


def count_batches(count, batch_size):
    """Returns the number of batches an epoch: no batch is larger than `batch_size`."""
    return -(-count // batch_size)


def cut_batches(images, batch_size, seed, epoch, first=0):
    """Yields the batches of one epoch, each row exactly once.

    Batches differ in size by one image at most, so that none is a small remainder.

    Args:
        images: uint8 (N, H, W, C) array or `StoredImages`.
        first: index of the first batch to yield, for a resumed epoch.

    Yields:
        uint8 (B, H, W, C)
    """
    count = len(images)
    batches = count_batches(count, batch_size)
    bounds = [index * count // batches for index in range(batches + 1)]
    if type(images) is np.ndarray:
        order = np.random.default_rng([seed, epoch]).permutation(count)
        for index in range(first, batches):
            yield images[order[bounds[index] : bounds[index + 1]]]
        return
    yield from _cut_pools(images, plan_pools(images, seed, epoch), bounds, first)


def _cut_pools(images, plan, bounds, index):
    """Yields the batches from `index` on; one that spans two pools is put together."""
    offset = bounds[index]
    while plan and plan[0].count <= offset:
        offset -= plan.pop(0).count
    kept = np.empty((0, *images.shape[1:]), np.uint8)
    for pool, order in _read_ahead(images, plan):
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
        self.count = sum(stop - start for start, stop in self.spans)
        self.order = rng.permutation(self.count)


def plan_pools(images, seed, epoch):
    """Returns the epoch's list of `Pool`, a pure function of (seed, epoch, form)."""
    rng = np.random.default_rng([seed, epoch])
    count, *shape = images.shape
    image_bytes = int(np.prod(shape))
    block_rows = getattr(images, "block_rows", max(1, BLOCK_BYTES // image_bytes))
    blocks = rng.permutation(-(-count // block_rows))
    size = max(1, POOL_BYTES // (block_rows * image_bytes))
    groups = [blocks[at : at + size] for at in range(0, len(blocks), size)]
    return [Pool(group, block_rows, count, rng) for group in groups]


def _read_ahead(images, plan):
    """Yields (images, order) of each pool; a thread reads the next one meanwhile."""
    with ThreadPoolExecutor(1) as reader:
        reading = [reader.submit(_read_pool, images, pool) for pool in plan[:1]]
        for index, pool in enumerate(plan):
            mixed = reading.pop().result()
            for later in plan[index + 1 : index + 2]:
                reading.append(reader.submit(_read_pool, images, later))
            yield mixed, pool.order


def _read_pool(images, pool):
    found = np.empty((pool.count, *images.shape[1:]), np.uint8)
    at = 0
    for first, last in sorted(pool.spans):
        found[at : at + last - first] = images[first:last]
        at += last - first
    return found
