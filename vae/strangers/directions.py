"""Directions: what one kind of crops has in its codes, and another has not.

A named one is kept in the model directory as `directions/NAME.json`, with the hash of
the weights that it belongs to, since other weights have other codes.
"""

import os
import re

import numpy as np

from vae.checkpoint.model_files import ModelFiles
from vae.checkpoint.storage import SCHEMA, read_json, write_json
from vae.config import ModelConfig, ReconstructConfig
from vae.data.arrays import read_pictures
from vae.errors import RefusedError
from vae.files import printable
from vae.images.folders import find_images
from vae.strangers.alignment import LoadedActor
from vae.terminal import tell

FOLDER = "directions"
MAX_NAME = 64
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MAX_NAME - 1}}}\Z")
MAX_BYTES = 1 << 20


def list_pictures(paths: list[str]) -> list[str]:
    """Returns files, and in place of folders the images in them, in order.

    Raises:
        RefusedError: a folder holds no image.
    """
    names = []
    for path in paths:
        inside = find_images(path, tell) if os.path.isdir(path) else [""]
        names += [os.path.join(path, name) if name else path for name in inside]
    return names


def find_direction(
    actor: LoadedActor, model: ModelConfig, start: str, end: str
) -> np.ndarray:
    """Returns the mean code of one folder, or file, less that of another, (Z,).

    Both are of one person, the actor or, of eight crops and more, anyone.
    """
    names = [list_pictures([at]) for at in (start, end)]
    images = [read_pictures("", paths, model, tell) for paths in names]
    z = actor.align(np.concatenate(images), ReconstructConfig()).z
    count = len(images[0])
    return z[count:].mean(0) - z[:count].mean(0)


def choose_direction(
    actor: LoadedActor, files: ModelFiles, given: list[str]
) -> np.ndarray:
    """Returns the direction (Z,) that `--direction` tells: FROM and TO, or a name.

    Raises:
        RefusedError: it is something else, or no such name is kept.
        VaeError: a picture can't be read.
    """
    if len(given) == 2:
        return find_direction(actor, files.config, *given)
    if len(given) > 2:
        raise RefusedError(
            f"--direction: {len(given)} values found, two folders or files, or one name"
            " expected"
        )
    return _load_direction(files, given[0])


def check_name(name: str) -> None:
    """Raises RefusedError unless a direction can have this name."""
    if not _NAME.match(name):
        raise RefusedError(
            f"--save-direction: {printable(name)[:80]} found, a name of at most"
            f" {MAX_NAME} letters, digits, - and _ expected"
        )


def save_direction(
    files: ModelFiles, name: str, direction: np.ndarray, given: list[str]
) -> str:
    """Keeps a direction in a model directory; returns the path of its file."""
    path = os.path.join(files.folder, FOLDER, f"{name}.json")
    told = {"schema": SCHEMA, "from": printable(given[0]), "to": printable(given[1])}
    told |= {"weights": files.weights_hash, "direction": direction.tolist()}
    write_json(path, told)
    return path


def list_directions(folder: str) -> list[str]:
    """Returns the names of the directions kept in a model directory, sorted."""
    try:
        names = os.listdir(os.path.join(folder, FOLDER))
    except OSError:
        return []
    stems = [name.removesuffix(".json") for name in names if name.endswith(".json")]
    return sorted(stem for stem in stems if _NAME.match(stem))


def describe_direction(files: ModelFiles, name: str) -> str:
    """Returns a line about a direction that is kept: its name, from and to."""
    told = read_json(os.path.join(files.folder, FOLDER, f"{name}.json"), MAX_BYTES)
    ends = (printable(str(told.get(end))[:200]) for end in ("from", "to"))
    stale = told.get("weights") != files.weights_hash
    return f"{name}: {' -> '.join(ends)}" + stale * " (of other weights, not usable)"


def _load_direction(files, name):
    folder, size = files.folder, files.config.latent_dim
    known = list_directions(folder)
    if name not in known:
        kept = ", ".join(known) if known else "none"
        raise RefusedError(
            f"--direction: {printable(name)[:80]} found, two folders or files, or the"
            f" name of a direction kept in {printable(folder)} expected ({kept})"
        )
    path = os.path.join(folder, FOLDER, f"{name}.json")
    told = read_json(path, MAX_BYTES)
    if told.get("weights") != files.weights_hash:
        raise RefusedError(
            f"{printable(path)}: belongs to other weights, as before more training;"
            " make it again with --save-direction"
        )
    try:
        direction = np.array(told["direction"], np.float32)
    except (KeyError, TypeError, ValueError, OverflowError):
        direction = np.zeros(0)
    if direction.shape != (size,) or not np.isfinite(direction).all():
        raise RefusedError(f"{printable(path)}: damaged, {size} numbers expected")
    return direction
