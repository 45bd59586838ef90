"""What is turned into the actor: folders, pictures, HDF5 files and videos.

The crops are read first, all of them, since who a person is follows from all; they go
to a nameless file, so that a film of any length takes little memory. Where whole frames
are needed as well, they are read a second time.
"""

import contextlib
import math
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from vae.config import ModelConfig, PrepareConfig
from vae.data.sources import FileSource, is_hdf5, list_crops
from vae.data.video import VideoSource
from vae.errors import ImageError, VaeError
from vae.files import explain, printable
from vae.images.folders import EXTENSIONS
from vae.images.pixels import resize_image, to_array, to_picture
from vae.images.reading import read_image, read_size
from vae.parallel import count_cores, map_ordered
from vae.preparation.faces import Face, FaceDetector, crop_face

BLOCK = 64  # images of an HDF5 file
HOLD_BYTES = 16 << 20  # of crops, in memory


class Shot(NamedTuple):
    """One picture of the footage.

    Attributes:
        name: relative path with "/" between parts.
        start, length: when and how long it is shown, in ticks.
        load: returns uint8 (H, W, C); raises ImageError if it can't be read. It calls
            the function it is given with a line about what was read in part.
    """

    name: str
    start: int
    length: int
    load: Callable[[Callable[[str], Any]], np.ndarray]


class Footage:
    """Pictures in the order of time, to be walked over once or twice.

    Attributes:
        title: what to call it in a message.
        folder: what names are below, if they are files.
        names: of all pictures, or None where their number isn't known for sure.
        count: roughly how many, or None.
        tick: the unit of its times, in seconds.
        failures: (name, reason) of what can't be read that is no picture of its own.
    """

    def __init__(
        self, path: str, fps: float, model: ModelConfig, warn: Callable[[str], Any]
    ) -> None:
        """Lists or opens it; nothing is decoded, but for a video's first frame.

        `warn` is called with lines on what a folder holds besides, and on how a file
        is read.

        Raises:
            RefusedError: it can't be listed or opened.
        """
        self.title = printable(path)
        self.tick = 1 / Fraction(fps).limit_denominator(1001)
        self.failures: list[tuple[str, str]] = []
        self.folder, self.names, self._video = None, None, None
        self._size = model.width, model.height
        self._channels = model.channels
        stem = os.path.splitext(os.path.basename(path))[0]
        if os.path.isfile(path) and path.lower().endswith(EXTENSIONS):
            self.folder, self.names = os.path.dirname(path), [os.path.basename(path)]
            self._walk = self._walk_files
        elif os.path.isdir(path) or not os.path.exists(path):
            self.folder, self.names = path, list_crops(path, warn)
            self._walk = self._walk_files
        elif is_hdf5(path):
            defaults = PrepareConfig()
            self._file = FileSource(
                path, defaults.hdf5_dataset_name, defaults.layout, (None, None)
            )
            for line in self._file.layout_notes:
                warn(line)
            digits = max(6, len(str(self._file.count - 1)))
            self.names = [f"{stem}_{n:0{digits}}" for n in range(self._file.count)]
            self._walk = self._walk_file
        else:
            self._video = VideoSource(path, every=1)
            self.tick, self._walk = self._video.tick, self._walk_video
            self._stem = stem
        self.count = len(self.names) if self.names else self._video.count

    def guess_names(self) -> list[str]:
        """Returns names of all pictures; of a video, as many as its header tells."""
        return self.names or [self._name_frame(n) for n in range(self.count or 1)]

    def shots(self, whole: bool) -> Iterator[Shot]:
        """Yields the pictures, `whole` ones at their own size, else at the model's."""
        return self._walk(whole)

    @contextlib.contextmanager
    def open_sound(self) -> Iterator[Any]:
        """Yields what `write_film` takes as sound."""
        with contextlib.ExitStack() as stack:
            video = self._video
            yield stack.enter_context(video.open_sound()) if video else None

    def _walk_files(self, whole):
        for number, name in enumerate(self.names):
            yield Shot(name, number, 1, partial(self._load_file, name, whole))

    def _load_file(self, name, whole, on_note):
        path = os.path.join(self.folder, name)
        size = read_size(path) if whole else None
        channels = 3 if whole else self._channels
        return read_image(path, *(size or self._size), channels, on_note)

    def _walk_file(self, whole):
        for start in range(0, self._file.count, BLOCK):
            images = self._file.read(start, min(start + BLOCK, self._file.count))
            for number, image in enumerate(images, start):
                load = partial(self._shape, image, whole)
                yield Shot(self.names[number], number, 1, load)

    def _walk_video(self, whole):
        self.failures = []  # a second walk meets them again
        for number, found in enumerate(self._video.frames()):
            if isinstance(found, str):
                self.failures.append((self.title, found))
                continue
            start, length, load = found
            load = partial(self._load_frame, load, whole)
            yield Shot(self._name_frame(number), start, length, load)

    def _load_frame(self, load, whole, on_note):
        return self._shape(load(), whole, on_note)

    def _name_frame(self, number):
        return f"{self._stem}_{number:06}"

    def _shape(self, image, whole, on_note):
        channels = 3 if whole else self._channels
        if image.shape[2] != channels:
            picture = to_picture(image).convert("RGB" if channels == 3 else "L")
            image = to_array(picture)
        return image if whole else resize_image(image, *self._size)


