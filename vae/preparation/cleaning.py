"""Which images of a set look bad: near duplicates, blurred ones and outliers.

Each image is reduced to a thumbnail and one number for its sharpness, 260 bytes, so
that millions of them fit in memory. What is found depends on all images, and on their
order only in which of two copies counts as the first.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from vae.images.pixels import to_picture

THUMBNAIL_SIDE = 16  # pixels
THUMBNAIL_BYTES = THUMBNAIL_SIDE**2
MIN_IMAGES = 8  # fewer have no typical face to differ from
DEVIATION_SCALE = 1.4826  # makes a median deviation a standard one, of a Gaussian
MIN_DEVIATION = 0.5  # gray levels; a set of equal images has none
BLOCK = 512  # thumbnails compared at a time


def measure_images(images):
    """Reduces images to what the searches below need.

    Args:
        images: uint8 (B, H, W, C), C 1 or 3, sides of at least 4.

    Returns:
        (thumbnails, sharpness): uint8 (B, 256), and float32 (B,), the mean square of
        the Laplacian.
    """
    thumbnails = np.empty((len(images), THUMBNAIL_BYTES), np.uint8)
    sharpness = np.empty(len(images), np.float32)
    size = THUMBNAIL_SIDE, THUMBNAIL_SIDE
    for row, image in enumerate(images):
        gray = to_picture(image).convert("L")
        small = gray.resize(size, Image.Resampling.BOX)
        thumbnails[row] = np.asarray(small).reshape(-1)
        sharpness[row] = _measure_sharpness(np.asarray(gray, np.float32))
    return thumbnails, sharpness


def _measure_sharpness(gray):
    """The mean square of the Laplacian of an image (H, W)."""
    laplacian = 4 * gray[1:-1, 1:-1] - gray[:-2, 1:-1] - gray[2:, 1:-1]
    laplacian -= gray[1:-1, :-2] + gray[1:-1, 2:]
    return np.square(laplacian).mean()


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


def find_bad(thumbnails, sharpness, config, first, dropping, show=iter):
    """Searches a set of images for those that look bad.

    Args:
        thumbnails: uint8 (N, 256). sharpness: floats (N,).
        config: a `PrepareConfig`.
        first: rows before it are never blamed, only compared with.
        dropping: names of `Findings` whose rows will be dropped; no image counts as a
            copy of one that goes for another reason.
        show: wraps the list of blocks, to show progress.

    Returns:
        `Findings`
    """
    blurred = find_blurred(sharpness, config.blur_ratio, first)
    outliers = find_outliers(thumbnails, config.outlier_score, first)
    gone = np.zeros(len(thumbnails), bool)
    gone[blurred if "blurred" in dropping else []] = True
    gone[outliers if "outliers" in dropping else []] = True
    distance = config.duplicate_distance
    duplicates = find_duplicates(thumbnails, distance, first, gone, show)
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


def find_duplicates(thumbnails, distance, first=0, gone=None, show=iter):
    """Returns (row, earlier row) for each image that nearly equals an earlier one.

    The earlier one is never itself a duplicate, so that a slow movement, each frame of
    which resembles the next, is thinned and does not vanish.

    Args:
        thumbnails: uint8 (N, 256).
        distance: root mean square of the difference, in gray levels.
        first: rows before it are compared with, and not blamed.
        gone: bool (N,), rows to leave out, or None.
        show: wraps the list of blocks, to show progress.
    """
    limit = distance**2 * THUMBNAIL_BYTES
    gone = np.zeros(len(thumbnails), bool) if gone is None else gone
    kept, copies = np.empty(0, int), {}
    for start in show(range(0, len(thumbnails), BLOCK)):
        rows = np.flatnonzero(~gone[start : start + BLOCK]) + start
        found = _find_first(thumbnails, rows, kept, limit)
        near = _are_near(thumbnails[rows], thumbnails[rows], limit)
        new = np.zeros(len(rows), bool)  # rows of this block that are no copies
        for at, row in enumerate(rows):
            earlier = rows[:at][near[at, :at] & new[:at]]
            copied = found[at] if found[at] >= 0 or not len(earlier) else earlier[0]
            if copied >= 0 and row >= first:
                copies[int(row)] = int(copied)
            else:
                new[at] = True
        kept = np.concatenate([kept, rows[new]])
    return list(copies.items())


def _find_first(thumbnails, rows, kept, limit):
    """Returns for each of `rows` the first of those kept that is near it, or -1."""
    found = np.full(len(rows), -1)
    for start in range(0, len(kept), BLOCK):
        others = kept[start : start + BLOCK]
        near = _are_near(thumbnails[rows], thumbnails[others], limit)
        new = (found < 0) & near.any(axis=1)
        found[new] = others[near[new].argmax(axis=1)]
    return found


def _are_near(thumbnails, others, limit):
    """Whether squared distances are within a limit: (A, P), (B, P) to bool (A, B).

    Sums of products of 256 bytes are exact in float32, since they stay below 2 ** 24.
    """
    a, b = thumbnails.astype(np.float32), others.astype(np.float32)
    product = a @ b.T - np.vecdot(b, b) / 2
    return product >= (np.vecdot(a, a)[:, None] - limit) / 2
