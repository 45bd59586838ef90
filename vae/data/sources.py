"""Where the images of a data file come from: pictures and HDF5 files.

`vae.data.video` has another `Source`.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, Protocol

import h5py
import numpy as np

from vae.data.hdf5 import MAX_STORED_SIDE, ImageFile
from vae.data.openface import (
    choose_face,
    describe_faces,
    describe_folders,
    find_csv,
    parse_crop,
    read_failed,
)
from vae.data.preflight import try_images
from vae.data.shards import ImageSet, find_files
from vae.data.untrusted import find_rows
from vae.errors import ImageError, RefusedError, VaeError
from vae.files import printable
from vae.images.folders import find_images
from vae.images.pixels import Target, fit_image
from vae.images.reading import read_image, read_size
from vae.parallel import map_ordered

UNIT_BYTES = 4 << 20  # of images, as they leave a source
UNIT_IMAGES = 32
MAX_BLOCK_BYTES = 64 << 20  # read from an HDF5 file at a time
MAX_FRAME = 2**63 - 1  # what a data file holds
FACE_ADVICE = "choose one with --face"
HDF5_EXTENSIONS = (".h5", ".hdf5")


class Batch:
    """Images of one unit, with the file each came from and its number there.

    Attributes:
        names, frames: lists, one item an image.
        failed: (name, reason) of what could not be read.
        notes: the same of what was read in part, as the first frame of an animation.
        faceless: number of pictures without the face that was wanted.
    """

    def __init__(self, room: int, target: Target) -> None:
        """Makes room for so many images of the target's shape."""
        self._images = np.empty((room, *target.shape), np.uint8)
        self.names: list[str] = []
        self.frames: list[int] = []
        self.failed: list[tuple[str, str]] = []
        self.notes: list[tuple[str, str]] = []
        self.faceless = 0

    @property
    def images(self) -> np.ndarray:
        """uint8 (B, H, W, C)"""
        return self._images[: len(self.names)]

    def add(self, image: np.ndarray | None, name: str, frame: int) -> None:
        """Adds one image, unless it is None."""
        if image is None:
            self.faceless += 1
            return
        self._images[len(self.names)] = image
        self.names.append(name)
        self.frames.append(frame)


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

    def sizes(self) -> set[tuple[int, int]]:
        """Returns the set of (width, height) of the images that can be read."""

    def units(self, target: Target) -> Iterator[Any]:
        """Yields what `load` takes, a little at a time."""

    def load(self, unit: Any, target: Target) -> Batch:
        """Reads one unit, at the target's size."""


