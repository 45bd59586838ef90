"""A folder of crops as one array: read on all cores, in memory or spilled to disk."""
import os
from dataclasses import dataclass
from typing import Any

from vae.data.arrays import make_rows
from vae.images.reading import ImageError
from vae.images.sheets import read_image
from vae.parallel import map_ordered


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
    size, notes = (config.width, config.height, config.channels), []

    def read(place):
        path, lines = os.path.join(folder, names[place]), []
        try:
            rows[place] = read_image(path, *size, lines.append)
        except ImageError as error:
            return str(error), lines
        return None, lines

    indices, failures = [], []
    for place, (reason, lines) in enumerate(map_ordered(read, range(len(names)))):
        notes += [(place, line) for line in lines]
        if reason:
            failures.append((place, reason))
        else:
            indices.append(place)
        watch.update(1)
    for row, place in enumerate(indices if failures else []):
        rows[row] = rows[place]
    return Crops(rows[: len(indices)], indices, failures, notes)
