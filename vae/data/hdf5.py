"""Open and validate an HDF5 file of images, and read blocks of it.

Everything here returns upright uint8 images with rows first.
"""

import hashlib
import math
import os
from dataclasses import dataclass
from typing import Any

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

MAX_STORED_SIDE = 8192  # pixels; prepare and evaluate make such images smaller
TARGET_BLOCK_BYTES = 1 << 20  # what one read asks for, rounded to whole chunks
MAX_LAYOUT_BYTES = 64  # of the attribute that says which axis is which
FINGERPRINT_RUNS, RUN_IMAGES = 64, 16  # of images that are compared
FINGERPRINT_KIND = "images:"  # before it, to tell it from that of 1.0.0
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
        name: of the file and the dataset, as it begins a message.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        dataset_name: str = "data",
        layout: str = "auto",
        size: tuple[int | None, int | None] = (None, None),
        max_side: int = MAX_SIDE,
    ) -> None:
        """Opens and checks everything but the pixel values.

        Args:
            layout: auto, width-first or rows-first.
            size: (width, height) the caller asks for, each None when it does not.
            max_side: pixels of a side that is not refused.

        Raises:
            RefusedError: the file or the dataset is not what this tool reads.
        """
        self.name = f"{printable(path)}: dataset {dataset_name!r}"
        self._file = open_file(path)
        self._bytes = self._measure()
        try:
            self.dataset = find_dataset(self._file, printable(path), dataset_name)
            problem = _find_problem(self.dataset, max_side)
            if problem:
                raise RefusedError(f"{self.name}: {problem}")
            check_storage(self.dataset, self.name)
            self.layout = _decide_layout(self.dataset, layout, size)
        except BaseException as error:
            self._file.close()
            if isinstance(error, DAMAGE):
                reason = f"can't be read ({explain_damage(error)}), images expected"
                raise RefusedError(f"{self.name}: {reason}") from error
            raise
        self.count, *sides, self.channels = self.dataset.shape
        self.height, self.width = sides[::-1] if self.layout.width_first else sides
        chunk = self.dataset.chunks[0] if self.dataset.chunks else 1
        wanted = TARGET_BLOCK_BYTES // math.prod(self.dataset.shape[1:])
        self.block_rows = chunk * max(1, wanted // chunk)

    @property
    def notes(self) -> list[str]:
        """Lines for the user: how the axes were read, and chunks that are slow."""
        chunks, notes = self.dataset.chunks, self.layout_notes
        if chunks and chunks[1:] != self.dataset.shape[1:]:
            notes.append(
                f"{self.name}: chunks of {' x '.join(map(str, chunks))} split every"
                " image, which is slow to read; repack it: prepare old.h5 new.h5"
            )
        return notes

    @property
    def layout_notes(self) -> list[str]:
        """Lines for the user: how the axes were read, and a word that was not."""
        notes, told = [self.layout.note], _read_layout(self.dataset)
        if told not in (None, *LAYOUTS[1:]):
            notes.insert(
                0,
                f"{self.name}: attribute layout {told!r:.40} found, rows-first or"
                " width-first expected; it is not used",
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
        return self._read(range(start, stop), lambda: self.dataset[start:stop])

    def pick(self, rows: np.ndarray) -> np.ndarray:
        """Returns the images of some rows, in rising order, as `read` does.

        Of a file without chunks nothing else is read.
        """
        return self._read(rows.tolist(), lambda: self._pick_stored(rows))

    def _pick_stored(self, rows):
        """Rows as they are stored; HDF5 would read 64 KB around each."""
        offset, dtype = self.dataset.id.get_offset(), self.dataset.dtype
        if offset is None:  # in chunks
            return self.dataset[rows]
        shape = self.dataset.shape[1:]
        size, file = math.prod(shape) * dtype.itemsize, self._file.id.get_vfd_handle()
        parts = [os.pread(file, size, offset + row * size) for row in rows.tolist()]
        if any(len(part) < size for part in parts):
            raise OSError("the file became shorter")
        return np.frombuffer(b"".join(parts), dtype).reshape(-1, *shape)

    def _read(self, rows, load):
        try:
            block = load()  # (B, H, W, C) or (B, W, H, C)
        except (OSError, RuntimeError) as error:
            which = f"images {rows[0]} to {rows[-1]}"
            which = which if len(rows) > 1 else f"image {rows[0]}"
            raise VaeError(
                f"{self.name}: {which} can't be read ({explain_damage(error)}); copy"
                " the file again"
            ) from error
        if self._measure() < self._bytes:  # HDF5 reads zeros past the end
            raise VaeError(
                f"{self.name}: the file became shorter while it was read; nothing of"
                " it can be trusted, copy it again"
            )
        if block.dtype != np.uint8:
            self._check_range(block, rows)
            block = np.rint(block.astype(np.float32) * 255).astype(np.uint8)
        if self.layout.width_first:
            block = np.ascontiguousarray(block.transpose(0, 2, 1, 3))
        return block

    def _measure(self):
        """Bytes of the open file, also where another has taken its name."""
        return os.fstat(self._file.id.get_vfd_handle()).st_size

    def _check_range(self, block, rows):
        for row, image in zip(rows, block, strict=True):
            low, high = image.min(), image.max()
            if not (low >= 0 and high <= 1):  # NaN compares false
                raise RefusedError(
                    f"{self.name}: image {row} spans {low:.4g} to {high:.4g},"
                    " floats between 0 and 1 expected; scale them, or store uint8"
                )

    def check_index(self) -> None:
        """Reads where each chunk lies, the first and last image, one of a large chunk.

        Raises:
            VaeError: any of it can't be read.
        """
        large = check_chunks(self.dataset, self.name)
        for row in sorted({0, self.count - 1} | large):
            self.read(row, row + 1)

    def fingerprint(self) -> str:
        """Returns a SHA-256 over the form and up to 1024 images, spread over the file.

        Files that hold the same images have the same, however they are stored.
        """
        return fingerprint_images(self)


def _find_problem(dataset: h5py.Dataset, max_side: int) -> str | None:
    """Why a dataset holds no images, or None."""
    shape, dtype = dataset.shape, dataset.dtype
    wanted = "N x width x height x 3 (or 1) expected"
    if shape is None or len(shape) != 4:
        return f"shape {shape} found, {wanted}"
    if shape[3] not in (1, 3):
        advice = "; move the channels to the end" if shape[1] in (1, 3) else ""
        if shape[0] in (1, 3):
            advice = "; if MATLAB wrote it, permute(x, [4 3 2 1]) there first"
        return f"shape {shape} found, {wanted}{advice}"
    if shape[0] == 0:
        return "no images found, at least one expected"
    if not all(MIN_SIDE <= side <= max_side for side in shape[1:3]):
        found = f"images of {shape[1]}x{shape[2]} pixels found"
        advice = "; prepare --width 112 old.h5 new.h5" if min(shape[1:3]) > 3 else ""
        return f"{found}, sides of {MIN_SIDE} to {max_side} expected{advice}"
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
    """The attribute `layout` as text, or None if there is none.

    MATLAB, R, Julia and C++ store text of a fixed length, or an array of one.
    """
    if "layout" not in dataset.attrs:
        return None
    stored = dataset.attrs.get_id("layout")
    if stored.get_storage_size() > MAX_LAYOUT_BYTES:
        return f"of {stored.get_storage_size()} bytes"
    found = np.asarray(dataset.attrs["layout"])
    found = found.item() if found.size == 1 else found.tolist()
    if isinstance(found, bytes):
        found = found.decode(errors="backslashreplace")
    return found.strip("\0 ") if isinstance(found, str) else str(found)


def fingerprint_images(images: Any) -> str:
    """Returns the fingerprint of an `ImageFile`, or of what is read as one is."""
    count = images.count
    form = count, images.height, images.width, images.channels
    digest = hashlib.sha256(repr(form).encode())
    runs = min(FINGERPRINT_RUNS, -(-count // RUN_IMAGES))
    starts = np.linspace(0, max(0, count - RUN_IMAGES), runs).astype(int)
    for start in starts.tolist():
        digest.update(images.read(start, min(start + RUN_IMAGES, count)))
    return FINGERPRINT_KIND + digest.hexdigest()


def count_held_out(count: int, share: float) -> int:
    """Returns how many images at the end of a file of `count` training holds out."""
    return max(1, round(count * share)) if share and count > 1 else 0
