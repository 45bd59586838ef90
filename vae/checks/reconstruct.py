"""Checks a request for reconstructions: the model, the folder of crops, the outputs."""
import os
from dataclasses import dataclass

from vae.checks.pictures import check_model, check_outputs
from vae.config import ModelConfig, ReconstructConfig
from vae.errors import RefusedError
from vae.files import plan_outputs, printable
from vae.images import find_images


@dataclass(frozen=True)
class ReconstructRequest:
    """What `reconstruct` was asked for, checked.

    Attributes:
        folder: the model directory. model: what it holds.
        inputdir, inputs: the folder of crops, and paths below it in natural order.
        output, outputs: the folder to write, and a path below it for each input.
        side_by_side: write input and reconstruction next to each other.
        latents: .npz file for the codes, or None.
        config: how strangers are aligned. neutral: image of one at rest, or None.
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
    neutral: str | None


def check(args):
    """Returns a `ReconstructRequest`; raises `RefusedError` for what can't work."""
    config = ReconstructConfig(**ReconstructConfig.pick(vars(args)))
    _, model = check_model(args)
    if config.align == "register" and not model.reads_strangers:
        raise RefusedError(
            "--align: register found, none, recentre, standardise or relative expected:"
            f" the model in {printable(args.input)} was trained with --augment"
            f" {model.augment}"
        )
    neutral = None if args.neutral == "auto" else args.neutral
    if neutral is not None and config.align != "relative":
        raise RefusedError(
            f"--neutral: found with --align {config.align}, relative expected; add"
            " --align relative"
        )
    inputs = find_images(args.inputdir)
    _check_apart(args.inputdir, args.output)
    outputs = plan_outputs(inputs)
    check_outputs(args.output, outputs, args.overwrite)
    if args.latents is not None:
        _check_latents(args.latents, args.overwrite)
    return ReconstructRequest(
        args.input,
        model,
        args.inputdir,
        inputs,
        args.output,
        outputs,
        args.side_by_side,
        args.latents,
        config,
        neutral,
    )


def _check_apart(inputdir, output):
    inside, outside = os.path.realpath(inputdir), os.path.realpath(output)
    if outside == inside or outside.startswith(inside + os.sep):
        raise RefusedError(
            f"{printable(output)}: inside the folder of crops, another folder expected,"
            " so that no crop is overwritten or read twice"
        )


def _check_latents(path, overwrite):
    if not path.endswith(".npz"):
        raise RefusedError(f"--latents: {printable(path)} found, NAME.npz expected")
    check_outputs(os.path.dirname(path) or ".", [os.path.basename(path)], overwrite)
