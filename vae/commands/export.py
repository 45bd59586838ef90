"""`export`: a trained model for other programs, checked against the model itself."""

import argparse
import contextlib
import os
import re
import secrets
import shutil
from importlib.util import find_spec

from vae.checkpoint.directory import publish_folder
from vae.checkpoint.model_files import open_model
from vae.checkpoint.storage import unpack_arrays
from vae.config import EXPORTS, NETWORKS, ExportConfig
from vae.errors import RefusedError, VaeError
from vae.files import explain, printable, refuse_existing, refuse_overlap
from vae.model.architecture import shape_arrays
from vae.terminal import quiet_stderr, quiet_tensorflow, tell

NEEDED = {"onnx": ("onnx", "tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}


def run(args: argparse.Namespace) -> int:
    """Exports, prints what is where and how near it is; returns the exit status.

    Raises:
        RefusedError: something in the request can't work.
        VaeError: the model is damaged, the export differs from it or can't be written.
    """
    kind = ExportConfig(**ExportConfig.pick(vars(args))).format
    missing = [name for name in NEEDED.get(kind, ()) if find_spec(name) is None]
    if missing:
        raise RefusedError(
            f"--format: {kind} needs {', '.join(missing)}: pip install"
            f" 'vae-faces[{kind}]'"
        )
    files = open_model(args.input, {}, tell)
    names = _plan(args, kind)
    path, content = files.find("weights.h5")
    arrays = unpack_arrays(path, shape_arrays(files.config), content)
    with quiet_tensorflow():
        from vae.model.export import export, load_vae
    with _aside(args.output) as aside:
        with quiet_stderr():  # the converters talk
            difference = export(load_vae(files.config, arrays), kind, aside)
        _publish(aside, args.output, names)
    for name in names:
        print(printable(os.path.join(args.output, name)))
    print(f"largest difference from the model: {difference:.1e}")
    return 0


def _plan(args, kind):
    """Returns the names of what will be in the output; refuses what is there."""
    refuse_overlap([os.path.join(args.output, "x")], [args.input])
    if kind != "saved-model":
        names = [name + EXPORTS[kind] for name in NETWORKS]
        refuse_existing(args.output, names, args.overwrite)
        return names
    refuse_existing(args.output, [], args.overwrite)
    there = os.listdir(args.output) if os.path.isdir(args.output) else []
    versions = [int(name) for name in there if re.fullmatch("[0-9]{1,18}", name)]
    return [str(max(versions, default=0) + 1)]


@contextlib.contextmanager
def _aside(output):
    """A new folder inside the output, which is gone at the end."""
    folder = os.path.join(output, f".{secrets.token_hex(8)}.tmp")
    try:
        os.makedirs(folder)
    except OSError as error:
        reason = f"can't be written ({explain(error)})"
        raise VaeError(f"{printable(output)}: {reason}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(aside, output, names):
    """Puts what was written in place: a folder of a new name, or one file a name."""
    try:
        if len(names) == 1:
            publish_folder(aside, os.path.join(output, *names))
            return
        for name in names:
            os.replace(os.path.join(aside, name), os.path.join(output, name))
    except OSError as error:
        reason = f"can't be written ({explain(error)})"
        raise VaeError(f"{printable(output)}: {reason}") from error
