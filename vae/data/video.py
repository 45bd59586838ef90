"""The frames of a video file, through PyAV, which is an extra.

FFmpeg is given an open file and the formats below, so that a playlist under the name of
a video can't make it read another file or an address.
"""

import contextlib
import gc
import os
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from vae.data.sources import Batch
from vae.errors import ImageError, RefusedError
from vae.files import check_regular, explain, printable
from vae.images.pixels import Target, fit_image, resize_image
from vae.images.reading import MAX_MEGAPIXELS, check_size

try:
    import av
except ImportError:
    av = None

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,flv,asf,gif"
UNIT_BYTES = 16 << 20  # of decoded frames
UNIT_IMAGES = 32
LARGE_PIXELS = 16 * 10**6  # frames of more are converted at once, and don't queue up
MAX_STREAMS = 64
MAX_ANGLES = 8  # that the frames of a video are turned by
MAX_PIXELS = MAX_MEGAPIXELS * 10**6
MISSING = 1.0, 0.02  # seconds, and share of the duration; durations are not exact
# What PyAV raises is of any of these kinds.
_FAULTS = (OSError, ValueError, ArithmeticError, MemoryError, ImageError)
_FAULTS += (av.FFmpegError,) if av else ()
Stamped: TypeAlias = tuple[int, int, Callable[[], np.ndarray]]
# (number, frame, its view) of each, or (number, image or fault, None)
Unit: TypeAlias = tuple[list[tuple[int, Any, Any]], list[str]]


