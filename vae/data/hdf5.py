"""Open and validate an HDF5 file of images, and read blocks of it.

Everything here returns upright uint8 images with rows first.
"""

import hashlib
import math
import os
from dataclasses import dataclass

import h5py
import numpy as np

from vae.config import LAYOUTS, MAX_SIDE, MIN_SIDE
from vae.data.untrusted import (
    DAMAGE,
    check_chunks,
    check_storage,
    explain_damage,
    find_dataset,
    open_file,
)
from vae.errors import RefusedError, VaeError
from vae.files import printable

TARGET_BLOCK_BYTES = 1 << 20  # what one read asks for, rounded to whole chunks
MAX_LAYOUT_BYTES = 64  # of the attribute that says which axis is which
FINGERPRINT_BLOCKS = 64
KINDS = "uint8, or float16, float32 or float64 between 0 and 1"


@dataclass(frozen=True)
class Layout:
    """Which axis of the file is which, and why it was read so."""

    width_first: bool
    note: str = ""  # one line for the user, empty when there is nothing to say

    @property
    def name(self) -> str:
        """The value of --layout that says the same."""
        return "width-first" if self.width_first else "rows-first"


class ImageFile:
    """An open, validated HDF5 dataset of images.

    Attributes:
        dataset: as stored; `read` returns its images.
        count, height, width, channels: of the images as they are read.
        layout: a `Layout`.
        block_rows: images a read should ask for, a whole number of chunks.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        dataset_name: str = "data",
        layout: str = "auto",
        size: tuple[int | None, int | None] = (None, None),
    ) -> None:
        """Opens and checks everything but the pixel values.

        Args:
            layout: auto, width-first or rows-first.
            size: (width, height) the caller asks for, each None when it does not.

        Raises:
            RefusedError: the file or the dataset is not what this tool reads.
        """
        self._name = f"{printable(path)}: dataset {dataset_name!r}"
        self._file = open_file(path)
        try:
            self.dataset = find_dataset(self._file, printable(path), dataset_name)
            problem = _find_problem(self.dataset)
            if problem:
                raise RefusedError(f"{self._name}: {problem}")
            check_storage(self.dataset, self._name)
            self.layout = _decide_layout(self.dataset, layout, size)
        except BaseException as error:
            self._file.close()
            if isinstance(error, DAMAGE):
                reason = f"can't be read ({explain_damage(error)}), images expected"
                raise RefusedError(f"{self._name}: {reason}") from error
            raise
        self.count, *sides, self.channels = self.dataset.shape
        self.height, self.width = sides[::-1] if self.layout.width_first else sides
        chunk = self.dataset.chunks[0] if self.dataset.chunks else 1
        wanted = TARGET_BLOCK_BYTES // math.prod(self.dataset.shape[1:])
        self.block_rows = chunk * max(1, wanted // chunk)

    @property
    def notes(self) -> list[str]:
        """Lines for the user: how the axes were read, and chunks that are slow."""
        chunks, notes = self.dataset.chunks, [self.layout.note]
        if chunks and chunks[1:] != self.dataset.shape[1:]:
            notes.append(
                f"{self._name}: chunks of {' x '.join(map(str, chunks))} split every"
                " image, which is slow to read; repack it: prepare old.h5 new.h5"
            )
        return list(filter(None, notes))

    def __enter__(self) -> "ImageFile":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def read(self, start: int, stop: int) -> np.ndarray:
        """Returns images start..stop as uint8 (B, H, W, C), rows first.

        Raises:
            VaeError: the stored bytes can't be read, or a float lies outside 0..1.
        """
        try:
            block = self.dataset[start:stop]  # (B, H, W, C) or (B, W, H, C)
        except (OSError, RuntimeError) as error:
            raise VaeError(
                f"{self._name}: images {start} to {stop - 1} can't be read"
                f" ({explain_damage(error)}); copy the file again"
            ) from error
        if block.dtype != np.uint8:
            self._check_range(block, start)
            block = np.rint(block.astype(np.float32) * 255).astype(np.uint8)
        if self.layout.width_first:
            block = np.ascontiguousarray(block.transpose(0, 2, 1, 3))
        return block

    def _check_range(self, block, start):
        for row, image in enumerate(block, start):
            low, high = image.min(), image.max()
            if not (low >= 0 and high <= 1):  # NaN compares false
                raise RefusedError(
                    f"{self._name}: image {row} spans {low:.4g} to {high:.4g},"
                    " floats between 0 and 1 expected; scale them, or store uint8"
                )

    def check_index(self) -> None:
        """Reads where each chunk lies, and the first and the last image.

        Raises:
            VaeError: any of it can't be read.
        """
        check_chunks(self.dataset, self._name)
        for row in {0, self.count - 1}:
            self.read(row, row + 1)

    def fingerprint(self) -> str:
        """Returns a SHA-256 over the form and up to 64 blocks spread over the file."""
        digest = hashlib.sha256(repr((self.dataset.shape, self.layout.name)).encode())
        blocks = -(-self.count // self.block_rows)
        chosen = np.unique(np.linspace(0, blocks - 1, FINGERPRINT_BLOCKS).astype(int))
        for start in (chosen * self.block_rows).tolist():
            digest.update(self.read(start, min(start + self.block_rows, self.count)))
        return digest.hexdigest()


def _find_problem(dataset: h5py.Dataset) -> str | None:
    """Why a dataset holds no images, or None."""
    shape, dtype = dataset.shape, dataset.dtype
    wanted = "N x width x height x 3 (or 1) expected"
    if shape is None or len(shape) != 4:
        return f"shape {shape} found, {wanted}"
    if shape[3] not in (1, 3):
        advice = "; move the channels to the end" if shape[1] in (1, 3) else ""
        return f"shape {shape} found, {wanted}{advice}"
    if shape[0] == 0:
        return "no images found, at least one expected"
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in shape[1:3]):
        found = f"images of {shape[1]}x{shape[2]} pixels found"
        return f"{found}, sides of {MIN_SIDE} to {MAX_SIDE} expected"
    plain_float = dtype.kind == "f" and dtype.itemsize in (2, 4, 8)
    if dtype != np.uint8 and not plain_float:
        return f"{dtype} values found, {KINDS} expected"
    return None


def _decide_layout(dataset, layout, size):
    """Which axis is the width: as told, as recorded, as asked for, or as documented."""
    _, first, second, _ = dataset.shape
    told = _read_layout(dataset) if layout == "auto" else layout
    if told in LAYOUTS[1:]:
        return Layout(told == "width-first")
    if first == second:
        return Layout(False)
    if any(size):  # has the image these sides, or the shape of both?
        width, height = size
        if second * (height or first) == first * (width or second):
            return Layout(False)
        if first * (height or second) == second * (width or first):
            return Layout(True)
    return Layout(
        True,
        f"--layout: images of {first} x {second} are read as {first} wide and {second}"
        " high, the documented order; say --layout rows-first if they lie on their"
        " side",
    )


def _read_layout(dataset):
    """The attribute `layout` if it is one short text, else None."""
    if "layout" not in dataset.attrs:
        return None
    stored = dataset.attrs.get_id("layout")
    text = h5py.check_string_dtype(stored.dtype)
    if not text or stored.shape != () or stored.get_storage_size() > MAX_LAYOUT_BYTES:
        return None
    found = dataset.attrs["layout"]
    return found if isinstance(found, str) else None


def count_held_out(count: int, share: float) -> int:
    """Returns how many images at the end of a file of `count` training holds out."""
    return max(1, round(count * share)) if share and count > 1 else 0
