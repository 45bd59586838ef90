"""Where the images of a data file come from: pictures and HDF5 files.

`vae.data.video` has another `Source`.
"""

import os
import stat
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol

import h5py
import numpy as np
from PIL import ExifTags, Image

from vae.data.hdf5 import ImageFile
from vae.data.openface import find_csv, parse_crop, read_failed
from vae.data.preflight import try_images
from vae.data.untrusted import find_rows
from vae.errors import RefusedError
from vae.files import printable
from vae.images.pixels import Target, fit_image
from vae.images.reading import FORMATS, ImageError, find_images, read_image

UNIT_BYTES = 4 << 20  # of images, as they leave a source
UNIT_IMAGES = 32
MAX_BLOCK_BYTES = 64 << 20  # read from an HDF5 file at a time
_LYING = (5, 6, 7, 8)  # orientations that swap width and height


class Batch:
    """Images of one unit, with the file each came from and its number there.

    Attributes:
        names, frames: lists, one item an image.
        failed: (name, reason) of what could not be read.
        notes: the same of what was read in part, as the first frame of an animation.
        faceless: number of pictures without the face that was wanted.
    """

    def __init__(self, room, target):
        """Makes room for so many images of the target's shape."""
        self._images = np.empty((room, *target.shape), np.uint8)
        self.names, self.frames, self.failed, self.notes = [], [], [], []
        self.faceless = 0

    @property
    def images(self):
        """uint8 (B, H, W, C)"""
        return self._images[: len(self.names)]

    def add(self, image, name, frame):
        """Adds one image, unless it is None."""
        if image is None:
            self.faceless += 1
            return
        self._images[len(self.names)] = image
        self.names.append(name)
        self.frames.append(frame)

    def add_note(self, name, line):
        """Adds what is to be said of an image that was read in part."""
        self.notes.append((name, line))


class Source(Protocol):
    """Where images come from: `units` says what to read, `load` reads one unit.

    One thread walks over the units, in order, and several load them.

    Attributes:
        count: number of images, or None where it isn't known.
        channels: 3 or 1. skipped: crops left out since OpenFace failed on them.
        title: what to call it in a message.
    """

    count: int | None
    channels: int
    skipped: int
    title: str

    def sizes(self) -> set:
        """Returns the set of (width, height) of the images."""

    def units(self, target: Target) -> Iterator:
        """Yields what `load` takes, a little at a time."""

    def load(self, unit: Any, target: Target) -> Batch:
        """Reads one unit, at the target's size."""