class VideoSource:
    """One of every so many frames of a video, upright, in square pixels; a `Source`."""

    channels, skipped = 3, 0

    def __init__(self, path: str, every: int) -> None:
        """Opens the file and decodes its first frame.

        Raises:
            RefusedError: PyAV is missing, or this is no video that it reads.
        """
        if av is None:
            raise RefusedError(
                f"{printable(path)}: neither an image nor an HDF5 file found; if it is"
                " a video, PyAV is needed to read it: pip install 'vae-faces[video]'"
            )
        self._path, self._every = path, every
        self.title = printable(os.path.basename(path))
        try:
            with _open(path) as film:
                first = next(iter(film), None)
                if first is None:
                    raise ImageError("no picture in it")
                self._size = film.measure(first[1])
                count, self.tick, self._rate = film.guess_count(), film.tick, film.rate
        except (
            av.FFmpegError,
            OSError,
            ImageError,
            IndexError,
            StopIteration,
        ) as error:
            missing = isinstance(error, (IndexError, StopIteration))
            reason = error if isinstance(error, ImageError) else explain(error)
            raise RefusedError(
                f"{printable(path)}: not a video that can be read"
                f" ({'no picture in it' if missing else reason}); a folder"
                " of crops, an image, a video or an HDF5 file expected"
            ) from None
        self.count = -(-count // every) if count else None

    def sizes(self) -> set[tuple[int, int]]:
        """Returns the set of the one (width, height)."""
        return {self._size}

    def units(self, target: Target) -> Iterator[Unit]:
        """Yields frames; with the last ones, what is wrong with the file, in lines."""
        frames, held = [], 0
        try:
            with _open(self._path) as film:
                for number, frame in film:
                    if number % self._every:
                        continue
                    pixels = frame.width * frame.height
                    view = film.find_view(frame)
                    item = number, frame, view
                    if pixels > LARGE_PIXELS:
                        item = number, _fit(frame, view, target), None
                    frames.append(item)
                    held += pixels * 3
                    if held >= UNIT_BYTES or len(frames) == UNIT_IMAGES:
                        yield frames, []
                        frames, held = [], 0
                yield frames, film.find_faults()
        except _FAULTS as error:
            yield frames, [f"it can't be read again ({_explain(error)})"]

    def load(self, unit: Unit, target: Target) -> Batch:
        """Converts the frames of a unit."""
        frames, reasons = unit
        batch = Batch(len(frames), target)
        for number, frame, view in frames:
            image = _fit(frame, view, target) if view else frame
            if isinstance(image, str):
                batch.failed.append((self.title, f"frame {number}: {image}"))
                continue
            batch.add(image, self.title, number)
        batch.failed += [(self.title, reason) for reason in reasons]
        return batch

    def frames(self) -> Iterator[Stamped | str]:
        """Yields every frame: when it is shown, how long, and what makes its image.

        Times are in units of `tick`, in seconds, ascending. The function that comes
        along returns uint8 (H, W, 3), upright, or raises ImageError; any thread may
        call it. What is wrong with the file comes last, in lines.
        """
        usual = max(1, round(1 / (self._rate or 25) / self.tick))
        try:
            with _open(self._path) as film:
                frames = (frame for _, frame in film)
                for start, length, frame in mend_times(frames, usual):
                    yield start, length, partial(_convert, frame, film.find_view(frame))
                yield from film.find_faults()
        except _FAULTS as error:
            yield f"it can't be read again ({_explain(error)})"

    @contextlib.contextmanager
    def open_sound(self) -> Iterator[Any]:
        """Yields the open container, for its sound."""
        with _open(self._path) as film:
            yield film.container


def mend_times(frames: Iterable[Any], usual: int) -> Iterator[tuple[int, int, Any]]:
    """Yields (start, length, frame) in ticks; starts ascend, also where a file's don't.

    Args:
        usual: length of a frame that doesn't tell its own.
    """
    last, length = None, usual
    for frame in frames:
        start = frame.pts
        if start is None or (last is not None and start <= last):
            start = 0 if last is None else last + length
        length = frame.duration or usual
        yield start, length, frame
        last = start


class View(NamedTuple):
    """How a frame is to be seen.

    Attributes:
        ratio: width of a pixel by its height.
        lies: whether rows are columns. down, right: steps, 1 or -1, after that.
    """

    ratio: Fraction | int
    lies: bool
    down: int
    right: int


class Film:
    """The first video stream of an open container: (number, frame) of each, in order.

    A frame knows its time. A packet that can't be decoded is passed over; its frame
    keeps its number.

    Attributes:
        container: it is in. tick: the unit of its times, in seconds.
        rate: frames a second, or None. is_large: whether frames are over
            `LARGE_PIXELS`.
    """

    def __init__(self, container: Any) -> None:
        """Chooses the stream.

        Raises:
            ImageError: it has none, or its frames are too large.
        """
        if not container.streams.video:
            raise ImageError("no picture in it")
        self.container, self._stream = container, container.streams.video[0]
        context = self._stream.codec_context
        if context is None:
            raise ImageError("pictures in a coding that is not known")
        # Threads live on until Python collects garbage, and with them an error may take
        # the frames of other packets along.
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_PIXELS)}
        check_size(context.width, context.height)
        self.tick, self.rate = self._stream.time_base, self._stream.average_rate
        self.is_large = context.width * context.height > LARGE_PIXELS
        self._ratio, self._views = self._stream.sample_aspect_ratio or 1, {}
        self._packets, self._frames, self._bad, self._ends_badly = 0, 0, 0, False
        self._end, self._damage = 0.0, None
        # Of a MOV, samples that an edit list leaves out are in none of the two.
        is_counted = self._stream.frames and "mov" in container.format.name
        entries = len(self._stream.index_entries) if is_counted else 0
        self._declared = entries or self._stream.frames

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Decodes the stream, from where it is."""
        for packet in self._demux():
            frames, failed = self._decode(packet)
            for frame in frames:
                yield self._frames + self._bad, frame
                self._frames += 1
            self._bad += failed
            self._ends_badly = failed > 0 if packet.size else self._ends_badly

    def _demux(self):
        """Yields the stream's packets; others tell how long the file is."""
        packets = self.container.demux()
        while True:
            try:
                packet = next(packets, None)
            except _FAULTS as error:
                self._damage = _explain(error)
                return
            if packet is None:
                return
            if packet.pts is not None and packet.time_base:
                ticks = packet.pts + (packet.duration or 0)
                self._end = max(self._end, float(ticks * packet.time_base))
            if packet.stream_index == self._stream.index:
                self._packets += packet.size > 0
                yield packet

    def _decode(self, packet):
        """Returns (frames, number of those that can't be decoded)."""
        if packet.is_corrupt:
            return [], 1
        try:
            frames = packet.decode()
            for frame in frames:
                check_size(frame.width, frame.height)
        except _FAULTS:
            return [], 1
        return frames, 0

    def measure(self, frame: Any) -> tuple[int, int]:
        """Returns (width, height) of a frame, upright, in square pixels.

        Raises:
            ImageError: that is too large.
        """
        view = self.find_view(frame)
        size = _make_square(frame.width, frame.height, view.ratio)
        return size[::-1] if view.lies else size

    def find_view(self, frame: Any) -> View:
        """Returns how a frame is to be seen.

        A frame whose matrix was looked at is held in memory until Python collects
        garbage, so that one is looked at for each angle.
        """
        angle = frame.rotation
        if angle not in self._views and len(self._views) < MAX_ANGLES:
            self._views[angle] = View(self._ratio, *_find_turn(frame))
        return self._views.get(angle) or next(iter(self._views.values()))

    def guess_count(self) -> int:
        """Returns the number of frames, counted or by the duration; 0 if unknown."""
        return self._declared or round(self._find_duration() * (self.rate or 0))

    def _find_duration(self) -> float:
        return max(0, self.container.duration or 0) / av.time_base

    def find_faults(self) -> list[str]:
        """Returns what was wrong, once all frames are read; a line each.

        A file that was cut short just ends. It has fewer packets than its index lists,
        or, without one, the last packet of any stream ends before the file should.
        """
        duration = self._find_duration()
        end = self._end - max(0, self.container.start_time or 0) / av.time_base
        if self._declared:
            cut = self._packets < self._declared
            found = f"{self._frames} of {self._declared} frames found"
        else:
            cut = duration - end > max(MISSING[0], MISSING[1] * duration)
            found = f"{end:.1f} of {duration:.1f} seconds found"
        cut = cut and not self._damage
        bad = self._bad - (cut and self._ends_badly)  # that packet was cut as well
        faults = []
        if bad:
            be = "packet is" if bad == 1 else "packets are"
            faults.append(f"{bad} {be} damaged, the frames in them are left out")
        if self._damage:
            faults.append(f"what follows is damaged ({self._damage})")
        return [*faults, f"{found}, the rest is cut off or damaged"] if cut else faults


