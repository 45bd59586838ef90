"""Which images of a set look bad: near duplicates, blurred ones and outliers.

Each image is reduced to a thumbnail and one number for its sharpness, 260 bytes, so
that millions of them fit in memory. What is found depends on all images, and on their
order only in which of two copies counts as the first.
"""

from collections.abc import Callable, Collection, Iterable

import numpy as np
from PIL import Image

from vae.config import PrepareConfig
from vae.images.pixels import to_picture

THUMBNAIL_SIDE = 16  # pixels
THUMBNAIL_BYTES = THUMBNAIL_SIDE**2
MIN_IMAGES = 8  # fewer have no typical face to differ from
DEVIATION_SCALE = 1.4826  # makes a median deviation a standard one, of a Gaussian
MIN_DEVIATION = 0.5  # gray levels; a set of equal images has none
BLOCK = 512  # thumbnails compared at a time
Show = Callable[[range], Iterable[int]]  # wraps the list of blocks in a progress bar


def measure_images(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
        picture = to_picture(image).convert("L")
        small = picture.resize(size, Image.Resampling.BOX)
        thumbnails[row] = np.asarray(small).ravel()
        gray = np.asarray(picture, np.float32)  # (H, W)
        laplacian = 4 * gray[1:-1, 1:-1] - gray[:-2, 1:-1] - gray[2:, 1:-1]
        laplacian -= gray[1:-1, :-2] + gray[1:-1, 2:]
        sharpness[row] = np.square(laplacian).mean()
    return thumbnails, sharpness


def find_bad(
    thumbnails: np.ndarray,
    sharpness: np.ndarray,
    config: PrepareConfig,
    first: int,
    dropped: Collection[str],
    show: Show = iter,
) -> dict[str, dict[int, int | None]]:
    """Searches a set of images for those that look bad.

    Args:
        thumbnails: uint8 (N, 256).
        sharpness: floats (N,).
        first: rows before it are compared with, and never found.
        dropped: kinds that will be dropped; no image counts as a copy of one that is
            dropped for another reason.

    Returns:
        duplicates, blurred and outliers -> rows that look bad, in order, each with the
        earlier row it is a copy of, or None; a row may be of several kinds.
    """
    bad = sharpness < config.blur_ratio * np.median(sharpness)
    found = {
        "blurred": _list_rows(bad, first),
        "outliers": find_outliers(thumbnails, config.outlier_score, first),
    }
    gone = np.zeros(len(thumbnails), bool)
    for kind, rows in found.items():
        gone[rows] |= kind in dropped
    copies = find_duplicates(thumbnails, config.duplicate_distance, first, gone, show)
    others = {kind: dict.fromkeys(rows) for kind, rows in found.items()}
    return {"duplicates": dict(copies), **others}


def find_outliers(thumbnails: np.ndarray, score: float, first: int = 0) -> list[int]:
    """Returns the rows whose distance from the average image is far above the median.

    Args:
        thumbnails: uint8 (N, 256).
        score: distance above the median, in robust standard deviations.
    """
    if len(thumbnails) < MIN_IMAGES:
        return []
    average = thumbnails.mean(axis=0, dtype=np.float64)  # (256,)
    blocks = (thumbnails[at : at + BLOCK] for at in range(0, len(thumbnails), BLOCK))
    squares = [np.square(block - average).mean(axis=1) for block in blocks]
    distance = np.sqrt(np.concatenate(squares))  # (N,)
    median = np.median(distance)
    deviation = DEVIATION_SCALE * np.median(np.abs(distance - median))
    bad = distance > median + score * max(deviation, MIN_DEVIATION)
    return _list_rows(bad, first)


def _list_rows(bad: np.ndarray, first: int) -> list[int]:
    return (np.flatnonzero(bad[first:]) + first).tolist()


def find_duplicates(
    thumbnails: np.ndarray, rms: float, first: int, gone: np.ndarray, show: Show = iter
) -> list[tuple[int, int]]:
    """Returns (row, earlier row) for each image that nearly equals an earlier one.

    The earlier one is never itself a duplicate, so that a slow movement, each frame of
    which resembles the next, is thinned and does not vanish.

    Args:
        thumbnails: uint8 (N, 256).
        rms: root mean square of the difference, in gray levels.
        first: as in `find_bad`.
        gone: bool (N,), rows to leave out.
    """
    limit = rms**2 * THUMBNAIL_BYTES
    kept, copies = np.empty(0, int), []
    for start in show(range(0, len(thumbnails), BLOCK)):
        rows = np.flatnonzero(~gone[start : start + BLOCK]) + start
        found = _find_first(thumbnails, rows, kept, limit)
        near = _are_near(thumbnails[rows], thumbnails[rows], limit)
        new = np.zeros(len(rows), bool)  # rows of this block that are no copies
        for at, row in enumerate(rows):
            earlier = rows[:at][near[at, :at] & new[:at]]
            copied = found[at] if found[at] >= 0 or not len(earlier) else earlier[0]
            if copied >= 0 and row >= first:
                copies.append((int(row), int(copied)))
            else:
                new[at] = True
        kept = np.concatenate([kept, rows[new]])
    return copies


def _find_first(
    thumbnails: np.ndarray, rows: np.ndarray, kept: np.ndarray, limit: float
) -> np.ndarray:
    """Returns for each of `rows` the first of those kept that is near it, or -1."""
    found = np.full(len(rows), -1)
    for start in range(0, len(kept), BLOCK):
        others = kept[start : start + BLOCK]
        near = _are_near(thumbnails[rows], thumbnails[others], limit)
        new = (found < 0) & near.any(axis=1)
        found[new] = others[near[new].argmax(axis=1)]
    return found


def _are_near(thumbnails: np.ndarray, others: np.ndarray, limit: float) -> np.ndarray:
    """Whether squared distances are within a limit: (A, P), (B, P) to bool (A, B).

    Sums of products of 256 bytes are exact in float32, since they stay below 2 ** 24.
    """
    a, b = thumbnails.astype(np.float32), others.astype(np.float32)
    product = a @ b.T - np.vecdot(b, b) / 2
    return product >= (np.vecdot(a, a)[:, None] - limit) / 2