class PictureSource:
    """Image files.

    Attributes:
        count: number of files. skipped: crops left out since OpenFace failed on them.
        title: what to call it in a message.
    """

    channels = 3

    def __init__(self, folder, names, label="", skipped=0):
        """Takes a list of files; nothing is opened.

        Args:
            folder: what `names` are relative to.
            names: paths with "/" between parts, in order.
            label: what stands before the names in the data file.
        """
        self._folder, self._label, self.skipped = folder, label, skipped
        self._names, self.title = names, printable(label or names[0])
        self._sizes = None
        self.count = len(names)

    def sizes(self):
        """Returns the set of (width, height), from the headers that can be read."""
        if self._sizes is None:
            prefix = os.path.join(self._folder, "")
            self._sizes = {read_size(prefix + name) for name in self._names} - {None}
        return self._sizes

    def units(self, target):
        """Yields ranges of files."""
        step = max(1, min(UNIT_IMAGES, UNIT_BYTES // target.image_bytes))
        for start in range(0, self.count, step):
            yield range(start, min(start + step, self.count))

    def load(self, unit, target):
        """Reads a range of files; returns a `Batch`."""
        batch = Batch(len(unit), target)
        for name in self._names[unit.start : unit.stop]:
            shown = printable(os.path.join(self._label, "") + name)
            crop = parse_crop(name.rpartition("/")[2])
            path = os.path.join(self._folder, "") + name
            try:
                image = self._read(path, target, partial(batch.add_note, shown))
                batch.add(image, shown, crop[1] if crop else 0)
            except ImageError as error:
                batch.failed.append((shown, str(error)))
        return batch

    def _read(self, path, target, on_note):
        size = target.width, target.height
        channels = 3 if target.cut_face else target.channels
        if target.cut_face or (target.fit != "stretch" and self._sizes != {size}):
            size = read_size(path) or size
        return fit_image(read_image(path, *size, channels, on_note), target)


def open_folder(folder, min_confidence):
    """Lists a folder's images but for the crops that OpenFace failed on.

    Raises:
        RefusedError: it holds none, or the CSV beside it can't be read.
    """
    names, failed, kept = find_images(folder), {}, []
    for name in names:
        where, _, last = name.rpartition("/")
        if where not in failed:
            path = find_csv(os.path.join(folder, where))
            failed[where] = read_failed(path, min_confidence) if path else set()
        if not failed[where] or parse_crop(last) not in failed[where]:
            kept.append(name)
    if not kept:
        raise RefusedError(
            f"{printable(folder)}: OpenFace failed on all of its {len(names)} crops,"
            " see the CSV beside it; at least one good crop expected"
        )
    label = os.path.basename(os.path.abspath(folder))
    return PictureSource(folder, kept, label, len(names) - len(kept))


def read_size(path):
    """Returns the upright (width, height) an image file declares, or None.

    Nothing is decoded; an EXIF record after the pixels of a PNG is not looked for.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")
            image = Image.open(file, formats=FORMATS)
            width, height = image.size
            tagged = "exif" in image.info or image.format == "TIFF"
            turn = image.getexif().get(ExifTags.Base.Orientation) if tagged else None
    except Exception:  # Pillow raises nearly anything; reading will say what is wrong
        return None
    return (height, width) if turn in _LYING else (width, height)


class FileSource:
    """The images of an HDF5 file, with their origins if this tool wrote them.

    Attributes:
        count: number of images. channels: 3 or 1. note: see `vae.data.hdf5.Layout`.
        title: what to call it in a message.
        width_first: whether the file stores the width before the height.
        dtype, compression: how the images are stored.
    """

    skipped = 0

    def __init__(self, path, dataset_name, layout, size=(None, None)):
        """Opens and checks the file; `size` helps to tell its layout.

        Raises:
            RefusedError: it is not what this tool reads.
        """
        try_images(path, dataset_name, ("source", "frame"))
        self._images = ImageFile(path, dataset_name, layout, size)
        self.title = printable(os.path.basename(path))
        self.count, self.channels = self._images.count, self._images.channels
        self.note = self._images.layout.note
        self.width_first = self._images.layout.width_first
        self._file = h5py.File(path, "r")
        stored = self._file[dataset_name]
        self.dtype, self.compression = stored.dtype, stored.compression
        self._names = self._find("source", lambda kind: h5py.check_string_dtype(kind))
        self._frames = self._find("frame", lambda kind: kind.kind in "iu")

    def _find(self, name, accepts):
        """The dataset with a row an image, if it is there and in the file itself."""
        found = find_rows(self._file, name, self.count)
        return found if found is not None and accepts(found.dtype) else None

    def fingerprint(self):
        """Returns what tells these images from others; see `vae.data.hdf5.ImageFile`."""
        return self._images.fingerprint()

    def sizes(self):
        """Returns the set of the one (width, height)."""
        return {(self._images.width, self._images.height)}

    def units(self, target):
        """Yields ranges of images, whole chunks if those are not too large."""
        image_bytes = self._images.width * self._images.height * self.channels
        most = max(1, MAX_BLOCK_BYTES // max(image_bytes, target.image_bytes))
        step = min(self._images.block_rows, most)
        for start in range(0, self.count, step):
            yield range(start, min(start + step, self.count))

    def load(self, unit, target):
        """Reads a range of images; returns a `Batch`."""
        start, stop = unit.start, unit.stop
        names, frames = [self.title] * len(unit), unit
        if self._names is not None:
            names = self._names.asstr(errors="replace")[start:stop]
        if self._frames is not None:
            frames = self._frames[start:stop].tolist()
        batch = Batch(len(unit), target)
        for image, name, frame in zip(self._images.read(start, stop), names, frames):
            batch.add(fit_image(image, target), printable(name), frame)
        return batch
