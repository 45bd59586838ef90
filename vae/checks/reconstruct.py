"""Checks a request for reconstructions: the model, the crops, the outputs."""
import os
from dataclasses import dataclass
from typing import Any

from vae.checks.pictures import check_model, check_outputs
from vae.config import ModelConfig, ReconstructConfig
from vae.errors import RefusedError
from vae.files import plan_outputs, printable
from vae.images.reading import ImageError
from vae.images.sheets import EXTENSIONS, find_images, read_image


@dataclass(frozen=True)
class ReconstructRequest:
    """What `reconstruct` was asked for, checked.

    Attributes:
        folder: the model directory. model: what it holds.
        inputdir, inputs: the folder of crops, and paths below it in natural order.
        output, outputs: the folder to write, and a path below it for each input.
        side_by_side: write input and reconstruction next to each other.
        latents: .npz file for the codes, or None.
        config: how strangers are aligned.
        neutral: the stranger at rest, uint8 (H, W, C) in the model's size, or None.
    """

    folder: str
    model: ModelConfig
    inputdir: str
    inputs: list
    output: str
    outputs: list
    side_by_side: bool
    latents: str | None
    config: ReconstructConfig
    neutral: Any


def check(args):
    """Returns a `ReconstructRequest`; raises `RefusedError` for what can't work."""
    config = ReconstructConfig(**ReconstructConfig.pick(vars(args)))
    _, model = check_model(args)
    neutral = _read_neutral(args.neutral, config.align, model)
    inputdir, inputs = _find_crops(args.inputdir)
    _check_apart(args.inputdir, inputdir, args.output)
    outputs = plan_outputs(inputs)
    check_outputs(args.output, outputs, args.overwrite)
    if args.latents is not None:
        _check_latents(args.latents, args.overwrite)
    return ReconstructRequest(
        args.input,
        model,
        inputdir,
        inputs,
        args.output,
        outputs,
        args.side_by_side,
        args.latents,
        config,
        neutral,
    )


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


def _find_crops(path):
    """Returns a folder and the images below it, of which one may be meant alone."""
    if os.path.splitext(path)[1].lower() in EXTENSIONS and os.path.isfile(path):
        return os.path.dirname(path), [os.path.basename(path)]
    return path, find_images(path)


def _check_apart(crops, folder, output):
    inside, outside = os.path.realpath(folder), os.path.realpath(output)
    below = crops == folder and outside.startswith(inside + os.sep)
    if outside == inside or below:
        raise RefusedError(
            f"{printable(output)}: inside the folder of crops, another folder expected,"
            " so that no crop is overwritten or read twice"
        )


def _check_latents(path, overwrite):
    if not path.endswith(".npz"):
        raise RefusedError(f"--latents: {printable(path)} found, NAME.npz expected")
    check_outputs(os.path.dirname(path) or ".", [os.path.basename(path)], overwrite)
