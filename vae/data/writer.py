"""Write the documented HDF5 file: aside, in bounded memory, whole or not at all.

The file has three datasets of one row an image: `data`, `source` (the name of the file
it came from) and `frame` (its number there). Images are stored upright, rows first, in
chunks of whole images, with checksums.
"""

import contextlib
import glob
import math
import os
import secrets

import h5py
import numpy as np

from vae.errors import VaeError
from vae.files import explain, printable, sync_folder

try:
    import fcntl
except ImportError:  # Windows has no flock; what a killed run left there stays
    fcntl = None

CHUNK_BYTES = 1 << 20  # no more, or HDF5 does not cache a chunk
GZIP_LEVEL = 1  # higher ones take far longer and save little on photographs
ORIGIN_ROWS = 1024  # rows a chunk of `source` and of `frame`


class ImageWriter:
    """A data file that is being written; `commit` puts it in place.

    As a context manager it removes what was not committed.

    Attributes:
        count: images written so far.
        chunk_rows: images a chunk.
    """

    def __init__(self, path, shape, compression):
        """Creates the file aside, in the folder of `path`.

        Args:
            path: where the file will be.
            shape: (H, W, C) of an image.
            compression: none or gzip.

        Raises:
            VaeError: it can't be created.
        """
        self.path, self.count, self._stored = path, 0, 0
        self.chunk_rows = max(1, CHUNK_BYTES // math.prod(shape))
        self._buffer = np.empty((self.chunk_rows, *shape), np.uint8)
        self._names, self._frames = [], []
        folder, name = os.path.split(os.path.abspath(path))
        self._aside = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.part")
        self._file = None
        with self._explaining():
            os.makedirs(folder, exist_ok=True)
            _sweep(folder, name)
            self._disk = _Disk(self._aside)
            self._file = h5py.File(self._disk, "w")
            self._create(shape, compression)
            self._disk.check()

    def _create(self, shape, compression):
        packed = {"compression": "gzip", "compression_opts": GZIP_LEVEL}
        self._data = self._file.create_dataset(
            "data",
            (0, *shape),
            np.uint8,
            maxshape=(None, *shape),
            chunks=(self.chunk_rows, *shape),
            fletcher32=True,
            **(packed if compression == "gzip" else {}),
        )
        self._data.attrs["layout"] = "rows-first"
        origin = {"shape": (0,), "maxshape": (None,), "chunks": (ORIGIN_ROWS,)}
        text = h5py.string_dtype()
        self._source = self._file.create_dataset("source", dtype=text, **origin)
        self._frame = self._file.create_dataset(
            "frame", dtype=np.int64, fletcher32=True, **origin
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.discard()

    def write(self, images, names, frames):
        """Adds images.

        Args:
            images: uint8 (B, H, W, C).
            names, frames: the file each came from, as text, and its number there.

        Raises:
            VaeError: they can't be written.
        """
        self._names += names
        self._frames += frames
        while len(images):
            at = self.count - self._stored
            part = images[: self.chunk_rows - at]
            self._buffer[at : at + len(part)] = part
            self.count += len(part)
            images = images[len(part) :]
            if self.count - self._stored == self.chunk_rows:
                self._store()

    def _store(self):
        """Moves the buffer into the file, a whole chunk but for the last one."""
        with self._explaining():
            self._data.resize(self.count, axis=0)
            self._data[self._stored :] = self._buffer[: self.count - self._stored]
            self._disk.check()
        self._stored = self.count
        if len(self._names) >= ORIGIN_ROWS:
            self._store_origins()

    def _store_origins(self):
        """Moves names and numbers into the file, many at a time."""
        with self._explaining():
            origins = (self._source, self._names), (self._frame, self._frames)
            for dataset, rows in origins:
                stored = len(dataset)
                dataset.resize(stored + len(rows), axis=0)
                dataset[stored:] = rows
                rows.clear()
            self._disk.check()

    def _finish(self):
        """Stores what is left in memory."""
        if self.count > self._stored:
            self._store()
        if self._names:
            self._store_origins()

    def read(self, start, stop):
        """Returns (images, names, frames) start..stop of what was written.

        After this nothing more may be written.
        """
        self._finish()
        with self._explaining():
            names = [name.decode() for name in self._source[start:stop]]
            return self._data[start:stop], names, self._frame[start:stop].tolist()

    def commit(self):
        """Puts the file in place of what was there, once the disk holds it.

        Raises:
            VaeError: it can't; an older file is still intact.
        """
        self._finish()
        with self._explaining():
            self._file.close()
            self._disk.sync()
            os.replace(self._aside, self.path)
            self._disk.close()
            self._file = None
            sync_folder(os.path.dirname(os.path.abspath(self.path)))

    def discard(self):
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


class _Disk:
    """The file that HDF5 writes to, as an object that never fails.

    A write that fails, on a full disk, leaves HDF5 unable to close the file, and it
    crashes at exit. So it is told that all is well, and `check` raises the error.
    """

    def __init__(self, path):
        self._file = open(path, "xb+", buffering=0)
        self._error = None
        if fcntl:
            with contextlib.suppress(OSError):  # some network disks have no locks
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.seek, self.tell = self._file.seek, self._file.tell
        self.read, self.readinto = self._file.read, self._file.readinto

    def write(self, content):
        """Writes all of `content`, or keeps the error."""
        try:
            left = memoryview(content)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self._error = self._error or error
        return len(content)

    def truncate(self, size):
        """Sets the length, or keeps the error."""
        try:
            self._file.truncate(size)
        except OSError as error:
            self._error = self._error or error
        return size

    def flush(self):
        """Does nothing: there is no buffer, and `sync` is for the end."""

    def check(self):
        """Raises the first error there was."""
        if self._error:
            raise self._error

    def sync(self):
        """Waits until the disk holds the file; raises what went wrong."""
        self.check()
        os.fsync(self._file.fileno())

    def close(self):
        """Closes the file."""
        self._file.close()


def _sweep(folder, name):
    """Removes what killed runs left; a live one holds a lock on its file."""
    pattern = os.path.join(glob.escape(folder), f".{glob.escape(name)}.*.part")
    for path in glob.glob(pattern) if fcntl else []:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
