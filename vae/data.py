"""Open and validate an HDF5 file of images, and read blocks of it.

A file may come from a stranger: only a plain dataset inside the file itself is read,
never one reached through a soft or external link, external storage or a virtual
dataset, all of which can name other files (h5py follows each without asking).
Everything here returns upright uint8 images with rows first.
"""
import hashlib
import os
import stat
from dataclasses import dataclass

import h5py
import numpy as np

from vae.config import LAYOUTS, MAX_SIDE
from vae.errors import RefusedError, VaeError
from vae.files import explain, printable

MAX_CHUNK_BYTES = 64 << 20  # one chunk is decompressed at a time, whole
TARGET_BLOCK_BYTES = 1 << 20  # what one read asks for, rounded to whole chunks
MAX_FILL_FACTOR = 1100  # gzip reaches about 1030:1; more was declared, not written
FINGERPRINT_BLOCKS = 64
_DAMAGE = (OSError, RuntimeError, KeyError, TypeError, ValueError)  # as h5py says it
KINDS = "uint8, or float16, float32 or float64 between 0 and 1"


@dataclass(frozen=True)
class Layout:
    """Which axis of the file is which, and why it was read so."""

    width_first: bool
    note: str  # one line for the user, empty when there is nothing to say

    @property
    def name(self):
        """The value of --layout that says the same."""
        return "width-first" if self.width_first else "rows-first"


