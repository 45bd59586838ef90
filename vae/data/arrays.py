"""Images as one array: in memory, spilled to disk, or read from the file on demand."""

import math
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from vae.config import ModelConfig
from vae.data.hdf5 import ImageFile
from vae.errors import ImageError, VaeError
from vae.files import explain, printable
from vae.images.pixels import resize_image
from vae.images.reading import read_image
from vae.parallel import map_ordered

HOLD_BYTES = 512 << 20  # held in memory, as uint8
SAMPLE_IMAGES = 4096  # stand for the training set where all would take too long
SAMPLE_PARTS = 64
PREVIEW_BYTES = 64 << 20  # held-out images kept for measuring after each epoch


class StoredImages:
    """A stretch of an `ImageFile`, or of a set of them, that is too large to hold."""

    def __init__(self, file: ImageFile, start: int, stop: int) -> None:
        self._file, self._start = file, start
        self.shape = (stop - start, file.height, file.width, file.channels)
        self.block_rows = file.block_rows

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> np.ndarray:
        """Returns a contiguous slice as uint8 (B, H, W, C)."""
        start, stop, _ = part.indices(len(self))
        return self._file.read(self._start + start, self._start + stop)

    def pick(self, rows: np.ndarray) -> np.ndarray:
        """Returns the images of some rows, in rising order, as uint8 (B, H, W, C)."""
        return self._file.pick(self._start + rows)


Images: TypeAlias = np.ndarray | StoredImages  # uint8 (N, H, W, C)


def load_images(
    file: ImageFile,
    start: int,
    stop: int,
    size: tuple[int, int],
    spill_dir: str | os.PathLike | None = None,
    show: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> Images:
    """Returns images start..stop of a file at `size`: an array, or a stand-in for one.

    Images are resized once, here. What does not fit `HOLD_BYTES` stays in the file, or,
    if it had to be resized, goes to a nameless temporary file.

    Args:
        size: (width, height) of the images returned.
        spill_dir: folder for the temporary file.
        show: wraps the list of blocks, to show progress.

    Raises:
        VaeError: a block can't be read or holds values out of range.
    """
    width, height = size
    same = (width, height) == (file.width, file.height)
    shape = (stop - start, height, width, file.channels)
    if same and math.prod(shape) > HOLD_BYTES:
        return StoredImages(file, start, stop)
    images = _allocate(shape, spill_dir)
    for first in show(range(start, stop, file.block_rows)):
        block = file.read(first, min(first + file.block_rows, stop))
        if not same:
            block = np.stack([resize_image(image, width, height) for image in block])
        images[first - start : first - start + len(block)] = block
    return images


def spread_images(
    file: ImageFile,
    start: int,
    stop: int,
    size: tuple[int, int],
    show: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> Images:
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


def sample_images(images: Images) -> np.ndarray:
    """Returns training images that stand for all: those of equal parts, in order.

    They are uint8 (M, H, W, C), at most `SAMPLE_IMAGES` of them.
    """
    count = len(images)
    if count <= SAMPLE_IMAGES:
        return images[0:count]
    length = max(1, SAMPLE_IMAGES // SAMPLE_PARTS)
    firsts = np.linspace(0, count - length, SAMPLE_PARTS).astype(int)
    return np.concatenate([images[at : at + length] for at in firsts])


def _allocate(
    shape: tuple[int, ...], folder: str | os.PathLike | None = None
) -> np.ndarray:
    """Returns uint8 zeros, in memory or in a nameless temporary file in `folder`."""
    if math.prod(shape) <= HOLD_BYTES:
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


def read_pictures(
    folder: str | os.PathLike,
    names: Sequence[str],
    config: ModelConfig,
    on_note: Callable[[str], Any] = lambda line: None,
) -> np.ndarray:
    """Returns the images of files, uint8 (N, H, W, C), at the size of a model.

    Args:
        names: paths relative to `folder`, in order.
        on_note: called with a line on what is left out or missing in a file.

    Raises:
        VaeError: one can't be read, or there is no room for them.
    """
    size = config.width, config.height, config.channels
    images = _allocate((len(names), config.height, config.width, config.channels))

    def read(place):
        lines, name = [], printable(names[place])
        try:
            path = os.path.join(folder, names[place])
            images[place] = read_image(path, *size, lines.append)
        except ImageError as error:
            raise VaeError(f"{name}: {error}") from error
        return [f"{name}: {line}" for line in lines]

    for lines in map_ordered(read, range(len(names))):
        for line in lines:
            on_note(line)
    return images
