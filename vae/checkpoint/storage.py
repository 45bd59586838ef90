"""Arrays and JSON on disk: written whole, checked when read, never executed.

What is read may come from a stranger: only arrays of the names and shapes asked for are
taken, from inside the file itself, and JSON has a size limit and a schema number.
"""

import errno
import hashlib
import io
import json
import os
from typing import Any

import h5py
import numpy as np

from vae.errors import OtherVersionError, RefusedError, VaeError
from vae.files import check_regular, explain, printable, replace_file

SCHEMA = 1  # of metadata.json and of the arrays it describes
CHECKPOINT_SCHEMA = 3  # of a checkpoint; CHANGELOG.md says when they are raised
MAX_JSON_BYTES = 64 << 20  # a history of a quarter of a million epochs


def pack_arrays(arrays: dict[str, np.ndarray]) -> bytes:
    """Returns the bytes of an HDF5 file with one dataset an array."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(_flat(name), data=np.asarray(array))
    return buffer.getvalue()


def open_hdf5(path: str | os.PathLike, content: bytes | None = None) -> h5py.File:
    """Opens an HDF5 file for reading, also on a disk without locks, or its bytes.

    Raises:
        OSError: it can't be opened; EAGAIN: another program is writing it.
    """
    if content is not None:
        return h5py.File(io.BytesIO(content), "r")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if "unable to lock" in str(error) and error.errno != errno.EAGAIN:
            return h5py.File(path, "r", locking=False)
        raise


def _flat(name):
    return name.replace("/", ".")


def digest(content: bytes) -> dict[str, int | str]:
    """Returns the size and the SHA-256 of bytes, as JSON holds them."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def unpack_arrays(
    path: str | os.PathLike,
    shapes: dict[str, tuple[int, ...]],
    content: bytes | None = None,
) -> dict[str, np.ndarray]:
    """Reads arrays of these names and shapes, and nothing else, from an HDF5 file.

    `content` has its bytes, if they were read before.

    Raises:
        VaeError: the file is missing or damaged, or an array is missing, of another
            shape, not finite, or not stored in the file itself.
    """
    try:
        if content is None:
            check_regular(path)
        with open_hdf5(path, content) as file:
            unknown = set(file) - {_flat(name) for name in shapes}
            if unknown:
                raise _bad(path, f"unknown array {sorted(unknown)[0]!r:.80} found")
            return {
                name: _read_array(file, path, _flat(name), tuple(shape))
                for name, shape in shapes.items()
            }
    except FileNotFoundError as error:
        raise _bad(path, explain(error)) from error
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise _bad(path, "damaged") from error  # h5py raises each for bad bytes


def _read_array(file, path, name, shape):
    link = file.get(name, getlink=True)
    stored = file[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(stored, h5py.Dataset) or stored.is_virtual or stored.external:
        raise _bad(path, f"no array {name!r}")
    if stored.shape != shape or stored.dtype.kind not in "fi":
        raise _bad(path, f"{name!r} has shape {stored.shape}, {shape} expected")
    if stored.chunks or stored.id.get_storage_size() != stored.nbytes:
        raise _bad(path, f"{name!r} is packed, or not all there")  # it may be a bomb
    array = stored[()]
    if not np.isfinite(array).all():
        raise _bad(path, f"{name!r} holds values that are not finite")
    return array


def _bad(path, reason):
    return VaeError(f"{printable(path)}: {reason}; the weights of a model expected")


def write_json(path: str | os.PathLike, values: dict[str, Any]) -> None:
    """Writes a dictionary as JSON, whole or not at all, synced to disk."""
    replace_file(path, (json.dumps(values, indent=1) + "\n").encode(), sync=True)


def read_json(
    path: str | os.PathLike, most: int = MAX_JSON_BYTES, schema: int = SCHEMA
) -> dict[str, Any]:
    """Reads a JSON object of a known schema from a file that may be hostile.

    A file of more than `most` bytes is too large.

    Raises:
        RefusedError: it is missing, too large, not JSON or of another schema.
    """
    name = printable(path)
    try:
        check_regular(path)
        with open(path, "rb") as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise RefusedError(f"{name}: too large, a model's description expected")
        values = json.loads(content)
    except OSError as error:
        raise RefusedError(
            f"{name}: {explain(error)}; a model directory that train wrote expected"
        ) from None
    except (ValueError, RecursionError):
        reason = "not JSON, a model's description expected"
        raise RefusedError(f"{name}: {reason}") from None
    found = values.get("schema") if isinstance(values, dict) else None
    if type(found) is not int or found != schema:
        kind = OtherVersionError if type(found) is int else RefusedError
        raise kind(
            f"{name}: schema {found!r:.40} found, {schema} expected, as this version"
            " writes it; train again, or use the version that wrote it"
        )
    return values
