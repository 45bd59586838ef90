"""The model directory: save whole or not at all, verify, restore.

A checkpoint is a folder of its own, written aside, hashed, synced and renamed, so that
a kill at any moment leaves the previous ones intact. Files hold arrays and JSON alone;
nothing here unpickles or executes what it reads. The newest checkpoint is found by
verifying, not by a pointer file that could be lost.
"""

import contextlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vae.checkpoint.storage import (
    CHECKPOINT_SCHEMA,
    digest,
    pack_arrays,
    read_json,
    unpack_arrays,
)
from vae.errors import OtherVersionError, RefusedError, VaeError
from vae.files import (
    explain,
    find_writable_folder,
    lock_file,
    printable,
    sync_file,
    sync_folder,
)

KEPT = 2  # checkpoints; the second serves when the newest is damaged
STATE_FILES = ("arrays.h5", "state.json")
OWN_FILES = ("metadata.json", "weights.h5", "latent.npz", "history.csv", "history.png")
OWN_FOLDERS = ("checkpoints", "previews", "saved_model", "directions", "tensorboard")
EVENTS = "events.out.tfevents."  # begins the names of what TensorBoard reads
WRITTEN = {  # folder -> the files there that are train's, or of this tool
    "previews": "epoch-*.png",
    "directions": "*.json",
    "tensorboard": f"{EVENTS}*",
}
_STEP_NAME = re.compile(r"step-(\d{8,})\Z")
_LITTER_NAME = re.compile(
    r"\.(tmp-step-\d+-\d+|tmp-saved_model|del-(step-\d+|saved_model)-\d+"
    r"|[0-9a-f]{16}\.tmp)\Z"
)


def describe_output(output: str | os.PathLike) -> str:
    """Returns "absent", "empty" or "used" for a model directory to be written.

    Raises:
        RefusedError: nothing can be written there.
    """
    name = printable(output)
    if os.path.lexists(output) and not os.path.isdir(output):
        kind = "a file" if os.path.exists(output) else "a dangling link"
        raise RefusedError(f"{name}: {kind} found, a folder expected")
    find_writable_folder(output)
    if not os.path.isdir(output):
        return "absent"
    return "used" if set(os.listdir(output)) - {".lock"} else "empty"


@contextlib.contextmanager
def locked(output: str | os.PathLike) -> Iterator[None]:
    """Makes the model directory and holds it against a second training.

    The lock ends with the process, however it ends. If an error comes before anything
    was written, what was made here is removed again.

    Raises:
        RefusedError: another training holds it.
        VaeError: the folder can't be made.
    """
    path, whole = os.path.join(output, ".lock"), Path(os.path.abspath(output))
    is_new = not os.path.lexists(path)
    made = [at for at in (whole, *whole.parents) if not os.path.lexists(at)]
    try:
        os.makedirs(output, exist_ok=True)
        _refuse_links(output)
        lock = open(path, "ab", opener=_open_plain)
    except OSError as error:
        raise VaeError(f"{printable(output)}: {explain(error)}") from error
    with lock:
        if lock_file(lock) is False:
            raise RefusedError(
                f"{printable(output)}: another training is writing it, a folder of its"
                " own expected"
            )
        try:
            yield
        except BaseException:
            if is_new and os.listdir(output) == [".lock"]:
                os.unlink(path)
                for folder in made:
                    os.rmdir(folder)
            raise


def _refuse_links(output):
    """Refuses links and pipes in the place of what is opened or written into."""
    kinds = {name: ("a folder", stat.S_ISDIR) for name in OWN_FOLDERS}
    for name, (kind, fits) in {".lock": ("a file", stat.S_ISREG), **kinds}.items():
        path = os.path.join(output, name)
        if os.path.lexists(path) and not fits(os.lstat(path).st_mode):
            raise RefusedError(
                f"{printable(path)}: {kind} expected, as train makes it; move away what"
                " is there"
            )


def _open_plain(path, flags):
    """Opens a file, but follows no link and waits for no pipe."""
    extra = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.open(path, flags | extra, 0o666)


def clear(output: str | os.PathLike) -> None:
    """Removes what an earlier training wrote, and nothing else."""
    sweep(output)
    for name in OWN_FILES:
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(os.path.join(output, name))
    for name in OWN_FOLDERS:
        if os.path.islink(os.path.join(output, name)):
            os.unlink(os.path.join(output, name))
    checkpoints = os.path.join(output, "checkpoints")
    for name in list_checkpoints(output):
        if os.path.isfile(os.path.join(checkpoints, name, "MANIFEST.json")):
            shutil.rmtree(os.path.join(checkpoints, name))
    for folder, pattern in WRITTEN.items():
        for path in Path(output, folder).glob(pattern):
            path.unlink()
    saved_model = os.path.join(output, "saved_model")
    if os.path.isfile(os.path.join(saved_model, "saved_model.pb")):
        shutil.rmtree(saved_model)
    for name in OWN_FOLDERS:
        with contextlib.suppress(OSError):  # not there, or others' files are in it
            os.rmdir(os.path.join(output, name))


