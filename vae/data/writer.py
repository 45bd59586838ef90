"""Write the documented HDF5 file: aside, in bounded memory, whole or not at all.

The file has three datasets of one row an image: `data`, `source` (the name of the file
it came from) and `frame` (its number there). Images are stored upright, rows first, in
chunks of whole images, with checksums.
"""

import contextlib
import glob
import hashlib
import io
import math
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from vae.errors import RefusedError, VaeError
from vae.files import MAX_NAME, explain, lock_file, printable, sync_folder

CHUNK_BYTES = 1 << 20  # no more, or HDF5 does not cache a chunk
GZIP_LEVEL = 1  # higher ones take far longer and save little on photographs
ASIDE_ROOM = 32  # bytes that the hidden name of an unfinished file takes besides
ORIGIN_ROWS = 1024  # rows a chunk of `source` and of `frame`


class ImageWriter:
    """A data file that is being written; `commit` puts it in place.

    As a context manager it removes what was not committed.

    Attributes:
        count: images written so far.
        chunk_rows: images a chunk.
    """

    def __init__(
        self,
        path: str,
        shape: tuple[int, int, int],
        compression: str,
        extends: bool = False,
    ) -> None:
        """Creates the file aside, in the folder of `path`.

        Args:
            shape: (H, W, C) of an image.
            compression: none or gzip.
            extends: whether it takes the place of a file with more in it: through a
                link, and with the old one's mode.

        Raises:
            VaeError: it can't be created.
        """
        self.path, self.count = path, 0
        self.chunk_rows = max(1, CHUNK_BYTES // math.prod(shape))
        self._place = _find_place(path, extends)
        self._extends, self._aside = extends, _name_aside(self._place)
        self._file = None
        with self._explaining():
            os.makedirs(os.path.dirname(self._aside), exist_ok=True)
            self._disk = _Disk(self._aside)
            self._file = h5py.File(self._disk, "w")
            packing = {"compression": "gzip", "compression_opts": GZIP_LEVEL}
            settings = {"fletcher32": True} | (packing if compression == "gzip" else {})
            # While a dataset is open, its last chunk stays in memory until it is full.
            data = self._create("data", np.uint8, shape, self.chunk_rows, **settings)
            data.attrs["layout"] = "rows-first"
            source = self._create("source", h5py.string_dtype(), (), ORIGIN_ROWS)
            frame = self._create("frame", np.int64, (), ORIGIN_ROWS, fletcher32=True)
            self._datasets = data, source, frame
            self._disk.check()

    def _create(self, name, dtype, shape, chunk_rows, **settings):
        """Creates an empty dataset of rows of a shape."""
        ends = {"maxshape": (None, *shape), "chunks": (chunk_rows, *shape)}
        return self._file.create_dataset(name, (0, *shape), dtype, **ends, **settings)

    def __enter__(self) -> "ImageWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self.discard()

    def write(self, images: np.ndarray, names: list[str], frames: list[int]) -> None:
        """Adds images.

        Args:
            images: uint8 (B, H, W, C).
            names, frames: the file each came from, and its number there.

        Raises:
            VaeError: they can't be written.
        """
        if not names:
            return
        start, self.count = self.count, self.count + len(images)
        with self._explaining():
            parts = images, names, frames
            for dataset, part in zip(self._datasets, parts, strict=True):
                dataset.resize(self.count, axis=0)
                dataset[start:] = part
            self._disk.check()

    def read(self, start: int, stop: int) -> tuple[np.ndarray, list[str], list[int]]:
        """Returns (images, names, frames) start..stop of what was written."""
        with self._explaining():
            data, source, frame = self._datasets
            names = source.asstr()[start:stop].tolist()
            return data[start:stop], names, frame[start:stop].tolist()

    def commit(self) -> None:
        """Puts the file in place of what was there, once the disk holds it.

        Raises:
            VaeError: it can't; an older file is still intact.
        """
        with self._explaining():
            self._file.close()
            self._disk.check()
            if self._extends:
                mode = stat.S_IMODE(os.stat(self._place).st_mode)
                os.chmod(self._aside, mode)
            os.fsync(self._disk.fileno())
            os.replace(self._aside, self._place)
            self._disk.close()
            self._file = None
            sync_folder(os.path.dirname(self._aside))

    def discard(self) -> None:
        """Removes what was written."""
        if self._file is not None:
            self._file.close()
            self._disk.close()
            self._file = None
            with contextlib.suppress(OSError):
                os.unlink(self._aside)

    @contextlib.contextmanager
    def _explaining(self):
        try:
            yield
        except OSError as error:
            self.discard()
            raise VaeError(
                f"{printable(self.path)}: can't be written ({explain(error)})"
            ) from error


class _Disk(io.FileIO):
    """The file that HDF5 writes to, as an object that never fails.

    A write that fails, on a full disk, leaves HDF5 unable to close the file, and it
    crashes at exit. So it is told that all is well, and `check` raises the error.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, "x+")
        self._error: OSError | None = None
        lock_file(self)

    def write(self, content: bytes | memoryview) -> int:
        """Writes all of `content`, or keeps the error."""
        try:
            left = memoryview(content)
            while left:
                left = left[super().write(left) :]
        except OSError as error:
            self._error = self._error or error
        return len(content)

    def truncate(self, size: int) -> int:
        """Sets the length, or keeps the error."""
        try:
            super().truncate(size)
        except OSError as error:
            self._error = self._error or error
        return size

    def check(self) -> None:
        """Raises the first error there was."""
        if self._error:
            raise self._error


@contextlib.contextmanager
def reserve(path: str, extends: bool) -> Iterator[None]:
    """Keeps other runs from writing a data file; folders that it needs are made.

    So what is read of an old file, to be written again, is not another one's by then.
    Folders that are still empty at the end are removed again. `extends` as for
    `ImageWriter`.

    Raises:
        RefusedError: another run is writing the file.
        VaeError: its folder can't be written.
    """
    marker = _name_aside(_find_place(path, extends))
    folder = Path(marker).parent
    made = [at for at in (folder, *folder.parents) if not at.exists()]
    try:
        try:
            os.makedirs(folder, exist_ok=True)
            file = _Disk(marker)  # locked before others are looked for, as they do
        except OSError as error:
            reason = f"can't be written ({explain(error)})"
            raise VaeError(f"{printable(path)}: {reason}") from error
        with file:
            if _sweep(marker):
                raise RefusedError(
                    f"{printable(path)}: another run is writing it, a file of its own"
                    " expected; or wait until that is done"
                )
            yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(marker)
        for each in made:
            with contextlib.suppress(OSError):
                os.rmdir(each)


def _find_place(path, extends):
    """A link that is to be replaced is a place of its own."""
    return os.path.realpath(path) if extends else os.path.abspath(path)


def _name_aside(path):
    """Returns a new hidden name beside a path, of a length that every disk takes."""
    folder, name = os.path.split(path)
    if len(os.fsencode(name)) > MAX_NAME - ASIDE_ROOM:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return os.path.join(folder, f".{name}.{secrets.token_hex(8)}.part")


def _sweep(marker):
    """Removes what killed runs left; returns whether a live one holds a file."""
    folder, name = os.path.split(marker)
    stem, held = name.rsplit(".", 2)[0], False
    pattern = os.path.join(glob.escape(folder), f"{glob.escape(stem)}.*.part")
    for path in set(glob.glob(pattern)) - {marker}:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            taken = lock_file(file)  # None: the disk has no locks
            held = held or taken is False
            if taken:
                os.unlink(path)
    return held
