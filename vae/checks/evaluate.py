"""Checks a request for a verdict: the models, the images to judge by, the outputs."""
import os
import sys
from dataclasses import dataclass
from typing import Any

from vae.checkpoint.directory import read_metadata
from vae.checkpoint.model_files import verify_bundle
from vae.checks.pictures import check_outputs
from vae.config import EvaluateConfig, TrainConfig
from vae.data.hdf5 import count_held_out
from vae.data.sources import FileSource, PictureSource
from vae.errors import RefusedError
from vae.files import printable
from vae.images.pixels import Target
from vae.images.sheets import find_images

MOST_MODELS = 2


@dataclass(frozen=True)
class EvaluateRequest:
    """What `evaluate` was asked for, checked.

    Attributes:
        folders, models: the one or two model directories, and what they hold.
        data, source: path of the images, and where they are read from.
        target: the images' size, as the models take them.
        actor, actor_count: the file that was trained on, and how many of its first
            images were; None and 0 without.
        json, sheet: files to write, or None. config: how to measure.
    """

    folders: list
    models: list
    data: str
    source: Any
    target: Target
    actor: Any
    actor_count: int
    json: str | None
    sheet: str | None
    config: EvaluateConfig


def check(args):
    """Returns an `EvaluateRequest`; raises `RefusedError` for what can't work."""
    config = EvaluateConfig(**EvaluateConfig.pick(vars(args)))
    if len(args.models) > MOST_MODELS:
        raise RefusedError(
            f"{printable(args.models[MOST_MODELS])}: {len(args.models)} models found,"
            " one or two expected, then the images"
        )
    found = [read_metadata(folder) for folder in args.models]
    models = [model for _, model in found]
    _check_alike(args.models, models)
    for option, path, ending in (
        ("--json", args.json, ".json"),
        ("--sheet", args.sheet, ".png"),
    ):
        if path is not None:
            _check_output(option, path, ending, args)
    first = models[0]
    target = Target(first.width, first.height, first.channels, "stretch")
    source = _open(args.data, config, first)
    _check_size(args.data, source, target, found[0][0])
    actor, count = None, 0
    if args.actor is not None:
        actor, count = _open_actor(args.actor, args.models, found)
    for folder, (metadata, _) in zip(args.models, found):
        verify_bundle(folder, metadata)
    return EvaluateRequest(
        args.models,
        models,
        args.data,
        source,
        target,
        actor,
        count,
        args.json,
        args.sheet,
        config,
    )


def _check_alike(folders, models):
    forms = [(model.width, model.height, model.channels) for model in models]
    if len(set(forms)) > 1:
        shown = ["{}x{}, {} channels".format(*form) for form in forms]
        raise RefusedError(
            f"{printable(folders[1])}: a model of {shown[1]} found, {shown[0]}"
            f" expected, as in {printable(folders[0])}; only models of one size can be"
            " compared"
        )


def _check_output(option, path, ending, args):
    name = printable(path)
    if not path.endswith(ending):
        raise RefusedError(f"{option}: {name} found, NAME{ending} expected")
    if os.path.isdir(path):
        raise RefusedError(f"{option}: {name}: a folder found, a file expected")
    folder = os.path.dirname(path) or "."
    check_outputs(folder, [os.path.basename(path)], args.overwrite)


def _open(path, config, model):
    if os.path.isdir(path):
        return PictureSource(path, find_images(path))
    if not os.path.lexists(path):
        raise RefusedError(
            f"{printable(path)}: no such file or directory, an HDF5 file or a folder of"
            " crops expected"
        )
    size = model.width, model.height
    source = FileSource(path, config.hdf5_dataset_name, config.layout, size)
    if source.note:
        print(source.note, file=sys.stderr)
    if source.channels != model.channels:
        raise RefusedError(
            f"{printable(path)}: {source.channels} channels found, {model.channels}"
            " expected, as in the model"
        )
    return source


def _check_size(path, source, target, metadata):
    """Refuses images of several sizes, or of a shape that would have to be bent."""
    name, sizes = printable(path), sorted(source.sizes())
    if not sizes:
        raise RefusedError(
            f"{name}: no image that can be read, PNG, JPEG, BMP, WebP or TIFF expected"
        )
    if len(sizes) > 1:
        raise RefusedError(
            f"{name}: images of {len(sizes)} sizes found, {_shown(sizes[0])} to"
            f" {_shown(sizes[-1])}, one expected; make them one with prepare"
        )
    [(width, height)] = sizes
    wanted = target.width, target.height
    if (width, height) == wanted:
        return
    trained = _trained_on(metadata)
    shapes = [wanted, (trained.get("width"), trained.get("height"))]
    if not any(_same_shape((width, height), shape) for shape in shapes):
        raise RefusedError(
            f"{name}: images of {_shown(sizes[0])} found, {_shown(wanted)} or that"
            " shape expected, as in the model"
        )
    print(
        f"{name}: images of {_shown(sizes[0])} are made {_shown(wanted)}, the model's"
        " size, and measured there",
        file=sys.stderr,
    )


def _same_shape(size, other):
    """Whether one size is the other, but for the rounding of a side."""
    if not all(isinstance(side, int) and side > 0 for side in other):
        return False
    return abs(size[0] * other[1] - size[1] * other[0]) <= max(*size, *other) / 2


def _shown(size):
    return f"{size[0]}x{size[1]}"


def _open_actor(path, folders, found):
    """Returns the training file as a source, and the number of images trained on."""
    for folder, (metadata, _) in zip(folders, found):
        try:
            config = TrainConfig.from_dict(metadata.get("train"))
        except RefusedError as error:
            name = printable(os.path.join(folder, "metadata.json"))
            raise RefusedError(f"{name}: {error}") from None
        trained = _trained_on(metadata)
        actor = FileSource(path, config.hdf5_dataset_name, config.layout)
        if actor.fingerprint() != trained.get("fingerprint"):
            raise RefusedError(
                f"--actor: {printable(path)} holds other images than the model in"
                f" {printable(folder)} was trained on, that file expected"
            )
        share = 0.0 if trained.get("validation") else config.validation_split
    return actor, actor.count - count_held_out(actor.count, share)


def _trained_on(metadata):
    source = metadata.get("source")
    return source if isinstance(source, dict) else {}