class ImageFile:
    """An open, validated HDF5 dataset of images.

    Attributes:
        path: as given. dataset_name: inside the file.
        count, height, width, channels: of the images as they are read.
        layout: a `Layout`.
        block_rows: images a read should ask for, a whole number of chunks.
    """

    def __init__(self, path, dataset_name="data", layout="auto", size=(None, None)):
        """Opens and checks everything but the pixel values.

        Args:
            path: an HDF5 file.
            dataset_name: path of the dataset inside it.
            layout: auto, width-first or rows-first.
            size: (width, height) the caller asks for, each None when it does not.

        Raises:
            RefusedError: the file or the dataset is not what this tool reads.
        """
        self.path, self.dataset_name = path, dataset_name
        self._name = f"{printable(path)}: dataset {dataset_name!r}"
        self._file = _open_file(path)
        try:
            self._dataset = _find_dataset(self._file, printable(path), dataset_name)
            _check_form(self._dataset, self._name)
            _check_storage(self._dataset, self._name)
            self.layout = _decide_layout(self._dataset, layout, size)
        except BaseException as error:
            self._file.close()
            if isinstance(error, _DAMAGE):
                reason = f"can't be read ({_reason(error)}), images expected"
                raise RefusedError(f"{self._name}: {reason}") from error
            raise
        self.count, first, second, self.channels = self._dataset.shape
        if self.layout.width_first:
            first, second = second, first
        self.height, self.width = first, second
        chunk = self._dataset.chunks[0] if self._dataset.chunks else 1
        image_bytes = self.height * self.width * self.channels
        wanted = max(1, TARGET_BLOCK_BYTES // image_bytes)
        self.block_rows = chunk * max(1, wanted // chunk)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def read(self, start, stop):
        """Returns images start..stop as uint8 (B, H, W, C), rows first.

        Raises:
            VaeError: the stored bytes can't be read, or a float lies outside 0..1.
        """
        try:
            block = self._dataset[start:stop]  # (B, H, W, C) or (B, W, H, C)
        except (OSError, RuntimeError) as error:
            raise VaeError(
                f"{self._name}: images {start} to {stop - 1} can't be read"
                f" ({_reason(error)}); copy the file again"
            ) from error
        if block.dtype != np.uint8:
            self._check_range(block, start)
            block = np.rint(block.astype(np.float32) * 255).astype(np.uint8)
        if self.layout.width_first:
            block = np.ascontiguousarray(block.transpose(0, 2, 1, 3))
        return block

    def _check_range(self, block, start):
        rows = block.reshape(len(block), -1)
        bad = ~((rows >= 0) & (rows <= 1)).all(axis=1)  # NaN compares false
        if bad.any():
            row = int(np.argmax(bad))
            low, high = rows[row].min(), rows[row].max()
            raise RefusedError(
                f"{self._name}: image {start + row} spans {low:.4g} to {high:.4g},"
                " floats between 0 and 1 expected; scale them, or store uint8"
            )

    def fingerprint(self):
        """Returns a SHA-256 over the form and up to 64 blocks spread over the file."""
        digest = hashlib.sha256(repr((self._dataset.shape, self.layout.name)).encode())
        blocks = -(-self.count // self.block_rows)
        chosen = np.unique(np.linspace(0, blocks - 1, FINGERPRINT_BLOCKS).astype(int))
        for block in chosen:
            start = int(block) * self.block_rows
            digest.update(self.read(start, min(start + self.block_rows, self.count)))
        return digest.hexdigest()


def _reason(error):
    text = str(error.args[-1] if error.args else error)
    return printable(" ".join(text.split()))


def _open_file(path):
    name = printable(path)
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        reason = explain(error)
        raise RefusedError(f"{name}: {reason}, an HDF5 file expected") from None
    if not stat.S_ISREG(mode):  # opening a named pipe would wait for ever
        what = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
        raise RefusedError(f"{name}: {what}, an HDF5 file expected")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise RefusedError(f"{name}: {_open_problem(path, str(error))}") from None


def _open_problem(path, reason):
    if os.path.getsize(path) == 0:
        return "an empty file, an HDF5 file expected"
    if not os.access(path, os.R_OK):
        return "permission denied"
    if "unable to lock" in reason:
        return "another program is writing it; wait until it is done"
    if "truncated" in reason:
        return "truncated, a whole HDF5 file expected; copy it again"
    return "not an HDF5 file; see the README for the format"


def _find_dataset(file, path, name):
    """Walks to the dataset part by part, through hard links only."""
    here = file
    for part in [part for part in name.split("/") if part]:
        link = here.get(part, getlink=True) if isinstance(here, h5py.Group) else None
        if link is None:
            raise RefusedError(
                f"--hdf5-dataset-name: {name!r} found, one of the datasets in {path}"
                f" expected: {_list_datasets(file)}"
            )
        if not isinstance(link, h5py.HardLink):
            raise RefusedError(
                f"{path}: {name!r} is a {type(link).__name__}, a dataset stored in the"
                " file itself expected; copy it into one file"
            )
        here = here[part]
    if not isinstance(here, h5py.Dataset):
        raise RefusedError(
            f"--hdf5-dataset-name: {name!r} is a group in {path}, one of its datasets"
            f" expected: {_list_datasets(file)}"
        )
    return here


def _list_datasets(file):
    found = []

    def collect(name, item):
        if isinstance(item, h5py.Dataset):
            found.append(f"{printable(name)} {item.shape}")
        return True if len(found) == 20 else None

    file.visititems(collect)  # hard links only
    return ", ".join(sorted(found)) or "it holds none"


def _check_form(dataset, name):
    shape, dtype = dataset.shape, dataset.dtype
    wanted = "N x width x height x 3 (or 1) expected"
    if shape is None or len(shape) != 4:
        raise RefusedError(f"{name}: shape {shape} found, {wanted}")
    if shape[3] not in (1, 3):
        advice = "; move the channels to the end" if shape[1] in (1, 3) else ""
        raise RefusedError(f"{name}: shape {shape} found, {wanted}{advice}")
    if shape[0] == 0:
        raise RefusedError(f"{name}: no images found, at least one expected")
    if not all(4 <= side <= MAX_SIDE for side in shape[1:3]):
        raise RefusedError(
            f"{name}: images of {shape[1]}x{shape[2]} pixels found, sides of 4 to"
            f" {MAX_SIDE} expected"
        )
    plain_float = dtype.kind == "f" and dtype.itemsize in (2, 4, 8)
    if dtype != np.uint8 and not plain_float:
        raise RefusedError(f"{name}: {dtype} values found, {KINDS} expected")


def _check_storage(dataset, name):
    if dataset.is_virtual or dataset.external:
        kind = "virtual dataset" if dataset.is_virtual else "external storage"
        raise RefusedError(
            f"{name}: {kind} found, images stored in the file itself expected;"
            " copy them into one file"
        )
    create = dataset.id.get_create_plist()
    for index in range(create.get_nfilters()):
        number = create.get_filter(index)[0]
        if not h5py.h5z.filter_avail(number):
            raise RefusedError(
                f"{name}: compression filter {number} is not available here, gzip,"
                " lzf or none expected; repack the file"
            )
    if dataset.chunks:
        chunk_bytes = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize
        if chunk_bytes > MAX_CHUNK_BYTES:
            raise RefusedError(
                f"{name}: chunks of {chunk_bytes >> 20} MB found, at most"
                f" {MAX_CHUNK_BYTES >> 20} MB expected; repack the file"
            )
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > MAX_FILL_FACTOR * stored:
        raise RefusedError(
            f"{name}: {dataset.nbytes} bytes declared and {stored} stored; it was"
            " never written, or only in part"
        )


def _decide_layout(dataset, layout, size):
    """Which axis is the width: as told, as recorded, as asked for, or as documented."""
    _, first, second, _ = dataset.shape
    if layout != "auto":
        return Layout(layout == "width-first", "")
    recorded = dataset.attrs.get("layout")
    if isinstance(recorded, str) and recorded in LAYOUTS[1:]:
        return Layout(recorded == "width-first", "")
    if first == second:
        return Layout(False, "")
    width, height = size
    if _fits(second, first, width, height):
        return Layout(False, "")
    if _fits(first, second, width, height):
        return Layout(True, "")
    return Layout(
        True,
        f"--layout: images of {first} x {second} are read as {first} wide and {second}"
        " high, the documented order; say --layout rows-first if they lie on their"
        " side",
    )


def _fits(width, height, wanted_width, wanted_height):
    """Whether a size has the wanted sides, or the shape of both."""
    if wanted_width is None and wanted_height is None:
        return False
    same = wanted_width in (None, width) and wanted_height in (None, height)
    both = None not in (wanted_width, wanted_height)
    return same or (both and width * wanted_height == height * wanted_width)


def count_held_out(count, share):
    """Returns how many images at the end of a file of `count` training holds out."""
    return max(1, round(count * share)) if share and count > 1 else 0
