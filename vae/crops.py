"""A folder of crops as one array: read on all cores, in memory or spilled to disk."""
import os
from dataclasses import dataclass
from typing import Any

from vae.decoder import ImageError, LargeImageError
from vae.images import read_image
from vae.processes import map_forked
from vae.stream import make_rows
from vae.workers import cut_evenly

READ_TOGETHER = 16  # files that a core takes at a time


@dataclass(frozen=True)
class Crops:
    """The crops of a folder that could be read, in order, and why others could not.

    Attributes:
        images: uint8 (N, H, W, C).
        indices: for each image, its place in the list of names.
        failures: list of (place in the list of names, reason).
        notes: the same, of what was read in part, as the first frame of an animation.
    """

    images: Any
    indices: list
    failures: list
    notes: list


def read_crops(folder, names, config, watch):
    """Reads image files at the size of a model.

    Args:
        folder: the folder. names: paths below it.
        config: the model's `ModelConfig`.
        watch: has `update(n)`, called as files are done.

    Returns:
        `Crops`; an image that can't be read is in its `failures`.
    """
    rows = make_rows((len(names), config.height, config.width, config.channels))
    paths = [os.path.join(folder, name) for name in names]

    def read(part):
        return [_read(paths[place], rows[place], False) for place in part]

    failures, notes = {}, []
    parts = cut_evenly(len(names), READ_TOGETHER)
    parts = [range(part.start, part.stop) for part in parts]
    for part, results in zip(parts, map_forked(read, parts)):
        for place, (error, lines) in zip(part, results):
            if isinstance(error, LargeImageError):  # one at a time
                error, lines = _read(paths[place], rows[place])
            if error:
                failures[place] = str(error)
            notes += [(place, line) for line in lines]
        watch.update(len(part))
    indices = [place for place in range(len(names)) if place not in failures]
    for row, place in enumerate(indices if failures else []):
        rows[row] = rows[place]
    return Crops(rows[: len(indices)], indices, list(failures.items()), notes)


def _read(path, row, allow_large=True):
    """Reads an image into `row` (H, W, C); returns an error or None, and notes."""
    (height, width, channels), notes = row.shape, []
    try:
        row[:] = read_image(path, width, height, channels, notes.append, allow_large)
    except ImageError as error:
        return error, notes
    return None, notes
