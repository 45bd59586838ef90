"""The HDF5 file around the images: open it, find a dataset, follow nothing out of it.

A file may come from a stranger: only a plain dataset inside the file itself is read,
never one reached through a soft or external link, external storage or a virtual
dataset, all of which can name other files (h5py follows each without asking), and only
through filters that come with h5py.
"""

import os
import stat

import h5py
import numpy as np

from vae.errors import RefusedError, VaeError
from vae.files import explain, printable

DAMAGE = (OSError, RuntimeError, KeyError, TypeError, ValueError)  # as h5py says it
MAX_CHUNK_BYTES = 64 << 20  # one chunk is decompressed at a time, whole
MAX_FILL_FACTOR = 1100  # gzip reaches about 1030:1; more was declared, not written
ROWS_A_READ = 4096  # names of origin
FILTERS = {  # no other is ever run, nor is a plug-in loaded
    h5py.h5z.FILTER_DEFLATE: "gzip",
    h5py.h5z.FILTER_LZF: "lzf",
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    h5py.h5z.FILTER_FLETCHER32: "fletcher32",
}

PACKERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_LZF)


def open_file(path):
    """Returns a file opened for reading.

    Raises:
        RefusedError: it is no regular file, or no HDF5 file.
    """
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


def find_dataset(file, path, name):
    """Returns the dataset of a path in an open file, through hard links only.

    Args:
        file: the open file. path: its name, as it is to be printed.
        name: with "/" between parts.

    Raises:
        RefusedError: there is none, or it is not stored in the file itself.
    """
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
                f"{path}: {name!r} is {_with_article(type(link).__name__)}, a dataset stored in the"
                " file itself expected; copy it into one file"
            )
        here = here[part]
    if not isinstance(here, h5py.Dataset):
        raise RefusedError(
            f"--hdf5-dataset-name: {name!r} is a group in {path}, one of its datasets"
            f" expected: {_list_datasets(file)}"
        )
    return here


def _with_article(noun):
    return f"{'an' if noun[0] in 'AEIOU' else 'a'} {noun}"


def _list_datasets(file):
    found = []

    def collect(name, item):
        if isinstance(item, h5py.Dataset):
            found.append(f"{printable(name)} {item.shape}")
        return True if len(found) == 20 else None

    file.visititems(collect)  # hard links only
    return ", ".join(sorted(found)) or "it holds none"


def check_storage(dataset, name):
    """Refuses a dataset whose bytes lie elsewhere, or decode to far too many.

    Args:
        dataset: an open dataset. name: what the message begins with.

    Raises:
        RefusedError
    """
    if dataset.is_virtual or dataset.external:
        kind = "virtual dataset" if dataset.is_virtual else "external storage"
        raise RefusedError(
            f"{name}: {kind} found, images stored in the file itself expected;"
            " copy them into one file"
        )
    create = dataset.id.get_create_plist()
    for index in range(create.get_nfilters()):
        number = create.get_filter(index)[0]
        if number not in FILTERS:
            raise RefusedError(
                f"{name}: filter {number} found, {', '.join(FILTERS.values())} or none"
                " expected; repack the file"
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


def check_chunks(dataset, name):
    """Compares each entry in the index of chunks with what such a chunk must be.

    HDF5 does not: it reads past the end of a chunk that is stored shorter than it has
    to be, and crashes.

    Args:
        dataset: an open dataset. name: what the message begins with.

    Raises:
        VaeError: the index can't be read, or a chunk can't be one.
    """
    if not dataset.chunks:
        return
    create, bad = dataset.id.get_create_plist(), []
    filters = [create.get_filter(n)[0] for n in range(create.get_nfilters())]
    whole = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize
    end = os.path.getsize(dataset.file.filename)

    def check(chunk):
        used = [n for at, n in enumerate(filters) if not chunk.filter_mask >> at & 1]
        least = 4 * used.count(h5py.h5z.FILTER_FLETCHER32)  # bytes of its sum
        packed = any(number in PACKERS for number in used)
        fits = chunk.size > least if packed else chunk.size == whole + least
        if not fits or chunk.byte_offset + chunk.size > end:
            bad.append(chunk)
            return True  # ends the walk

    try:
        dataset.id.chunk_iter(check)
    except DAMAGE as error:
        raise VaeError(
            f"{name}: the index of its chunks can't be read"
            f" ({explain_damage(error)}); copy the file again"
        ) from error
    if bad:
        raise VaeError(
            f"{name}: the chunk of image {bad[0].chunk_offset[0]} is damaged"
            f" ({bad[0].size} bytes stored); copy the file again"
        )


def check_rows(path, names, count):
    """Reads datasets of `count` rows beside the images; those that differ are not used.

    Raises:
        VaeError: one can't be read.
    """
    try:
        with h5py.File(path, "r") as file:
            for rows in filter(None, (find_rows(file, name, count) for name in names)):
                for start in range(0, count, ROWS_A_READ):
                    rows[start : start + ROWS_A_READ]
    except DAMAGE as error:
        raise VaeError(
            f"{printable(path)}: where its images came from can't be read"
            f" ({explain_damage(error)}); copy the file again"
        ) from error


def find_rows(file, name, count):
    """Returns the dataset of a row an image, or None if the file itself holds none."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return None
    found = file[name]
    plain = isinstance(found, h5py.Dataset) and found.shape == (count,)
    return found if plain and not (found.is_virtual or found.external) else None


def explain_damage(error):
    """Returns the reason h5py gives, in one line."""
    text = str(error.args[-1] if error.args else error)
    return printable(" ".join(text.split()))
