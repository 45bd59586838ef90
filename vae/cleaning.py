"""Which images of a set look bad: near duplicates, blurred ones and outliers.

Each image is reduced to a thumbnail and one number for its sharpness, 260 bytes, so
that millions of them fit in memory. What is found depends on all images, and on their
order only in which of two copies counts as the first.
"""
import math
from dataclasses import dataclass

import numpy as np

THUMBNAIL_SIDE = 16  # pixels
THUMBNAIL_BYTES = THUMBNAIL_SIDE**2
MIN_IMAGES = 8  # fewer have no typical face to differ from
DEVIATION_SCALE = 1.4826  # makes a median deviation a standard one, of a Gaussian
MIN_DEVIATION = 0.5  # gray levels; a set of equal images has none
BLOCK = 512  # thumbnails compared at a time
ROUNDING = 8.0  # more than float32 loses in a squared distance of coarse thumbnails


def measure_images(images):
    """Reduces images to what the searches below need.

    Args:
        images: uint8 (B, H, W, C), C 1 or 3, sides of at least 4.

    Returns:
        (thumbnails, sharpness): uint8 (B, 256), and float32 (B,), the mean square of
        the Laplacian.
    """
    gray = _four_times_gray(images)
    height, width = gray.shape[1:]
    sums = _add_cells(_add_cells(gray, 1), 2)  # (B, 16, 16)
    area = np.outer(_cell_sides(height), _cell_sides(width))
    small = sums / (4 * area)
    laplacian = gray[:, 1:-1, 1:-1] * 4
    for neighbour in (gray[:, :-2, 1:-1], gray[:, 2:, 1:-1]):
        laplacian -= neighbour
    for neighbour in (gray[:, 1:-1, :-2], gray[:, 1:-1, 2:]):
        laplacian -= neighbour
    flat = laplacian.reshape(len(images), (height - 2) * (width - 2)).astype(np.float32)
    sharpness = np.vecdot(flat, flat) / flat.shape[1]
    small = np.rint(small).astype(np.uint8)
    return small.reshape(len(images), THUMBNAIL_BYTES), sharpness


def _four_times_gray(images):
    """R + 2G + B of RGB, or 4 times the one channel: int16 (B, H, W)."""
    if images.shape[3] == 1:
        return 4 * images[..., 0].astype(np.int16)
    levels = images.reshape(len(images), math.prod(images.shape[1:])).astype(np.int16)
    sums = levels[:, :-2] + levels[:, 2:]  # of neighbours; every third is R + B
    sums += levels[:, 1:-1]
    sums += levels[:, 1:-1]
    return sums[:, ::3].reshape(images.shape[:3])


def _cell_edges(side):
    return np.arange(THUMBNAIL_SIDE) * side // THUMBNAIL_SIDE


def _cell_sides(side):
    """Pixels of each cell along one side; in a tiny image, cells share a pixel."""
    return np.maximum(np.diff(_cell_edges(side), append=side), 1)


def _add_cells(levels, axis):
    """Sums over cells, without a matrix product, whose threads fight for the cores."""
    return np.add.reduceat(
        levels, _cell_edges(levels.shape[axis]), axis=axis, dtype=np.int32
    )


@dataclass(frozen=True)
class Findings:
    """Rows that look bad, in order; a row may be in several lists.

    Attributes:
        duplicates: (row, the earlier row it is a copy of).
        blurred, outliers: rows.
    """

    duplicates: list
    blurred: list
    outliers: list


def find_bad(thumbnails, sharpness, config, first, dropping):
    """Searches a set of images for those that look bad.

    Args:
        thumbnails: uint8 (N, 256). sharpness: floats (N,).
        config: a `PrepareConfig`.
        first: rows before it are never blamed, only compared with.
        dropping: names of `Findings` whose rows will be dropped; no image counts as a
            copy of one that goes for another reason.

    Returns:
        `Findings`
    """
    blurred = find_blurred(sharpness, config.blur_ratio, first)
    outliers = find_outliers(thumbnails, config.outlier_score, first)
    gone = np.zeros(len(thumbnails), bool)
    gone[blurred if "blurred" in dropping else []] = True
    gone[outliers if "outliers" in dropping else []] = True
    duplicates = find_duplicates(thumbnails, config.duplicate_distance, first, gone)
    return Findings(duplicates, blurred, outliers)


