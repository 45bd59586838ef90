"""The files of a model that other commands load: replaced together, verified first.

`metadata.json` holds the size and the SHA-256 of the arrays beside it, and while those
are replaced, also of the ones before, so that a kill at any moment leaves a description
that fits what is there.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vae.checkpoint.storage import digest, read_json, write_json
from vae.config import ModelConfig, option_name
from vae.errors import RefusedError
from vae.files import check_regular, explain, printable, replace_files

NAMES = ("weights.h5", "latent.npz")
MAX_METADATA_BYTES = 1 << 20  # it takes two kilobytes
MAX_BYTES = 1 << 30  # of the arrays; those of 1024 pixels a side take 300 MB at most


def write_model_files(
    folder: str | os.PathLike,
    metadata: dict[str, Any],
    contents: dict[str, bytes] | None = None,
) -> None:
    """Replaces the description of a model, and its arrays if they are new.

    `contents` has the bytes of each of `NAMES`; without, those that are there stay.

    Raises:
        VaeError: a file can't be written.
    """
    path = os.path.join(folder, "metadata.json")
    before = _digests(folder)
    if contents is None:
        return write_json(path, metadata | {"files": before})
    new = {name: digest(contents[name]) for name in NAMES}
    if before not in (None, new):
        write_json(path, metadata | {"files": new, "files_before": before})
    replace_files({os.path.join(folder, n): contents[n] for n in NAMES}, sync=True)
    write_json(path, metadata | {"files": new})


def _digests(folder):
    """The digest of each file, or None if they are not all there."""
    try:
        return {name: _digest_file(os.path.join(folder, name)) for name in NAMES}
    except OSError:
        return None


def _digest_file(path):
    check_regular(path)
    with open(path, "rb") as file:
        found = os.fstat(file.fileno()).st_size
        hashed = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": found, "sha256": hashed}


@dataclass(frozen=True)
class ModelFiles:
    """A model whose files were read once, so that what was verified is what is used.

    Attributes:
        contents: the bytes of each of `NAMES`.
    """

    folder: str | os.PathLike
    config: ModelConfig
    contents: dict[str, bytes] = field(repr=False)

    def find(self, name: str) -> tuple[str, bytes]:
        """Returns the path of a file, for messages, and its bytes."""
        return os.path.join(self.folder, name), self.contents[name]

    @cached_property
    def weights_hash(self) -> str:
        """The SHA-256 of the weights, in hexadecimal digits."""
        return digest(self.contents["weights.h5"])["sha256"]


def read_model_files(
    folder: str | os.PathLike, metadata: dict[str, Any]
) -> dict[str, bytes]:
    """Reads the arrays of a model that fit the digests in `metadata`, maybe hostile.

    Returns:
        The bytes of each of `NAMES`.

    Raises:
        RefusedError: a file is missing or damaged, or they are of two moments.
    """
    told = metadata.get("files"), metadata.get("files_before")
    told = list(filter(_is_told, told))
    if not told:
        path = os.path.join(folder, "metadata.json")
        raise RefusedError(
            f"{printable(path)}: no sizes and hashes of {' and '.join(NAMES)} found, a"
            " model that train wrote expected"
        )
    contents = {name: _read(folder, name, told) for name in NAMES}
    if {name: digest(content) for name, content in contents.items()} not in told:
        raise RefusedError(
            f"{printable(folder)}: {' and '.join(NAMES)} are of two moments, as after a"
            " kill; train --resume writes them again"
        )
    return contents


def _is_told(files):
    """Whether it is a digest for each file; `True` for a size would equal 1."""
    try:
        kinds = {n: {k: type(v) for k, v in one.items()} for n, one in files.items()}
    except AttributeError:  # no dictionaries
        return False
    return kinds == dict.fromkeys(NAMES, {"bytes": int, "sha256": str})


def _read(folder, name, told):
    path, content = os.path.join(folder, name), b""
    sizes = [files[name]["bytes"] for files in told]
    try:
        check_regular(path)
        with open(path, "rb") as file:
            count = os.fstat(file.fileno()).st_size
            if count in sizes and count <= MAX_BYTES:
                content = file.read(count)
    except OSError as error:
        raise RefusedError(
            f"{printable(path)}: {explain(error)}; the arrays of a model expected"
        ) from None
    if count > MAX_BYTES:
        raise RefusedError(f"{printable(path)}: {count} bytes, over {MAX_BYTES}")
    if digest(content) not in [files[name] for files in told]:
        what = f"{count} bytes found, {sizes[0]} expected"
        if count in sizes:
            what = "not the bytes that train wrote"
        raise RefusedError(f"{printable(path)}: damaged ({what}); copy it again")
    return content


def read_metadata(folder: str | os.PathLike) -> tuple[dict[str, Any], ModelConfig]:
    """Returns (metadata, `ModelConfig`) of a model directory.

    Raises:
        RefusedError: it is not a model directory, or describes no valid model.
    """
    path = os.path.join(folder, "metadata.json")
    metadata = read_json(path, MAX_METADATA_BYTES)
    try:
        return metadata, ModelConfig.from_dict(metadata.get("model"))
    except RefusedError as error:
        raise RefusedError(f"{printable(path)}: {error}") from None


def open_model(
    folder: str | os.PathLike, requested: dict[str, int], warn: Callable[[str], Any]
) -> ModelFiles:
    """Reads and verifies a model directory.

    `requested` has options and values, the model's size as it was asked for. `warn` is
    called with a line if the training of the model has not ended.

    Raises:
        RefusedError: it is none or damaged, or a size is not its own.
    """
    metadata, config = read_metadata(folder)
    for name, wanted in requested.items():
        actual = getattr(config, name.removeprefix("input_"))
        if wanted != actual:
            raise RefusedError(
                f"{option_name(name)}: {wanted} found, {actual} expected: the model in"
                f" {printable(folder)} has it; leave the option out"
            )
    contents = read_model_files(folder, metadata)
    if metadata.get("finished") is False:
        done, best = metadata.get("epochs_done"), metadata.get("best")
        best = best.get("epoch") if isinstance(best, dict) else None
        warn(
            f"{printable(folder)}: the training goes on or was stopped; the best of"
            f" {done!r:.20} epochs so far is used, epoch {best!r:.20}"
        )
    return ModelFiles(folder, config, contents)