@contextlib.contextmanager
def _open(path):
    """Yields a `Film`; PyAV doesn't close the file that it is given."""
    check_regular(path)
    limits = {"max_streams": str(MAX_STREAMS)}
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "", **limits}
    settings = {
        "options": {"max_pixels": str(MAX_PIXELS)},
        "container_options": options,
        "metadata_errors": "replace",  # a title may be in any encoding
    }
    with open(path, "rb") as file, av.open(file, **settings) as container:
        film = Film(container)
        try:
            yield film
        finally:
            if film.is_large:  # a decoder holds frames until Python collects garbage
                del container, film
                gc.collect()


def _explain(error):
    """Returns a reason in one line."""
    return explain(error) if hasattr(error, "strerror") else printable(str(error))


def _fit(frame, view, target):
    """Returns a frame as `fit_image` does, or why it can't be converted."""
    try:
        return fit_image(_make_upright(frame, view), target)
    except _FAULTS as error:
        return _explain(error)


def _convert(frame, view):
    """As `_make_upright`, but raises ImageError alone."""
    try:
        return _make_upright(frame, view)
    except _FAULTS as error:
        raise ImageError(_explain(error)) from error


def _make_upright(frame, view):
    """Returns the pixels of a frame as they are to be seen, uint8 (H, W, 3)."""
    size = _make_square(frame.width, frame.height, view.ratio)
    image = frame.reformat(format="rgb24", threads=1).to_ndarray()
    if size != (frame.width, frame.height):
        image = resize_image(image, *size)
    image = image.transpose(1, 0, 2) if view.lies else image
    return np.ascontiguousarray(image[:: view.down, :: view.right])


def _make_square(width, height, ratio):
    """The size with square pixels: the side that is too short is made longer."""
    size = max(1, round(width * ratio)), height
    if ratio < 1:
        size = width, max(1, round(height / ratio))
    check_size(*size)
    return size


def _find_turn(frame):
    """(whether rows are columns, step down, step right) of a frame that is upright.

    A matrix of nine numbers maps (x, y) to (a x + c y, b x + d y) (ISO/IEC 14496-12,
    6.2.2), of which a, b, c and d are the first, second, fourth and fifth.
    """
    found = frame.side_data.get("DISPLAYMATRIX")
    if found is None:
        return False, 1, 1
    a, b, _, c, d = np.frombuffer(found, np.int32)[:5].astype(int)
    lies = abs(b) + abs(c) > abs(a) + abs(d)
    across, along = (c, b) if lies else (a, d)
    return lies, -1 if along < 0 else 1, -1 if across < 0 else 1
