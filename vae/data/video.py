"""The frames of a video file, through PyAV, which is an extra.

FFmpeg is given an open file and the formats below, so that a playlist under the name of
a video can't make it read another file or an address.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from vae.data.sources import Batch
from vae.errors import RefusedError
from vae.files import check_regular, explain, printable
from vae.images.pixels import Target, fit_image

try:
    import av
except ImportError:
    av = None

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,flv,asf,gif"
UNIT_BYTES = 16 << 20  # of decoded frames
UNIT_IMAGES = 32
COMPLETE = 0.9  # share of the declared frames; durations and rates are not exact
Unit: TypeAlias = tuple[list[tuple[int, Any]], str | None]  # (number, frame) of each


class VideoSource:
    """One of every so many frames of a video, turned upright; a `Source`."""

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
            with _open(path) as container:
                stream = container.streams.video[0]
                first = next(container.decode(stream))
                size = first.width, first.height
                self._size = size[::-1] if _turns(first) % 2 else size
                self._declared = _declared_frames(container, stream)
        except (av.FFmpegError, OSError, IndexError, StopIteration) as error:
            missing = isinstance(error, (IndexError, StopIteration))
            reason = "no picture in it" if missing else explain(error)
            raise RefusedError(
                f"{printable(path)}: not a video that can be read ({reason}); a folder"
                " of crops, an image, a video or an HDF5 file expected"
            ) from None
        self.count = -(-self._declared // every) if self._declared else None

    def sizes(self) -> set[tuple[int, int]]:
        """Returns the set of the one (width, height)."""
        return {self._size}

    def units(self, target: Target) -> Iterator[Unit]:
        """Yields frames, with a reason at the end if decoding fails."""
        frames, held, number = [], 0, -1
        try:
            with _open(self._path) as container:
                for number, frame in enumerate(container.decode(video=0)):
                    if number % self._every:
                        continue
                    frames.append((number, frame))
                    held += frame.width * frame.height * 3
                    if held >= UNIT_BYTES or len(frames) == UNIT_IMAGES:
                        yield frames, None
                        frames, held = [], 0
        except (av.FFmpegError, OSError) as error:
            yield frames, f"what follows is damaged ({explain(error)})"
            return
        # A file that was cut short just ends, so that only its header tells.
        whole = number + 1 >= COMPLETE * self._declared
        found = f"{number + 1} of {self._declared} frames found"
        yield frames, None if whole else f"{found}, the file is cut short"

    def load(self, unit: Unit, target: Target) -> Batch:
        """Converts the frames of a unit."""
        frames, reason = unit
        batch = Batch(len(frames), target)
        for number, frame in frames:
            image = np.rot90(frame.to_ndarray(format="rgb24"), _turns(frame))
            image = np.ascontiguousarray(image)
            batch.add(fit_image(image, target), self.title, number)
        if reason:
            batch.failed.append((self.title, reason))
        return batch


@contextlib.contextmanager
def _open(path):
    """Yields an open container; PyAV doesn't close the file that it is given."""
    check_regular(path)
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": ""}
    with open(path, "rb") as file, av.open(file, container_options=options) as video:
        video.streams.video[0].thread_type = "AUTO"
        yield video


def _declared_frames(container, stream):
    """Number of frames, counted or by the duration; 0 where neither is known."""
    if stream.frames > 0:
        return stream.frames
    rate = stream.average_rate
    seconds = (container.duration or 0) / av.time_base
    return round(seconds * rate) if rate else 0


def _turns(frame):
    """Quarter turns, counter-clockwise, that make a frame upright."""
    return round(frame.rotation / 90) % 4
