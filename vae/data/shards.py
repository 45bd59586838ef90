"""Several HDF5 files as one set of images, in order and without copying.

The set has the count, the order and the fingerprint of one file with the same images,
so that a training on it is the same, and a run may go on with the files repacked.
"""

import glob
import os
import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from vae.data.hdf5 import ImageFile, fingerprint_images
from vae.data.preflight import try_images
from vae.errors import RefusedError
from vae.files import natural_key, printable
from vae.images.pixels import show_channels, show_size
from vae.parallel import map_ordered

MOST_FILES = 500  # open at a time; systems allow 1024, or 256
_NAME = re.compile(r"(.*)-(\d{5})-of-(\d{5})(\.[^.]*)\Z", re.DOTALL)


class ImageSet:
    """Open files of images, one after another; read as an `ImageFile` is.

    Attributes:
        count, height, width, channels, layout, block_rows: as of an `ImageFile`.
        notes: lines for the user.
    """

    def __init__(self, files: Sequence[ImageFile]) -> None:
        """Takes files of one form.

        Raises:
            RefusedError: one has another form than the first.
        """
        first, self._files = files[0], files
        for file in files:
            if _form(file) != _form(first):
                raise RefusedError(
                    f"{file.name}: {_show(file)} found, {_show(first)} expected, as in"
                    f" {first.name}; the files of a set are alike"
                )
        bounds = np.cumsum([0, *(file.count for file in files)])
        self._firsts, self._ends = bounds[:-1].tolist(), bounds[1:]
        self.count = int(bounds[-1])
        self.height, self.width, self.channels = (
            first.height,
            first.width,
            first.channels,
        )
        self.layout = first.layout
        self.block_rows = max(file.block_rows for file in files)
        self.notes = list(dict.fromkeys(note for file in files for note in file.notes))

    def find_file(self, row: int) -> tuple[ImageFile, int]:
        """Returns the file that has an image, and the number of its first one."""
        at = int(np.searchsorted(self._ends, row, "right"))
        return self._files[at], self._firsts[at]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Returns images start..stop of the set as uint8 (B, H, W, C), rows first.

        Raises:
            VaeError: the stored bytes can't be read, or a float lies outside 0..1.
        """
        parts = []
        while start < stop:
            file, first = self.find_file(start)
            until = min(stop, first + file.count)
            parts.append(file.read(start - first, until - first))
            start = until
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def pick(self, rows: np.ndarray) -> np.ndarray:
        """Returns the images of some rows, in rising order, as `read` does."""
        places = np.searchsorted(self._ends, rows, "right")
        parts = []
        for at in np.unique(places).tolist():
            chosen = rows[places == at] - self._firsts[at]
            parts.append(self._files[at].pick(chosen))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def fingerprint(self) -> str:
        """Returns that of one file with the same images; see `ImageFile`."""
        return fingerprint_images(self)


def _form(file):
    return file.width, file.height, file.channels, file.layout.name


def _show(file):
    size = show_size((file.width, file.height))
    return f"{size}, {show_channels(file.channels)}, {file.layout.name}"


def open_images(
    paths: Sequence[str],
    dataset_name: str,
    layout: str,
    size: tuple[int | None, int | None],
) -> ImageFile | ImageSet:
    """Opens one file, or several as one set, each tried in a child process first.

    Args:
        paths: of files, or patterns such as `shards/*.h5`, in order.
        dataset_name, layout, size: as `ImageFile` takes them.

    Raises:
        RefusedError: nothing fits a pattern, a file of the set is missing or twice in
            it, or one is none that this tool reads.
        VaeError: stored bytes can't be read.
    """
    paths = find_files(paths)
    for _ in map_ordered(lambda path: try_images(path, dataset_name), paths):
        continue
    files = [ImageFile(path, dataset_name, layout, size) for path in paths]
    return files[0] if len(files) == 1 else ImageSet(files)


def find_files(paths: Sequence[str]) -> list[str]:
    """Returns the files that paths and patterns name, those of a pattern in order.

    Raises:
        RefusedError: nothing fits a pattern, a file is named twice, or of those that
            `prepare --shard-size` wrote one is missing.
    """
    found = []
    for path in paths:
        fits = [path]
        if glob.has_magic(path) and not os.path.lexists(path):
            fits = sorted(glob.glob(path), key=natural_key)
        if not fits:
            raise RefusedError(
                f"{printable(path)}: no file fits the pattern, HDF5 files expected"
            )
        found += fits
    if len(found) > MOST_FILES:
        raise RefusedError(
            f"{show_files(paths)}: {len(found)} files found, at most {MOST_FILES}"
            " expected; pack them into fewer: prepare old*.h5 new.h5"
        )
    once = {}
    for path in found:
        other = once.setdefault(os.path.realpath(path), path)
        if other is not path:
            raise RefusedError(f"{printable(path)}: named twice, other files expected")
    if found != list(paths):
        _check_whole(found)
    return found


def _check_whole(paths):
    """Refuses a part of a set that says how many files it has."""
    numbers = {}
    for match in filter(None, map(_NAME.match, paths)):
        numbers.setdefault((match[1], match[3], match[4]), set()).add(int(match[2]))
    for (start, total, ending), there in numbers.items():
        missing = sorted(set(range(int(total))) - there)
        if missing:
            name = f"{start}-{missing[0]:05}-of-{total}{ending}"
            raise RefusedError(
                f"{printable(name)}: missing, {len(there)} of {int(total)} files of the"
                " set found; name all of them"
            )


def show_files(paths: Sequence[str]) -> str:
    """Returns paths or patterns as one line of text."""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return printable(paths[0]) + more


def name_shards(path: str, count: int) -> list[str]:
    """Returns `faces-00000-of-00003.h5` and so on for `faces.h5`."""
    start, ending = os.path.splitext(path)
    return [f"{start}-{at:05}-of-{count:05}{ending}" for at in range(count)]


def find_shards(path: str) -> list[str]:
    """Returns the files that are there with names as `name_shards` gives them."""
    start, ending = os.path.splitext(path)
    found = sorted(glob.glob(f"{glob.escape(start)}-*-of-*{glob.escape(ending)}"))
    fits = ((each, _NAME.match(each)) for each in found)
    return [each for each, name in fits if name and name[1] == start]


def cut_shards(count: int, size: int) -> list[range]:
    """Returns the rows of each file: `size` of them, and what is left in the last."""
    bounds = [*range(0, count, size), count]
    return [range(start, stop) for start, stop in pairwise(bounds)]
