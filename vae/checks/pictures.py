"""Checks that `sample` and `reconstruct` share: the model, and where pictures go."""
import os

from vae.checkpoint.directory import read_metadata
from vae.checkpoint.model_files import verify_bundle
from vae.errors import RefusedError
from vae.files import find_writable_folder, printable


def check_model(args):
    """Returns (metadata, `ModelConfig`) of the model directory.

    Raises:
        RefusedError: it is none or damaged, or a size given on the command line is not
            its own.
    """
    metadata, config = read_metadata(args.input)
    given = {
        "--latent-dim": (args.latent_dim, config.latent_dim),
        "--input-width": (args.input_width, config.width),
        "--input-height": (args.input_height, config.height),
    }
    for option, (wanted, actual) in given.items():
        if wanted not in (None, actual):
            raise RefusedError(
                f"{option}: {wanted} found, {actual} expected: the model in"
                f" {printable(args.input)} has it; leave the option out"
            )
    verify_bundle(args.input, metadata)
    return metadata, config


def check_outputs(folder, names, overwrite):
    """Refuses a folder that can't be written, or pictures that are already there.

    Args:
        names: paths below `folder` that will be written.

    Raises:
        RefusedError
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise RefusedError(f"{printable(folder)}: a file found, a folder expected")
    existing = find_writable_folder(folder)
    if overwrite or existing != os.path.abspath(folder):
        return
    for name in names:
        if os.path.lexists(os.path.join(folder, name)):
            raise RefusedError(
                f"{printable(os.path.join(folder, name))}: already there; replace it"
                " with --overwrite, or name another folder"
            )
