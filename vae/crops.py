"""A folder of crops as one array: read on all cores, in memory or spilled to disk."""
import os
from dataclasses import dataclass
from functools import partial
from typing import Any

from vae.decoder import ImageError
from vae.images import read_image
from vae.stream import make_rows
from vae.workers import cut_evenly, map_ordered

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

    notes = []

    def read(part):
        return [_read(folder, names, place, config, notes) for place in part]

    rows = make_rows((len(names), config.height, config.width, config.channels))
    indices, failures, place = [], [], 0
    parts = cut_evenly(len(names), READ_TOGETHER)
    parts = [range(part.start, part.stop) for part in parts]
    for results in map_ordered(read, parts):
        for place, result in enumerate(results, place):
            if isinstance(result, ImageError):
                failures.append((place, str(result)))
            else:
                rows[len(indices)] = result
                indices.append(place)
        place += 1
        watch.update(len(results))
    return Crops(rows[: len(indices)], indices, failures, sorted(notes))


def _read(folder, names, place, config, notes):
    path, size = os.path.join(folder, names[place]), (config.width, config.height)
    try:
        note = partial(_note, notes, place)
        return read_image(path, *size, config.channels, note)
    except ImageError as error:
        return error


def _note(notes, place, line):
    notes.append((place, line))
