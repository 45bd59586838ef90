"""Checks a training request completely: options, output, data file and its values."""
import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tqdm import tqdm

from vae.checkpoint.directory import describe_output, find_checkpoint
from vae.config import CHANGEABLE_ON_RESUME, ModelConfig, TrainConfig, option_name
from vae.data.arrays import load_rows, spread_rows
from vae.data.hdf5 import ImageFile, count_held_out
from vae.data.preflight import probe_images
from vae.errors import RefusedError
from vae.files import printable
from vae.training.progress import Progress


@dataclass(frozen=True)
class TrainRequest:
    """What `train` was asked for, checked.

    Attributes:
        model, config: what to train, and how.
        rows: training images, uint8 (N, H, W, C), or a stand-in too large to hold.
        held_out: uint8 (M, H, W, C), or None.
        source: the form and the fingerprint of the data, for metadata and resume.
        output: the model directory.
        checkpoint, state: folder to resume from and its state.json, or None.
    """

    model: ModelConfig
    config: TrainConfig
    rows: Any
    held_out: Any
    source: dict
    output: str
    checkpoint: str | None
    state: dict | None


def check(args):
    """Returns a `TrainRequest`.

    Raises:
        RefusedError: something in the request can't work.
        VaeError: the data file is damaged.
    """
    checkpoint, state = _check_output(args)
    sizes = {"width": args.input_width, "height": args.input_height}
    model_wishes = ModelConfig.pick(vars(args) | sizes)
    if state:
        stored_model, stored_config, _ = read_state(checkpoint, state)
        model = _merge(stored_model, model_wishes)
        config = _merge(stored_config, TrainConfig.pick(vars(args)))
        model_wishes = model.to_dict()
    else:
        config = TrainConfig(**TrainConfig.pick(vars(args)))
    file = _open(args.input, config, model_wishes)
    for note in file.notes:
        print(note, file=sys.stderr)
    sides = {"width": file.width, "height": file.height}
    model = ModelConfig(**sides | model_wishes | {"channels": file.channels})
    config = replace(config, layout=file.layout.name)
    validation = _open_validation(args.validation, config, model)
    source = _describe(file, validation)
    if state and state.get("source") != source:
        raise RefusedError(
            f"{printable(args.input)}: not the images that the run in"
            f" {printable(args.output)} was begun with; --resume needs the same data"
        )
    rows, held_out = _load(file, validation, config, model, args.output)
    return TrainRequest(
        model, config, rows, held_out, source, args.output, checkpoint, state
    )


def _check_output(args):
    """Returns (checkpoint folder, state) to resume from, or (None, None)."""
    if args.resume and args.overwrite:
        raise RefusedError("--resume: --overwrite found as well, one of them expected")
    condition = describe_output(args.output)
    if args.resume:
        return find_checkpoint(args.output, warn=partial(print, file=sys.stderr))
    if condition == "used" and not args.overwrite:
        raise RefusedError(
            f"{printable(args.output)}: not empty, a new folder expected; go on with"
            " --resume, replace the model with --overwrite, or name another folder"
        )
    return None, None


def read_state(checkpoint, state):
    """Returns (`ModelConfig`, `TrainConfig`, `Progress`) of a checkpoint.

    Args:
        checkpoint: its folder. state: what its state.json holds; may be hostile.

    Raises:
        RefusedError: a value is of another kind or out of range.
    """
    kinds = {"model": ModelConfig, "config": TrainConfig, "progress": Progress}
    try:
        return [kind.from_dict(state.get(name)) for name, kind in kinds.items()]
    except RefusedError as error:
        path = os.path.join(checkpoint, "state.json")
        raise RefusedError(f"{printable(path)}: {error}") from None


def _merge(stored, wishes):
    """The stored config, with those wishes that a resumed run may still change."""
    for name, value in wishes.items():
        begun_with = getattr(stored, name)
        if name in CHANGEABLE_ON_RESUME or value in ("auto", begun_with):
            continue
        raise RefusedError(
            f"{option_name(name)}: {value} found, {begun_with} expected: the run to"
            " resume was begun with it; leave the option out"
        )
    allowed = {name: wishes[name] for name in CHANGEABLE_ON_RESUME & set(wishes)}
    return replace(stored, **allowed)


def _open(path, config, model_wishes):
    size = model_wishes.get("width"), model_wishes.get("height")
    probe_images(path, config.hdf5_dataset_name)
    return ImageFile(path, config.hdf5_dataset_name, config.layout, size)


def _open_validation(path, config, model):
    if path is None:
        return None
    file = _open(path, config, model.to_dict())
    if file.channels != model.channels:
        raise RefusedError(
            f"--validation: {printable(path)} has {file.channels} channels,"
            f" {model.channels} expected, as in input"
        )
    return file


def _describe(file, validation):
    source = {"count": file.count, "width": file.width, "height": file.height}
    source["fingerprint"] = file.fingerprint()
    source["validation"] = validation.fingerprint() if validation else None
    return source


def _load(file, validation, config, model, output):
    """Returns (rows, held_out); held out is the end of the file, or `validation`."""
    size = model.width, model.height
    watch = partial(tqdm, desc="reading", unit="block", delay=2, leave=False)
    share = 0.0 if validation else config.validation_split
    count = count_held_out(file.count, share)
    split = file.count - count
    held_out = None
    if validation:
        held_out = spread_rows(validation, 0, validation.count, size, watch)
    elif count:
        held_out = spread_rows(file, split, file.count, size, watch)
    spill = os.path.dirname(os.path.abspath(output))
    while not os.path.isdir(spill):
        spill = os.path.dirname(spill)
    return load_rows(file, 0, split, size, spill, watch), held_out
