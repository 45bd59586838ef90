"""`reconstruct`: every face of a folder or a film, as the actor."""

import argparse
import os
from dataclasses import replace

from vae.checkpoint.model_files import open_model
from vae.config import ModelChecks, ReconstructConfig
from vae.errors import ImageError, RefusedError
from vae.files import (
    plan_outputs,
    printable,
    refuse_existing,
    refuse_output,
    refuse_overlap,
)
from vae.images.films import SUFFIXES, check_film
from vae.images.networks import is_installed
from vae.images.reading import read_image
from vae.reconstruction.footage import Footage
from vae.reconstruction.session import PATCHES, Request, Session, name_sheet
from vae.strangers.alignment import LoadedActor
from vae.strangers.directions import choose_direction
from vae.terminal import tell


def run(args: argparse.Namespace) -> int:
    """Reconstructs the faces and prints PSNR; returns 1 if some inputs failed.

    Raises:
        RefusedError: something in the request can't work.
        StoppedError: a signal came while a film was written; there is none.
        VaeError: the model is damaged, or something can't be written.
    """
    config = ReconstructConfig(**ReconstructConfig.pick(vars(args)))
    _check_options(args)
    files = open_model(args.input, ModelChecks.pick(vars(args)), tell)
    model = files.config
    request = Request(
        config=config,
        output=args.output,
        is_film=_is_film(args.output),
        faces=args.faces,
        paste=args.paste,
        side_by_side=args.side_by_side,
        patches=args.patches,
        latents=args.latents,
        neutral=_read_neutral(args.neutral, config.align, model),
        direction=None,
    )
    jobs = []
    for path, output in _list_people(args):
        footage = Footage(path, config.fps, model, tell)
        here = replace(request, output=output)
        _check_outputs(args, path, footage, here)
        jobs.append((footage, here))
    actor = LoadedActor(files)
    if args.direction:
        direction = choose_direction(actor, files, args.direction)
        jobs = [(f, replace(here, direction=direction)) for f, here in jobs]
    statuses = []
    for footage, here in jobs:
        if args.each:
            print(f"{footage.title}:")
        statuses.append(Session(actor, model, footage, here).run())
    return max(statuses)


def _is_film(path):
    return path.lower().endswith(SUFFIXES) and not os.path.isdir(path)


def _check_options(args):
    for option, value in (("--paste", args.paste), ("--patches", args.patches)):
        if value and not args.faces:
            raise RefusedError(
                f"{option}: found without --faces, which finds where a face goes back"
                " to; add that or leave it out"
            )
    if args.faces and not is_installed():
        raise RefusedError(
            "--faces: the networks that find faces are missing: pip install"
            " 'vae-faces[faces]'"
        )
    if _is_film(args.output):
        check_film(printable(args.output), args.output)
    if args.each:
        single = ("latents", "patches", "neutral")
        found = [f"--{name}" for name in single if getattr(args, name)]
        found += [printable(args.output)] * _is_film(args.output)
        if found:
            raise RefusedError(
                f"--each: {found[0]} found, which is of one person alone; leave it out,"
                " or give one person's folder"
            )


def _list_people(args):
    """Returns (input, output) of each person."""
    if not args.each:
        return [(args.inputdir, args.output)]
    try:
        with os.scandir(args.inputdir) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        names = []
    if not names:
        raise RefusedError(
            f"--each: no folder found in {printable(args.inputdir)}, one for each"
            " person expected"
        )
    outputs = plan_outputs(names, suffix="")
    return [
        (os.path.join(args.inputdir, name), os.path.join(args.output, output))
        for name, output in zip(names, outputs, strict=True)
    ]


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


def _check_outputs(args, path, footage, request):
    output, names = request.output, plan_outputs(footage.guess_names())
    inputs = [args.input, path, *filter(None, [args.neutral])]
    inputs += filter(os.path.exists, args.direction or ())
    if request.is_film:
        suffix = os.path.splitext(output)[1]
        refuse_output(printable(output), output, suffix, inputs, args.overwrite)
    else:
        if footage.folder is not None:
            _check_apart(path, footage.folder, output)
        refuse_overlap((os.path.join(output, name) for name in names), inputs)
        refuse_existing(output, names, args.overwrite)
    if args.patches is not None:
        here = [*names, *PATCHES]
        refuse_overlap((os.path.join(args.patches, name) for name in here), inputs)
        refuse_existing(args.patches, here, args.overwrite)
        if os.path.realpath(args.patches) == os.path.realpath(output):
            raise RefusedError("--patches: the output found, another folder expected")
    folder, sheet = os.path.split(name_sheet(output))
    refuse_overlap([os.path.join(folder, sheet)], inputs)
    refuse_existing(folder or ".", [sheet], args.overwrite)
    refuse_output("--latents", args.latents, ".npz", inputs, args.overwrite)


def _check_apart(crops, folder, output):
    inside, outside = os.path.realpath(folder), os.path.realpath(output)
    below = crops == folder and outside.startswith(inside + os.sep)
    if outside == inside or below:
        raise RefusedError(
            f"{printable(output)}: inside the folder of crops, another folder expected,"
            " so that no crop is overwritten or read twice"
        )