class PictureSource:
    """Image files; a `Source`."""

    channels = 3

    def __init__(
        self, folder: str, names: list[str], label: str = "", skipped: int = 0
    ) -> None:
        """Takes a list of files; nothing is opened.

        Args:
            folder: what `names` are relative to.
            names: paths with "/" between parts, in order.
            label: what stands before the names in the data file.
        """
        self._folder, self._label, self.skipped = folder, label, skipped
        self._names, self.title = names, printable(label or names[0])
        self._sizes: set[tuple[int, int]] | None = None
        self.count = len(names)

    def sizes(self) -> set[tuple[int, int]]:
        """Returns the set of (width, height), from the headers."""
        if self._sizes is None:
            paths = (os.path.join(self._folder, name) for name in self._names)
            self._sizes = {read_size(path) for path in paths} - {None}
        return self._sizes

    def units(self, target: Target) -> Iterator[range]:
        """Yields ranges of files."""
        step = max(1, min(UNIT_IMAGES, UNIT_BYTES // target.image_bytes))
        for start in range(0, self.count, step):
            yield range(self.count)[start : start + step]

    def load(self, unit: range, target: Target) -> Batch:
        """Reads a range of files."""
        batch = Batch(len(unit), target)
        for name in self._names[unit.start : unit.stop]:
            shown, lines = printable(os.path.join(self._label, name)), []
            crop = parse_crop(name.rpartition("/")[2])
            path = os.path.join(self._folder, name)
            try:
                image = self._read(path, target, lines.append)
                batch.add(image, shown, crop[1] if crop else 0)
            except ImageError as error:
                batch.failed.append((shown, str(error)))
            batch.notes += [(shown, line) for line in lines]
        return batch

    def _read(self, path, target, on_note):
        size = target.width, target.height
        channels = 3 if target.cut_face else target.channels
        if target.cut_face or (target.fit != "stretch" and self._sizes != {size}):
            size = read_size(path) or size
        return fit_image(read_image(path, *size, channels, on_note), target)


def list_crops(
    folder: str,
    on_note: Callable[[str], Any],
    face: int | None = None,
    advice: str = "copy those of one into a folder",
) -> list[str]:
    """Returns the image files below a folder, as `find_images` does.

    Args:
        on_note: called with a line for what is left out, and for signs that the crops
            are of several people.
        face: of OpenFace's crops, those of this face alone; None: all images.
        advice: how to choose one of several faces.

    Raises:
        RefusedError: there is none.
    """
    names = find_images(folder, on_note)
    if face is not None:
        names = choose_face(names, face, printable(folder), on_note)
    lines = describe_faces(folder, names, advice), describe_folders(folder, names)
    for line in filter(None, lines):
        on_note(line)
    return names


def open_folder(
    folder: str,
    min_confidence: float,
    on_note: Callable[[str], Any],
    face: int | None = None,
) -> PictureSource:
    """Lists a folder's images but for the crops that OpenFace failed on.

    Args:
        on_note, face: as of `list_crops`.

    Raises:
        RefusedError: it holds none, or the CSV beside it can't be read.
    """
    names = list_crops(folder, on_note, face, FACE_ADVICE)
    parts = [name.rpartition("/")[::2] for name in names]  # (folder, file)
    crops = defaultdict(set)
    for where, last in parts:
        crops[where].add(parse_crop(last))
    failed = {}
    for where, found in crops.items():
        path = find_csv(os.path.join(folder, where))
        failed[where] = read_failed(path, min_confidence, found) if path else ()
    kept = [
        name
        for name, (where, last) in zip(names, parts, strict=True)
        if parse_crop(last) not in failed[where]
    ]
    if not kept:
        raise RefusedError(
            f"{printable(folder)}: OpenFace failed on all of its {len(names)} crops,"
            " see the CSV beside it; at least one good crop expected"
        )
    label = os.path.basename(os.path.abspath(folder))
    return PictureSource(folder, kept, label, len(names) - len(kept))


def is_hdf5(path: str) -> bool:
    """Whether a file is called like an HDF5 file, or is one; a pipe is not opened."""
    is_called = path.lower().endswith(HDF5_EXTENSIONS)
    return is_called or (os.path.isfile(path) and h5py.is_hdf5(path))


class FileSource(ImageFile):
    """A `Source` of the images in an HDF5 file, with their origins if it has them.

    Attributes:
        width_first: whether the file stores the width before the height.
        dtype, compression: how the images are stored.
    """

    skipped = 0

    def __init__(
        self,
        path: str,
        dataset_name: str,
        layout: str,
        size: tuple[int | None, int | None] = (None, None),
    ) -> None:
        """Opens and checks the file, after a child process; see `ImageFile`."""
        try_images(path, dataset_name, ("source", "frame"), MAX_STORED_SIDE)
        super().__init__(path, dataset_name, layout, size, MAX_STORED_SIDE)
        self.title = printable(os.path.basename(path))
        self.width_first = self.layout.width_first
        self.dtype, self.compression = self.dataset.dtype, self.dataset.compression
        self._source = self._find_origins("source", h5py.check_string_dtype)
        self._frame = self._find_origins("frame", lambda dtype: dtype.kind in "iu")

    def _find_origins(self, name, accepts):
        found = find_rows(self.dataset.file, name, self.count)
        return found if found is not None and accepts(found.dtype) else None

    def sizes(self) -> set[tuple[int, int]]:
        """Returns the set of the one (width, height)."""
        return {(self.width, self.height)}

    def units(self, target: Target) -> Iterator[range]:
        """Yields ranges of images, whole chunks if those are not too large."""
        image_bytes = max(self.width * self.height * self.channels, target.image_bytes)
        step = min(self.block_rows, max(1, MAX_BLOCK_BYTES // image_bytes))
        for start in range(0, self.count, step):
            yield range(self.count)[start : start + step]

    def load(self, unit: range, target: Target) -> Batch:
        """Reads a range of images.

        Raises:
            VaeError: they can't be read, or a frame is too large to be stored.
        """
        start, stop = unit.start, unit.stop
        names, frames = [self.title] * len(unit), unit
        if self._source is not None:
            names = self._source.asstr(errors="replace")[start:stop]
        if self._frame is not None:
            frames = self._frame[start:stop].tolist()
            if max(frames) > MAX_FRAME:
                raise VaeError(
                    f"{self.title}: frame: {max(frames)} found, at most {MAX_FRAME}"
                    " expected; mend the dataset 'frame' or remove it"
                )
        batch, images = Batch(len(unit), target), self.read(start, stop)
        for image, name, frame in zip(images, names, frames, strict=True):
            batch.add(fit_image(image, target), printable(name), frame)
        return batch


class FileSetSource(ImageSet):
    """A `Source` of the images of several HDF5 files, one after another."""

    skipped = 0

    def __init__(self, files: Sequence[FileSource], title: str) -> None:
        """Takes files of one form; raises as `ImageSet` does."""
        super().__init__(files)
        self.title, lines = title, [file.layout_notes for file in files]
        self.layout_notes = list(dict.fromkeys(chain.from_iterable(lines)))

    def sizes(self) -> set[tuple[int, int]]:
        """Returns the set of the one (width, height)."""
        return {(self.width, self.height)}

    def units(self, target: Target) -> Iterator[range]:
        """Yields ranges of images of the set, none of them of two files."""
        for file, first in zip(self._files, self._firsts, strict=True):
            for unit in file.units(target):
                yield range(first + unit.start, first + unit.stop)

    def load(self, unit: range, target: Target) -> Batch:
        """Reads a range of images of one file; raises as `FileSource.load` does."""
        file, first = self.find_file(unit.start)
        return file.load(range(unit.start - first, unit.stop - first), target)


def open_files(
    path: str,
    dataset_name: str,
    layout: str,
    size: tuple[int | None, int | None] = (None, None),
) -> FileSource | FileSetSource:
    """Opens the file that a path names, or all those that a pattern names.

    Raises:
        RefusedError: as `FileSource`, `FileSetSource` and `find_files` do.
        VaeError: stored bytes can't be read.
    """
    how = {"dataset_name": dataset_name, "layout": layout, "size": size}
    files = list(map_ordered(partial(FileSource, **how), find_files([path])))
    return files[0] if len(files) == 1 else FileSetSource(files, printable(path))
