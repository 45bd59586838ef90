"""Which images of a set look bad: near duplicates, blurred ones and outliers.

Each image is reduced to a thumbnail and one number for its sharpness, 260 bytes, so
that millions of them fit in memory. What is found depends on all images, and on their
order only in which of two copies counts as the first.
"""
from dataclasses import dataclass

import numpy as np

THUMBNAIL_SIDE = 16  # pixels
THUMBNAIL_BYTES = THUMBNAIL_SIDE**2
MIN_IMAGES = 8  # fewer have no typical face to differ from
DEVIATION_SCALE = 1.4826  # makes a median deviation a standard one, of a Gaussian
MIN_DEVIATION = 0.5  # gray levels; a set of equal images has none
BLOCK = 512  # thumbnails compared at a time
PART = 32  # of them, against a block: few enough that BLAS does not start threads
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
    rows = _add_cells(gray.view(np.uint16), 1, np.uint16)  # (B, 16, W)
    sums = _add_cells(rows, 2, np.uint32)  # (B, 16, 16)
    area = np.outer(_cell_sides(height), _cell_sides(width))
    thumbnails = np.rint(sums / (4 * area)).astype(np.uint8)
    return thumbnails.reshape(len(images), THUMBNAIL_BYTES), _sharpness(gray)


def _four_times_gray(images):
    """R + 2G + B of RGB, or 4 times the one channel: int16 (B, H, W)."""
    gray = images[..., images.shape[3] // 2].astype(np.int16)  # green, or the one
    gray *= 2 if images.shape[3] == 3 else 4
    for channel in (0, 2)[: images.shape[3] - 1]:
        gray += images[..., channel]
    return gray


def _sharpness(gray):
    """The mean square of the Laplacian: float32 (B,).

    Rows are taken as one line, which is faster than three dimensions; what is computed
    across the ends of rows is left out afterwards.
    """
    count, height, width = gray.shape
    line = gray.reshape(count, height * width)
    middle = slice(width, (height - 1) * width)
    laplacian = 4 * line[:, middle]
    for step in (-width, -1, 1, width):
        laplacian -= line[:, middle.start + step : middle.stop + step]
    inner = laplacian.reshape(count, height - 2, width)[:, :, 1:-1]
    inner = inner.astype(np.float32).reshape(count, (height - 2) * (width - 2))
    return np.vecdot(inner, inner) / inner.shape[1]


def _cell_edges(side):
    return np.arange(THUMBNAIL_SIDE) * side // THUMBNAIL_SIDE


def _cell_sides(side):
    """Pixels of each cell along one side; in a tiny image, cells share a pixel."""
    return np.maximum(np.diff(_cell_edges(side), append=side), 1)


def _add_cells(levels, axis, dtype):
    """Sums over cells, without a matrix product, whose threads fight for the cores.

    uint16 is wide enough for the first axis, where 64 levels of 1020 meet at most.
    """
    side = levels.shape[axis]
    levels = np.moveaxis(levels, axis, 0)
    cells = zip(_cell_edges(side), _cell_sides(side))
    sums = [levels[at : at + size].sum(axis=0, dtype=dtype) for at, size in cells]
    return np.stack(sums, axis=axis)


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
    search = _Search(thumbnails, distance)
    count = len(thumbnails)
    gone = np.zeros(count, bool) if gone is None else gone
    copies = np.full(count, -1)
    for start in range(0, count, BLOCK):
        rows = np.flatnonzero(~gone[start : start + BLOCK]) + start
        blamed = rows[rows >= first]
        copies[blamed] = search.find_first(blamed)
        rows = rows[copies[rows] < 0]
        near = np.tril(search.compare(rows), -1)
        for at in np.flatnonzero(near.any(axis=1)):
            same = rows[near[at] & (copies[rows] < 0)]  # changes from row to row
            if len(same) and rows[at] >= first:
                copies[rows[at]] = same[0]
        search.add(rows[copies[rows] < 0])
    return [(int(row), int(copies[row])) for row in np.flatnonzero(copies >= 0)]


class _Search:
    """Thumbnails, and among them those added so far, sorted so that few are compared.

    Two thumbnails differ at least as much as their coarse forms do, and those as much
    as their places along one line. So each is compared with its neighbours on the line
    only, first coarsely, and what is left in full.
    """

    def __init__(self, thumbnails, distance):
        self._thumbnails = thumbnails
        self._limit = distance**2 * THUMBNAIL_BYTES
        self._reach = np.sqrt(self._limit) + 1  # on the line; float32 loses far less
        blocks = range(0, len(thumbnails), BLOCK)
        coarse = [_coarsen(thumbnails[at : at + BLOCK]) for at in blocks]
        self._coarse = np.concatenate(coarse)  # (N, 16)
        centred = self._coarse - self._coarse.mean(axis=0)
        axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]  # along which they vary
        self._places = self._coarse @ axis
        self._rows = np.empty(0, int)  # those added, sorted by place

    def add(self, rows):
        """Makes rows known to `find_first`."""
        rows = np.concatenate([self._rows, rows])
        self._rows = rows[np.argsort(self._places[rows], kind="stable")]

    def find_first(self, rows):
        """Returns for each row the first of those added that is near it, or -1."""
        found = np.full(len(rows), len(self._places))  # more than any row
        for part, window in self._find_windows(rows, self._rows):
            others = self._rows[window]
            near = self._are_near(rows[part], others)
            first = np.where(near, others, len(self._places)).min(axis=1)
            found[part] = np.minimum(found[part], first)
        return np.where(found < len(self._places), found, -1)

    def compare(self, rows):
        """Returns which of the rows are near each other: bool (R, R)."""
        order = np.argsort(self._places[rows])
        near = np.zeros((len(rows), len(rows)), bool)
        for part, window in self._find_windows(rows, rows[order]):
            columns = order[window]
            near[np.ix_(part, columns)] = self._are_near(rows[part], rows[columns])
        return near

    def _find_windows(self, rows, others):
        """Yields (indices of some rows, slice of others that may be near them).

        All pairs that are not near enough on the line are left out. `others` are sorted
        by place.
        """
        order, places = np.argsort(self._places[rows]), self._places[others]
        for at in range(0, len(rows), PART):
            part = order[at : at + PART]
            low, high = self._places[rows[part[[0, -1]]]]
            start = np.searchsorted(places, low - self._reach)
            stop = np.searchsorted(places, high + self._reach, "right")
            for begin in range(start, stop, BLOCK):
                yield part, slice(begin, min(begin + BLOCK, stop))

    def _are_near(self, rows, others):
        """Whether each of `rows` is near each of `others`: bool (R, O)."""
        coarse = self._coarse[rows], self._coarse[others]
        near = _within(*coarse, self._limit + ROUNDING)
        some, of = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        if len(some):
            fine = self._thumbnails[rows[some]], self._thumbnails[others[of]]
            fine = [part.astype(np.float32) for part in fine]
            near[np.ix_(some, of)] = _within(*fine, self._limit)
        return near


def _coarsen(thumbnails):
    """Sums of 4 x 4 pixels over 4, so that no distance grows: float32 (B, 16)."""
    cells = thumbnails.reshape(-1, 4, 4, 4, 4).astype(np.float32)
    return cells.sum(axis=(2, 4)).reshape(len(cells), -1) / 4


def _within(a, b, limit):
    """Whether squared distances are within a limit: (A, P), (B, P) to bool (A, B).

    Sums of products of bytes are exact in float32, since they stay below 2 ** 24.
    """
    product = a @ b.T
    product -= np.vecdot(b, b) / 2
    return product >= (np.vecdot(a, a)[:, None] - limit) / 2
