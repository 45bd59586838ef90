"""Batches of training images, shuffled, at any file size and in bounded memory.

Images that are held in memory are shuffled fully. A larger file is read in blocks of
whole chunks: the blocks in random order, a pool of them at a time, and the images of a
pool mixed before batches are cut, by one thread that reads ahead. Batches draw alike
from all parts of a pool and hold their images part by part, so that one of several
workers, whose share is a stretch of each batch, reads its parts of the file alone. The
order is a pure function of (seed, epoch), so a resumed run needs nothing but its step.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from math import prod

import numpy as np

from vae.data.arrays import Images, StoredImages
from vae.parallel import cut_evenly

POOL_BYTES = 96 << 20  # a pool; up to three exist at a time
BLOCK_BYTES = 1 << 20  # read together where the images say nothing of blocks
PARTS = 16  # of a pool, which every batch draws from alike


def count_batches(count: int, batch_size: int) -> int:
    """Returns the number of batches an epoch: no batch is larger than `batch_size`."""
    return -(-count // batch_size)


def cut_batches(
    images: Images,
    batch_size: int,
    seed: int,
    epoch: int,
    first: int = 0,
    share: Callable[[int], np.ndarray] = np.arange,
) -> Iterator[np.ndarray]:
    """Yields the batches of one epoch, or shares of them: uint8 (B, H, W, C).

    Each image is in exactly one batch. Batches differ in size by one image at most, so
    that none is a small remainder.

    Args:
        images: uint8 (N, H, W, C).
        first: index of the first batch to yield, for a resumed epoch.
        share: size of a batch -> the places in it that are wanted, by default all;
            nothing else is taken from the images.
    """
    batches = cut_evenly(len(images), batch_size)
    if type(images) is np.ndarray:
        order = np.random.default_rng([seed, epoch]).permutation(len(images))
        for batch in batches[first:]:
            rows = order[batch]
            yield images[rows[share(len(rows))]]
        return
    turns = [_sort_turns(batch) for batch in batches[first:]]
    turns = [batch[share(len(batch))] for batch in turns]
    wanted = np.zeros(len(images), bool)
    for batch in turns:
        wanted[batch] = True
    pools = _plan_pools(images, seed, epoch, wanted)
    mixed = chain.from_iterable(_read_ahead(images, pools))
    for batch in turns:
        there, back = np.unique(batch, return_inverse=True)
        yield np.stack(list(islice(mixed, len(there))))[back]


def _sort_turns(batch: slice) -> np.ndarray:
    """Returns the turns of a batch, sorted by the parts of a pool that they are from.

    Whoever wants a contiguous share of a batch then reads few parts.
    """
    turns = np.arange(batch.start, batch.stop)
    return turns[np.argsort(turns % PARTS, kind="stable")]


@dataclass(frozen=True)
class _Pool:
    """Blocks that are read together: where they start, and where their images go.

    Attributes:
        wanted: of each image in the order read, whether it is; of one at least.
    """

    starts: np.ndarray
    block_rows: int
    places: np.ndarray  # of each image in the order read, among the mixed ones
    wanted: np.ndarray


def _plan_pools(
    images: Images, seed: int, epoch: int, wanted: np.ndarray
) -> list[_Pool]:
    """Returns the pools of an epoch that hold anything wanted, in their order.

    `wanted` says of each turn of the epoch whether it is. The images of a pool, in the
    order read, are cut into `PARTS`. Those of part p are mixed and have the turns t for
    which t modulo `PARTS` is p.
    """
    rng = np.random.default_rng([seed, epoch])
    count, *shape = images.shape
    block_rows = getattr(images, "block_rows", max(1, BLOCK_BYTES // prod(shape)))
    starts = rng.permutation(-(-count // block_rows)) * block_rows
    size = max(1, POOL_BYTES // (block_rows * prod(shape)))
    pools, begin = [], 0
    for at in range(0, len(starts), size):
        together = np.sort(starts[at : at + size])
        held = int(np.minimum(block_rows, count - together).sum())
        turns = np.arange(begin, begin + held)
        places = np.lexsort((rng.random(held), turns % PARTS))
        chosen = wanted[turns[places]]
        if chosen.any():
            pools.append(_Pool(together, block_rows, places, chosen))
        begin += held
    return pools


def _read_ahead(images: Images, plan: list[_Pool]) -> Iterator[np.ndarray]:
    """Yields the mixed images of each pool; a thread reads the next one meanwhile."""
    with ThreadPoolExecutor(1) as reader:
        coming = None
        for pool in plan:
            ready, coming = coming, reader.submit(_read_pool, images, pool)
            if ready:
                yield ready.result()
        if coming:
            yield coming.result()


def _read_pool(images: Images, pool: _Pool) -> np.ndarray:
    if not pool.wanted.all():
        return _read_wanted(images, pool)
    mixed, read = np.empty((len(pool.places), *images.shape[1:]), np.uint8), 0
    for start in pool.starts:
        block = images[start : start + pool.block_rows]
        mixed[pool.places[read : read + len(block)]] = block
        read += len(block)
    return mixed


def _read_wanted(images: Images, pool: _Pool) -> np.ndarray:
    """Returns the wanted images of a pool, mixed as all of them would be."""
    parts, read = [], 0
    for start in pool.starts.tolist():
        stop = min(start + pool.block_rows, len(images))
        chosen = np.flatnonzero(pool.wanted[read : read + stop - start])
        if len(chosen):
            rows, is_stored = start + chosen, isinstance(images, StoredImages)
            parts.append(images.pick(rows) if is_stored else images[rows])
        read += stop - start
    found = np.concatenate(parts)
    return found[np.argsort(pool.places[pool.wanted])]