def save_checkpoint(
    output: str | os.PathLike,
    step: int,
    arrays: dict[str, np.ndarray],
    state: dict[str, Any],
) -> None:
    """Saves one checkpoint, then drops all but the newest `KEPT`.

    Args:
        step: number of optimizer steps done.
        state: what JSON can hold.

    Raises:
        VaeError: it could not be saved, or an array is not finite; those before it
            are intact.
    """
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise VaeError(f"{printable(output)}: {name} is not finite; not saved")
    folder = os.path.join(output, "checkpoints")
    aside = os.path.join(folder, f".tmp-step-{step}-{os.getpid()}")
    files = {
        "arrays.h5": pack_arrays(arrays),
        "state.json": json.dumps({"schema": CHECKPOINT_SCHEMA, **state}).encode(),
    }
    hashes = {name: digest(content) for name, content in files.items()}
    manifest = {"schema": CHECKPOINT_SCHEMA, "step": step, "files": hashes}
    files["MANIFEST.json"] = json.dumps(manifest, indent=1).encode()
    try:
        os.makedirs(aside)
        for name, content in files.items():
            with open(os.path.join(aside, name), "xb") as file:
                file.write(content)
                sync_file(file)
        sync_folder(aside)
        publish_folder(aside, os.path.join(folder, f"step-{step:08d}"))
        sync_folder(folder)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise VaeError(
            f"{printable(output)}: step {step} can't be saved ({explain(error)});"
            " earlier checkpoints are intact"
        ) from error
    for old in list_checkpoints(output)[KEPT:]:
        with contextlib.suppress(OSError):  # one too many does no harm
            shutil.rmtree(_hide(os.path.join(folder, old)))


def publish_folder(aside: str | os.PathLike, final: str | os.PathLike) -> None:
    """Puts a folder in place; an older one of the same name goes after that.

    Raises:
        OSError: it can't be renamed; the older one is in its place.
    """
    doomed = _hide(final) if os.path.isdir(final) else None
    try:
        os.rename(aside, final)
    except OSError:
        if doomed:
            os.rename(doomed, final)
        raise
    if doomed:
        shutil.rmtree(doomed, ignore_errors=True)


def _hide(folder):
    """Gives a folder a name that is not looked for; returns where it is now."""
    parent, name = os.path.split(folder)
    doomed = os.path.join(parent, f".del-{name}-{os.getpid()}")
    os.rename(folder, doomed)
    return doomed


def list_checkpoints(output: str | os.PathLike) -> list[str]:
    """Returns the folder names of all checkpoints, newest first, damaged ones too."""
    try:
        names = os.listdir(os.path.join(output, "checkpoints"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    steps = [name for name in names if _STEP_NAME.match(name)]
    return sorted(steps, key=lambda name: int(_STEP_NAME.match(name)[1]), reverse=True)


def sweep(output: str | os.PathLike) -> None:
    """Removes what a killed save left behind; call it with the lock held."""
    swept = "", "checkpoints", "previews", "tensorboard"
    folders = [os.path.join(output, name) for name in swept]
    for folder in folders:
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            path = os.path.join(folder, name)
            if _LITTER_NAME.match(name) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)  # a folder
                with contextlib.suppress(OSError):
                    os.unlink(path)  # a file


def find_checkpoint(
    output: str | os.PathLike, warn: Callable[[str], Any]
) -> tuple[str, dict[str, Any]]:
    """Returns (folder, state) of the newest checkpoint that is whole.

    `warn` is called with a line for each damaged one that is passed over.

    Raises:
        RefusedError: there is none, or it is of another version; a run is never
            silently begun anew.
    """
    names = list_checkpoints(output)
    for name in names:
        folder = os.path.join(output, "checkpoints", name)
        reason = _damage(folder, int(_STEP_NAME.match(name)[1]))
        if not reason:
            path = os.path.join(folder, "state.json")
            return folder, read_json(path, schema=CHECKPOINT_SCHEMA)
        warn(f"{printable(folder)}: {reason}; passed over")
    found = f"{len(names)} checkpoints, all damaged," if names else "no checkpoint"
    raise RefusedError(
        f"--resume: {found} found in {printable(output)}, a whole one expected; train"
        " anew without --resume, with --overwrite if the folder is not empty"
    )


def _damage(folder, step):
    """Why a checkpoint is not whole, or None."""
    path = os.path.join(folder, "MANIFEST.json")
    try:
        manifest = read_json(path, schema=CHECKPOINT_SCHEMA)
        if manifest.get("step") != step or set(manifest["files"]) != set(STATE_FILES):
            return "the manifest does not fit"
        for name in STATE_FILES:
            with open(os.path.join(folder, name), "rb") as file:
                if digest(file.read()) != manifest["files"][name]:
                    return f"{name} is damaged"
    except OSError as error:
        return explain(error)
    except OtherVersionError:
        raise
    except (RefusedError, KeyError, TypeError):
        return "the manifest is damaged"
    return None


def restore(
    variables: dict[str, Any], path: str | os.PathLike, content: bytes | None = None
) -> None:
    """Assigns to each variable the array of its name in a file of `pack_arrays`.

    A variable has a `shape` and `assign`. `content` as for `unpack_arrays`.

    Raises:
        VaeError: the file does not hold exactly these arrays; nothing was assigned.
    """
    shapes = {name: variable.shape for name, variable in variables.items()}
    for name, array in unpack_arrays(path, shapes, content).items():
        variables[name].assign(array)
