"""The HDF5 file around the images: open it, find a dataset, follow nothing out of it.

A file may come from a stranger: only a plain dataset inside the file itself is read,
never one reached through a soft or external link, external storage or a virtual
dataset, all of which can name other files (h5py follows each without asking), and only
through filters that come with h5py.
"""

import itertools
import math
import os
from collections.abc import Iterable

import h5py

from vae.checkpoint.storage import open_hdf5
from vae.errors import RefusedError, VaeError
from vae.files import check_regular, explain, printable

DAMAGE = (OSError, RuntimeError, KeyError, TypeError, ValueError)  # as h5py says it
MAX_CHUNK_BYTES = 64 << 20  # one chunk is decompressed at a time, whole
LARGE_CHUNK_BYTES = 1 << 19  # as stored; a smaller one unpacks to 550 MB at most
MAX_FILL_FACTOR = 1100  # gzip reaches about 1030:1; more was declared, not written
ROWS_A_READ = 4096  # names of origin
LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # how one begins
FILTERS = {  # no other is ever run, nor is a plug-in loaded
    h5py.h5z.FILTER_DEFLATE: "gzip",
    h5py.h5z.FILTER_LZF: "lzf",
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    h5py.h5z.FILTER_FLETCHER32: "fletcher32",
}
PACKERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_LZF)


def open_file(path: str | os.PathLike) -> h5py.File:
    """Opens a file for reading.

    Raises:
        RefusedError: it is no regular file, or no HDF5 file.
    """
    name = printable(path)
    try:
        check_regular(path)
    except OSError as error:
        reason = f"{explain(error)}, an HDF5 file expected"
        if os.path.isdir(path):
            reason = "a directory, an HDF5 file expected; prepare makes one of it"
        raise RefusedError(f"{name}: {reason}") from None
    try:
        return open_hdf5(path)
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
    if "already open for write" in reason:
        return f"not closed by the program that wrote it; h5clear -s {printable(path)}"
    with open(path, "rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            return "a Git LFS pointer, an HDF5 file expected; fetch it: git lfs pull"
    return (
        "not an HDF5 file; see docs/files.md for the format. prepare makes one of"
        " pictures and videos"
    )


def find_dataset(file: h5py.File, path: str, name: str) -> h5py.Dataset:
    """Returns the dataset of a path in an open file, through hard links only.

    Args:
        path: the file's name, as it is to be printed.
        name: with "/" between parts.

    Raises:
        RefusedError: there is none, or it is not stored in the file itself.
    """
    here = file
    for part in filter(None, name.split("/")):
        link = here.get(part, getlink=True) if isinstance(here, h5py.Group) else None
        if link is None:
            raise RefusedError(
                f"--hdf5-dataset-name: {name!r} found, one of the datasets in {path}"
                f" expected: {_list_datasets(file)}"
            )
        if not isinstance(link, h5py.HardLink):
            external = isinstance(link, h5py.ExternalLink)
            kind = "an ExternalLink" if external else "a SoftLink"
            raise RefusedError(
                f"{path}: {name!r} is {kind}, a dataset stored in the file itself"
                " expected; copy it into one file"
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
        return len(found) == 20 or None  # ends the walk

    file.visititems(collect)  # hard links only
    return ", ".join(sorted(found)) or "it holds none"


def check_storage(dataset: h5py.Dataset, name: str) -> None:
    """Refuses a dataset whose bytes lie elsewhere, or decode to far too many.

    Raises:
        RefusedError: it is such a one; the message begins with `name`.
    """
    if dataset.is_virtual or dataset.external:
        kind = "virtual dataset" if dataset.is_virtual else "external storage"
        raise RefusedError(
            f"{name}: {kind} found, images stored in the file itself expected;"
            " copy them into one file"
        )
    check_filters(dataset, name)
    chunk_bytes = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
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


def check_filters(dataset: h5py.Dataset, name: str) -> None:
    """Refuses filters that are not h5py's own, and one upon the other.

    Raises:
        RefusedError: the message begins with `name`.
    """
    found = _list_filters(dataset)
    for number in found:
        if number not in FILTERS:
            raise RefusedError(
                f"{name}: filter {number} found, {', '.join(FILTERS.values())} or none"
                " expected; repack the file"
            )
    if sum(number in PACKERS for number in found) > 1:
        raise RefusedError(
            f"{name}: filters {', '.join(FILTERS[number] for number in found)} found,"
            " one compression at most expected; repack the file"
        )


def _list_filters(dataset):
    created = dataset.id.get_create_plist()
    return [created.get_filter(at)[0] for at in range(created.get_nfilters())]


def check_chunks(dataset: h5py.Dataset, name: str) -> set[int]:
    """Compares each entry in the index of chunks with what such a chunk must be.

    HDF5 does not: it reads past the end of a chunk that is stored shorter than it has
    to be, and crashes. Nor does it stop unpacking at a chunk's size.

    Returns:
        A row of each packed chunk that is large enough to unpack to far too much.

    Raises:
        RefusedError: a chunk was never written; the message begins with `name`.
        VaeError: the index can't be read, or a chunk can't be one.
    """
    if not dataset.chunks:
        return set()
    filters, bad, there, large = _list_filters(dataset), [], set(), set()
    whole = math.prod(dataset.chunks) * dataset.dtype.itemsize
    end = os.path.getsize(dataset.file.filename)

    def check(chunk):
        used = [n for at, n in enumerate(filters) if not chunk.filter_mask >> at & 1]
        least = 4 * used.count(h5py.h5z.FILTER_FLETCHER32)  # bytes of its sum
        packed = any(number in PACKERS for number in used)
        most = whole + whole // 100 + 4096  # what packing adds to noise
        fits = least < chunk.size <= most if packed else chunk.size == whole + least
        there.add(chunk.chunk_offset)
        if packed and chunk.size > LARGE_CHUNK_BYTES:
            large.add(chunk.chunk_offset[0])
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
    spans = zip(dataset.shape, dataset.chunks, strict=True)
    for place in itertools.product(*(range(0, *span) for span in spans)):
        if place not in there:
            raise RefusedError(
                f"{name}: image {place[0]} was never written; cut the dataset to what"
                " was, or copy the file again"
            )
    return large


def check_rows(path: str | os.PathLike, names: Iterable[str], count: int) -> None:
    """Reads datasets of `count` rows beside the images; those that differ are not used.

    Raises:
        VaeError: one can't be read.
    """
    try:
        with open_hdf5(path) as file:
            for rows in filter(None, (find_rows(file, name, count) for name in names)):
                for start in range(0, count, ROWS_A_READ):
                    rows[start : start + ROWS_A_READ]
    except DAMAGE as error:
        raise VaeError(
            f"{printable(path)}: where its images came from can't be read"
            f" ({explain_damage(error)}); copy the file again"
        ) from error


def find_rows(file: h5py.File, name: str, count: int) -> h5py.Dataset | None:
    """Returns the dataset of a row an image, or None if the file itself holds none."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return None
    found = file[name]
    plain = isinstance(found, h5py.Dataset) and found.shape == (count,)
    if not plain or found.is_virtual or found.external:
        return None
    check_filters(found, f"{printable(file.filename)}: dataset {name!r}")
    return found


def explain_damage(error: Exception) -> str:
    """Returns the reason h5py gives, in one line."""
    text = str(error.args[-1] if error.args else error)
    return printable(" ".join(text.split()))
