"""Images as one array: in memory, spilled to disk, or read from the file on demand."""

import math
import os
import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from vae.errors import VaeError
from vae.files import explain, printable
from vae.images.pixels import resize_image
from vae.images.reading import ImageError, read_image
from vae.parallel import map_ordered

HOLD_BYTES = 512 << 20  # held in memory, as uint8
SAMPLE_IMAGES = 4096  # stand for the training set where all would take too long
SAMPLE_PARTS = 64
PREVIEW_BYTES = 64 << 20  # held-out images kept for measuring after each epoch


def load_images(file, start, stop, size, spill_dir=None, show=iter):
    """Returns images start..stop of a file at `size`: an array, or a stand-in for one.

    Images are resized once, here. What does not fit `HOLD_BYTES` stays in the file, or,
    if it had to be resized, goes to a nameless temporary file.

    Args:
        file: an open `vae.data.hdf5.ImageFile`.
        size: (width, height) of the images returned.
        spill_dir: folder for the temporary file.
        show: wraps the list of blocks, to show progress.

    Returns:
        uint8 (N, H, W, C), or `StoredImages`.

    Raises:
        VaeError: a block can't be read or holds values out of range.
    """
    width, height = size
    same = (width, height) == (file.width, file.height)
    shape = (stop - start, height, width, file.channels)
    if same and not fits_memory(shape):
        return StoredImages(file, start, stop)
    images = allocate_images(shape, spill_dir)
    for first in show(range(start, stop, file.block_rows)):
        block = file.read(first, min(first + file.block_rows, stop))
        if not same:
            block = np.stack([resize_image(image, width, height) for image in block])
        images[first - start : first - start + len(block)] = block
    return images


def spread_images(file, start, stop, size, show=iter):
    """Returns images start..stop or, of many, as many as fit `PREVIEW_BYTES`.

    Those are the first of equal parts, so that they spread over the whole stretch.
    """
    width, height = size
    most = max(1, PREVIEW_BYTES // (width * height * file.channels))
    count = stop - start
    if count <= most:
        return load_images(file, start, stop, size, show=show)
    parts = max(1, most // file.block_rows)
    length = min(file.block_rows, most)
    firsts = [start + part * (count - length) // parts for part in range(parts)]
    loaded = [load_images(file, at, at + length, size) for at in show(firsts)]
    return np.concatenate(loaded)


def sample_images(images):
    """Returns training images that stand for all: those of equal parts, in order.

    Args:
        images: what `load_images` returned.

    Returns:
        uint8 (M, H, W, C), at most `SAMPLE_IMAGES` of them.
    """
    count = len(images)
    if count <= SAMPLE_IMAGES:
        return images[0:count]
    length = max(1, SAMPLE_IMAGES // SAMPLE_PARTS)
    firsts = np.linspace(0, count - length, SAMPLE_PARTS).astype(int)
    return np.concatenate([images[at : at + length] for at in firsts])


def fits_memory(shape):
    """Whether uint8 images of a shape (N, H, W, C) are to be held in memory."""
    return math.prod(shape) <= HOLD_BYTES


def allocate_images(shape, folder=None):
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


class StoredImages:
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


@dataclass(frozen=True)
class Crops:
    """The crops of a folder that could be read, in order, and why others could not.

    Attributes:
        names: of all files, as they were given.
        images: uint8 (N, H, W, C).
        indices: for each image, its place in the list of names.
        failures: list of (place in the list of names, reason).
        notes: the same, of what was read in part, as the first frame of an animation.
    """

    names: list
    images: Any
    indices: list
    failures: list
    notes: list

    def printable_names(self):
        """Returns the name of each image, as one line of text."""
        return [printable(self.names[place]) for place in self.indices]


def read_crops(folder, names, config, on_read=lambda count: None):
    """Reads image files at the size of a model.

    Args:
        folder: the folder. names: paths below it.
        config: the model's `ModelConfig`.
        on_read: called with a number of files that are done.

    Returns:
        `Crops`; an image that can't be read is in its `failures`.
    """
    shape = len(names), config.height, config.width, config.channels
    images = allocate_images(shape)
    size, notes = (config.width, config.height, config.channels), []

    def read(place):
        path, lines = os.path.join(folder, names[place]), []
        try:
            images[place] = read_image(path, *size, lines.append)
        except ImageError as error:
            return str(error), lines
        return None, lines

    indices, failures = [], []
    for place, (reason, lines) in enumerate(map_ordered(read, range(len(names)))):
        notes += [(place, line) for line in lines]
        if reason:
            failures.append((place, reason))
        else:
            indices.append(place)
        on_read(1)
    for row, place in enumerate(indices if failures else []):
        images[row] = images[place]
    return Crops(names, images[: len(indices)], indices, failures, notes)
