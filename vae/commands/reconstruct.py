"""`reconstruct`: every face crop of a folder, as the actor."""

import argparse
import io
import os
import sys
from functools import partial

import numpy as np

from vae.checkpoint.model_files import open_model
from vae.config import ModelChecks, ReconstructConfig
from vae.data.arrays import read_crops
from vae.data.sources import list_crops
from vae.errors import RefusedError
from vae.files import (
    plan_outputs,
    printable,
    refuse_existing,
    refuse_output,
    refuse_overlap,
    replace_file,
)
from vae.images.pixels import psnr
from vae.images.reading import EXTENSIONS, ImageError, read_image
from vae.images.sheets import join_side_by_side, write_face
from vae.parallel import cut_evenly, map_ordered
from vae.strangers.alignment import LoadedActor
from vae.terminal import list_failures, progress_bar


def run(args: argparse.Namespace) -> int:
    """Reconstructs the folder and prints PSNR; returns 1 if some crops failed.

    Raises:
        RefusedError: something in the request can't work.
        VaeError: the model is damaged, or a picture can't be written.
    """
    config = ReconstructConfig(**ReconstructConfig.pick(vars(args)))
    warn = partial(print, file=sys.stderr)
    model = open_model(args.input, ModelChecks.pick(vars(args)), warn)
    neutral = _read_neutral(args.neutral, config.align, model)
    folder, names = _find_crops(args.inputdir, warn)
    _check_apart(args.inputdir, folder, args.output)
    outputs = plan_outputs(names)
    inputs = [args.input, args.inputdir, *filter(None, [args.neutral])]
    refuse_overlap((os.path.join(args.output, name) for name in outputs), inputs)
    refuse_existing(args.output, outputs, args.overwrite)
    refuse_output("--latents", args.latents, ".npz", inputs, args.overwrite)
    actor = LoadedActor(args.input, model)
    with progress_bar(len(names), "read") as bar:
        crops = read_crops(folder, names, model, bar.update)
    if crops.indices:
        z, reason = actor.align(crops.images, config, neutral)  # (N, Z)
        if reason:
            print(reason, file=sys.stderr)
        paths = [os.path.join(args.output, outputs[index]) for index in crops.indices]
        decibel = _write(actor, crops.images, z, paths, args.side_by_side)
        if args.latents is not None:
            z_log_var = actor.encode(crops.images)[1]
            _save_latents(args.latents, crops.printable_names(), z, z_log_var)
        print(f"{len(crops.indices)} of {len(names)} crops in {printable(args.output)}")
        _report(crops, decibel)
    for place, line in crops.notes:
        print(f"{printable(names[place])}: {line}", file=sys.stderr)
    failures = [(printable(names[place]), reason) for place, reason in crops.failures]
    list_failures(failures, len(names))
    return 1 if failures else 0


def _read_neutral(path, align, model):
    """Returns the image (H, W, C) of somebody at rest, or None for auto."""
    if path in (None, "auto"):
        return None
    if align != "relative":
        raise RefusedError(
            f"--neutral: found with --align {align}, relative expected; add"
            " --align relative"
        )
    try:
        return read_image(path, model.width, model.height, model.channels)
    except ImageError as error:
        raise RefusedError(f"--neutral: {printable(path)}: {error}") from error


def _find_crops(path, warn):
    """Returns a folder and the images below it, of which one may be meant alone."""
    if os.path.splitext(path)[1].lower() in EXTENSIONS and os.path.isfile(path):
        return os.path.dirname(path), [os.path.basename(path)]
    return path, list_crops(path, warn)


def _check_apart(crops, folder, output):
    inside, outside = os.path.realpath(folder), os.path.realpath(output)
    below = crops == folder and outside.startswith(inside + os.sep)
    if outside == inside or below:
        raise RefusedError(
            f"{printable(output)}: inside the folder of crops, another folder expected,"
            " so that no crop is overwritten or read twice"
        )


def _write(actor, images, z, paths, side_by_side):
    """Decodes codes (N, Z) and writes the pictures; returns the PSNR of each (N,)."""

    def write(part):
        results = actor.decode(z[part])  # (B, H, W, C)
        pictures = results
        if side_by_side:
            pictures = join_side_by_side(images[part], results)
        for path, picture in zip(paths[part], pictures, strict=True):
            write_face(path, picture)
        return psnr(images[part], results)

    decibel = []
    with progress_bar(len(z), "write") as bar:
        for found in map_ordered(write, cut_evenly(len(z), actor.network.block)):
            decibel.append(found)
            bar.update(len(found))
    return np.concatenate(decibel)


def _save_latents(path, files, z_mean, z_log_var):
    buffer = io.BytesIO()
    np.savez(buffer, files=np.array(files, np.str_), z_mean=z_mean, z_log_var=z_log_var)
    replace_file(path, buffer.getvalue())


def _report(crops, decibel):
    worst = int(np.argmin(decibel))
    name = crops.printable_names()[worst]
    print(f"PSNR: mean {decibel.mean():.2f} dB, worst {decibel[worst]:.2f} dB ({name})")