@dataclass
class Crops:
    """The faces of some footage.

    Attributes:
        names: of all pictures. starts, lengths: their times, in ticks.
        images: uint8 (N, H, W, C), of those with a face; of many, to be sliced.
        indices: for each image, its place in `names`.
        faces: for each image, where it was found, or None if nothing was searched.
        failures: (place in `names`, reason).
        notes: the same, of what was read in part, as the first frame of an animation.
    """

    names: list[str]
    starts: list[int]
    lengths: list[int]
    images: "np.ndarray | StoredCrops"
    indices: list[int]
    faces: list[Face | None]
    failures: list[tuple[int, str]]
    notes: list[tuple[int, str]]

    @property
    def faceless(self) -> int:
        """Number of pictures that can be read and show no face."""
        return len(self.names) - len(self.indices) - len(self.failures)

    def printable_names(self) -> list[str]:
        """Returns the name of each image, as one line of text."""
        return [printable(self.names[place]) for place in self.indices]

    def printable_failures(self) -> list[tuple[str, str]]:
        """Returns (name, reason) of what could not be read, as `list_failures` asks."""
        return [(printable(self.names[place]), why) for place, why in self.failures]


def read_crops(
    footage: Footage,
    model: ModelConfig,
    find_faces: bool,
    masked: bool,
    on_read: Callable[[int], Any] = lambda count: None,
) -> Crops:
    """Reads all crops of some footage at the size of a model.

    Args:
        find_faces: whether to find and cut out the largest face of each picture.
        masked: whether to blacken what is outside those faces.
        on_read: called with a number of pictures that are done.

    Raises:
        VaeError: there is no room for them.
    """
    size = model.width, model.height
    shape = model.height, model.width, model.channels
    detector = FaceDetector(count_cores()) if find_faces else None

    def read(shot):
        face, lines = None, []
        try:
            image = shot.load(lines.append)
        except ImageError as error:
            return shot, None, None, str(error), lines
        if detector:
            face = detector.find(image)
            if face is None:
                return shot, None, None, None, lines
            image = crop_face(image, face, *size, masked)
            if model.channels == 1:
                image = to_array(to_picture(image).convert("L"))
        return shot, image, face, None, lines

    crops, store = Crops([], [], [], None, [], [], [], []), _Store(shape)
    shots = map_ordered(read, footage.shots(find_faces))
    for place, (shot, image, face, reason, lines) in enumerate(shots):
        crops.names.append(shot.name)
        crops.starts.append(shot.start)
        crops.lengths.append(shot.length)
        crops.notes += [(place, line) for line in lines]
        if reason:
            crops.failures.append((place, reason))
        if image is not None:
            store.append(image)
            crops.indices.append(place)
            crops.faces.append(face)
        on_read(1)
    crops.images = store.close()
    return crops


class StoredCrops:
    """Images in a nameless file, read a slice at a time; see `_Store`.

    A map of the file would count as the memory of this process.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        """Makes room for images of a shape; raises OSError if there is no room."""
        self._file, self._lock = tempfile.TemporaryFile(), threading.Lock()
        self.shape = (0, *shape)

    def __del__(self) -> None:
        self._file.close()

    def append(self, images: np.ndarray) -> None:
        """Adds images, uint8 (B, H, W, C), at the end."""
        self._file.write(images.tobytes())
        self.shape = (len(self) + len(images), *self.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice | int) -> np.ndarray:
        """Returns a slice as uint8 (B, H, W, C), or one image, in any thread."""
        if not isinstance(part, slice):
            return self[part : part + 1][0]
        start, stop, step = part.indices(len(self))
        if step != 1:
            return np.stack([self[number] for number in range(start, stop, step)])
        size = math.prod(self.shape[1:])
        with self._lock:
            self._file.seek(start * size)
            content = self._file.read(max(0, stop - start) * size)
        return np.frombuffer(content, np.uint8).reshape(-1, *self.shape[1:])


class _Store:
    """Images one after another: in memory, and if they are many, in a nameless file."""

    def __init__(self, shape):
        self._shape, self._held, self._stored = shape, [], None
        self._most = max(1, HOLD_BYTES // math.prod(shape))

    def append(self, image):
        """Adds an image; raises VaeError if there is no room."""
        self._held.append(image)
        if len(self._held) > self._most:
            self._spill()

    def _spill(self):
        try:
            if self._stored is None:
                self._stored = StoredCrops(self._shape)
            self._stored.append(self._stack())
        except OSError as error:
            place, reason = printable(tempfile.gettempdir()), explain(error)
            raise VaeError(f"{place}: no room for the crops ({reason})") from error

    def _stack(self):
        images = np.array(self._held, np.uint8).reshape(-1, *self._shape)
        self._held = []
        return images

    def close(self):
        """Returns the images, (N, H, W, C)."""
        if self._stored is None:
            return self._stack()
        self._spill()
        return self._stored