def find_blurred(sharpness, ratio, first=0):
    """Returns the rows whose sharpness is under `ratio` of the median."""
    bad = np.asarray(sharpness) < ratio * np.median(sharpness)
    return [int(row) for row in np.flatnonzero(bad) if row >= first]


def find_outliers(thumbnails, score, first=0):
    """Returns the rows whose distance from the average image is far above the median.

    Args:
        thumbnails: uint8 (N, 256).
        score: distance above the median, in robust standard deviations.
    """
    if len(thumbnails) < MIN_IMAGES:
        return []
    average = thumbnails.mean(axis=0, dtype=np.float64)  # (256,)
    distance = np.empty(len(thumbnails))
    for at in range(0, len(thumbnails), BLOCK):
        rows = slice(at, at + BLOCK)
        distance[rows] = np.sqrt(((thumbnails[rows] - average) ** 2).mean(axis=1))
    median = np.median(distance)
    deviation = DEVIATION_SCALE * np.median(np.abs(distance - median))
    bad = distance > median + score * max(deviation, MIN_DEVIATION)
    return [int(row) for row in np.flatnonzero(bad) if row >= first]


def find_duplicates(thumbnails, distance, first=0, gone=None):
    """Returns (row, earlier row) for each image that nearly equals an earlier one.

    The earlier one is never itself a duplicate, so that a slow movement, each frame of
    which resembles the next, is thinned and does not vanish.

    Args:
        thumbnails: uint8 (N, 256).
        distance: root mean square of the difference, in gray levels.
        first: rows before it are compared with, and not blamed.
        gone: bool (N,), rows to leave out, or None.
    """
    count = len(thumbnails)
    limit = distance**2 * THUMBNAIL_BYTES
    kept = np.ones(count, bool) if gone is None else ~gone
    copies = np.full(count, -1)
    blocks = [_Block(thumbnails, at) for at in range(0, count, BLOCK)]
    for index, block in enumerate(blocks):
        rows = np.flatnonzero(kept[block.rows]) + block.start
        rows = rows[rows >= first]  # the ones that may turn out to be copies
        for earlier in blocks[:index]:
            left = rows[copies[rows] < 0]
            near = block.find_near(left, earlier, limit) & kept[earlier.rows]
            found = near.any(axis=1)
            copies[left[found]] = earlier.start + near[found].argmax(axis=1)
        kept[rows] = copies[rows] < 0
        rows = rows[kept[rows]]
        for row, near in zip(rows, block.find_near(rows, block, limit)):
            same = np.flatnonzero(near[: row - block.start]) + block.start
            same = same[kept[same]]  # changes from row to row
            if len(same):
                copies[row], kept[row] = same[0], False
    return [(int(row), int(copies[row])) for row in np.flatnonzero(copies >= 0)]


class _Block:
    """Some thumbnails in a row, to compare with those of another block."""

    def __init__(self, thumbnails, start):
        self.start = start
        self.rows = slice(start, start + BLOCK)
        self._bytes = thumbnails[self.rows]
        cells = self._bytes.reshape(-1, 4, 4, 4, 4).astype(np.float32)
        coarse = cells.sum(axis=(2, 4)) / 4  # averages, so that no distance grows
        self._coarse = coarse.reshape(len(cells), -1)  # (B, 16)

    def find_near(self, rows, other, limit):
        """Whether each of `rows` is near each of the other block: bool (R, B).

        Most pairs are told apart by their coarse forms, at a fraction of the work.
        """
        rows = rows - self.start
        near = _within(self._coarse[rows], other._coarse, limit + ROUNDING)
        some = np.flatnonzero(near.any(axis=1))
        if len(some):
            fine = self._bytes[rows[some]].astype(np.float32)
            near[some] = _within(fine, other._bytes.astype(np.float32), limit)
        return near


def _within(a, b, limit):
    """Whether squared distances are within a limit: (A, P), (B, P) to bool (A, B).

    Sums of products of bytes are exact in float32, since they stay below 2 ** 24.
    """
    product = a @ b.T
    product -= np.vecdot(b, b) / 2
    return product >= (np.vecdot(a, a)[:, None] - limit) / 2
